"""What `/v1/book` and the links in mails take and give: flat objects, the words of seed 003."""

from typing import Literal, NotRequired, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import BookingRef, EventTypeRef, Mail, Time, Zone
from app.core.times import iso
from app.domain.bookings.doors import Door
from app.domain.bookings.models import BookedHostShown, Booking, Tokens
from app.domain.event_types.pages import Page
from app.domain.event_types.routing import QuestionType
from app.domain.links.models import EventLink
from app.web.fields import (
    Day,
    Email,
    Instant,
    JsonObject,
    Name,
    Password,
    Phone,
    QueryModel,
    Text,
    UserId,
    WireModel,
    ZoneName,
    missing,
    refuse_nulls,
    stating,
)
from app.web.shapes import AnswerIn, Chosen, GuestIn, Minutes, SlotTokenText
from app.web.statuses import WORDS, StatusWord

_WHEN = ("start_time", "slot_token")


class WhenIn(WireModel):
    """A time, or the token of a listed slot in its place."""

    model_config = ConfigDict(json_schema_extra=stating(never_null=_WHEN, needs=([[name] for name in _WHEN],)))

    start_time: Instant | None = None
    slot_token: SlotTokenText | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        refuse_nulls(self, _WHEN)
        if self.start_time is None and self.slot_token is None:
            raise missing("start_time")
        return self


class PublicBookingIn(WhenIn):
    """A slot token may stand in for start_time."""

    attendee_name: Name
    attendee_email: Email
    timezone: ZoneName
    notes: Text | None = None
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)
    attendee_phone: Phone | None = None
    # mails go to guests, and nobody knows who asks for them
    guests: list[GuestIn] = Field(default_factory=list, max_length=10)
    duration: Minutes | None = None
    service_id: Chosen | None = None
    host_id: UserId | None = None
    custom_fields: JsonObject = Field(default_factory=dict)


class MoveIn(WhenIn):
    """Where to: a time, or the token of a listed slot."""

    timezone: ZoneName | None = None
    reason: Text | None = None


class MovesQuery(QueryModel):
    """from: the day that the page's two weeks begin with. What mail programs add to links does not matter."""

    model_config = ConfigDict(extra="ignore")

    from_day: Day | None = Field(default=None, alias="from")


class OptoutIn(WireModel):
    """reminders: true to get them again."""

    reminders: bool = False


class OptoutShown(TypedDict):
    """Whether an address gets reminders of an organization's. The address is not told in full."""

    success: Literal[True]
    address: str
    organization: str
    reminders: bool


class PasswordIn(WireModel):
    """A new password, of 10 to 200 characters."""

    password: Password


class AccountShown(TypedDict):
    """Whose password a link sets."""

    success: Literal[True]
    email: Mail
    organization: str


class PasswordSet(TypedDict):
    success: Literal[True]
    email: Mail


class ConsentQuery(QueryModel):
    """What a provider sends a person back with; it may add more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: str = Field(min_length=1, max_length=200)
    code: str | None = Field(default=None, max_length=4000)
    error: str | None = Field(default=None, max_length=200)


class ConsentIn(WireModel):
    """The same, from the page that asks whoever came back by a link of a server's."""

    state: str = Field(min_length=1, max_length=200)
    code: str = Field(min_length=1, max_length=4000)


class ConsentTaken(TypedDict):
    """The account that is connected now."""

    provider: Literal["google", "microsoft"]
    account: str


