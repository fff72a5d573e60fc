"""`/v1/event-types`: make, read, edit, archive."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from app.core.db import Connection
from app.core.errors import InvalidInput
from app.core.ids import Kind
from app.domain.bookings.caps import recount
from app.domain.event_types import service
from app.domain.event_types.models import EventType, EventTypeFields, HostRef
from app.faces.rest.own import check_event_type, event_type_of
from app.faces.rest.shapes.event_types import (
    NEVER_NULL,
    CapsIn,
    DuplicateIn,
    EventTypeIn,
    EventTypePatch,
    EventTypeShown,
    HostIn,
    QuestionIn,
    ServiceIn,
    event_type_out,
)
from app.web import idempotency
from app.web.call import Call
from app.web.paging import list_page

_DEFAULT_MINUTES = 30
_RENAMED = {"durations": "durations_minutes", "team_id": "owner_team_id"}
# what decides which bookings count in which cap
_COUNTED = frozenset({"max_per_day", "max_per_week", "max_per_month", "hosts", "schedule_id", "seats"})


def _shown(call: Call, event_type: EventType) -> EventTypeShown:
    return event_type_out(event_type, call.settings.public_url)


def _handle(call: Call) -> UUID | str:
    """The public code, or the `evt_` id."""
    return call.path_id_or_code(Kind.EVENT_TYPE, "code")


def _hosts(given: list[HostIn]) -> tuple[HostRef, ...]:
    return tuple(HostRef(host.user_id, host.weight, host.priority) for host in given)


def _named(prefix: str, given: Sequence[QuestionIn | ServiceIn]) -> list[dict[str, Any]]:
    """What came without an id gets one that is free."""
    taken = {each.id for each in given if each.id}
    stored = []
    for each in given:
        name, number = each.id, 1
        while name is None or (each.id is None and name in taken):
            name, number = f"{prefix}_{number}", number + 1
        taken.add(name)
        stored.append({**each.model_dump(), "id": name})
    return stored


def _dumped(given: Sequence[BaseModel]) -> list[dict[str, Any]]:
    """As JSON keeps it: ids are UUIDs as text."""
    return [each.model_dump(mode="json") for each in given]


async def create(call: Call) -> web.Response:
    given = call.body(EventTypeIn)
    minutes = given.duration_minutes or (given.durations[0] if given.durations else _DEFAULT_MINUTES)
    fields = EventTypeFields(
        code=given.code or service.new_code(),
        slug=given.slug or "",
        title=given.title,
        description=given.description,
        duration_minutes=minutes,
        durations_minutes=given.durations or [minutes],
        slot_interval_minutes=given.slot_interval_minutes,
        buffer_before_minutes=given.buffer_before_minutes,
        buffer_after_minutes=given.buffer_after_minutes,
        minimum_notice_minutes=given.minimum_notice_minutes,
        booking_window_days=given.booking_window_days,
        **_caps(given.max_bookings or CapsIn(day=None, week=None, month=None)),
        seats=given.seats,
        requires_confirmation=given.requires_confirmation,
        auto_complete=given.auto_complete,
        assignment=given.assignment,
        schedule_id=given.schedule_id,
        questions=_named("q", given.questions),
        routing_rules=_dumped(given.routing_rules),
        services=_named("s", given.services),
        requires=_dumped(given.requires),
        location=given.location.model_dump() if given.location else None,
        waitlist=given.waitlist,
        reminders_minutes_before=given.reminders_minutes_before,
        active=given.active,
        owner_team_id=given.team_id,
        hosts=_hosts(given.hosts) if given.hosts else (HostRef(call.principal.user_id),),
    )
    check_event_type(call.principal, fields)

    async def make(conn: Connection) -> dict[str, Any]:
        return call.envelope(
            _shown(call, await service.create_event_type(conn, call.principal.org_id, fields, call.now))
        )

    return await idempotency.create(call, make)


async def duplicate(call: Call) -> web.Response:
    changes = call.optional_body(DuplicateIn).model_dump(exclude_unset=True)
    handle = await event_type_of(call)

    async def make(conn: Connection) -> dict[str, Any]:
        made = await service.duplicate_event_type(conn, call.principal.org_id, handle, changes, call.now)
        return call.envelope(_shown(call, made))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    event_type = await service.get_event_type(call.conn, call.principal.org_id, _handle(call))
    return call.answer(_shown(call, event_type))


async def list_all(call: Call) -> web.Response:
    base = call.settings.public_url
    return await list_page(call, Kind.EVENT_TYPE, service.list_event_types, lambda row: event_type_out(row, base))


async def update(call: Call) -> web.Response:
    given = call.body(EventTypePatch)
    changes = _changes(given)
    org_id, handle = call.principal.org_id, await event_type_of(call)

    async def make(conn: Connection) -> EventType:
        edited = await service.update_event_type(conn, org_id, handle, changes, call.now)
        check_event_type(call.principal, edited)
        if _COUNTED.intersection(changes):
            await recount(conn, org_id, [edited.id], call.now)
        return edited

    event_type = await call.write(make)
    return call.answer(_shown(call, event_type))


async def archive(call: Call) -> web.Response:
    handle = await event_type_of(call)
    await call.write(lambda conn: service.archive_event_type(conn, call.principal.org_id, handle, call.now))
    return web.Response(status=204)


def _caps(given: CapsIn) -> dict[str, int | None]:
    """The caps that are named, under the domain's names."""
    return {f"max_per_{period}": getattr(given, period) for period in given.model_fields_set}


_STORED: dict[str, Callable[[Any], Any]] = {
    "hosts": _hosts,
    "questions": partial(_named, "q"),
    "services": partial(_named, "s"),
    "routing_rules": _dumped,
    "requires": _dumped,
    "location": lambda location: location and location.model_dump(),
}


def _changes(given: EventTypePatch) -> dict[str, Any]:
    """What the patch names, under the domain's names. null is a value only where a field may be empty."""
    changes: dict[str, Any] = {}
    for name in given.model_fields_set:
        value = getattr(given, name)
        if value is None and name in NEVER_NULL:
            raise InvalidInput.of(name, "must not be null")
        if name == "max_bookings":
            changes |= _caps(value or CapsIn(day=None, week=None, month=None))
        else:
            changes[_RENAMED.get(name, name)] = _STORED[name](value) if name in _STORED else value
    return changes
