"""What tools take. Names are the contract's ("MCP arguments"); what stands beside them is ours, and optional.

The one rule: an agent that guesses is told what is wrong with which argument, and nothing is coerced.
"""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.domain.bookings.lifecycle import Status
from app.faces.rest.shapes.booking_lists import end_instant, first_instant
from app.faces.rest.shapes.resources import ResourceKind, check_period
from app.web.fields import Email, Instant, Moment, Name, Phone, Text, UserId, WireModel, ZoneName, refusal
from app.web.shapes import AnswerIn, Chosen, GuestIn, Minutes

MOST_ON_A_PAGE = 50
STATUSES = tuple(status.value for status in Status)

EventTypeText = Annotated[Chosen, Field(description="code or id of the event type")]
BookingText = Annotated[Chosen, Field(description="id or code of the booking")]
ResourceText = Annotated[Chosen, Field(description="id, or exact name, of the resource")]
LocationText = Annotated[Chosen, Field(description="id, or exact name, of the location")]
Cursor = Annotated[str, StringConstraints(max_length=100), Field(description="next_cursor of the page before")]
PageSize = Annotated[int, Field(ge=1, le=100, description="at most 50 come at once")]
StartTime = Annotated[Instant, Field(description="start of an open slot, as list_slots gave it")]


class WritingIn(WireModel):
    """What every writing tool takes."""

    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")] | None = Field(
        default=None, description="one of your own per intended action; repeat it when you retry: nothing happens twice"
    )
    dry_run: bool = Field(default=False, description="tell what would happen, and change nothing")


class Paged(WireModel):
    cursor: Cursor | None = None


class ListEventTypesIn(Paged):
    pass


class ListSlotsIn(Paged):
    event_type: EventTypeText
    start: Moment = Field(description="first date (in timezone), such as 2026-05-01, or an instant with its offset")
    end: Moment = Field(description="last date, inclusive, or an instant; at most 62 days after start")
    timezone: ZoneName | None = Field(
        default=None, description="IANA zone of dates and of `local`, such as Europe/Berlin; without it the host's"
    )
    duration: Minutes | None = Field(default=None, description="minutes, one of the event type's durations")
    service_id: Chosen | None = None
    host_id: UserId | None = None
    answers: list[AnswerIn] = Field(
        default_factory=list, max_length=100, description="where answers decide who hosts; as in create_booking"
    )


class CreateBookingIn(WritingIn):
    event_type: EventTypeText
    start_time: StartTime
    attendee_name: Name
    attendee_email: Email
    timezone: ZoneName = Field(description="the attendee's IANA zone, such as Europe/Berlin")
    attendee_phone: Phone | None = None
    notes: Text | None = Field(default=None, description="for the host")
    answers: list[AnswerIn] = Field(
        default_factory=list, max_length=100, description="to the event type's questions, [{question_id, answer}]"
    )
    guests: list[GuestIn] = Field(default_factory=list, max_length=50, description="who else is invited")
    duration: Minutes | None = Field(default=None, description="minutes, one of the event type's durations")
    service_id: Chosen | None = None
    host_id: UserId | None = None
    hold: bool = Field(default=False, description="only keep the slot, for ten minutes, while you ask your person")
    finish: Chosen | None = Field(default=None, description="id of the hold that this call makes a booking")

    @model_validator(mode="after")
    def _holds_or_finishes(self) -> Self:
        if self.hold and self.finish is not None:
            raise refusal("finish", "a call either holds a slot or finishes a hold")
        return self


class CancelBookingIn(WritingIn):
    booking: BookingText
    reason: Text | None = Field(default=None, description="told to the attendee")


class RescheduleBookingIn(WritingIn):
    booking: BookingText
    start_time: StartTime
    timezone: ZoneName | None = Field(default=None, description="the attendee's; without it as before")
    reason: Text | None = Field(default=None, description="told to the attendee")


class ListBookingsIn(Paged):
    status: Literal[STATUSES] | None = None  # type: ignore[valid-type]
    start_date: Moment | None = Field(default=None, description="of starts: a date (UTC) or an instant")
    end_date: Moment | None = Field(default=None, description="of starts: a date, inclusive, or an instant, exclusive")
    attendee_email: Email | None = None
    limit: PageSize = 20

    @property
    def starts_from(self) -> datetime | None:
        return first_instant(self.start_date, "UTC")

    @property
    def starts_before(self) -> datetime | None:
        return end_instant(self.end_date, "UTC")


class GetBookingIn(WireModel):
    booking: BookingText


class ListLocationsIn(Paged):
    pass


class ListResourcesIn(Paged):
    location: LocationText | None = None
    kind: ResourceKind | None = Field(default=None, description="such as desk, room or equipment")
    min_capacity: int | None = Field(default=None, ge=0, le=1_000_000, description="people, at least")


class GetResourceIn(WireModel):
    resource: ResourceText


class CheckAvailabilityIn(ListResourcesIn):
    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _is_a_period(self) -> Self:
        check_period(self.starts_at, self.ends_at)
        return self


class BookResourceIn(WritingIn):
    resource: ResourceText
    starts_at: Instant
    ends_at: Instant
    notes: Text | None = None
