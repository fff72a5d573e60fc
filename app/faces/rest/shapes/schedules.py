"""Schedules: what `/v1` takes and gives."""

from typing import Literal, NotRequired, cast

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import ClockTime, Date, ResourceRef, ScheduleRef, Time, UserRef, Zone
from app.core.times import iso
from app.domain.availability.schedules import Schedule
from app.web.fields import (
    Day,
    Name,
    ResourceId,
    UserId,
    WallTime,
    WireModel,
    ZoneName,
    refusal,
)


class WindowIn(WireModel):
    start: WallTime
    end: WallTime

    @model_validator(mode="after")
    def _goes_forward(self) -> "WindowIn":
        if self.end <= self.start:
            raise refusal("end", "must come after start; over midnight takes two windows, to 24:00 and from 00:00")
        return self


Weekday = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


class WeeklyIn(WindowIn):
    day: Weekday


class OverrideIn(WireModel):
    date: Day
    windows: list[WindowIn] = Field(max_length=50)


class OwnerIn(WireModel):
    user_id: UserId | None = None
    resource_id: ResourceId | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "OwnerIn":
        if self.user_id is None and self.resource_id is None:
            raise refusal("user_id", "is required, or resource_id", "missing")
        if self.user_id is not None and self.resource_id is not None:
            raise refusal("resource_id", "give either user_id or resource_id")
        return self


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
    owner: SkipJsonSchema[None] = None


class WindowShown(TypedDict):
    start: ClockTime
    end: ClockTime


class WeeklyShown(WindowShown):
    day: Weekday


class OverrideShown(TypedDict):
    """A date that differs; no windows: closed."""

    date: Date
    windows: list[WindowShown]


class OwnerShown(TypedDict):
    """One of the two."""

    user_id: NotRequired[UserRef]
    resource_id: NotRequired[ResourceRef]


class ScheduleShown(TypedDict):
    id: ScheduleRef
    name: str
    timezone: Zone
    owner: OwnerShown
    is_default: bool
    weekly: list[WeeklyShown]
    overrides: list[OverrideShown]
    valid_from: Date | None
    valid_until: Date | None
    created_at: Time
    updated_at: Time


def schedule_out(schedule: Schedule) -> ScheduleShown:
    owner: OwnerShown
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
        "weekly": cast("list[WeeklyShown]", schedule.weekly),
        "overrides": cast("list[OverrideShown]", schedule.overrides),
        "valid_from": schedule.valid_from.isoformat() if schedule.valid_from else None,
        "valid_until": schedule.valid_until.isoformat() if schedule.valid_until else None,
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.updated_at),
    }
