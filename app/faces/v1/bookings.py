"""`/v1/bookings`: create, read, cancel."""

from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind
from app.core.metrics import BOOKINGS
from app.domain.bookings.create import NewBooking, create_booking
from app.domain.bookings.models import Actor, Attendee, Booking, represent, with_tokens
from app.domain.bookings.queries import get_booking
from app.domain.bookings.tokens import tokens_of
from app.domain.bookings.transitions import cancel_booking
from app.domain.identity.scopes import covers
from app.faces.v1.shapes.bookings import BookingIn, CancelIn
from app.web import idempotency
from app.web.call import Call, json_response


def _envelope(call: Call, booking: Booking, shown: dict[str, Any] | None = None) -> dict[str, Any]:
    """The links that change a booking are for keys that may change it."""
    may_write = covers(call.principal.scopes, "bookings:write")
    tokens = tokens_of(booking, call.principal.secret) if may_write else None
    return {"success": True, "booking": with_tokens(shown or represent(booking), tokens)}


def _actor(call: Call) -> Actor:
    return Actor("api", call.principal.key_id)


def _wanted(given: BookingIn) -> NewBooking:
    attendee = given.attendee
    return NewBooking(
        event_type=given.named_event_type,
        start=given.requested_time,
        attendee=Attendee(attendee.name, attendee.email, attendee.phone, attendee.timezone),
        duration_minutes=given.duration,
        host_id=given.host_id,
        guests=[guest.model_dump() for guest in given.guests],
        custom_fields=given.custom_fields,
        metadata=given.metadata,
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
    )


async def create(call: Call) -> web.Response:
    wanted = _wanted(call.body(BookingIn))

    async def make(conn: Connection) -> dict[str, Any]:
        created = await create_booking(conn, call.principal, wanted, _actor(call), call.now)
        return _envelope(call, created.booking, created.shown)

    response = await idempotency.create(call, make, one_statement=True)
    if response.status == 201:
        BOOKINGS.inc()
    return response


async def read(call: Call) -> web.Response:
    booking = await get_booking(call.conn, call.principal.org_id, call.path_id(Kind.BOOKING))
    return json_response(_envelope(call, booking))


async def cancel(call: Call) -> web.Response:
    """`POST …/cancel` and `DELETE` alike; a repeat answers with the booking as it is."""
    booking_id: UUID = call.path_id(Kind.BOOKING)
    reason = call.optional_body(CancelIn).reason
    booking = await call.write(
        lambda conn: cancel_booking(conn, call.principal.org_id, booking_id, _actor(call), reason, call.now)
    )
    return json_response(_envelope(call, booking))
