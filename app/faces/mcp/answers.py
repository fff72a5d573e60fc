"""What tools give: as little as says everything, since an agent pays for each word.

The one rule: what is not there is left out, not null. A time stands in UTC, and beside it as the clock on the wall
says, with its weekday, which models get wrong otherwise. No links that act: those are for people.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.times import from_epoch, iso_epoch
from app.core.times import zone as rules_of
from app.domain.bookings.models import Booking, represent
from app.domain.event_types.models import EventType
from app.domain.resources.locations import Location
from app.domain.resources.resources import Resource
from app.faces.mcp.tool import NextCall
from app.web.paging import HasId, pagination


def local_of(value: datetime | int, zone: str) -> str:
    """`Fri 2026-05-01 09:00`. Raises ValueError for an unknown zone."""
    instant = from_epoch(value) if isinstance(value, int) else value
    return f"{instant.astimezone(rules_of(zone)):%a %Y-%m-%d %H:%M}"


class QuestionOut(TypedDict):
    id: str
    label: str
    type: str
    options: NotRequired[list[str]]
    required: bool


class ServiceOut(TypedDict):
    id: str
    name: str
    duration_minutes: int


class HostOut(TypedDict):
    user_id: str
    name: str


class EventTypeOut(TypedDict):
    """Other tools take the code, or the id. Durations in minutes."""

    id: str
    code: str
    slug: str
    title: str
    description: NotRequired[str]
    hosts: list[HostOut]
    duration_minutes: int
    durations: NotRequired[list[int]]
    services: NotRequired[list[ServiceOut]]
    questions: NotRequired[list[QuestionOut]]
    location: NotRequired[dict[str, Any]]
    seats: NotRequired[int]
    requires_confirmation: NotRequired[bool]
    minimum_notice_minutes: NotRequired[int]
    booking_window_days: NotRequired[int]
    booking_url: NotRequired[str]


class EventTypesOut(TypedDict):
    event_types: list[EventTypeOut]
    next_cursor: NotRequired[str]


class SlotOut(TypedDict):
    """local: in the answer's time zone; under its date, only weekday and clock."""

    start: str
    local: str
    seats_left: NotRequired[int]


class SlotsOut(TypedDict):
    """slots: by local date. nearest: where there is none, the open ones nearest to the range."""

    event_type: str
    event_type_id: str
    timezone: str
    duration_minutes: int
    slots: dict[str, list[SlotOut]]
    nearest: NotRequired[list[SlotOut]]
    next_cursor: NotRequired[str]


class AttendeeOut(TypedDict):
    name: str
    email: str
    phone: NotRequired[str]


class BookingOut(TypedDict):
    """id and code are missing in a dry run of what would get new ones. local: the start in timezone."""

    id: NotRequired[str]
    code: NotRequired[str]
    status: str
    event_type: NotRequired[str]
    resource_id: NotRequired[str]
    start_time: str
    end_time: str
    timezone: str
    local: str
    attendee: NotRequired[AttendeeOut]
    guests: NotRequired[list[dict[str, Any]]]
    hosts: NotRequired[list[str]]
    resources: NotRequired[list[str]]
    location: NotRequired[dict[str, Any]]
    answers: NotRequired[list[dict[str, Any]]]
    notes: NotRequired[str]
    hold_expires_at: NotRequired[str]
    cancellation_reason: NotRequired[str]
    rescheduled_from_id: NotRequired[str]
    rescheduled_to_id: NotRequired[str]


class BookingResult(TypedDict):
    """dry_run: nothing was changed. idempotent_replay: this is the first answer to the same key. next: what finishes a
    hold."""

    booking: BookingOut
    dry_run: NotRequired[bool]
    idempotent_replay: NotRequired[bool]
    next: NotRequired[NextCall]


class BookingsOut(TypedDict):
    bookings: list[BookingOut]
    next_cursor: NotRequired[str]


class LocationOut(TypedDict):
    id: str
    name: str
    timezone: str
    address: NotRequired[str]


class LocationsOut(TypedDict):
    locations: list[LocationOut]
    next_cursor: NotRequired[str]


class ResourceOut(TypedDict):
    """capacity: people. units: of its kind, each of which can be had by itself."""

    id: str
    name: str
    kind: str
    location_id: str
    capacity: int
    units: NotRequired[int]
    attributes: NotRequired[dict[str, Any]]
    active: NotRequired[bool]


class ResourceResult(TypedDict):
    resource: ResourceOut


class ResourcesOut(TypedDict):
    resources: list[ResourceOut]
    next_cursor: NotRequired[str]


