"""Reminders: planned when a booking takes place, fired once when their time comes.

The one rule: a reminder fires in the transaction that writes its event and its mails, under the booking's lock, and
only if the booking still takes place and has not begun. Two workers, or one after an outage, cannot fire it twice or
late; of several that an outage has kept, the last one is fired.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.ids import new_id
from app.core.logs import logger
from app.domain.bookings.events import REMINDER, Event, reminder_event
from app.domain.bookings.lifecycle import AGREED
from app.domain.bookings.models import Booking, represent
from app.domain.bookings.queries import get_bookings
from app.domain.notifications.audience import Owed, reminders_owed

SQL = sql.load("reminders")

# A row that our own code stumbles over, as one written by a newer version might be.
_FAULTS = (KeyError, TypeError, ValueError, AttributeError)
_log = logger("reminders")


@dataclass(frozen=True, slots=True)
class Planned:
    """A reminder to come; asked_at: when its booking was made, confirmed or moved."""

    org_id: UUID
    booking_id: UUID
    minutes_before: int
    starts_at: datetime
    asked_at: datetime

    @property
    def due_at(self) -> datetime:
        return self.starts_at - timedelta(minutes=self.minutes_before)


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder whose time has come. wanted: the event type still has it. unwanted: addresses that want none."""

    org_id: UUID
    id: UUID
    booking_id: UUID
    minutes_before: int
    thread: str
    wanted: bool
    unwanted: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fired:
    """owed: the letters of a fired reminder."""

    due: Due
    event: Event
    owed: list[Owed]


async def plan(conn: Connection, planned: Sequence[Planned], ended: Sequence[tuple[UUID, UUID]], now: datetime) -> None:
    """Keep the reminders to come, and drop those of bookings that have ended. What would have been due before anybody
    asked for it is no reminder."""
    to_come = [each for each in planned if each.due_at > each.asked_at]
    if to_come:
        await conn.execute(
            SQL.insert_reminders,
            *([each.org_id for each in to_come], [new_id() for _ in to_come]),
            *([each.booking_id for each in to_come], [each.minutes_before for each in to_come]),
            [each.due_at for each in to_come],
        )
    if ended:
        await conn.execute(SQL.drop_reminders, [org_id for org_id, _ in ended], [each for _, each in ended], now)


async def fire_due(conn: Connection, now: datetime) -> tuple[int, list[Fired]]:
    """Fire up to 200 reminders, of every organization; how many were taken, and those that fired. Runs in a
    transaction of the caller's, who lets their mails wait in it."""
    dues = [_due(row) for row in await conn.fetch(SQL.take_due_reminders, now)]
    if not dues:
        return 0, []
    fired = list(_fired(dues, await _bookings_of(conn, dues), now))
    fired_ids = {each.due.id for each in fired}
    written = [each.event for each in fired]
    await conn.execute(
        SQL.fire_reminders,
        *([each.due.org_id for each in fired], [event.id for event in written]),
        *([each.due.booking_id for each in fired], [event.sequence for event in written]),
        *([event.body for event in written], REMINDER, now),
        *([due.org_id for due in dues], [due.id for due in dues], [due.id in fired_ids for due in dues]),
    )
    return len(dues), fired


def _fired(dues: Iterable[Due], bookings: Mapping[UUID, Booking], now: datetime) -> Iterator[Fired]:
    for due in dues:
        booking = bookings.get(due.booking_id)
        if booking is None or not due.wanted or booking.status not in AGREED or now >= booking.starts_at:
            continue
        try:
            yield _fire(due, replace(booking, event_sequence=booking.event_sequence + 1), now)
        except _FAULTS:
            # it keeps no other from being fired
            _log.exception("reminder_unfired", booking_id=str(due.booking_id))


def _fire(due: Due, booking: Booking, now: datetime) -> Fired:
    unwanted = due.unwanted
    if booking.attendee is not None and booking.attendee_bounced_at is not None:
        unwanted |= {booking.attendee.email.lower()}
    owed = reminders_owed(represent(booking), unwanted)
    return Fired(due, reminder_event(booking, due.minutes_before, now), owed)


async def _bookings_of(conn: Connection, dues: Iterable[Due]) -> dict[UUID, Booking]:
    """What cannot be read is left out, and said."""
    wanted: dict[UUID, list[UUID]] = {}
    for due in dues:
        wanted.setdefault(due.org_id, []).append(due.booking_id)
    found: list[Booking] = []
    for org_id, booking_ids in wanted.items():
        try:
            found += await get_bookings(conn, org_id, booking_ids)
        except _FAULTS:
            for booking_id in booking_ids:
                found += await _readable(conn, org_id, booking_id)
    return {booking.id: booking for booking in found}


async def _readable(conn: Connection, org_id: UUID, booking_id: UUID) -> list[Booking]:
    try:
        return await get_bookings(conn, org_id, [booking_id])
    except _FAULTS:
        _log.exception("booking_unreadable", booking_id=str(booking_id))
        return []


def _due(row: sql.Row) -> Due:
    return Due(
        row["org_id"],
        row["id"],
        row["booking_id"],
        row["minutes_before"],
        row["ical_uid"],
        bool(row["wanted"]),
        frozenset(row["unwanted"]),
    )
