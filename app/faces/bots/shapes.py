"""What `/api/v1` takes and gives: flat objects, the words of seed 002.

The one rule: a booking has every member, always. A program that was written against one answer can read all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self, cast
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, decode, encode
from app.core.shown import BookingRef, Date, EventTypeRef, Mail, Time, UserRef, Zone, one_of
from app.core.times import EARLIEST, LATEST, iso
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import AnswerShown, Booking
from app.domain.event_types.booking_links import BookingLink
from app.faces.rest.shapes.booking_lists import end_instant, first_instant
from app.web.fields import (
    AskedNumber,
    Email,
    Instant,
    Moment,
    Name,
    Phone,
    QueryModel,
    Text,
    WireModel,
    ZoneName,
    missing,
    parse_day,
    refusal,
    stating,
)
from app.web.paging import Numbers
from app.web.shapes import AnswerIn, AskedAnswers, Chosen
from app.web.statuses import WORDS, StatusWord, statuses_of

LINK = ("booking_link_id", "slug")


def _day(value: Any) -> date:
    day = parse_day(value)
    if not EARLIEST.date() < day < LATEST.date():
        raise ValueError("expected a date between 1970 and 2200")
    return day


AskedDay = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]


def link_handle(text: str | None) -> UUID | str | None:
    """An event type's id, or its public code."""
    return None if text is None else decode(Kind.EVENT_TYPE, text) or text


# what no person has: an id that is none finds nobody, like any other unknown one
_NOBODY = UUID(int=0)


def staff(text: str | None) -> UUID | None:
    return None if text is None else decode(Kind.USER, text) or _NOBODY


def check_complete(given: Any, needed: Iterable[str], either: Sequence[str] = ()) -> Any:
    """Name all that is missing at once, and a link too: null is as good as nothing. either: one of these will do."""
    if isinstance(given, Mapping):
        lacking = [name for name in needed if given.get(name) is None]
        if either and all(given.get(name) is None for name in either):
            lacking.append(either[0])
        links = [name for name in LINK if given.get(name) is not None]
        if lacking or not links:
            raise missing(*([] if links else LINK[:1]), *lacking)
        if len(links) > 1:
            raise refusal("slug", "give either booking_link_id or slug")
    return given


_NEEDED = ("contact_name", "contact_email", "start_time")


class BotBookingIn(WireModel):
    """The booking link by its id or by its slug. Without client_timezone, times are told to the contact in the zone of
    the link's first host. staff_id: one of the link's hosts; without it, the link's own assignment decides."""

    model_config = ConfigDict(json_schema_extra=stating(needs=([[name] for name in LINK],)))

    booking_link_id: Chosen | None = None
    slug: Chosen | None = None
    contact_name: Name
    contact_email: Email
    start_time: Instant
    contact_phone: Phone | None = None
    notes: Text | None = None
    service_id: Chosen | None = None
    staff_id: Chosen | None = None
    client_timezone: ZoneName | None = None
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, given: Any) -> Any:
        return check_complete(given, _NEEDED)


class BotAvailabilityQuery(QueryModel):
    """The booking link by its id or by its slug; one of the two is needed. date: a day in `timezone`, else in the zone
    of the link's first host. answers: the list that a booking takes, as JSON, so that what routing leaves is what is
    listed."""

    booking_link_id: Chosen | None = None
    slug: Chosen | None = None
    date: AskedDay
    timezone: ZoneName | None = None
    service_id: Chosen | None = None
    staff_id: Chosen | None = None
    duration: Annotated[AskedNumber, Field(ge=1, le=1440)] | None = None
    answers: AskedAnswers = ()

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, given: Any) -> Any:
        return check_complete(given, ("date",))


class BotBookingsQuery(Numbers):
    """from, to: when bookings start. Instants are half-open; dates are inclusive, and meant in UTC. status may be given
    several times."""

    booking_link_id: Chosen | None = None
    status: list[StatusWord] | None = None
    first: Moment | None = Field(default=None, alias="from")
    last: Moment | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        starts, ends = self.starts_from, self.starts_before
        if starts is not None and ends is not None and ends < starts:
            raise refusal("to", "must not lie before from")
        return self

    @property
    def statuses(self) -> list[Status] | None:
        return None if self.status is None else statuses_of(self.status)

    @property
    def starts_from(self) -> datetime | None:
        return first_instant(self.first, "UTC")

    @property
    def starts_before(self) -> datetime | None:
        return end_instant(self.last, "UTC")


class BotBookingShown(TypedDict):
    """booking_link_id, slug, link_title and duration_minutes are the booking link's, and null for a reservation of a
    room or a thing, which has none; how long this booking is, its times say. contact_…: null as long as a slot is only
    held. staff_id: the host. reason: of a cancellation."""

    id: BookingRef
    booking_link_id: EventTypeRef | None
    slug: str | None
    link_title: str | None
    duration_minutes: int | None
    status: StatusWord
    contact_name: str | None
    contact_email: Mail | None
    contact_phone: str | None
    start_time: Time
    end_time: Time
    client_timezone: Zone
    notes: str | None
    service_id: str | None
    staff_id: UserRef | None
    answers: list[AnswerShown]
    requires_confirmation: bool
    reason: str | None
    created_at: Time
    updated_at: Time


class CancelledShown(TypedDict):
    id: BookingRef
    status: Annotated[str, one_of("cancelled")]
    reason: str | None


class OpenSlotShown(TypedDict):
    start: Time
    end: Time


class AvailabilityShown(TypedDict):
    """The open slots of one day, the earliest first."""

    booking_link_id: EventTypeRef
    slug: str
    date: Date
    slots: list[OpenSlotShown]


def booking_out(booking: Booking, link: BookingLink | None) -> BotBookingShown:
    """link: what it was booked through; None where there is none."""
    attendee = booking.attendee
    return {
        "id": encode(Kind.BOOKING, booking.id),
        "booking_link_id": encode(Kind.EVENT_TYPE, link.id) if link else None,
        "slug": link.slug if link else None,
        "link_title": link.title if link else None,
        "duration_minutes": link.duration_minutes if link else None,
        "status": WORDS[booking.status],
        "contact_name": attendee.name if attendee else None,
        "contact_email": attendee.email if attendee else None,
        "contact_phone": attendee.phone if attendee else None,
        "start_time": iso(booking.starts_at),
        "end_time": iso(booking.ends_at),
        "client_timezone": booking.timezone,
        "notes": booking.notes,
        "service_id": booking.service_id,
        "staff_id": encode(Kind.USER, booking.assigned_to_id) if booking.assigned_to_id else None,
        "answers": cast("list[AnswerShown]", booking.answers),
        "requires_confirmation": booking.requires_confirmation,
        "reason": booking.cancellation_reason,
        "created_at": iso(booking.created_at),
        "updated_at": iso(booking.updated_at),
    }
