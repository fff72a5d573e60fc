"""Reserving a desk, a room or a thing by itself: any free unit of a resource, for a period of one's own choice.

The one rule: like every booking, it is written by one statement, which claims a unit or nothing. Whoever loses one unit
to somebody faster tries the next; when there is none left, that is a clean refusal.

Source: seed 000, "Create a booking".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, SlotTaken, SlotUnavailable
from app.core.ids import Kind, encode, new_code, new_id
from app.core.times import epoch, iso_epoch
from app.domain.availability.inputs import Unit, unit_of
from app.domain.availability.slots import Interval, free_runs, within
from app.domain.availability.windows import open_stretches
from app.domain.bookings import budgets
from app.domain.bookings.budgets import Plan
from app.domain.bookings.claim import Outcome, local_start, unit_as_kept
from app.domain.bookings.create import Created
from app.domain.bookings.events import CREATED, event_of
from app.domain.bookings.holds import end_hold
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Actor, Attendee, Booking, Step, represent
from app.domain.bookings.orders import Moved
from app.domain.identity.models import User, Visitor

SQL = sql.load("reservations")

LONGEST = timedelta(days=62)
_AROUND = timedelta(days=7)
_ALTERNATIVES = 3
# "From now on" has passed by when it arrives.
_GRACE = timedelta(minutes=1)
# An edit between reading and claiming is rare; three in a row are somebody else's script.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Reservation:
    """[start, end) of one unit. notes: for whoever looks after the place."""

    resource_id: UUID
    start: datetime
    end: datetime
    notes: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Terms:
    """For whom; user_id: whose it is, None for what stays whose it was. old: what it takes the place of."""

    attendee: Attendee
    status: Status
    requires_approval: bool
    user_id: UUID | None = None
    old: Booking | None = None


async def reserve(
    conn: Connection, principal: Visitor, wanted: Reservation, user: User, actor: Actor, now: datetime
) -> Created:
    """Reserve for a person of the organization. In a transaction of the caller's by a key with a number of bookings a
    day. Raises InvalidInput for an unknown resource or a period that is none, SlotUnavailable outside the resource's
    hours and for what is past, SlotTaken when every unit is held, and BudgetExceeded."""
    is_counted = await budgets.count_booking(conn, principal, now)
    budgets.check_plan(principal, Plan(None, (), wanted.start, is_counted), now)
    attendee, asks = Attendee(user.name, user.email, None, user.timezone), budgets.needs_approval(principal)
    terms = _Terms(attendee, Status.PENDING_CONFIRMATION if asks else Status.SCHEDULED, asks, user_id=user.id)
    return await _reserve(conn, principal.org_id, wanted, terms, actor, now)


async def move_reservation(
    conn: Connection, org_id: UUID, moved: Moved, start: datetime, timezone: str, actor: Actor, now: datetime
) -> Created:
    """Reserve the same resource in the place of a reservation that was just ended in the same transaction. Writes no
    event. Raises what `reserve` raises."""
    old = moved.old
    assert old.resource_id is not None  # noqa: S101 -- a reservation has one
    wanted = Reservation(old.resource_id, start, start + (old.ends_at - old.starts_at), old.notes, old.metadata)
    who = old.attendee or Attendee("", "", None, timezone)
    attendee = Attendee(who.name, who.email, who.phone, timezone)
    terms = _Terms(attendee, moved.status, moved.requires_approval, old=old)
    return await _reserve(conn, org_id, wanted, terms, actor, now)


async def lock_resource_of(conn: Connection, org_id: UUID, booking_id: UUID) -> None:
    await conn.fetchval(SQL.lock_resource_of, org_id, booking_id)


async def _reserve(
    conn: Connection, org_id: UUID, wanted: Reservation, terms: _Terms, actor: Actor, now: datetime
) -> Created:
    _check_period(wanted)
    lost = 0
    while True:
        rows = await _load(conn, org_id, wanted, now)
        units = [unit_of(row) for row in rows if row["subject_no"] is not None]
        free = _free(units, wanted, now) if rows[0]["active"] else []
        if not free:
            raise _refusal(rows[0], units, wanted, now)
        await _end_holds(conn, org_id, rows, now)
        for unit in free:
            booking = _booking(org_id, wanted, unit, terms, actor, now)
            shown = represent(booking)
            event = None if terms.old else event_of(booking, CREATED, shown, now)
            outcome = await conn.fetchval(SQL.reserve, *_arguments(booking, unit, terms.user_id, event, actor))
            if outcome == Outcome.WON:
                return Created(booking, shown)
            if outcome == Outcome.STALE:
                break
        lost += 1
        if lost > _TRIES + len(units):
            raise Conflict("This is much in demand right now; try again in a moment.")


def _check_period(wanted: Reservation) -> None:
    if wanted.end <= wanted.start:
        raise InvalidInput.of("ends_at", "must come after starts_at")
    if wanted.end - wanted.start > LONGEST:
        raise InvalidInput.of("ends_at", f"at most {LONGEST.days} days can be reserved at once")
    for field, instant in (("starts_at", wanted.start), ("ends_at", wanted.end)):
        if instant.microsecond:
            raise InvalidInput.of(field, "must be a whole second")


async def _load(conn: Connection, org_id: UUID, wanted: Reservation, now: datetime) -> Sequence[sql.Row]:
    span = (wanted.start - _AROUND, wanted.end + _AROUND)
    rows: Sequence[sql.Row] = await conn.fetch(SQL.load_resource, org_id, wanted.resource_id, *span, now)
    if not rows:
        raise InvalidInput.of("bookable_id", "no such resource in this organization", "unknown_id")
    return rows


def _free(units: Sequence[Unit], wanted: Reservation, now: datetime) -> list[Unit]:
    start = epoch(wanted.start)
    return [unit for unit in units if within(_runs(unit, unit.held, wanted, now), start)]


def _runs(unit: Unit, held: Sequence[Interval], wanted: Reservation, now: datetime) -> list[Interval]:
    """The starts, around the wanted one, from which on the unit can be had for as long."""
    duration = epoch(wanted.end) - epoch(wanted.start)
    earliest, latest = epoch(wanted.start - _AROUND), epoch(wanted.start + _AROUND)
    earliest = max(earliest, epoch(now - _GRACE))
    stretches = open_stretches(unit.hours, earliest, latest, longest=duration)
    bounds = {"duration": duration, "before": 0, "after": 0, "earliest": earliest, "latest": latest}
    return free_runs(stretches, held, **bounds)


def _refusal(row: sql.Row, units: Sequence[Unit], wanted: Reservation, now: datetime) -> Conflict:
    if not row["active"] or not units:
        return SlotUnavailable(f"{row['name']} cannot be reserved at present.", alternatives=[])
    start, length = epoch(wanted.start), epoch(wanted.end) - epoch(wanted.start)
    starts = {min(max(start, run[0]), run[1] - 1) for unit in units for run in _runs(unit, unit.held, wanted, now)}
    nearest = sorted(sorted(starts, key=lambda each: abs(each - start))[:_ALTERNATIVES])
    alternatives = [{"start": iso_epoch(each), "end": iso_epoch(each + length)} for each in nearest]
    if any(within(_runs(unit, (), wanted, now), start) for unit in units):
        return SlotTaken(
            f"{row['name']} is taken for (part of) this time.", reasons=["resource_taken"], alternatives=alternatives
        )
    past = wanted.start < now - _GRACE
    because = "This time has passed." if past else f"{row['name']} is not open for all of this time."
    reasons = ["past"] if past else ["outside_hours"]
    return SlotUnavailable(because, reasons=reasons, alternatives=alternatives)


async def _end_holds(conn: Connection, org_id: UUID, rows: Sequence[sql.Row], now: datetime) -> None:
    over = [allocation for row in rows for allocation in row["over"] or ()]
    for row in await conn.fetch(SQL.find_holds_over, org_id, over, now) if over else ():
        await end_hold(conn, org_id, row["id"], now)


def _booking(org_id: UUID, wanted: Reservation, unit: Unit, terms: _Terms, actor: Actor, now: datetime) -> Booking:
    booking_id, attendee, old = new_id(), terms.attendee, terms.old
    return Booking(
        org_id=org_id,
        id=booking_id,
        code=new_code(),
        status=terms.status,
        event_type_id=None,
        event_type_code=None,
        resource_id=wanted.resource_id,
        assigned_to_id=None,
        hosts=(),
        starts_at=wanted.start,
        ends_at=wanted.end,
        timezone=attendee.timezone,
        attendee=attendee if attendee.email else None,
        guests=[],
        custom_fields={},
        metadata=wanted.metadata or {},
        answers=[],
        notes=wanted.notes,
        location=None,
        service_id=None,
        units=[unit_as_kept(unit)],
        routing_trace=None,
        hold_expires_at=None,
        requires_confirmation=terms.requires_approval,
        auto_complete=True,
        ical_uid=old.ical_uid if old else f"{encode(Kind.BOOKING, booking_id)}@slotwire",
        ical_sequence=old.ical_sequence + 1 if old else 0,
        cancelled_at=None,
        cancelled_by=None,
        cancellation_reason=None,
        attendee_bounced_at=None,
        rescheduled_from_id=old.id if old else None,
        rescheduled_to_id=None,
        token_version=0,
        event_sequence=0 if old else 1,
        created_at=now,
        updated_at=now,
        history=(Step(Status.DRAFT, terms.status, now, actor.by, None),),
    )


def _arguments(booking: Booking, unit: Unit, user_id: UUID | None, event: Any, actor: Actor) -> tuple[object, ...]:
    attendee = booking.attendee
    return (
        *(booking.org_id, booking.id, unit.resource_id, unit.schedule_id, unit.schedule_version, unit.subject_no),
        *(new_id(), booking.starts_at, booking.ends_at, booking.code, booking.status.value, user_id),
        *(booking.timezone, local_start(booking), attendee and attendee.name, attendee and attendee.email),
        *(booking.notes, booking.metadata, booking.ical_uid, booking.ical_sequence, booking.units),
        *(booking.rescheduled_from_id, booking.created_at),
        *((event.id, event.type, event.body) if event else (None, None, None)),
        *(actor.by, actor.id, list(event.topics) if event else [], booking.requires_confirmation),
    )
