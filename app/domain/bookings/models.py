"""A booking, and its public representation.

The one rule: there is one representation. `/v1` answers with it, and webhooks carry it, so that a receiver and an
API client never see two shapes of one thing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import (
    BookingRef,
    EventTypeRef,
    Mail,
    ResourceRef,
    Time,
    UserRef,
    Zone,
    one_of,
)
from app.core.times import iso
from app.domain.bookings.lifecycle import Status


@dataclass(frozen=True, slots=True)
class Attendee:
    name: str
    email: str
    phone: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changed a booking: `host`, `attendee`, `api`, `system` or `calendar`, with the user or key, if any."""

    by: str
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a booking's history."""

    from_status: str
    to_status: str
    at: datetime
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class TakenStep(Step):
    """The same with the user or key that took it, if any."""

    by_id: UUID | None


@dataclass(frozen=True, slots=True)
class BookedHost:
    user_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Booking:
    org_id: UUID
    id: UUID
    code: str
    status: Status
    event_type_id: UUID | None
    event_type_code: str | None
    resource_id: UUID | None
    assigned_to_id: UUID | None
    hosts: tuple[BookedHost, ...]
    starts_at: datetime
    ends_at: datetime
    timezone: str
    attendee: Attendee | None
    guests: list[dict[str, Any]]
    custom_fields: dict[str, Any]
    metadata: dict[str, Any]
    answers: list[dict[str, Any]]
    notes: str | None
    location: dict[str, Any] | None
    service_id: str | None
    # what is held besides the hosts: {"resource_id", "name", "unit", "subject_no"}, the id as UUID text
    units: list[dict[str, Any]]
    # why these hosts (see `assignment.trace_of`); None where there was nothing to choose
    routing_trace: dict[str, Any] | None
    hold_expires_at: datetime | None
    requires_confirmation: bool
    auto_complete: bool
    ical_uid: str
    ical_sequence: int
    cancelled_at: datetime | None
    cancelled_by: str | None
    cancellation_reason: str | None
    # a mail server said that the attendee's address takes no mail
    attendee_bounced_at: datetime | None
    rescheduled_from_id: UUID | None
    rescheduled_to_id: UUID | None
    token_version: int
    event_sequence: int
    created_at: datetime
    updated_at: datetime
    history: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The links that let an attendee cancel and move a booking. Nobody but the booker's side sees them."""

    cancel: str
    reschedule: str


StatusShown = Annotated[str, one_of(*(status.value for status in Status))]


class BookedHostShown(TypedDict):
    user_id: UserRef
    name: str


class AttendeeShown(TypedDict):
    name: str
    email: Mail
    phone: str | None
    timezone: Zone


class GuestShown(TypedDict):
    email: Mail
    name: str | None


class AnswerShown(TypedDict):
    question_id: str
    answer: Any


class MeetingPlaceShown(TypedDict):
    """Where they meet, as the event type said when it was booked."""

    kind: Annotated[str, one_of("in_person", "phone", "link", "resource", "conference")]
    value: str | None


class UnitShown(TypedDict):
    """One unit of a resource that the booking holds beside its hosts; units are counted from 1."""

    resource_id: ResourceRef
    name: str
    unit: int


class CancellationShown(TypedDict):
    reason: str | None
    by: str | None
    at: Time


StepShown = TypedDict(
    "StepShown",
    {"from": StatusShown, "to": StatusShown, "at": Time, "by": str, "reason": str | None},
)


class BookingShown(TypedDict):
    """The tokens are null for whoever may only read. attendee_bounced_at: when a mail server refused the attendee's
    address for good. ical_uid, ical_sequence: of the calendar entry (RFC 5545), which a booking and all its reschedules
    share."""

    id: BookingRef
    code: str
    status: StatusShown
    event_type_id: EventTypeRef | None
    event_type: str | None
    resource_id: ResourceRef | None
    assigned_to_id: UserRef | None
    hosts: list[BookedHostShown]
    start_time: Time
    end_time: Time
    timezone: Zone
    attendee: AttendeeShown | None
    attendee_bounced_at: Time | None
    guests: list[GuestShown]
    custom_fields: dict[str, Any]
    answers: list[AnswerShown]
    metadata: dict[str, Any]
    notes: str | None
    location: MeetingPlaceShown | None
    service_id: str | None
    resources: list[UnitShown]
    routing_trace: dict[str, Any] | None
    hold_expires_at: Time | None
    cancel_token: str | None
    reschedule_token: str | None
    cancellation: CancellationShown | None
    rescheduled_from_id: BookingRef | None
    rescheduled_to_id: BookingRef | None
    requires_confirmation: bool
    ical_uid: str
    ical_sequence: int
    created_at: Time
    updated_at: Time
    history: list[StepShown]


