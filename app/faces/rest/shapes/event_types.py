"""Event types: what `/v1` takes and gives."""

from typing import Annotated, Any, Literal, cast, get_args
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import EventTypeRef, Link, LocationRef, ScheduleRef, TeamRef, Time, UserRef, one_of
from app.core.times import iso
from app.domain.event_types.models import EventType
from app.domain.event_types.routing import Operator, QuestionType
from app.faces.rest.shapes.kinds import BufferMinutes, Code, Slug
from app.web.fields import (
    LocationId,
    Name,
    ScheduleId,
    TeamId,
    Text,
    UserId,
    WireModel,
    refusal,
    stating,
)
from app.web.shapes import Minutes, QuestionId

RuleAction = Literal["reject", "assign"]
Assignment = Literal["fixed", "round_robin", "collective"]


class HostIn(WireModel):
    user_id: UserId
    weight: int = Field(default=1, ge=1, le=1000)
    priority: int = Field(default=0, ge=-1000, le=1000)


class QuestionIn(WireModel):
    id: QuestionId | None = None
    label: Name
    type: QuestionType
    options: list[Name] = Field(default_factory=list, max_length=100)
    required: bool = False

    @model_validator(mode="after")
    def _can_be_answered(self) -> "QuestionIn":
        if self.type in {"select", "multi_select"} and not self.options:
            raise refusal("options", "a question of this type needs options to choose from")
        if len(set(self.options)) != len(self.options):
            raise refusal("options", "each one once")
        return self


def _rule_value(value: Any) -> Any:
    """A text, number or boolean, or a list of them."""
    each = value if isinstance(value, list) else [value]
    if len(each) > 100 or not all(isinstance(one, str | bool | int | float) and len(str(one)) <= 500 for one in each):
        raise ValueError("expected a text, a number, true or false, or a list of at most 100 of them")
    return value


class RoutingRuleIn(WireModel):
    question_id: QuestionId
    operator: Operator
    value: Annotated[Any, AfterValidator(_rule_value)]
    action: RuleAction
    host_ids: list[UserId] = Field(default_factory=list, max_length=100)
    message: Text | None = None

    @model_validator(mode="after")
    def _can_decide(self) -> "RoutingRuleIn":
        if (self.operator == "in") != isinstance(self.value, list):
            raise refusal("value", "a list for the operator 'in', one value for the others")
        if (self.action == "assign") != bool(self.host_ids):
            raise refusal("host_ids", "whom to assign to, for the action 'assign' and for no other")
        if len(set(self.host_ids)) != len(self.host_ids):
            raise refusal("host_ids", "each person once")
        return self


class ServiceIn(WireModel):
    id: QuestionId | None = None
    name: Name
    duration_minutes: Minutes


class RequirementIn(WireModel):
    kind: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    min_capacity: int = Field(default=1, ge=1, le=100_000)
    location_id: LocationId | None = None


class CapsIn(WireModel):
    day: int | None = Field(default=None, ge=1, le=100_000)
    week: int | None = Field(default=None, ge=1, le=100_000)
    month: int | None = Field(default=None, ge=1, le=100_000)


PlaceKind = Literal["in_person", "phone", "link", "resource", "conference"]


class PlaceIn(WireModel):
    kind: PlaceKind
    value: Annotated[str, StringConstraints(max_length=1000)] | None = None


class EventTypeIn(WireModel):
    """What a caller may set. A patch takes the same fields, all optional."""

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
    max_bookings: CapsIn | None = None
    seats: int = Field(default=1, ge=1, le=10_000)
    requires_confirmation: bool = False
    auto_complete: bool = True
    assignment: Assignment = "fixed"
    hosts: list[HostIn] | None = Field(default=None, min_length=1, max_length=100)
    team_id: TeamId | None = None
    schedule_id: ScheduleId | None = None
    questions: list[QuestionIn] = Field(default_factory=list, max_length=50)
    routing_rules: list[RoutingRuleIn] = Field(default_factory=list, max_length=100)
    services: list[ServiceIn] = Field(default_factory=list, max_length=100)
    requires: list[RequirementIn] = Field(default_factory=list, max_length=20)
    location: PlaceIn | None = None
    waitlist: bool = False
    reminders_minutes_before: list[Annotated[int, Field(ge=1, le=525_600)]] = Field(
        default_factory=lambda: [1440], max_length=10
    )
    active: bool = True

    @model_validator(mode="after")
    def _makes_sense(self) -> "EventTypeIn":
        if self.durations and len(set(self.durations)) != len(self.durations):
            raise refusal("durations", "each one once")
        if self.durations and self.duration_minutes and self.duration_minutes not in self.durations:
            raise refusal("duration_minutes", "must be one of durations")
        if self.hosts and len({host.user_id for host in self.hosts}) != len(self.hosts):
            raise refusal("hosts", "each person once")
        if len(set(self.reminders_minutes_before)) != len(self.reminders_minutes_before):
            raise refusal("reminders_minutes_before", "each one once")
        for field, things in (("questions", self.questions), ("services", self.services)):
            named = [thing.id for thing in things if thing.id]
            if len(set(named)) != len(named):
                raise refusal(field, "each id once")
        return self


