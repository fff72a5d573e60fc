"""The tools that read and change bookings.

The one rule: a tool names the booking by id or code, and does one thing that the domain knows; what may be done with
it, and what becomes of it, is decided there.
"""

import dataclasses
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.core import db
from app.core.db import Connection
from app.core.errors import InvalidInput, InvalidTransition, SlotTaken, SlotUnavailable
from app.core.ids import Kind, decode, encode
from app.core.metrics import BOOKINGS
from app.core.times import iso
from app.domain.bookings import lists
from app.domain.bookings.create import create_booking as book
from app.domain.bookings.holds import Finish, finish_booking
from app.domain.bookings.lifecycle import ACTIVE, Action, Status
from app.domain.bookings.models import Attendee, Booking
from app.domain.bookings.orders import NewBooking
from app.domain.bookings.queries import check_part_in, find_booking
from app.domain.bookings.queries import get_booking as read_booking
from app.domain.bookings.reschedule import reschedule_booking as move
from app.domain.bookings.transitions import change_status
from app.domain.event_types.service import get_event_type
from app.faces.mcp.advice import Refused, slots_near
from app.faces.mcp.answers import booking_out, page_of, present, unwritten
from app.faces.mcp.shapes import (
    MOST_ON_A_PAGE,
    CancelBookingIn,
    CreateBookingIn,
    GetBookingIn,
    ListBookingsIn,
    RescheduleBookingIn,
    WritingIn,
)
from app.faces.mcp.tool import NextCall
from app.faces.mcp.writing import is_new, write
from app.faces.rest.bookings import actor_of
from app.web.call import Call
from app.web.paging import cursor_id

_HOLD_SECONDS = 600
_MINUTE = timedelta(minutes=1)


async def create_booking(call: Call, given: CreateBookingIn) -> dict[str, Any]:
    if given.finish is not None:
        return await _finish(call, given, given.finish)
    wanted = _wanted(given)

    async def make(conn: Connection) -> dict[str, Any]:
        created = await book(conn, call.principal, wanted, actor_of(call), call.now)
        shown = _new(given, created.booking)
        if given.hold and not given.dry_run:
            shown["next"] = await _finishing(conn, given, created.booking)
        return shown

    shown = await write(call, "create_booking", given, make)
    if is_new(shown):
        BOOKINGS.inc()
    return shown


async def _finish(call: Call, given: CreateBookingIn, hold: str) -> dict[str, Any]:
    """Raises InvalidInput where the hold keeps something else than the call names, and InvalidTransition where it is
    somebody else's booking by now."""

    async def make(conn: Connection) -> dict[str, Any]:
        booking_id = await _id_of(call, conn, hold)
        held = await read_booking(conn, call.principal.org_id, booking_id)
        _check_same(given, held)
        if held.rescheduled_to_id is not None:
            later = await _successor(conn, held)
            moved = InvalidTransition(f"This hold was finished, and moved since: what stands is {_name(later)}.")
            raise Refused(moved, {"tool": "get_booking", "arguments": {"booking": _name(later)}})
        finish = Finish(
            attendee=_with_phone(_attendee(given), held.attendee),
            guests=[guest.model_dump() for guest in given.guests] or None,
            answers=[answer.model_dump() for answer in given.answers] or None,
            notes=given.notes,
        )
        booking = await finish_booking(conn, call.principal, booking_id, finish, actor_of(call), call.now)
        if not _is_as_given(given, booking):
            raise InvalidTransition("This is no hold any more: it was finished for somebody else. Book anew.")
        return {"booking": booking_out(booking)}

    return await write(call, "create_booking", given, make)


async def cancel_booking(call: Call, given: CancelBookingIn) -> dict[str, Any]:
    async def make(conn: Connection) -> dict[str, Any]:
        booking_id = await _id_of(call, conn, given.booking)
        about = (booking_id, Action.CANCEL, actor_of(call), given.reason)
        booking = await change_status(conn, call.principal, *about, call.now)
        if booking.rescheduled_to_id is not None:
            # cancelled it is; but what the agent means takes place under another id
            raise _moved("cancel_booking", given, await _successor(conn, booking))
        return {"booking": booking_out(booking)}

    return await write(call, "cancel_booking", given, make)


async def reschedule_booking(call: Call, given: RescheduleBookingIn) -> dict[str, Any]:
    async def make(conn: Connection) -> dict[str, Any]:
        booking_id = await _id_of(call, conn, given.booking)
        old = await read_booking(conn, call.principal.org_id, booking_id)
        if old.rescheduled_to_id is not None:
            later = await _successor(conn, old)
            if later.starts_at == given.start_time and later.status in ACTIVE:
                # it was moved there already: the same call again, whose first answer got lost
                return {"booking": booking_out(later)}
            raise _moved("reschedule_booking", given, later)
        where = (booking_id, given.start_time, given.timezone)
        try:
            moved = await move(conn, call.principal, *where, actor_of(call), given.reason, call.now)
        except (SlotTaken, SlotUnavailable) as error:
            raise Refused(error, await _instead(conn, given, old)) from error
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
    after, limit = cursor_id(Kind.BOOKING, given.cursor), min(given.limit, MOST_ON_A_PAGE)
    async with db.snapshot(call.conn):
        rows = await lists.list_bookings(call.conn, call.principal.org_id, filters, after=after, limit=limit + 1)
    return page_of("bookings", Kind.BOOKING, rows, limit, booking_out)


