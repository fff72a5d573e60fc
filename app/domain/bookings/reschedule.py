"""Moving a booking: the old one ends and a new one begins, in one transaction.

The one rule: the old slot is never lost. It is given back first, so that a move onto a part of it works, and if the new
one cannot be had the whole transaction is, and with it the giving back.
"""

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidTransition
from app.core.times import epoch
from app.domain.availability.inputs import load_inputs
from app.domain.availability.service import open_slots
from app.domain.bookings import budgets
from app.domain.bookings.create import move_booking
from app.domain.bookings.decide import ask_to_move
from app.domain.bookings.events import moved_event
from app.domain.bookings.lifecycle import MOVABLE, Status
from app.domain.bookings.models import Actor, Booking, represent
from app.domain.bookings.orders import Moved
from app.domain.bookings.reserve import lock_resource_of, move_reservation
from app.domain.bookings.transitions import Ending, end_booking, locked_booking
from app.domain.identity.models import Visitor

SQL = sql.load("bookings")

# why a booking ended whose place another one takes
_MOVED = "rescheduled"


@dataclasses.dataclass(frozen=True, slots=True)
class Moves:
    """Where a booking can be moved to. starts: in epoch seconds. until: after which nothing is open, whatever is asked
    for; None where there is no such time."""

    starts: Sequence[int]
    until: datetime | None


async def open_moves(
    conn: Connection, principal: Visitor, old: Booking, start: datetime, end: datetime, now: datetime
) -> Moves:
    """The starts in [start, end) that a booking can be moved to; none where it cannot be moved. By the decision that
    the move itself is made by. Raises NotFound for an event type that is gone."""
    if not can_move(old, now) or old.event_type_id is None:
        return Moves([], now)
    moved = Moved(old, old.status)
    span = (start, end, moved.minutes)
    inputs = await load_inputs(conn, principal.caller, old.event_type_id, *span, busy=True, now=now)
    inputs, asked, _ = ask_to_move(inputs, moved)
    window = inputs.rules.booking_window_days
    until = None if window is None else now + timedelta(days=window)
    return Moves(open_slots(inputs, asked, epoch(start), epoch(end), now).starts, until)


def can_move(booking: Booking, now: datetime) -> bool:
    return booking.status in MOVABLE and booking.event_type_id is not None and now < booking.ends_at


async def reschedule_booking(
    conn: Connection,
    principal: Visitor,
    booking_id: UUID,
    start: datetime,
    timezone: str | None,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> Booking:
    """The new booking: RESCHEDULED, or PENDING_CONFIRMATION where an attendee moves what needs confirming, or a key
    whose bookings a person decides moves anything.

    Runs in a transaction of the caller's. Raises NotFound, InvalidTransition for a booking that is over or ended, and
    what `create_booking` raises for the new start; then nothing is changed.
    """
    org_id = principal.org_id
    is_counted = await budgets.count_booking(conn, principal, now)
    # two moves that want each other's places would wait for each other for ever
    await conn.fetchval(SQL.lock_moves, org_id)
    await conn.fetchval(SQL.lock_event_type_of, org_id, booking_id)
    await lock_resource_of(conn, org_id, booking_id)
    old = await locked_booking(conn, org_id, booking_id)
    budgets.check_plan(principal, budgets.plan_for(old, start, is_counted=is_counted), now)
    _check_movable(old, now)
    asks = budgets.needs_approval(principal) or (actor.by == "attendee" and old.requires_confirmation)
    ended = await end_booking(conn, Ending(old, Status.CANCELLED, None, _MOVED, reason), actor, now)
    # a request that is moved while it waits is still one
    moved = Moved(old, Status.PENDING_CONFIRMATION if asks else Status.RESCHEDULED, requires_approval=asks)
    where = (start, timezone or old.timezone)
    if old.event_type_id is None:
        created = await move_reservation(conn, org_id, moved, *where, actor, now)
    else:
        created = await move_booking(conn, principal, moved, *where, actor, now)
    steps = tuple(dataclasses.replace(step, reason=reason) for step in created.booking.history)
    booking = dataclasses.replace(created.booking, event_sequence=1, history=steps)
    before = dataclasses.replace(ended, rescheduled_to_id=booking.id)
    event = moved_event(booking, represent(booking), represent(before), now)
    await conn.execute(
        SQL.note_rescheduled, org_id, booking.id, event.id, event.type, now, event.body, old.id, reason, event.topics
    )
    return booking


def _check_movable(old: Booking, now: datetime) -> None:
    if old.status not in MOVABLE:
        raise InvalidTransition(f"A booking that is {old.status} cannot be moved.")
    if now >= old.ends_at:
        raise InvalidTransition("A booking that is over cannot be moved.")
