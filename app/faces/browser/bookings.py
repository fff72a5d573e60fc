"""`/api/bookings`: reserving a resource (seed 000), and what the dashboard does with every booking."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from app.core import db
from app.core.db import Connection
from app.core.ids import Kind, encode
from app.core.metrics import BOOKINGS
from app.core.times import iso
from app.domain.bookings.lifecycle import Action, Status
from app.domain.bookings.lists import count_bookings, list_bookings
from app.domain.bookings.queries import list_steps
from app.domain.bookings.reserve import Reservation, reserve
from app.domain.identity.organizations import get_user
from app.faces.browser.booking_shapes import (
    HistoryShown,
    ReservationIn,
    SessionBookingsQuery,
    booking_out,
    reservation_out,
)
from app.faces.rest import bookings as rest
from app.web import idempotency
from app.web.call import Call
from app.web.paging import numbered_response
from app.web.statuses import WORDS


async def create(call: Call) -> web.Response:
    given, principal = call.body(ReservationIn), call.principal
    wanted = Reservation(given.bookable_id, given.starts_at, given.ends_at, given.notes, given.metadata)
    user = await get_user(call.conn, principal)

    async def make(conn: Connection) -> dict[str, Any]:
        with call.timed("book"):
            made = await reserve(conn, principal, wanted, user, rest.actor_of(call), call.now)
        return call.envelope(reservation_out(made.booking))

    response = await idempotency.create(call, make, one_statement=True)
    if response.status == 201:
        BOOKINGS.inc()
    return response


async def read(call: Call) -> web.Response:
    booking = await rest.read_one(call)
    return call.answer({**booking_out(booking), "calendar_events": await rest.standing_of(call, booking)})


async def list_all(call: Call) -> web.Response:
    """The earliest start first; a member's own."""
    query, org_id = call.query(SessionBookingsQuery), call.principal.org_id
    filters = query.filters(call.principal.only_own_user_id)
    async with db.snapshot(call.conn):
        rows = await list_bookings(call.conn, org_id, filters, limit=query.limit, skip=query.skipped)
        total = await count_bookings(call.conn, org_id, filters)
    return numbered_response(call, [booking_out(booking) for booking in rows], query, total)


async def update(call: Call) -> web.Response:
    return call.answer(booking_out(await rest.change(call)))


async def cancel(call: Call) -> web.Response:
    """The booking as seed 000 shows it, at its end."""
    return call.answer(reservation_out(await rest.take(call, Action.CANCEL)))


def _step(action: Action) -> Callable[[Call], Awaitable[web.Response]]:
    async def handle(call: Call) -> web.Response:
        return call.answer(booking_out(await rest.take(call, action)))

    return handle


confirm = _step(Action.CONFIRM)
decline = _step(Action.DECLINE)
complete = _step(Action.COMPLETE)
no_show = _step(Action.NO_SHOW)


async def reschedule(call: Call) -> web.Response:
    return await rest.move(call, booking_out)


async def history(call: Call) -> web.Response:
    """Every step, with who took it: the booking's own audit log."""
    booking_id = await rest.booking_of(call)
    steps = await list_steps(call.conn, call.principal.org_id, booking_id)
    shown: list[HistoryShown] = [
        {
            "from": WORDS[Status(step.from_status)],
            "to": WORDS[Status(step.to_status)],
            "at": iso(step.at),
            "by": step.by,
            "actor": encode(Kind.KEY if step.by == "api" else Kind.USER, step.by_id) if step.by_id else None,
            "reason": step.reason,
        }
        for step in steps
    ]
    return call.answer(shown)
