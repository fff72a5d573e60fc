"""Which call would help an agent that was refused.

The one rule: it is a call that can be made as it stands, by arguments that are known; whether the key may make it is
asked by who shows it.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.core.errors import (
    FieldError,
    InvalidInput,
    InvalidTransition,
    NotFound,
    SlotTaken,
    SlotUnavailable,
    SlotwireError,
)
from app.core.times import parse_instant
from app.faces.mcp.tool import NextCall

_WEEK = timedelta(days=6)
# what the domain calls otherwise than the tools do
_WORDS = {"requested_time": "start_time", "bookable_id": "resource", "event_type_id": "event_type"}


def in_words_of_agents(error: InvalidInput) -> InvalidInput:
    """The same with the names of the tools' arguments."""
    errors = [FieldError(_word(each.field), each.code, each.message) for each in error.errors]
    detail = error.detail
    for before, after in zip(error.errors, errors, strict=True):
        detail = detail.replace(f"{before.field}:", f"{after.field}:", 1) if before.field else detail
    return InvalidInput(detail, code=error.error_code, errors=errors)


def _word(field: str) -> str:
    first, dot, rest = field.partition(".")
    if first == "attendee" and rest:
        return f"attendee_{rest}" if rest != "timezone" else rest
    return _WORDS.get(first, first) + dot + rest


def next_call(error: SlotwireError, tool: str, arguments: Mapping[str, Any]) -> NextCall | None:
    """tool, arguments: the call that was refused. None where nothing but another call of one's own helps."""
    if isinstance(error, SlotTaken | SlotUnavailable):
        return _open_times(error, tool, arguments)
    if isinstance(error, InvalidTransition) and "booking" in arguments:
        return {"tool": "get_booking", "arguments": {"booking": arguments["booking"]}}
    listing = _listing(error, arguments)
    return {"tool": listing, "arguments": {}} if listing else None


def _listing(error: SlotwireError, arguments: Mapping[str, Any]) -> str | None:
    """The tool that lists what the call named wrongly."""
    lost = isinstance(error, NotFound)
    if error.error_code == "event_type_not_found" or _is_about(error, "answers", "service_id", "host_id", "duration"):
        return "list_event_types"
    if _is_about(error, "location"):
        return "list_locations"
    if _is_about(error, "resource") or (lost and "resource" in arguments):
        return "list_resources"
    return "list_bookings" if lost else None


def _open_times(error: SlotwireError, tool: str, arguments: Mapping[str, Any]) -> NextCall | None:
    if tool == "book_resource":
        wanted = {name: arguments[name] for name in ("starts_at", "ends_at") if name in arguments}
        return {"tool": "check_availability", "arguments": wanted}
    event_type = error.extra.get("event_type") or arguments.get("event_type")
    if not event_type:
        return None
    day = parse_instant(arguments["start_time"]).date()
    asked = {"event_type": event_type, "start": day.isoformat(), "end": (day + _WEEK).isoformat()}
    if arguments.get("timezone"):
        asked["timezone"] = arguments["timezone"]
    return {"tool": "list_slots", "arguments": asked}


def _is_about(error: SlotwireError, *fields: str) -> bool:
    named = error.errors if isinstance(error, InvalidInput) else ()
    return any(each.field.partition(".")[0] in fields for each in named)
