"""Entries of waiting lists, and their public representation.

The one rule: there is one representation, as there is of bookings. The API answers with it, and webhooks carry it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

from typing_extensions import TypedDict

from app.core import sql
from app.core.ids import Kind, encode
from app.core.shown import BookingRef, Date, EntryRef, EventTypeRef, Time, UserRef, Zone, one_of
from app.core.times import iso
from app.domain.bookings.models import AnswerShown, Attendee, AttendeeShown


class EntryStatus(StrEnum):
    """expired: its time came, or an offer ran out. left: by themselves, in line or with an offer."""

    WAITING = "waiting"
    OFFERED = "offered"
    BOOKED = "booked"
    EXPIRED = "expired"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody waits for a start (starts_at), or for any on a day (local_date, in the timezone). booking_id: the hold
    that was offered, and whatever became of it. requires_approval: a person decides once it is taken, whatever the
    event type says."""

    org_id: UUID
    id: UUID
    event_type_id: UUID
    event_type_code: str
    status: EntryStatus
    starts_at: datetime | None
    local_date: date | None
    attendee: Attendee
    duration_minutes: int | None
    service_id: str | None
    host_id: UUID | None
    answers: list[dict[str, Any]]
    notes: str | None
    custom_fields: dict[str, Any]
    metadata: dict[str, Any]
    booking_id: UUID | None
    offered_at: datetime | None
    offer_expires_at: datetime | None
    ended_at: datetime | None
    created_at: datetime
    requires_approval: bool

    @property
    def timezone(self) -> str:
        return self.attendee.timezone


_DERIVED = frozenset({"status", "attendee"})
_PLAIN = tuple(name for name in Entry.__dataclass_fields__ if name not in _DERIVED)

EntryStatusShown = Annotated[str, one_of(*(status.value for status in EntryStatus))]


class EntryShown(TypedDict):
    """Either start_time or date, which is meant in timezone. booking_id: what is held for them while it is offered, and
    theirs once it is booked. ended_at: since when nobody waits here any more."""

    id: EntryRef
    status: EntryStatusShown
    event_type_id: EventTypeRef
    event_type: str
    start_time: Time | None
    date: Date | None
    timezone: Zone
    attendee: AttendeeShown
    duration: int | None
    service_id: str | None
    host_id: UserRef | None
    answers: list[AnswerShown]
    notes: str | None
    custom_fields: dict[str, Any]
    metadata: dict[str, Any]
    booking_id: BookingRef | None
    offered_at: Time | None
    offer_expires_at: Time | None
    ended_at: Time | None
    created_at: Time


def entry_of(row: sql.Row) -> Entry:
    attendee = Attendee(row["attendee_name"], row["attendee_email"], row["attendee_phone"], row["timezone"])
    return Entry(status=EntryStatus(row["status"]), attendee=attendee, **{name: row[name] for name in _PLAIN})


def represent_entry(entry: Entry) -> EntryShown:
    """The entry as `/v1` and webhooks show it."""
    attendee = entry.attendee
    return {
        "id": encode(Kind.WAITLIST_ENTRY, entry.id),
        "status": entry.status.value,
        "event_type_id": encode(Kind.EVENT_TYPE, entry.event_type_id),
        "event_type": entry.event_type_code,
        "start_time": _iso(entry.starts_at),
        "date": entry.local_date.isoformat() if entry.local_date else None,
        "timezone": entry.timezone,
        "attendee": {
            "name": attendee.name,
            "email": attendee.email,
            "phone": attendee.phone,
            "timezone": attendee.timezone,
        },
        "duration": entry.duration_minutes,
        "service_id": entry.service_id,
        "host_id": encode(Kind.USER, entry.host_id) if entry.host_id else None,
        "answers": cast("list[AnswerShown]", entry.answers),
        "notes": entry.notes,
        "custom_fields": entry.custom_fields,
        "metadata": entry.metadata,
        "booking_id": encode(Kind.BOOKING, entry.booking_id) if entry.booking_id else None,
        "offered_at": _iso(entry.offered_at),
        "offer_expires_at": _iso(entry.offer_expires_at),
        "ended_at": _iso(entry.ended_at),
        "created_at": iso(entry.created_at),
    }


def _iso(value: datetime | None) -> str | None:
    return None if value is None else iso(value)
