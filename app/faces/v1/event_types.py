"""`/v1/event-types`: make, read, edit, archive."""

from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.errors import InvalidInput
from app.core.ids import Kind
from app.domain.event_types import service
from app.domain.event_types.models import EventType, EventTypeFields, HostRef
from app.faces.v1.shapes.event_types import EventTypeIn, EventTypePatch, HostIn, QuestionIn, event_type_out
from app.web import idempotency
from app.web.call import Call, json_response
from app.web.paging import list_page

_DEFAULT_MINUTES = 30
# accepted with the only value that they can have
_FIXED = frozenset(
    {"max_bookings", "seats", "requires_confirmation", "assignment", "routing_rules", "services", "waitlist"}
)


def _envelope(call: Call, event_type: EventType) -> dict[str, Any]:
    return {"success": True, "event_type": event_type_out(event_type, call.settings.public_url)}


def _handle(call: Call) -> UUID | str:
    """The public code, or the `evt_` id."""
    return call.path_id_or_code(Kind.EVENT_TYPE, "code")


def _hosts(given: list[HostIn]) -> tuple[HostRef, ...]:
    return tuple(HostRef(host.user_id, host.weight, host.priority) for host in given)


def _questions(given: list[QuestionIn]) -> list[dict[str, Any]]:
    """A question that came without an id gets one that is free."""
    taken = {question.id for question in given if question.id}
    stored = []
    for question in given:
        name, number = question.id, 1
        while name is None or (question.id is None and name in taken):
            name, number = f"q_{number}", number + 1
        taken.add(name)
        stored.append({**question.model_dump(), "id": name})
    return stored


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
        auto_complete=given.auto_complete,
        schedule_id=given.schedule_id,
        questions=_questions(given.questions),
        location=given.location.model_dump() if given.location else None,
        reminders_minutes_before=given.reminders_minutes_before,
        active=given.active,
        hosts=_hosts(given.hosts) if given.hosts else (HostRef(call.principal.user_id),),
    )

    async def make(conn: Connection) -> dict[str, Any]:
        return _envelope(call, await service.create_event_type(conn, call.principal.org_id, fields, call.now))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    event_type = await service.get_event_type(call.conn, call.principal.org_id, _handle(call))
    return json_response(_envelope(call, event_type))


async def list_all(call: Call) -> web.Response:
    base = call.settings.public_url
    return await list_page(
        call, Kind.EVENT_TYPE, "event_types", service.list_event_types, lambda row: event_type_out(row, base)
    )


async def update(call: Call) -> web.Response:
    given = call.body(EventTypePatch)
    changes = _changes(given)
    event_type = await call.write(
        lambda conn: service.update_event_type(conn, call.principal.org_id, _handle(call), changes, call.now)
    )
    return json_response(_envelope(call, event_type))


async def archive(call: Call) -> web.Response:
    await call.write(lambda conn: service.archive_event_type(conn, call.principal.org_id, _handle(call), call.now))
    return web.Response(status=204)


def _changes(given: EventTypePatch) -> dict[str, Any]:
    """What the patch names, under the domain's names. null is a value only where a field may be empty."""
    changes: dict[str, Any] = {}
    for name in given.model_fields_set:
        value = getattr(given, name)
        if value is None and name in {"slug", "code", "duration_minutes", "durations", "hosts"}:
            raise InvalidInput.of(name, "must not be null")
        if name not in _FIXED:
            changes[{"durations": "durations_minutes"}.get(name, name)] = value
    if "hosts" in changes:
        changes["hosts"] = _hosts(changes["hosts"])
    if "questions" in changes:
        changes["questions"] = _questions(changes["questions"])
    if changes.get("location") is not None:
        changes["location"] = changes["location"].model_dump()
    return changes
