"""Event types: what `/v1` takes and gives."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from app.core.ids import Kind, encode
from app.core.times import iso
from app.domain.event_types.models import EventType
from app.faces.v1.shapes.kinds import BufferMinutes, Code, Minutes, QuestionId, Slug
from app.web.fields import (
    Name,
    ScheduleId,
    Text,
    UserId,
    WireModel,
    refusal,
)


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
