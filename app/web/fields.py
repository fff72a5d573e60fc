"""The kinds of values that wire models are made of, each refusing what the domain could not bear.

The one rule: strings have bounds, times have offsets, zones and ids are real. Nothing is coerced: `"30"` is not 30.
"""

import re
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from app.core.emails import is_email
from app.core.ids import Kind, decode
from app.core.times import is_zone, parse_instant

_DATE = re.compile(r"\d{4}-\d\d-\d\d", flags=re.ASCII)
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


def _refuse(message: str) -> Any:
    raise ValueError(message)


def _id_of(kind: Kind) -> BeforeValidator:
    def read(value: Any) -> UUID:
        found = decode(kind, value) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"expected an id such as {kind.value}_01h2xcejqtf2nbrexx3vqjhp41")
        return found

    return BeforeValidator(read)


Instant = Annotated[datetime, BeforeValidator(_instant)]
ZoneName = Annotated[str, StringConstraints(max_length=64), AfterValidator(_zone)]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254), AfterValidator(_email)]
Day = Annotated[date, BeforeValidator(parse_day)]
WallTime = Annotated[str, AfterValidator(_wall_time)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=5000)]
Phone = Annotated[str, StringConstraints(min_length=3, max_length=50)]
Handle = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
# Free JSON: names are kept as they are, since two may differ by a space.
JsonObject = dict[Annotated[str, StringConstraints(strip_whitespace=False)], Any]

UserId = Annotated[UUID, _id_of(Kind.USER)]
ScheduleId = Annotated[UUID, _id_of(Kind.SCHEDULE)]
LocationId = Annotated[UUID, _id_of(Kind.LOCATION)]
ResourceId = Annotated[UUID, _id_of(Kind.RESOURCE)]
TeamId = Annotated[UUID, _id_of(Kind.TEAM)]
