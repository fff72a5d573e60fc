"""Changing a booking's status. What is allowed is in `lifecycle`; what follows from it is here.

The one rule: lock the booking, read it, decide, write once. A repeat finds the state it asks for and writes nothing.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidTransition, NotFound
from app.domain.bookings import events
from app.domain.bookings.budgets import check_step
from app.domain.bookings.events import event_of
from app.domain.bookings.lifecycle import ACTIVE, Action, Status, decide
from app.domain.bookings.models import Actor, Booking, Step, represent
from app.domain.bookings.queries import get_booking
from app.domain.identity.models import Visitor

SQL = sql.load("bookings")

_EVENTS = {
    Action.CONFIRM: events.CONFIRMED,
    Action.DECLINE: events.DECLINED,
    Action.CANCEL: events.CANCELLED,
    Action.COMPLETE: events.COMPLETED,
    Action.NO_SHOW: events.NO_SHOW,
    Action.EXPIRE: events.CANCELLED,
}


async def change_status(
    conn: Connection,
    principal: Visitor,
    booking_id: UUID,
    action: Action,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> Booking:
    """Take one step, and give back what the booking holds where the step ends it. A repeat returns the booking as it
    is. Raises NotFound and InvalidTransition; for a key with a budget, BudgetExceeded and ApprovalRequired too."""
    before = await locked_booking(conn, principal.org_id, booking_id)
    check_step(principal, before, action, now)
    return await _step(conn, before, action, actor, reason, now)


async def take_due_step(
    conn: Connection, org_id: UUID, booking_id: UUID, action: Action, reason: str | None, now: datetime
) -> Booking:
    """The same by the clock."""
    before = await locked_booking(conn, org_id, booking_id)
    return await _step(conn, before, action, Actor("system"), reason, now)


async def _step(
    conn: Connection, before: Booking, action: Action, actor: Actor, reason: str | None, now: datetime
) -> Booking:
    after = decide(before.status, action, starts_at=before.starts_at, ends_at=before.ends_at, now=now)
    if after is before.status:
        return before
    if after not in ACTIVE:
        return await end_booking(conn, Ending(before, after, _EVENTS[action], reason, reason), actor, now)
    booking = dataclasses.replace(
        before,
        status=after,
        event_sequence=before.event_sequence + 1,
        # what moved had an invitation before, and gets another
        ical_sequence=before.ical_sequence + (before.rescheduled_from_id is not None),
        updated_at=now,
        history=(*before.history, Step(before.status, after, now, actor.by, reason)),
    )
    event = event_of(booking, _EVENTS[action], represent(booking), now)
    await conn.execute(
        SQL.advance_booking,
        *(before.org_id, before.id, after.value, booking.event_sequence, now, before.status.value, actor.by, actor.id),
        *(reason, event.id, event.type, event.body, event.topics, booking.ical_sequence),
    )
    return booking


async def cancel_once(
    conn: Connection, principal: Visitor, booking_id: UUID, actor: Actor, reason: str | None, now: datetime
) -> Booking:
    """Cancel for callers to whom a repeat is a mistake: of any number at once, one does it. Raises InvalidTransition
    `already_cancelled` besides what `change_status` raises."""
    before = await locked_booking(conn, principal.org_id, booking_id)
    check_step(principal, before, Action.CANCEL, now)
    if before.status is Status.CANCELLED:
        raise InvalidTransition(
            "This booking is cancelled already; there is nothing left to do.", code="already_cancelled"
        )
    return await _step(conn, before, Action.CANCEL, actor, reason, now)


async def locked_booking(conn: Connection, org_id: UUID, booking_id: UUID) -> Booking:
    """The booking, and the session that it sits in, which nobody else changes until the transaction ends. Raises
    NotFound."""
    locked = await conn.fetchrow(SQL.lock_booking, org_id, booking_id)
    if locked is None:
        raise NotFound("No such booking in this organization.")
    if locked["sitting_id"] is not None:
        await conn.fetchval(SQL.lock_sitting, org_id, locked["sitting_id"])
    return await get_booking(conn, org_id, booking_id)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a locked booking ends. event_type: the event that tells of it; none where another event tells more. because:
    the reason of a cancellation; reason: what stands in the history."""

    before: Booking
    after: Status
    event_type: str | None
    because: str | None
    reason: str | None


async def end_booking(conn: Connection, ending: Ending, actor: Actor, now: datetime) -> Booking:
    """End a locked booking, and give back what it holds. Nobody is told of a hold's end: nobody was told of it."""
    before, cancelled = ending.before, ending.after is Status.CANCELLED
    told = ending.event_type is not None and before.status is not Status.DRAFT
    booking = dataclasses.replace(
        before,
        status=ending.after,
        hold_expires_at=None,
        cancelled_at=now if cancelled else None,
        cancelled_by=actor.by if cancelled else None,
        cancellation_reason=ending.because if cancelled else None,
        event_sequence=before.event_sequence + told,
        # of a moved one the next booking goes on counting
        ical_sequence=before.ical_sequence + (told and cancelled),
        updated_at=now,
        history=(*before.history, Step(before.status, ending.after, now, actor.by, ending.reason)),
    )
    event = event_of(booking, ending.event_type, represent(booking), now) if told and ending.event_type else None
    await conn.execute(
        SQL.end_booking,
        *(before.org_id, before.id, now, actor.by, booking.cancellation_reason, booking.event_sequence),
        *(before.status.value, actor.id),
        *((event.id, event.type, event.body) if event else (None, None, None)),
        *(ending.reason, ending.after.value, event.topics if event else (), booking.ical_sequence),
    )
    return booking
