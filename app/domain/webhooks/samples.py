"""What each event looks like, for trying a receiver: the shapes of the real ones, about nobody.

The one rule: a sample is made by the code that makes the real event, so that it cannot differ from one. Its booking
says `{"test": true}` in its metadata, and its sequence is 0, which no real event has.
"""

import dataclasses
from datetime import datetime, timedelta
from uuid import UUID

import orjson

from app.core.errors import InvalidInput
from app.core.ids import Kind, encode, new_code, new_id
from app.domain.bookings import events
from app.domain.bookings.entries import Entry, EntryStatus, represent_entry
from app.domain.bookings.events import (
    Event,
    calendar_event,
    event_of,
    moved_event,
    offered_event,
    reminder_event,
    updated_event,
)
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Attendee, BookedHost, Booking, Step, represent
from app.domain.webhooks.subscriptions import DEFAULT_EVENTS, EVENTS, FAILING, Webhook, disabled_event

_AHEAD, _LONG, _HELD = timedelta(days=7), timedelta(minutes=30), timedelta(hours=1)
_REMINDED = 1440
_STATUSES = {
    events.CREATED: Status.SCHEDULED,
    events.UPDATED: Status.SCHEDULED,
    events.CONFIRMED: Status.SCHEDULED,
    events.DECLINED: Status.CANCELLED,
    events.CANCELLED: Status.CANCELLED,
    events.RESCHEDULED: Status.RESCHEDULED,
    events.COMPLETED: Status.COMPLETED,
    events.NO_SHOW: Status.NO_SHOW,
    events.REMINDER: Status.SCHEDULED,
    events.OFFERED: Status.DRAFT,
}
_CALENDAR_STATUSES = {events.CALENDAR_DISCONNECTED: "needs_reauth", events.CALENDAR_PAUSED: "paused"}
_JANE = Attendee("Jane Smith", "jane@example.com", "+1-555-0123", "America/New_York")


def sample_of(event_type: str, org_id: UUID, now: datetime) -> Event:
    """Raises InvalidInput for an event that there is not."""
    if event_type not in EVENTS:
        raise InvalidInput.of("event", f"is not an event; there are {', '.join(EVENTS)}")
    event = _sample_of(event_type, org_id, now)
    assert event.type == event_type  # noqa: S101 -- the names of events stand in two places
    return event


def _sample_of(event_type: str, org_id: UUID, now: datetime) -> Event:
    if event_type in _STATUSES:
        return _sample_of_booking(event_type, org_id, now)
    if event_type in _CALENDAR_STATUSES:
        return _unnumbered(calendar_event(event_type, _calendar(_CALENDAR_STATUSES[event_type]), now))
    return _unnumbered(disabled_event(_webhook(now), now))


def _sample_of_booking(event_type: str, org_id: UUID, now: datetime) -> Event:
    booking = _booking(org_id, _STATUSES[event_type], now)
    if event_type == events.RESCHEDULED:
        before = _booking(org_id, Status.CANCELLED, now)
        before = dataclasses.replace(before, rescheduled_to_id=booking.id, cancellation_reason="rescheduled")
        after = dataclasses.replace(booking, rescheduled_from_id=before.id)
        return moved_event(after, represent(after), represent(before), now)
    if event_type == events.UPDATED:
        before = dataclasses.replace(booking, attendee=dataclasses.replace(_JANE, email="jane@old.example.com"))
        return updated_event(booking, {"attendee": represent(before)["attendee"]}, noticed=False, now=now)
    if event_type == events.REMINDER:
        return reminder_event(booking, _REMINDED, now)
    if event_type == events.OFFERED:
        return offered_event(booking, represent_entry(_entry(booking, now)), now)
    return event_of(booking, event_type, represent(booking), now)


def _unnumbered(event: Event) -> Event:
    """With the sequence that no real event has."""
    body = orjson.loads(event.body)
    return dataclasses.replace(event, sequence=0, body=orjson.dumps({**body, "sequence": 0}).decode())


def _webhook(now: datetime) -> Webhook:
    return Webhook(
        id=new_id(),
        url="https://example.com/hooks",
        events=DEFAULT_EVENTS,
        event_type_ids=None,
        header_names=(),
        description="A sample",
        active=False,
        failing_since=now - timedelta(days=5),
        disabled_reason=FAILING,
        created_at=now - timedelta(days=30),
        updated_at=now,
    )


def _calendar(status: str) -> events.CalendarShown:
    return {
        "id": encode(Kind.CALENDAR, new_id()),
        "user_id": encode(Kind.USER, new_id()),
        "provider": "google",
        "account": "host@example.com",
        "status": status,
    }


def _booking(org_id: UUID, status: Status, now: datetime) -> Booking:
    booking_id, user_id = new_id(), new_id()
    start = now.replace(minute=0, second=0, microsecond=0) + _AHEAD
    cancelled = status is Status.CANCELLED
    return Booking(
        org_id=org_id,
        id=booking_id,
        code=new_code(),
        status=status,
        event_type_id=new_id(),
        event_type_code="sample",
        resource_id=None,
        assigned_to_id=user_id,
        hosts=(BookedHost(user_id, "Sample Host"),),
        starts_at=start,
        ends_at=start + _LONG,
        timezone="America/New_York",
        attendee=_JANE,
        guests=[],
        custom_fields={"company": "Acme Corp"},
        metadata={"test": True},
        answers=[],
        notes=None,
        location=None,
        service_id=None,
        units=[],
        routing_trace=None,
        hold_expires_at=now + _HELD if status is Status.DRAFT else None,
        requires_confirmation=False,
        auto_complete=True,
        ical_uid=f"{encode(Kind.BOOKING, booking_id)}@slotwire",
        ical_sequence=0,
        cancelled_at=now if cancelled else None,
        cancelled_by="attendee" if cancelled else None,
        cancellation_reason="This is a sample" if cancelled else None,
        attendee_bounced_at=None,
        rescheduled_from_id=None,
        rescheduled_to_id=None,
        token_version=0,
        event_sequence=0,
        created_at=now,
        updated_at=now,
        history=() if status is Status.DRAFT else (Step(Status.DRAFT, status, now, "api", None),),
    )


def _entry(booking: Booking, now: datetime) -> Entry:
    """Whose offer this booking is."""
    assert booking.event_type_id is not None  # noqa: S101 -- see `_booking`
    return Entry(
        org_id=booking.org_id,
        id=new_id(),
        event_type_id=booking.event_type_id,
        event_type_code="sample",
        status=EntryStatus.OFFERED,
        starts_at=booking.starts_at,
        local_date=None,
        attendee=_JANE,
        duration_minutes=None,
        service_id=None,
        host_id=None,
        answers=[],
        notes=None,
        custom_fields=booking.custom_fields,
        metadata=booking.metadata,
        booking_id=booking.id,
        offered_at=now,
        offer_expires_at=booking.hold_expires_at,
        ended_at=None,
        created_at=now - _AHEAD,
        requires_approval=False,
    )
