"""The kinds of values that wire models are made of, each refusing what the domain could not bear.

The one rule: strings have bounds, times have offsets, zones and ids are real. Nothing is coerced: `"30"` is not 30.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.core.emails import is_email
from app.core.ids import Kind, decode
from app.core.shown import MAIL_PATTERN, Looks, id_pattern
from app.core.times import EARLIEST, LATEST, is_zone, parse_instant

_DIGITS = re.compile(r"0|[1-9]\d{0,9}", flags=re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", flags=re.ASCII)
# control characters, line and paragraph separators, and what changes the direction of writing
_UNSEEN = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
_NOT_A_NAME = re.compile(f"[{_UNSEEN}]")
_WALL_TIME = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00", flags=re.ASCII)


class WireModel(BaseModel):
    """What comes in: unknown fields are refused, types are taken as they stand."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_strip_whitespace=True)


class QueryModel(BaseModel):
    """What comes in a query string, where everything is text: numbers and booleans are read from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _instant(value: Any) -> Any:
    return parse_instant(value) if isinstance(value, str) else _refuse("expected an ISO 8601 time as a string")


def _zone(value: str) -> str:
    if not is_zone(value):
        _refuse("is not an IANA time zone, such as Europe/Berlin")
    return value


def _email(value: str) -> str:
    if not is_email(value):
        _refuse("is not an e-mail address")
    return value


def parse_day(value: Any) -> date:
    """A date as `2026-12-24`. Raises ValueError for every other way to write one."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("expected a date such as 2026-12-24")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None


def parse_moment(value: Any) -> date | datetime:
    """A local date, or an instant (which is a date too, to Python: ask for datetime first). Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("expected an ISO 8601 date or time as a string")
    try:
        found: date | datetime = parse_day(value) if _DATE.fullmatch(value) else parse_instant(value)
    except ValueError as error:
        wanted = f"{error}; or a date such as 2026-05-01" if "offset" in str(error) else str(error)
        raise ValueError(wanted + (" (a + is written %2B in a URL)" if " " in value else "")) from None
    if not EARLIEST.date() < (found.date() if isinstance(found, datetime) else found) < LATEST.date():
        raise ValueError("expected a time between 1970 and 2200")
    return found


def _one_line(value: Any) -> Any:
    """A name ends up in a mail's subject, in a calendar and on a page: no line breaks, nothing that turns the text that
    follows it around."""
    if isinstance(value, str) and _NOT_A_NAME.search(value):
        _refuse("must be one line of visible characters")
    return value


def _wall_time(value: str) -> str:
    if not _WALL_TIME.fullmatch(value):
        _refuse("expected a time of day from 00:00 to 24:00, such as 09:00")
    return value


def refusal(field: str, message: str, code: str = "invalid_value") -> PydanticCustomError:
    """For rules about several fields of a model: raise it, and the answer names the field."""
    return PydanticCustomError(code, "{message}", {"field": field, "message": message})


def missing(*fields: str) -> PydanticCustomError:
    """For fields that are required only by what else is given, or is not."""
    return PydanticCustomError("missing", "is required", {"fields": fields})


def refuse_nulls(model: BaseModel, names: Iterable[str]) -> None:
    """For fields that may be left out and not be null. Raises the refusal of the first one that is."""
    for name in names:
        if name in model.model_fields_set and getattr(model, name) is None:
            raise refusal(name, "must not be null")


def stating(
    *, never_null: Iterable[str] = (), needs: Iterable[Sequence[Sequence[str]]] = ()
) -> Callable[[dict[str, Any]], None]:
    """A model's rules about several fields, for its schema, which no validator of ours tells: what may be left out
    but not be null, and groups of fields of which each time one must be given whole."""

    def state(schema: dict[str, Any]) -> None:
        for name in never_null:
            options = [each for each in schema["properties"][name].pop("anyOf") if each != {"type": "null"}]
            del schema["properties"][name]["default"]
            schema["properties"][name] |= options[0]
        groups = [
            {"anyOf": [{"title": f"with {' and '.join(fields)}", "required": list(fields)} for fields in each]}
            for each in needs
        ]
        if groups:
            schema["allOf"] = groups

    return state


def _digits(value: Any) -> Any:
    """A query's text as JSON would write the number: no sign, no underscore, no fraction."""
    return value if not isinstance(value, str) or _DIGITS.fullmatch(value) else _refuse("must be a whole number")


def _flag(value: Any) -> Any:
    return value if value in {"true", "false", True, False} else _refuse("must be true or false")


def _refuse(message: str) -> Any:
    raise ValueError(message)


def _id_of(kind: Kind) -> BeforeValidator:
    def read(value: Any) -> UUID:
        found = decode(kind, value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"expected an id such as {kind.value}_01h2xcejqtf2nbrexx3vqjhp41")
        return found

    return BeforeValidator(read)


def _id_schema(kind: Kind) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": id_pattern(kind)})


# What a validator of ours asks for, JSON Schema is told beside it.
Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
ZoneName = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone), Looks({"format": "iana-time-zone"})]
Email = Annotated[
    str, StringConstraints(min_length=3, max_length=254), AfterValidator(_email), Looks({"pattern": MAIL_PATTERN})
]
Moment = Annotated[date | datetime, BeforeValidator(parse_moment)]
Day = Annotated[date, BeforeValidator(parse_day), WithJsonSchema({"type": "string", "format": "date"})]
WallTime = Annotated[str, AfterValidator(_wall_time), Looks({"pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"})]
# a text of nothing but spaces is an empty one
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    BeforeValidator(_one_line),
    Looks({"pattern": f"^[^{_UNSEEN}]*[^{_UNSEEN}\\s][^{_UNSEEN}]*$"}),
]
Text = Annotated[str, StringConstraints(max_length=5000)]
Phone = Annotated[str, StringConstraints(min_length=3, max_length=50)]
# as it was typed: spaces at its ends are a part of it
Password = Annotated[str, StringConstraints(strip_whitespace=False, min_length=10, max_length=200)]
Handle = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
# Of queries, where everything is text.
AskedNumber = Annotated[int, BeforeValidator(_digits)]
AskedFlag = Annotated[bool, BeforeValidator(_flag)]
# Free JSON: names are kept as they are, since two may differ by a space.
JsonObject = dict[Annotated[str, StringConstraints(strip_whitespace=False)], Any]

UserId = Annotated[UUID, _id_of(Kind.USER), _id_schema(Kind.USER)]
EventTypeId = Annotated[UUID, _id_of(Kind.EVENT_TYPE), _id_schema(Kind.EVENT_TYPE)]
BookingId = Annotated[UUID, _id_of(Kind.BOOKING), _id_schema(Kind.BOOKING)]
ScheduleId = Annotated[UUID, _id_of(Kind.SCHEDULE), _id_schema(Kind.SCHEDULE)]
LocationId = Annotated[UUID, _id_of(Kind.LOCATION), _id_schema(Kind.LOCATION)]
ResourceId = Annotated[UUID, _id_of(Kind.RESOURCE), _id_schema(Kind.RESOURCE)]
TeamId = Annotated[UUID, _id_of(Kind.TEAM), _id_schema(Kind.TEAM)]
WebhookId = Annotated[UUID, _id_of(Kind.WEBHOOK), _id_schema(Kind.WEBHOOK)]
