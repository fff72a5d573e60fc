"""The tools that read and change bookings.

The one rule: a tool names the booking by id or code, and does one thing that the domain knows; what may be done with
it, and what becomes of it, is decided there.
"""

from typing import Any
from uuid import UUID

from app.core import db
from app.core.db import Connection
from app.core.errors import InvalidInput, SlotTaken, SlotUnavailable
from app.core.ids import Kind, decode
from app.core.metrics import BOOKINGS
from app.domain.bookings import lists
from app.domain.bookings.create import create_booking as book
from app.domain.bookings.holds import Finish, finish_booking
from app.domain.bookings.lifecycle import Action, Status
from app.domain.bookings.models import Attendee, Booking
from app.domain.bookings.orders import NewBooking
from app.domain.bookings.queries import check_part_in, find_booking
from app.domain.bookings.queries import get_booking as read_booking
from app.domain.bookings.reschedule import reschedule_booking as move
from app.domain.bookings.transitions import change_status
from app.faces.mcp.answers import booking_out
from app.faces.mcp.shapes import (
    CancelBookingIn,
    CreateBookingIn,
    GetBookingIn,
    ListBookingsIn,
    RescheduleBookingIn,
    WritingIn,
)
from app.faces.mcp.writing import write
from app.faces.rest.bookings import actor_of
from app.web.call import Call
from app.web.paging import cursor_id, pagination

_HOLD_SECONDS = 600


async def create_booking(call: Call, given: CreateBookingIn) -> dict[str, Any]:
    if given.finish is not None:
        return await _finish(call, given, given.finish)
    wanted = _wanted(given)

    async def make(conn: Connection) -> dict[str, Any]:
        created = await book(conn, call.principal, wanted, actor_of(call), call.now)
        return _new(given, created.booking)

    shown = await write(call, "create_booking", given, make)
    _count(shown)
    return shown


async def _finish(call: Call, given: CreateBookingIn, hold: str) -> dict[str, Any]:
    """Raises InvalidInput where the hold keeps something else than the call names."""
    booking_id = await _id_of(call, hold)
    finish = Finish(
        attendee=_attendee(given),
        guests=[guest.model_dump() for guest in given.guests] or None,
        answers=[answer.model_dump() for answer in given.answers] or None,
        notes=given.notes,
    )

    async def make(conn: Connection) -> dict[str, Any]:
        held = await read_booking(conn, call.principal.org_id, booking_id)
        _check_same(given, held)
        booking = await finish_booking(conn, call.principal, booking_id, finish, actor_of(call), call.now)
        return {"booking": booking_out(booking)}

    shown = await write(call, "create_booking", given, make)
    _count(shown)
    return shown


async def cancel_booking(call: Call, given: CancelBookingIn) -> dict[str, Any]:
    booking_id = await _id_of(call, given.booking)

    async def make(conn: Connection) -> dict[str, Any]:
        about = (booking_id, Action.CANCEL, actor_of(call), given.reason)
        return {"booking": booking_out(await change_status(conn, call.principal, *about, call.now))}

    return await write(call, "cancel_booking", given, make)


async def reschedule_booking(call: Call, given: RescheduleBookingIn) -> dict[str, Any]:
    booking_id = await _id_of(call, given.booking)
    where = (booking_id, given.start_time, given.timezone)

    async def make(conn: Connection) -> dict[str, Any]:
        try:
            moved = await move(conn, call.principal, *where, actor_of(call), given.reason, call.now)
        except (SlotTaken, SlotUnavailable) as error:
            # whose slots to look at instead
            old = await read_booking(conn, call.principal.org_id, booking_id)
            error.extra["event_type"] = old.event_type_code
            raise
        return _new(given, moved)

    return await write(call, "reschedule_booking", given, make)


async def list_bookings(call: Call, given: ListBookingsIn) -> dict[str, Any]:
    """The earliest start first."""
    filters = lists.Filters(
        statuses=None if given.status is None else [Status(given.status)],
        attendee_email=given.attendee_email,
        starts_from=given.starts_from,
        starts_before=given.starts_before,
        of_user_id=call.principal.only_own_user_id,
    )
    after = cursor_id(Kind.BOOKING, given.cursor)
    async with db.snapshot(call.conn):
        rows = await lists.list_bookings(call.conn, call.principal.org_id, filters, after=after, limit=given.limit + 1)
    shown: dict[str, Any] = {"bookings": [booking_out(booking) for booking in rows[: given.limit]]}
    if (cursor := pagination(Kind.BOOKING, rows, given.limit)["next_cursor"]) is not None:
        shown["next_cursor"] = cursor
    return shown


async def get_booking(call: Call, given: GetBookingIn) -> dict[str, Any]:
    booking_id = await _id_of(call, given.booking)
    return {"booking": booking_out(await read_booking(call.conn, call.principal.org_id, booking_id))}


async def _id_of(call: Call, handle: str) -> UUID:
    """Of a booking that the key reaches. Raises NotFound."""
    booking_id = await find_booking(call.conn, call.principal.org_id, decode(Kind.BOOKING, handle) or handle)
    await check_part_in(call.conn, call.principal, booking_id)
    return booking_id


def _attendee(given: CreateBookingIn) -> Attendee:
    return Attendee(given.attendee_name, given.attendee_email, given.attendee_phone, given.timezone)


def _wanted(given: CreateBookingIn) -> NewBooking:
    return NewBooking(
        event_type=decode(Kind.EVENT_TYPE, given.event_type) or given.event_type,
        start=given.start_time,
        attendee=_attendee(given),
        duration_minutes=given.duration,
        service_id=given.service_id,
        host_id=given.host_id,
        guests=[guest.model_dump() for guest in given.guests],
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
        hold_seconds=_HOLD_SECONDS if given.hold else None,
    )


def _check_same(given: CreateBookingIn, held: Booking) -> None:
    named = decode(Kind.EVENT_TYPE, given.event_type) or given.event_type
    if named not in {held.event_type_id, held.event_type_code}:
        raise InvalidInput.of("event_type", "the hold is of another event type")
    if given.start_time != held.starts_at:
        raise InvalidInput.of("start_time", "the hold is of another time; give the one that it keeps")


def _new(given: WritingIn, booking: Booking) -> dict[str, Any]:
    """What was never written has no id and no code that anybody could ask by."""
    shown: dict[str, Any] = {"booking": booking_out(booking)}
    if given.dry_run:
        for name in ("id", "code"):
            shown["booking"].pop(name)
    elif isinstance(given, CreateBookingIn) and given.hold:
        shown["next"] = {"tool": "create_booking", "arguments": _to_finish(given, shown["booking"]["id"])}
    return shown


def _to_finish(given: CreateBookingIn, hold: str) -> dict[str, Any]:
    """The call that makes a booking of the hold."""
    same = {"event_type", "start_time", "attendee_name", "attendee_email", "timezone"}
    return {**given.model_dump(mode="json", include=same), "finish": hold}


def _count(shown: dict[str, Any]) -> None:
    """A booking that is new: not one that is shown again, or for show."""
    if not ({"dry_run", "idempotent_replay"} & shown.keys()) and "hold_expires_at" not in shown["booking"]:
        BOOKINGS.inc()
