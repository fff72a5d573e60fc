"""What `/v1` takes and gives, by noun: wire models in, plain dictionaries out."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from app.core.ids import Kind, decode, encode
from app.core.times import iso
from app.domain.availability.schedules import Schedule
from app.domain.event_types.models import EventType
from app.domain.identity.models import Principal, User
from app.domain.webhooks.subscriptions import DEFAULT_EVENTS, Webhook
from app.web.fields import (
    Day,
    Email,
    Handle,
    Instant,
    Name,
    Phone,
    QueryModel,
    ScheduleId,
    Text,
    UserId,
    WallTime,
    WireModel,
    ZoneName,
    refusal,
)

Minutes = Annotated[int, Field(ge=1, le=1440)]
BufferMinutes = Annotated[int, Field(ge=0, le=1440)]
Slug = Handle
Reference = Annotated[str, StringConstraints(max_length=100)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
QuestionId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]


# --- bookings


class AttendeeIn(WireModel):
    name: Name
    email: Email
    phone: Phone | None = None
    timezone: ZoneName


class AnswerIn(WireModel):
    question_id: QuestionId
    answer: Any


class GuestIn(WireModel):
    email: Email
    name: Name | None = None


class BookingIn(WireModel):
    """Seed 001's body, with the event type by id or by code."""

    event_type_id: Reference | None = None
    event_type: Reference | None = None
    requested_time: Instant
    attendee: AttendeeIn
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)
    host_id: UserId | None = None
    duration: Minutes | None = None
    guests: list[GuestIn] = Field(default_factory=list, max_length=50)
    notes: Text | None = None

    @model_validator(mode="after")
    def _names_one_event_type(self) -> "BookingIn":
        if self.event_type_id is None and self.event_type is None:
            raise refusal("event_type_id", "is required, or event_type with the code", "missing")
        if self.event_type_id is not None and self.event_type is not None:
            raise refusal("event_type", "give either event_type_id or event_type")
        return self

    @property
    def named_event_type(self) -> UUID | str:
        """The id, or the code. A text that is neither finds nothing, like any other unknown one."""
        text = self.event_type_id or self.event_type or ""
        return decode(Kind.EVENT_TYPE, text) or ("" if self.event_type_id else text)


class CancelIn(WireModel):
    reason: Text | None = None


# --- slots


class SlotsQuery(QueryModel):
    """start and end: dates (inclusive, in `timezone`) or instants (half-open on the slot's start)."""

    event_type: str = Field(max_length=100)
    start: str = Field(max_length=40)
    end: str = Field(max_length=40)
    timezone: ZoneName | None = None
    duration: Minutes | None = None
    host_id: UserId | None = None


# --- event types


class HostIn(WireModel):
    user_id: UserId
    weight: int = Field(default=1, ge=1, le=1000)
    priority: int = Field(default=0, ge=-1000, le=1000)


class QuestionIn(WireModel):
    id: QuestionId | None = None
    label: Name
    type: Literal["text", "long_text", "number", "email", "phone", "select", "multi_select", "checkbox"]
    options: list[Name] = Field(default_factory=list, max_length=100)
    required: bool = False


class LocationIn(WireModel):
    kind: Literal["in_person", "phone", "link", "resource"]
    value: Annotated[str, StringConstraints(max_length=1000)] | None = None


class NoCaps(WireModel):
    day: None = None
    week: None = None
    month: None = None


class EventTypeIn(WireModel):
    """The fields of an event type that this version acts on. A patch takes the same ones, all optional."""

    title: Name
    slug: Slug | None = None
    code: Code | None = None
    description: Text | None = None
    duration_minutes: Minutes | None = None
    durations: list[Minutes] | None = Field(default=None, min_length=1, max_length=20)
    slot_interval_minutes: Minutes | None = None
    buffer_before_minutes: BufferMinutes = 0
    buffer_after_minutes: BufferMinutes = 0
    minimum_notice_minutes: int = Field(default=0, ge=0, le=525_600)
    booking_window_days: int | None = Field(default=60, ge=1, le=3650)
    auto_complete: bool = True
    hosts: list[HostIn] | None = Field(default=None, min_length=1, max_length=100)
    schedule_id: ScheduleId | None = None
    questions: list[QuestionIn] = Field(default_factory=list, max_length=50)
    location: LocationIn | None = None
    reminders_minutes_before: list[Annotated[int, Field(ge=1, le=525_600)]] = Field(
        default_factory=lambda: [1440], max_length=10
    )
    active: bool = True
    # shown with these values by every event type, and so accepted with them
    max_bookings: NoCaps | None = None
    seats: Literal[1] = 1
    requires_confirmation: Literal[False] = False
    assignment: Literal["fixed"] = "fixed"
    routing_rules: list[Any] = Field(default_factory=list, max_length=0)
    services: list[Any] = Field(default_factory=list, max_length=0)
    waitlist: Literal[False] = False

    @model_validator(mode="after")
    def _makes_sense(self) -> "EventTypeIn":
        if self.durations and len(set(self.durations)) != len(self.durations):
            raise refusal("durations", "each one once")
        if self.durations and self.duration_minutes and self.duration_minutes not in self.durations:
            raise refusal("duration_minutes", "must be one of durations")
        if self.hosts and len({host.user_id for host in self.hosts}) != len(self.hosts):
            raise refusal("hosts", "each person once")
        named = [question.id for question in self.questions if question.id]
        if len(set(named)) != len(named):
            raise refusal("questions", "each id once")
        return self