async def get_booking(call: Call, given: GetBookingIn) -> dict[str, Any]:
    booking_id = await _id_of(call, call.conn, given.booking)
    return {"booking": booking_out(await read_booking(call.conn, call.principal.org_id, booking_id))}


async def _id_of(call: Call, conn: Connection, handle: str) -> UUID:
    """Of a booking that the key reaches. Raises NotFound."""
    booking_id = await find_booking(conn, call.principal.org_id, decode(Kind.BOOKING, handle) or handle)
    await check_part_in(conn, call.principal, booking_id)
    return booking_id


async def _successor(conn: Connection, booking: Booking) -> Booking:
    """What stands, or ended, in the place of a booking that was moved, however often."""
    while booking.rescheduled_to_id is not None:
        booking = await read_booking(conn, booking.org_id, booking.rescheduled_to_id)
    return booking


def _moved(tool: str, given: CancelBookingIn | RescheduleBookingIn, later: Booking) -> Refused:
    """The refusal of an old id, with the same call for what took its place: an answer about the old one would say that
    nothing takes place."""
    error = InvalidTransition(f"This booking was moved; what stands in its place is {_name(later)}. Use that id.")
    same = {**given.model_dump(mode="json", exclude_unset=True), "booking": _name(later)}
    return Refused(error, {"tool": tool, "arguments": same})


def _name(booking: Booking) -> str:
    return encode(Kind.BOOKING, booking.id)


def _minutes(booking: Booking) -> int:
    return (booking.ends_at - booking.starts_at) // _MINUTE


def _attendee(given: CreateBookingIn) -> Attendee:
    return Attendee(given.attendee_name, given.attendee_email, given.attendee_phone, given.timezone)


def _with_phone(attendee: Attendee, held: Attendee | None) -> Attendee:
    """What the hold brought, and the finish leaves out; of the same person."""
    if attendee.phone or held is None or held.email.lower() != attendee.email.lower():
        return attendee
    return dataclasses.replace(attendee, phone=held.phone)


def _is_as_given(given: CreateBookingIn, booking: Booking) -> bool:
    """Whether a booking that was finished, now or before, is the one that the call means."""
    who = booking.attendee
    answers = [answer.model_dump() for answer in given.answers]
    return (
        who is not None
        and (who.name, who.email.lower()) == (given.attendee_name, given.attendee_email.lower())
        and given.notes in {None, booking.notes}
        and answers in ([], booking.answers)
    )


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
    if given.duration not in {None, _minutes(held)}:
        raise InvalidInput.of("duration", f"the hold keeps {_minutes(held)} minutes")
    if given.service_id not in {None, held.service_id}:
        raise InvalidInput.of("service_id", "the hold is of another service, or of none")
    if given.host_id is not None and given.host_id not in {host.user_id for host in held.hosts}:
        raise InvalidInput.of("host_id", "the hold is of another host")


def _new(given: WritingIn, booking: Booking) -> dict[str, Any]:
    return {"booking": unwritten(booking_out(booking)) if given.dry_run else booking_out(booking)}


async def _finishing(conn: Connection, given: CreateBookingIn, held: Booking) -> NextCall:
    """The call that makes a booking of the hold. A required question that is not answered yet stands in it without an
    answer."""
    same = {"event_type", "start_time", "attendee_name", "attendee_email", "attendee_phone", "timezone"}
    arguments = present(given.model_dump(mode="json", include=same))
    assert held.event_type_id is not None  # noqa: S101 -- only a reservation of a resource has none
    questions = (await get_event_type(conn, held.org_id, held.event_type_id)).questions
    answered = {answer.question_id for answer in given.answers}
    if any(question["required"] and question["id"] not in answered for question in questions):
        known = [answer.model_dump() for answer in given.answers]
        open_ones = [{"question_id": each["id"], "answer": None} for each in questions if each["id"] not in answered]
        arguments["answers"] = [*known, *open_ones]
    return {"tool": "create_booking", "arguments": {**arguments, "finish": _name(held)}}


async def _instead(conn: Connection, given: RescheduleBookingIn, old: Booking) -> NextCall:
    """Which call tells where the booking could be moved to."""
    if old.event_type_id is not None:
        event_type, minutes = await get_event_type(conn, old.org_id, old.event_type_id), _minutes(old)
        choices: dict[str, Any] = {"service_id": old.service_id} if old.service_id else {}
        if not choices and minutes in event_type.durations_minutes and minutes != event_type.duration_minutes:
            choices = {"duration": minutes}
        return slots_near(event_type.code, given.start_time, given.timezone or old.timezone, choices)
    ends_at = given.start_time + (old.ends_at - old.starts_at)
    return {"tool": "check_availability", "arguments": {"starts_at": iso(given.start_time), "ends_at": iso(ends_at)}}
