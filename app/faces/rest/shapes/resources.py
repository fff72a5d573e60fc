"""Resources and their availability: what `/v1` takes and gives."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import LocationRef, ResourceRef, ScheduleRef, Time
from app.core.times import iso
from app.domain.resources.availability import MAXIMUM_RANGE_DAYS, Vacancy
from app.domain.resources.resources import Resource, Wanted
from app.web.fields import AskedNumber, Instant, JsonObject, LocationId, Name, ScheduleId, WireModel, refusal
from app.web.paging import Page

ResourceKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]

_LARGEST = 1_000_000


def check_period(starts_at: datetime, ends_at: datetime) -> None:
    """Raises the refusal of one that ends before it begins, and of one that is too long."""
    if ends_at <= starts_at:
        raise refusal("ends_at", "must come after starts_at")
    if ends_at - starts_at > timedelta(days=MAXIMUM_RANGE_DAYS):
        raise refusal("ends_at", f"at most {MAXIMUM_RANGE_DAYS} days can be asked for at once")


class ResourceIn(WireModel):
    name: Name
    kind: ResourceKind
    location_id: LocationId
    capacity: int = Field(default=1, ge=1, le=_LARGEST)
    units: int = Field(default=1, ge=1, le=1000)
    attributes: JsonObject = Field(default_factory=dict)
    schedule_id: ScheduleId | None = None
    active: bool = True


class ResourcePatch(ResourceIn):
    name: Name = ""
    kind: ResourceKind = ""
    location_id: LocationId = UUID(int=0)


class ResourcesQuery(Page):
    location_id: LocationId | None = None
    kind: ResourceKind | None = None
    min_capacity: AskedNumber | None = Field(default=None, ge=0, le=_LARGEST)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.location_id, self.kind, self.min_capacity)


class VacanciesQuery(ResourcesQuery):
    """[starts_at, ends_at)"""

    starts_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _is_a_period(self) -> "VacanciesQuery":
        check_period(self.starts_at, self.ends_at)
        return self


class ResourceShown(TypedDict):
    id: ResourceRef
    name: str
    kind: str
    location_id: LocationRef
    capacity: int
    units: int
    attributes: dict[str, Any]
    schedule_id: ScheduleRef | None
    active: bool
    created_at: Time
    updated_at: Time


class VacancyShown(ResourceShown):
    """A resource in a period: whether, and how often, it can be had for all of it."""

    available: bool
    units_free: int


def resource_out(resource: Resource) -> ResourceShown:
    return {
        "id": encode(Kind.RESOURCE, resource.id),
        "name": resource.name,
        "kind": resource.kind,
        "location_id": encode(Kind.LOCATION, resource.location_id),
        "capacity": resource.capacity,
        "units": resource.units,
        "attributes": resource.attributes,
        "schedule_id": encode(Kind.SCHEDULE, resource.schedule_id) if resource.schedule_id else None,
        "active": resource.active,
        "created_at": iso(resource.created_at),
        "updated_at": iso(resource.updated_at),
    }


def vacancy_out(vacancy: Vacancy) -> VacancyShown:
    return {
        **resource_out(vacancy.resource),
        "available": vacancy.units_free > 0,
        "units_free": vacancy.units_free,
    }
