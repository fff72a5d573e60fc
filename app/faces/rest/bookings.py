"""`/v1/bookings`: create, read, finish a hold, and every step of the lifecycle."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind
from app.core.metrics import BOOKINGS
from app.domain.bookings.attendees import change_attendee
from app.domain.bookings.create import create_booking
from app.domain.bookings.holds import Finish, finish_booking
from app.domain.bookings.lifecycle import Action
from app.domain.bookings.models import Actor, Attendee, Booking, BookingShown, represent, with_tokens
from app.domain.bookings.orders import NewBooking
from app.domain.bookings.queries import check_part_in, get_booking
from app.domain.bookings.reschedule import reschedule_booking
from app.domain.bookings.tokens import tokens_of
from app.domain.bookings.transitions import change_status
from app.domain.calendars.choices import CalendarEntryShown, list_standing
from app.domain.identity.models import Principal
from app.faces.rest.shapes.bookings import AttendeeIn, BookingIn, BookingPatch, FinishIn, RescheduleIn
from app.web import idempotency
from app.web.calendars import InviteQuery, answer_invite
from app.web.call import Call
from app.web.shapes import ReasonIn


def shown_to(principal: Principal, booking: Booking, shown: BookingShown | None = None) -> BookingShown:
    """The links that change a booking are for keys that may change it; not for those with a budget, which no link
    knows of."""
    trusted = principal.may("bookings:write") and principal.budget is None
    tokens = tokens_of(booking, principal.secret) if trusted else None
    return with_tokens(shown or represent(booking), tokens)


def actor_of(call: Call) -> Actor:
    """A program with a key, or somebody of the organization."""
    principal = call.principal
    return Actor("host", principal.user_id) if principal.key_id is None else Actor("api", principal.key_id)


def _attendee(given: AttendeeIn | None) -> Attendee | None:
    return None if given is None else Attendee(given.name, given.email, given.phone, given.timezone)


def _wanted(given: BookingIn) -> NewBooking:
    return NewBooking(
        event_type=given.named_event_type,
        start=given.requested_time,
        attendee=_attendee(given.attendee),
        duration_minutes=given.duration,
        service_id=given.service_id,
        host_id=given.host_id,
        guests=[guest.model_dump() for guest in given.guests],
        custom_fields=given.custom_fields,
        metadata=given.metadata,
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
        slot_token=given.slot_token,
        hold_seconds=given.hold_seconds,
        link_code=given.link_code,
    )


async def create(call: Call) -> web.Response:
    wanted = _wanted(call.body(BookingIn))

    async def make(conn: Connection) -> dict[str, Any]:
        with call.timed("book"):
            created = await create_booking(conn, call.principal, wanted, actor_of(call), call.now)
        return call.envelope(shown_to(call.principal, created.booking, created.shown))

    # a link is locked, and counted under its lock, and so is the day of a key that has a budget
    alone = wanted.link_code is None and call.principal.budget is None
    response = await idempotency.create(call, make, one_statement=alone)
    if response.status == 201:
        BOOKINGS.inc()
    return response


async def read(call: Call) -> web.Response:
    booking = await read_one(call)
    return call.answer({**shown_to(call.principal, booking), "calendar_events": await standing_of(call, booking)})


async def read_one(call: Call) -> Booking:
    return await get_booking(call.conn, call.principal.org_id, await booking_of(call))


async def standing_of(call: Call, booking: Booking) -> list[CalendarEntryShown]:
    """How it stands in its hosts' calendars."""
    return await list_standing(call.conn, booking.org_id, booking.id)


async def booking_of(call: Call) -> UUID:
    """The id in the path. A member's session sees nobody else's bookings. Raises NotFound."""
    booking_id = call.path_id(Kind.BOOKING)
    await check_part_in(call.conn, call.principal, booking_id)
    return booking_id


async def invite(call: Call) -> web.Response:
    call.query(InviteQuery)
    return await answer_invite(call, call.principal.org_id, await booking_of(call), by_link=False)


async def update(call: Call) -> web.Response:
    return call.answer(shown_to(call.principal, await change(call)))


async def change(call: Call) -> Booking:
    """The attendee's data, as the body has it."""
    booking_id, changes = await booking_of(call), call.body(BookingPatch).changes
    return await call.write(lambda conn: change_attendee(conn, call.principal, booking_id, changes, call.now))


async def take(call: Call, action: Action) -> Booking:
    """One step of the lifecycle; a repeat returns the booking as it is."""
    booking_id = await booking_of(call)
    about = (booking_id, action, actor_of(call), call.optional_body(ReasonIn).reason)
    return await call.write(lambda conn: change_status(conn, call.principal, *about, call.now))


def _step(action: Action) -> Callable[[Call], Awaitable[web.Response]]:
    async def handle(call: Call) -> web.Response:
        return call.answer(shown_to(call.principal, await take(call, action)))

    return handle


confirm = _step(Action.CONFIRM)
decline = _step(Action.DECLINE)
complete = _step(Action.COMPLETE)
no_show = _step(Action.NO_SHOW)
# `POST …/cancel` and `DELETE` alike
cancel = _step(Action.CANCEL)


async def finish(call: Call) -> web.Response:
    booking_id, given = await booking_of(call), call.optional_body(FinishIn)
    wanted = Finish(
        attendee=_attendee(given.attendee),
        guests=None if given.guests is None else [guest.model_dump() for guest in given.guests],
        custom_fields=given.custom_fields,
        metadata=given.metadata,
        answers=None if given.answers is None else [answer.model_dump() for answer in given.answers],
        notes=given.notes,
    )
    about = (call.principal, booking_id, wanted, actor_of(call))
    with call.timed("book"):
        booking = await call.write(lambda conn: finish_booking(conn, *about, call.now))
    return call.answer(shown_to(call.principal, booking))


async def reschedule(call: Call) -> web.Response:
    return await move(call, lambda booking: shown_to(call.principal, booking))


async def move(call: Call, show: Callable[[Booking], Any]) -> web.Response:
    """To another start. show: the new booking as the face has it."""
    booking_id, given = await booking_of(call), call.body(RescheduleIn)
    where = (booking_id, given.start_time, given.timezone)

    async def make(conn: Connection) -> dict[str, Any]:
        with call.timed("book"):
            moved = await reschedule_booking(conn, call.principal, *where, actor_of(call), given.reason, call.now)
        return call.envelope(show(moved))

    return await idempotency.create(call, make, status=200)