class DuplicateIn(WireModel):
    """What the copy has of its own; its code and slug are made where they are not named."""

    title: Name = ""
    code: Code = ""
    slug: Slug = ""
    active: bool = False


NEVER_NULL = ("slug", "code", "duration_minutes", "durations", "hosts")


class EventTypePatch(EventTypeIn):
    model_config = ConfigDict(json_schema_extra=stating(never_null=NEVER_NULL))

    title: Name = ""


class HostShown(TypedDict):
    user_id: UserRef
    weight: int
    priority: int


class QuestionShown(TypedDict):
    id: str
    label: str
    type: QuestionType
    options: list[str]
    required: bool


class RoutingRuleShown(TypedDict):
    question_id: str
    operator: Operator
    value: Any
    action: RuleAction
    host_ids: list[UserRef]
    message: str | None


class ServiceShown(TypedDict):
    id: str
    name: str
    duration_minutes: int


class RequirementShown(TypedDict):
    kind: str
    min_capacity: int
    location_id: LocationRef | None


class CapsShown(TypedDict):
    day: int | None
    week: int | None
    month: int | None


class PlaceShown(TypedDict):
    kind: PlaceKind
    value: str | None


class EventTypeShown(TypedDict):
    id: EventTypeRef
    code: str
    slug: str
    title: str
    description: str | None
    duration_minutes: int
    durations: list[int]
    slot_interval_minutes: int | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    minimum_notice_minutes: int
    booking_window_days: int | None
    max_bookings: CapsShown
    seats: int
    requires_confirmation: bool
    auto_complete: bool
    assignment: Annotated[str, one_of(*get_args(Assignment))]
    hosts: list[HostShown]
    team_id: TeamRef | None
    schedule_id: ScheduleRef | None
    questions: list[QuestionShown]
    routing_rules: list[RoutingRuleShown]
    services: list[ServiceShown]
    requires: list[RequirementShown]
    location: PlaceShown | None
    waitlist: bool
    reminders_minutes_before: list[int]
    active: bool
    booking_url: Link | None
    created_at: Time
    updated_at: Time


def _ref(kind: Kind, value: UUID | None) -> str | None:
    return encode(kind, value) if value else None


def _rule(rule: dict[str, Any]) -> RoutingRuleShown:
    host_ids = [encode(Kind.USER, UUID(host_id)) for host_id in rule["host_ids"]]
    return cast("RoutingRuleShown", {**rule, "host_ids": host_ids})


def _requirement(each: dict[str, Any]) -> RequirementShown:
    location_id = UUID(each["location_id"]) if each["location_id"] else None
    return {
        "kind": each["kind"],
        "min_capacity": each["min_capacity"],
        "location_id": _ref(Kind.LOCATION, location_id),
    }


def event_type_out(event_type: EventType, base_url: str) -> EventTypeShown:
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
        "team_id": _ref(Kind.TEAM, event_type.owner_team_id),
        "schedule_id": _ref(Kind.SCHEDULE, event_type.schedule_id),
        "questions": cast("list[QuestionShown]", event_type.questions),
        "routing_rules": [_rule(rule) for rule in event_type.routing_rules],
        "services": cast("list[ServiceShown]", event_type.services),
        "requires": [_requirement(each) for each in event_type.requires],
        "location": cast("PlaceShown | None", event_type.location),
        "waitlist": event_type.waitlist,
        "reminders_minutes_before": event_type.reminders_minutes_before,
        "active": event_type.active,
        "booking_url": f"{base_url}/{event_type.owner_handle}/{event_type.slug}" if event_type.owner_handle else None,
        "created_at": iso(event_type.created_at),
        "updated_at": iso(event_type.updated_at),
    }