def _id(kind: Kind, value: UUID | None) -> str | None:
    return None if value is None else encode(kind, value)


def _attendee(attendee: Attendee | None) -> AttendeeShown | None:
    if attendee is None:
        return None
    return {
        "name": attendee.name,
        "email": attendee.email,
        "phone": attendee.phone,
        "timezone": attendee.timezone,
    }


def _cancellation(booking: Booking) -> CancellationShown | None:
    if booking.cancelled_at is None:
        return None
    return {
        "reason": booking.cancellation_reason,
        "by": booking.cancelled_by,
        "at": iso(booking.cancelled_at),
    }


def _unit(unit: dict[str, Any]) -> UnitShown:
    resource_id = encode(Kind.RESOURCE, UUID(unit["resource_id"]))
    return {"resource_id": resource_id, "name": unit["name"], "unit": unit["unit"]}


def _step(step: Step) -> StepShown:
    return {
        "from": step.from_status,
        "to": step.to_status,
        "at": iso(step.at),
        "by": step.by,
        "reason": step.reason,
    }


def with_tokens(shown: BookingShown, tokens: Tokens | None) -> BookingShown:
    """A representation with the links that change the booking, for whoever may have them."""
    if tokens is None:
        return shown
    return {**shown, "cancel_token": tokens.cancel, "reschedule_token": tokens.reschedule}


def represent(booking: Booking) -> BookingShown:
    """The booking as `/v1` and webhooks show it. The tokens are null here: a receiver's log and a key that may only
    read must not be able to cancel; see `with_tokens`."""
    return {
        "id": encode(Kind.BOOKING, booking.id),
        "code": booking.code,
        "status": booking.status.value,
        "event_type_id": _id(Kind.EVENT_TYPE, booking.event_type_id),
        "event_type": booking.event_type_code,
        "resource_id": _id(Kind.RESOURCE, booking.resource_id),
        "assigned_to_id": _id(Kind.USER, booking.assigned_to_id),
        "hosts": [{"user_id": encode(Kind.USER, host.user_id), "name": host.name} for host in booking.hosts],
        "start_time": iso(booking.starts_at),
        "end_time": iso(booking.ends_at),
        "timezone": booking.timezone,
        "attendee": _attendee(booking.attendee),
        "attendee_bounced_at": iso(booking.attendee_bounced_at) if booking.attendee_bounced_at else None,
        "guests": cast("list[GuestShown]", booking.guests),
        "custom_fields": booking.custom_fields,
        "answers": cast("list[AnswerShown]", booking.answers),
        "metadata": booking.metadata,
        "notes": booking.notes,
        "location": cast("MeetingPlaceShown | None", booking.location),
        "service_id": booking.service_id,
        "resources": [_unit(unit) for unit in booking.units],
        "routing_trace": booking.routing_trace,
        "hold_expires_at": iso(booking.hold_expires_at) if booking.hold_expires_at else None,
        "cancel_token": None,
        "reschedule_token": None,
        "cancellation": _cancellation(booking),
        "rescheduled_from_id": _id(Kind.BOOKING, booking.rescheduled_from_id),
        "rescheduled_to_id": _id(Kind.BOOKING, booking.rescheduled_to_id),
        "requires_confirmation": booking.requires_confirmation,
        "ical_uid": booking.ical_uid,
        "ical_sequence": booking.ical_sequence,
        "created_at": iso(booking.created_at),
        "updated_at": iso(booking.updated_at),
        "history": [_step(step) for step in booking.history],
    }
