"""What bookings, and what is around them, tell the world: event bodies, made once and sent as the same bytes to every
receiver, ever.

Shape (the API contract, "Webhooks out"): `{"id", "type", "timestamp", "api_version", "sequence", "data"}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from typing_extensions import TypedDict

from app.core import outbox
from app.core.ids import Kind, encode, new_id
from app.core.shown import UserRef, id_of, one_of
from app.core.times import iso
from app.domain.bookings.models import Booking, BookingShown, represent

API_VERSION = "2026-11-01"

CREATED = "booking.created"
UPDATED = "booking.updated"
CONFIRMED = "booking.confirmed"
DECLINED = "booking.declined"
CANCELLED = "booking.cancelled"
RESCHEDULED = "booking.rescheduled"
COMPLETED = "booking.completed"
NO_SHOW = "booking.no_show"
REMINDER = "booking.reminder"
OFFERED = "waitlist.offered"
CALENDAR_DISCONNECTED = "calendar.disconnected"
CALENDAR_PAUSED = "calendar.paused"
WEBHOOK_DISABLED = "webhook.disabled"

# What people hear of, too; of an update only when it is the e-mail that changed.
_NOTICED = frozenset({CREATED, CONFIRMED, DECLINED, CANCELLED, RESCHEDULED, OFFERED})

# What may change an entry in a host's calendar.
_ENTERED = frozenset({CREATED, UPDATED, CONFIRMED, DECLINED, CANCELLED, RESCHEDULED})


class CalendarShown(TypedDict):
    """A host's connection to a calendar. account: as the provider names it."""

    id: Annotated[str, id_of(Kind.CALENDAR)]
    user_id: UserRef
    provider: Annotated[str, one_of("google", "microsoft", "caldav")]
    account: str
    status: Annotated[str, one_of("active", "needs_reauth", "paused", "disconnected")]


@dataclass(frozen=True, slots=True)
class Event:
    """An event about to be written; `sequence` grows by one per event of a booking. topics: of the outbox, whose work
    follows from it."""

    id: UUID
    type: str
    sequence: int
    body: str
    topics: tuple[str, ...]


def event_of(booking: Booking, event_type: str, shown: BookingShown, now: datetime) -> Event:
    """The event that follows from the booking's present state; its sequence is the booking's `event_sequence`.

    shown: `represent(booking)`, which whoever asks has at hand or needs anyway.
    """
    return _event(booking, event_type, {"booking": shown}, now=now)


def updated_event(booking: Booking, previous: dict[str, Any], *, noticed: bool, now: datetime) -> Event:
    """What was changed without a step of the lifecycle. previous: the members that are different now, as they were.
    noticed: whether people are told."""
    data = {"booking": represent(booking), "previous": previous}
    return _event(booking, UPDATED, data, noticed=noticed, now=now)


def reminder_event(booking: Booking, minutes_before: int, now: datetime) -> Event:
    """The booking begins in so many minutes, or less where the worker was away."""
    data = {"booking": represent(booking), "reminder": {"minutes_before": minutes_before}}
    return _event(booking, REMINDER, data, now=now)


def offered_event(booking: Booking, entry: Mapping[str, Any], now: datetime) -> Event:
    """A place is held for somebody who waited. entry: as the API shows it."""
    return _event(booking, OFFERED, {"waitlist_entry": entry, "booking": represent(booking)}, now=now)


def moved_event(booking: Booking, shown: BookingShown, previous: BookingShown, now: datetime) -> Event:
    """The one event of a reschedule: the new booking, and the one whose place it takes."""
    return _event(booking, RESCHEDULED, {"booking": shown, "previous": previous}, now=now)


def plain_event(event_type: str, data: Mapping[str, Any], now: datetime) -> Event:
    """An event of no booking, such as of a webhook or a calendar; it is the first and only one of its sequence."""
    return _written(event_type, 1, data, (outbox.TOPIC_EVENT,), now)


def calendar_event(event_type: str, calendar: CalendarShown, now: datetime) -> Event:
    """A calendar's connection ended (`calendar.disconnected`) or waits for its owner (`calendar.paused`). calendar: as
    the API shows it."""
    return plain_event(event_type, {"calendar": calendar}, now)


def _event(booking: Booking, event_type: str, data: dict[str, Any], *, noticed: bool = False, now: datetime) -> Event:
    topics = [outbox.TOPIC_EVENT]
    if noticed or event_type in _NOTICED:
        topics.append(outbox.TOPIC_NOTICE)
    if event_type in _ENTERED:
        topics.append(outbox.TOPIC_CALENDAR)
    return _written(event_type, booking.event_sequence, data, tuple(topics), now)


def _written(event_type: str, sequence: int, data: Mapping[str, Any], topics: tuple[str, ...], now: datetime) -> Event:
    event_id = new_id()
    body = {
        "id": encode(Kind.EVENT, event_id),
        "type": event_type,
        "timestamp": iso(now),
        "api_version": API_VERSION,
        "sequence": sequence,
        "data": data,
    }
    return Event(event_id, event_type, sequence, orjson.dumps(body).decode(), topics)