class HookQuery(QueryModel):
    """validationToken: Microsoft's handshake, which is answered with the token itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    validation_token: str | None = Field(default=None, alias="validationToken", min_length=1, max_length=4096)


class PublicQuestion(TypedDict):
    id: str
    label: str
    type: QuestionType
    options: list[str]
    required: bool


class PublicService(TypedDict):
    id: str
    name: str
    duration_minutes: int


class BookingPageShown(TypedDict):
    """What can be booked on a page. name: of the person or the team whose page it is. location_kind: whoever books is
    told the place itself. waitlist: whether one can wait for what is taken. timezone: the one that slots are listed in
    where none is asked for. uses_left, expires_at: of a link."""

    event_type_id: EventTypeRef
    username: str | None
    name: str
    organization: str
    slug: str
    title: str
    description: str | None
    duration_minutes: int
    durations: list[int]
    services: list[PublicService]
    questions: list[PublicQuestion]
    location_kind: str | None
    requires_confirmation: bool
    seats: int
    assignment: str
    waitlist: bool
    hosts: list[BookedHostShown]
    timezone: Zone
    uses_left: NotRequired[int]
    expires_at: NotRequired[Time | None]


class PublicBookingShown(TypedDict):
    """A booking as its attendee sees it. The tokens stand in the answer that makes or moves it, and are null later."""

    id: BookingRef
    status: StatusWord
    requires_confirmation: bool
    attendee_name: str | None
    attendee_email: Mail | None
    start_time: Time
    end_time: Time
    timezone: Zone
    cancel_token: str | None
    reschedule_token: str | None
    code: str
    hosts: list[BookedHostShown]
    rescheduled_from_id: BookingRef | None
    rescheduled_to_id: BookingRef | None


class LinkedBookingShown(PublicBookingShown):
    """A booking by its link, with the address of the page that it was booked on, whose slots it may be moved to."""

    title: str | None
    username: str | None
    slug: str | None


def page_out(page: Page, organization: str, link: EventLink | None) -> BookingPageShown:
    shown: BookingPageShown = {
        "event_type_id": encode(Kind.EVENT_TYPE, page.id),
        "username": page.handle,
        "name": page.name,
        "organization": organization,
        "slug": page.slug,
        "title": page.title,
        "description": page.description,
        "duration_minutes": page.duration_minutes,
        "durations": page.durations_minutes,
        "services": [
            {"id": each["id"], "name": each["name"], "duration_minutes": each["duration_minutes"]}
            for each in page.services
        ],
        "questions": [
            {
                "id": each["id"],
                "label": each["label"],
                "type": each["type"],
                "options": each["options"],
                "required": each["required"],
            }
            for each in page.questions
        ],
        "location_kind": page.location["kind"] if page.location else None,
        "requires_confirmation": page.requires_confirmation,
        "seats": page.seats,
        "assignment": page.assignment,
        "waitlist": page.waitlist,
        "hosts": [{"user_id": encode(Kind.USER, user_id), "name": name} for user_id, name in page.hosts],
        "timezone": page.timezone,
    }
    if link is not None:
        shown["uses_left"] = link.max_uses - link.uses
        shown["expires_at"] = iso(link.expires_at) if link.expires_at else None
    return shown


def booking_out(booking: Booking, tokens: Tokens | None) -> PublicBookingShown:
    attendee = booking.attendee
    return {
        "id": encode(Kind.BOOKING, booking.id),
        "status": WORDS[booking.status],
        "requires_confirmation": booking.requires_confirmation,
        "attendee_name": attendee.name if attendee else None,
        "attendee_email": attendee.email if attendee else None,
        "start_time": iso(booking.starts_at),
        "end_time": iso(booking.ends_at),
        "timezone": booking.timezone,
        "cancel_token": tokens.cancel if tokens else None,
        "reschedule_token": tokens.reschedule if tokens else None,
        "code": booking.code,
        "hosts": [{"user_id": encode(Kind.USER, host.user_id), "name": host.name} for host in booking.hosts],
        "rescheduled_from_id": _ref(booking.rescheduled_from_id),
        "rescheduled_to_id": _ref(booking.rescheduled_to_id),
    }


def opened_out(door: Door, booking: Booking, tokens: Tokens | None = None) -> LinkedBookingShown:
    return {
        **booking_out(booking, tokens),
        "title": door.title,
        "username": door.handle,
        "slug": door.slug,
    }


def _ref(booking_id: UUID | None) -> str | None:
    return None if booking_id is None else encode(Kind.BOOKING, booking_id)