class VacancyOut(ResourceOut):
    available: bool
    units_free: int


class VacanciesOut(TypedDict):
    resources: list[VacancyOut]
    next_cursor: NotRequired[str]


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is not there, or empty."""
    return {name: value for name, value in values.items() if value not in (None, [], {}, "")}


def event_type_out(event_type: EventType, hosts: Iterable[HostOut], base_url: str, *, approval: bool) -> EventTypeOut:
    """Defaults that change nothing for whoever books are left out. approval: a person confirms whatever the key
    books."""
    durations = event_type.durations_minutes
    page = f"{base_url}/{event_type.owner_handle}/{event_type.slug}" if event_type.owner_handle else None
    shown = {
        "id": encode(Kind.EVENT_TYPE, event_type.id),
        "code": event_type.code,
        "slug": event_type.slug,
        "title": event_type.title,
        "description": event_type.description,
        "duration_minutes": event_type.duration_minutes,
        "durations": durations if len(durations) > 1 else None,
        "services": event_type.services,
        "questions": [_question(each) for each in event_type.questions],
        "location": present(event_type.location or {}),
        "seats": event_type.seats if event_type.seats > 1 else None,
        "requires_confirmation": event_type.requires_confirmation or approval or None,
        "minimum_notice_minutes": event_type.minimum_notice_minutes or None,
        "booking_window_days": event_type.booking_window_days,
        "booking_url": page,
    }
    return cast("EventTypeOut", {**present(shown), "hosts": list(hosts)})


def _question(question: Mapping[str, Any]) -> dict[str, Any]:
    return present({name: question.get(name) for name in ("id", "label", "type", "options", "required")})


def booking_out(booking: Booking) -> BookingOut:
    whole = represent(booking)
    same = (
        "id code status event_type resource_id start_time end_time timezone notes hold_expires_at "
        "rescheduled_from_id rescheduled_to_id"
    ).split()
    shown = {name: whole[name] for name in same}  # type: ignore[literal-required]
    attendee = whole["attendee"]
    return cast(
        "BookingOut",
        present(
            {
                **shown,
                "local": local_of(booking.starts_at, booking.timezone),
                "attendee": attendee and present({name: attendee[name] for name in ("name", "email", "phone")}),
                "hosts": [host["name"] for host in whole["hosts"]],
                "resources": [unit["name"] for unit in whole["resources"]],
                "location": present(cast("dict[str, Any]", whole["location"] or {})),
                "guests": [present(cast("dict[str, Any]", guest)) for guest in whole["guests"]],
                "answers": whole["answers"],
                "cancellation_reason": whole["cancellation"] and whole["cancellation"]["reason"],
            }
        ),
    )


def unwritten(booking: BookingOut) -> BookingOut:
    """What was never written has no id and no code that anybody could ask by."""
    shown = {name: value for name, value in booking.items() if name not in {"id", "code"}}
    return cast("BookingOut", shown)


def page_of(nouns: str, kind: Kind, rows: Sequence[HasId], limit: int, show: Callable[[Any], Any]) -> dict[str, Any]:
    """rows: up to limit + 1 of them."""
    shown: dict[str, Any] = {nouns: [show(row) for row in rows[:limit]]}
    if (cursor := pagination(kind, rows, limit)["next_cursor"]) is not None:
        shown["next_cursor"] = cursor
    return shown


def location_out(location: Location) -> LocationOut:
    shown = {"name": location.name, "timezone": location.timezone, "address": location.address}
    return cast("LocationOut", {"id": encode(Kind.LOCATION, location.id), **present(shown)})


def resource_out(resource: Resource) -> ResourceOut:
    shown = {
        "id": encode(Kind.RESOURCE, resource.id),
        "name": resource.name,
        "kind": resource.kind,
        "location_id": encode(Kind.LOCATION, resource.location_id),
        "capacity": resource.capacity,
        "units": resource.units if resource.units != 1 else None,
        "attributes": resource.attributes,
        "active": None if resource.active else False,
    }
    return cast("ResourceOut", present(shown))


def slot_out(start: int, zone: str) -> SlotOut:
    return {"start": iso_epoch(start), "local": local_of(start, zone)}


def slot_of_day(start: int, zone: str, seats_left: int | None) -> SlotOut:
    weekday, _, clock = local_of(start, zone).split()
    shown: SlotOut = {"start": iso_epoch(start), "local": f"{weekday} {clock}"}
    if seats_left is not None:
        shown["seats_left"] = seats_left
    return shown