class EventTypePatch(EventTypeIn):
    title: Name = ""


def event_type_out(event_type: EventType, base_url: str) -> dict[str, Any]:
    return {
        "id": encode(Kind.EVENT_TYPE, event_type.id),
        "code": event_type.code,
        "slug": event_type.slug,
        "title": event_type.title,
        "description": event_type.description,
        "duration_minutes": event_type.duration_minutes,
        "durations": event_type.durations_minutes,
        "slot_interval_minutes": event_type.slot_interval_minutes,
        "buffer_before_minutes": event_type.buffer_before_minutes,
        "buffer_after_minutes": event_type.buffer_after_minutes,
        "minimum_notice_minutes": event_type.minimum_notice_minutes,
        "booking_window_days": event_type.booking_window_days,
        "max_bookings": {
            "day": event_type.max_per_day,
            "week": event_type.max_per_week,
            "month": event_type.max_per_month,
        },
        "seats": event_type.seats,
        "requires_confirmation": event_type.requires_confirmation,
        "auto_complete": event_type.auto_complete,
        "assignment": event_type.assignment,
        "hosts": [
            {"user_id": encode(Kind.USER, host.user_id), "weight": host.weight, "priority": host.priority}
            for host in event_type.hosts
        ],
        "schedule_id": event_type.schedule_id and encode(Kind.SCHEDULE, event_type.schedule_id),
        "questions": event_type.questions,
        "routing_rules": event_type.routing_rules,
        "services": event_type.services,
        "location": event_type.location,
        "waitlist": event_type.waitlist,
        "reminders_minutes_before": event_type.reminders_minutes_before,
        "active": event_type.active,
        "booking_url": event_type.owner_handle and f"{base_url}/{event_type.owner_handle}/{event_type.slug}",
        "created_at": iso(event_type.created_at),
        "updated_at": iso(event_type.updated_at),
    }


# --- schedules


class WindowIn(WireModel):
    start: WallTime
    end: WallTime

    @model_validator(mode="after")
    def _goes_forward(self) -> "WindowIn":
        if self.end <= self.start:
            raise refusal("end", "must come after start; over midnight takes two windows, to 24:00 and from 00:00")
        return self


class WeeklyIn(WindowIn):
    day: Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


class OverrideIn(WireModel):
    date: Day
    windows: list[WindowIn] = Field(max_length=50)


class OwnerIn(WireModel):
    user_id: UserId


class ScheduleIn(WireModel):
    name: Name
    timezone: ZoneName
    owner: OwnerIn | None = None
    is_default: bool = False
    weekly: list[WeeklyIn] = Field(default_factory=list, max_length=200)
    overrides: list[OverrideIn] = Field(default_factory=list, max_length=1000)
    valid_from: Day | None = None
    valid_until: Day | None = None

    @model_validator(mode="after")
    def _is_a_period(self) -> "ScheduleIn":
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise refusal("valid_until", "must not lie before valid_from")
        if len({override.date for override in self.overrides}) != len(self.overrides):
            raise refusal("overrides", "each date once")
        return self


class SchedulePatch(ScheduleIn):
    name: Name = ""
    timezone: ZoneName = "UTC"
    owner: None = None


def schedule_out(schedule: Schedule) -> dict[str, Any]:
    if schedule.user_id is not None:
        owner = {"user_id": encode(Kind.USER, schedule.user_id)}
    else:
        owner = {"resource_id": encode(Kind.RESOURCE, schedule.resource_id)} if schedule.resource_id else {}
    return {
        "id": encode(Kind.SCHEDULE, schedule.id),
        "name": schedule.name,
        "timezone": schedule.timezone,
        "owner": owner,
        "is_default": schedule.is_default,
        "weekly": schedule.weekly,
        "overrides": schedule.overrides,
        "valid_from": schedule.valid_from and schedule.valid_from.isoformat(),
        "valid_until": schedule.valid_until and schedule.valid_until.isoformat(),
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.updated_at),
    }


# --- webhooks


class WebhookIn(WireModel):
    url: Annotated[str, StringConstraints(min_length=8, max_length=2048)]
    events: list[str] = Field(default_factory=lambda: list(DEFAULT_EVENTS), min_length=1, max_length=50)
    description: Annotated[str, StringConstraints(max_length=500)] | None = None
    active: bool = True


def webhook_out(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": encode(Kind.WEBHOOK, webhook.id),
        "url": webhook.url,
        "events": list(webhook.events),
        "description": webhook.description,
        "active": webhook.active,
        "failing_since": webhook.failing_since and iso(webhook.failing_since),
        "disabled_reason": webhook.disabled_reason,
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }


# --- users


def me_out(principal: Principal, user: User) -> dict[str, Any]:
    return {
        "success": True,
        "user": {
            "id": encode(Kind.USER, user.id),
            "email": user.email,
            "name": user.name,
            "username": user.username,
            "timezone": user.timezone,
            "role": user.role,
        },
        "organization": {"id": encode(Kind.ORGANIZATION, principal.org_id), "name": principal.org_name},
        "key": {
            "id": encode(Kind.KEY, principal.key_id),
            "name": principal.key_name,
            "scopes": sorted(principal.scopes),
        },
    }
