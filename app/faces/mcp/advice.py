"""Which call would help an agent that was refused.

The one rule: it is a call that can be made as it stands, by arguments that are known; whether the key may make it is
asked by who shows it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
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
from app.core.times import LATEST, parse_instant
from app.core.times import zone as rules_of
from app.faces.mcp.tool import NextCall

_SIX_DAYS, _ONE_DAY = timedelta(days=6), timedelta(days=1)
# what the domain calls otherwise than the tools do
_WORDS = {"requested_time": "start_time", "bookable_id": "resource", "event_type_id": "event_type"}
# what decides besides the day which starts are open
_CHOICES = ("duration", "service_id", "host_id", "answers")


class Refused(Exception):
    """A refusal with a way on that only the tool knows."""

    def __init__(self, error: SlotwireError, follow: NextCall) -> None:
        super().__init__(error.detail)
        self.error = error
        self.follow = follow


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
    is_over = isinstance(error, InvalidTransition) and "finish" in arguments
    if isinstance(error, SlotTaken | SlotUnavailable) or is_over:
        return _open_times(tool, arguments)
    if isinstance(error, InvalidTransition) and "booking" in arguments:
        return {"tool": "get_booking", "arguments": {"booking": arguments["booking"]}}
    listing = _listing(error, arguments)
    return {"tool": listing, "arguments": {}} if listing else None


def slots_near(event_type: str, start: datetime, zone: str, choices: Mapping[str, Any] | None = None) -> NextCall:
    """The open starts of a week from the day of a start that cannot be had."""
    day = min(start.astimezone(rules_of(zone)).date(), LATEST.date() - _ONE_DAY)
    last = min(day + _SIX_DAYS, LATEST.date() - _ONE_DAY)
    asked = {"event_type": event_type, "start": day.isoformat(), "end": last.isoformat(), "timezone": zone}
    return {"tool": "list_slots", "arguments": {**asked, **(choices or {})}}


def _open_times(tool: str, arguments: Mapping[str, Any]) -> NextCall | None:
    if tool == "book_resource":
        wanted = {name: arguments[name] for name in ("starts_at", "ends_at")}
        return {"tool": "check_availability", "arguments": wanted}
    if tool != "create_booking":
        return None
    choices = {name: arguments[name] for name in _CHOICES if arguments.get(name)}
    start = parse_instant(arguments["start_time"])
    return slots_near(arguments["event_type"], start, arguments["timezone"], choices)


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


def _is_about(error: SlotwireError, *fields: str) -> bool:
    named = error.errors if isinstance(error, InvalidInput) else ()
    return any(each.field.partition(".")[0] in fields for each in named)
