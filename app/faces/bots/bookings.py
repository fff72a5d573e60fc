"""`/api/v1/bookings`: list, create, read and cancel, as seed 002 has them."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from app.core import db
from app.core.db import Connection
from app.core.errors import FieldError, InvalidInput, NotFound
from app.core.ids import Kind, encode
from app.core.metrics import BOOKINGS
from app.domain.bookings.create import create_booking
from app.domain.bookings.lists import Filters, count_bookings, list_bookings
from app.domain.bookings.models import Attendee, Booking
from app.domain.bookings.orders import NewBooking
from app.domain.bookings.transitions import cancel_once
from app.domain.event_types.booking_links import BookingLink, describe_links, find_link, no_such_link
from app.faces.bots.shapes import (
    BotBookingIn,
    BotBookingShown,
    BotBookingsQuery,
    CancelledShown,
    booking_out,
    link_handle,
    staff,
)
from app.faces.rest.bookings import actor_of, booking_of, read_one
from app.web import idempotency
from app.web.call import Call
from app.web.paging import numbered_response
from app.web.shapes import ReasonIn
from app.web.statuses import WORDS


async def list_all(call: Call) -> web.Response:
    """The earliest start first."""
    query, org_id = call.query(BotBookingsQuery), call.principal.org_id
    async with db.snapshot(call.conn):
        link_id = None
        if query.booking_link_id is not None:
            # what was archived has its bookings still
            link_id = (await find_link(call.conn, org_id, link_handle(query.booking_link_id), None, archived=True)).id
        filters = Filters(
            statuses=query.statuses,
            event_type_id=link_id,
            starts_from=query.starts_from,
            starts_before=query.starts_before,
            of_user_id=call.principal.only_own_user_id,
        )
        rows = await list_bookings(call.conn, org_id, filters, limit=query.limit, skip=query.skipped)
        total = await count_bookings(call.conn, org_id, filters)
        shown = await _shown(call, rows)
    return numbered_response(call, shown, query, total)


async def create(call: Call) -> web.Response:
    given = call.body(BotBookingIn)

    async def make(conn: Connection) -> dict[str, Any]:
        link = await find_link(conn, call.principal.org_id, link_handle(given.booking_link_id), given.slug)
        try:
            with call.timed("book"):
                created = await create_booking(conn, call.principal, _wanted(given, link), actor_of(call), call.now)
        except InvalidInput as error:
            raise in_words_of_bots(error) from None
        except NotFound:
            # archived between the two
            raise await no_such_link(conn, call.principal.org_id) from None
        return call.envelope(booking_out(created.booking, link))

    response = await idempotency.create(call, make, one_statement=call.principal.budget is None)
    if response.status == 201:
        BOOKINGS.inc()
    return response


async def read(call: Call) -> web.Response:
    (shown,) = await _shown(call, [await read_one(call)])
    return call.answer(shown)


async def cancel(call: Call) -> web.Response:
    about = (await booking_of(call), actor_of(call), call.optional_body(ReasonIn).reason)
    booking = await call.write(lambda conn: cancel_once(conn, call.principal, *about, call.now))
    return call.answer(_cancelled(booking))


def in_words_of_bots(error: InvalidInput) -> InvalidInput:
    """What the domain calls a host is staff here."""
    renamed = [
        FieldError("staff_id" if each.field == "host_id" else each.field, each.code, each.message)
        for each in error.errors
    ]
    return InvalidInput(error.detail.replace("host_id:", "staff_id:"), code=error.error_code, errors=renamed)


def _wanted(given: BotBookingIn, link: BookingLink) -> NewBooking:
    zone = given.client_timezone or link.timezone
    return NewBooking(
        event_type=link.id,
        start=given.start_time,
        attendee=Attendee(given.contact_name, given.contact_email, given.contact_phone, zone),
        service_id=given.service_id,
        host_id=staff(given.staff_id),
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
    )


async def _shown(call: Call, bookings: Iterable[Booking]) -> list[BotBookingShown]:
    """With the links that they were booked through, in one look."""
    rows = list(bookings)
    used = {booking.event_type_id for booking in rows if booking.event_type_id}
    links = await describe_links(call.conn, call.principal.org_id, used)
    return [
        booking_out(booking, links.get(booking.event_type_id) if booking.event_type_id else None) for booking in rows
    ]


def _cancelled(booking: Booking) -> CancelledShown:
    reason = booking.cancellation_reason
    return {"id": encode(Kind.BOOKING, booking.id), "status": WORDS[booking.status], "reason": reason}
