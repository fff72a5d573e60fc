"""Bookings and what can be booked, in the words of `/api` (seed 000)."""

from datetime import datetime, timedelta
from typing import Annotated, Any, cast, get_args
from uuid import UUID

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import BookingRef, EventTypeRef, KeyRef, ResourceRef, Time, UserRef, Zone, one_of
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.lists import Filters
from app.domain.bookings.models import (
    AnswerShown,
    AttendeeShown,
    BookedHostShown,
    Booking,
    CancellationShown,
    GuestShown,
    MeetingPlaceShown,
    UnitShown,
    represent,
)
from app.domain.calendars.choices import CalendarEntryShown
from app.faces.browser.shapes import SessionResourcesQuery
from app.faces.rest.shapes.booking_lists import Period
from app.faces.rest.shapes.resources import check_period
from app.web.fields import (
    Email,
    EventTypeId,
    Instant,
    JsonObject,
    ResourceId,
    Text,
    UserId,
    WireModel,
    missing,
)
from app.web.paging import Numbers
from app.web.statuses import WORDS, StatusWord, statuses_of

StatusShown = Annotated[str, one_of(*get_args(StatusWord))]


class ReservationIn(WireModel):
    """[starts_at, ends_at) of one unit of a resource."""

    bookable_id: ResourceId
    starts_at: Instant
    ends_at: Instant
    notes: Text | None = None
    metadata: JsonObject = Field(default_factory=dict)


class ReservationShown(TypedDict):
    """bookable_id: of the resource, or of the event type."""

    id: BookingRef
    bookable_id: ResourceRef | EventTypeRef
    starts_at: Time
    ends_at: Time
    status: StatusShown


SessionStepShown = TypedDict(
    "SessionStepShown", {"from": StatusShown, "to": StatusShown, "at": Time, "by": str, "reason": str | None}
)


ActorRef = UserRef | KeyRef
HistoryShown = TypedDict(
    "HistoryShown",
    {"from": StatusShown, "to": StatusShown, "at": Time, "by": str, "actor": ActorRef | None, "reason": str | None},
)


class SessionBookingShown(ReservationShown):
    """A booking with all that its host may know."""

    code: str
    event_type_id: EventTypeRef | None
    event_type: str | None
    resource_id: ResourceRef | None
    assigned_to_id: UserRef | None
    hosts: list[BookedHostShown]
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
    cancellation: CancellationShown | None
    rescheduled_from_id: BookingRef | None
    rescheduled_to_id: BookingRef | None
    requires_confirmation: bool
    created_at: Time
    updated_at: Time
    history: list[SessionStepShown]


class SessionBookingReadShown(SessionBookingShown):
    """calendar_events: how it stands in its hosts' calendars."""

    calendar_events: list[CalendarEntryShown]


class SessionBookingsQuery(Numbers, Period):
    """status may be given several times."""

    status: list[StatusWord] | None = None
    event_type_id: EventTypeId | None = None
    bookable_id: ResourceId | None = None
    user_id: UserId | None = None
    attendee_email: Email | None = None

    def filters(self, of_user_id: UUID | None) -> Filters:
        wanted = None if self.status is None else statuses_of(self.status)
        return Filters(
            statuses=wanted,
            event_type_id=self.event_type_id,
            assigned_to_id=self.user_id,
            attendee_email=self.attendee_email,
            resource_id=self.bookable_id,
            starts_from=self.starts_from,
            starts_before=self.starts_before,
            of_user_id=of_user_id,
        )


class BookablesQuery(SessionResourcesQuery):
    """[starts_at, ends_at): whether each can be had for all of it. Without them: right now."""

    starts_at: Instant | None = None
    ends_at: Instant | None = None

    @model_validator(mode="after")
    def _is_a_period(self) -> "BookablesQuery":
        if (self.starts_at is None) != (self.ends_at is None):
            raise missing("ends_at" if self.ends_at is None else "starts_at")
        if self.starts_at is not None and self.ends_at is not None:
            check_period(self.starts_at, self.ends_at)
        return self

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """Right now: the minute that begins."""
        return self.starts_at or now, self.ends_at or now + timedelta(minutes=1)


def reservation_out(booking: Booking) -> ReservationShown:
    """The five members of seed 000, and no other."""
    resource_id = booking.resource_id
    kind, thing = (Kind.RESOURCE, resource_id) if resource_id else (Kind.EVENT_TYPE, booking.event_type_id)
    assert thing is not None  # noqa: S101 -- a check of the table
    shown = represent(booking)
    return {
        "id": shown["id"],
        "bookable_id": encode(kind, thing),
        "starts_at": shown["start_time"],
        "ends_at": shown["end_time"],
        "status": WORDS[booking.status],
    }


def booking_out(booking: Booking) -> SessionBookingShown:
    shown: dict[str, Any] = {**represent(booking), **reservation_out(booking)}
    steps = [{**step, **{end: WORDS[Status(step[end])] for end in ("from", "to")}} for step in shown["history"]]
    left_out = {"start_time", "end_time", "cancel_token", "reschedule_token", "ical_uid", "ical_sequence"}
    kept = {name: value for name, value in shown.items() if name not in left_out}
    return cast("SessionBookingShown", {**kept, "history": steps})
