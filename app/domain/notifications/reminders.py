"""Reminders: planned when a booking takes place, fired once when their time comes.

The one rule: a reminder fires in the transaction that writes its event and its mails, under the booking's lock, and
only if the booking still takes place and has not begun. Two workers, or one after an outage, cannot fire it twice or
late.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.ids import new_id
from app.domain.bookings.events import REMINDER, Event, reminder_event
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Booking
from app.domain.bookings.queries import get_bookings

SQL = sql.load("reminders")

_TAKES_PLACE = frozenset({Status.SCHEDULED, Status.RESCHEDULED})


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
    """What the mails of a fired reminder are made of."""

    due: Due
    booking: Booking
    event: Event


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


async def fire_due(conn: Connection, limit: int, now: datetime) -> tuple[int, list[Fired]]:
    """Fire up to `limit` reminders, of every organization; how many were taken, and those that fired. Runs in a
    transaction of the caller's, who lets their mails wait in it."""
    dues = [_due(row) for row in await conn.fetch(SQL.take_due_reminders, now, limit)]
    if not dues:
        return 0, []
    bookings = await _bookings_of(conn, dues)
    fired = list(_fired(dues, bookings, now))
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


def _fired(dues: Iterable[Due], bookings: dict[UUID, Booking], now: datetime) -> Iterable[Fired]:
    """The later of two reminders of one booking goes on counting where the first stopped."""
    for due in dues:
        booking = bookings[due.booking_id]
        if due.wanted and booking.status in _TAKES_PLACE and now < booking.starts_at:
            booking = bookings[due.booking_id] = replace(booking, event_sequence=booking.event_sequence + 1)
            yield Fired(due, booking, reminder_event(booking, due.minutes_before, now))


async def _bookings_of(conn: Connection, dues: Iterable[Due]) -> dict[UUID, Booking]:
    wanted: dict[UUID, list[UUID]] = {}
    for due in dues:
        wanted.setdefault(due.org_id, []).append(due.booking_id)
    return {
        booking.id: booking
        for org_id, booking_ids in wanted.items()
        for booking in await get_bookings(conn, org_id, list(dict.fromkeys(booking_ids)))
    }


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
