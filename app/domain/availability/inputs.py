"""Everything that one availability question needs, in one round trip, whatever the number of hosts.

The one rule: what comes back is numbers. Busy time is fetched as epoch seconds (a thousand `tstzrange` values take
eight times as long), the hours as the text that a schedule is parsed from once and then remembered.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID

import orjson

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound, Unauthorized
from app.domain.availability.slots import Interval
from app.domain.availability.windows import Hours, parse_hours
from app.domain.identity.models import KEY_ENDED, Caller

SQL = sql.load("availability")


@dataclass(frozen=True, slots=True)
class Rules:
    """The event type's part of a decision. Durations in minutes, as they are configured."""

    event_type_id: UUID
    code: str
    title: str
    active: bool
    duration_minutes: int
    durations_minutes: tuple[int, ...]
    longest_minutes: int
    slot_interval_minutes: int | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    minimum_notice_minutes: int
    booking_window_days: int | None
    requires_confirmation: bool
    auto_complete: bool
    location: dict[str, object] | None
    config_version: int


@dataclass(frozen=True, slots=True)
class Host:
    """One host's part: hours (None: no schedule, so never open) and busy intervals in epoch seconds, unsorted."""

    user_id: UUID
    subject_no: int
    name: str
    hours: Hours | None
    # what the hours were parsed from: as good a key as the hours, and it can be hashed
    wording: tuple[object, ...]
    schedule_id: UUID | None
    schedule_version: int | None
    busy_starts: tuple[int, ...]
    busy_ends: tuple[int, ...]

    @property
    def busy(self) -> tuple[Interval, ...]:
        return tuple(zip(self.busy_starts, self.busy_ends, strict=True))


@dataclass(frozen=True, slots=True)
class Inputs:
    rules: Rules
    hosts: tuple[Host, ...]


async def load_inputs(
    conn: Connection,
    caller: Caller,
    event_type: UUID | str,
    start: datetime,
    end: datetime,
    *,
    busy: bool,
    now: datetime,
) -> Inputs:
    """The inputs for starts in [start, end) of an event type, named by its id or its code.

    Busy time, where it is asked for, is what is held by bookings, live holds and calendars around the range, buffers
    and the longest duration added. Raises NotFound `event_type_not_found`, and Unauthorized when the caller's key has
    ended: the same round trip proves the key, see `app.web.routing`.
    """
    by_id = event_type if isinstance(event_type, UUID) else None
    by_code = event_type if isinstance(event_type, str) else None
    rows = await conn.fetch(SQL.load_inputs, caller.org_id, by_id, by_code, start, end, now, caller.key_id, busy)
    if not rows:
        raise NotFound("No such event type in this organization.", code="event_type_not_found")
    if not rows[0]["key_alive"]:
        raise Unauthorized(KEY_ENDED)
    return Inputs(_rules(rows[0]), tuple(_host(row) for row in rows if row["user_id"] is not None))


_COLUMNS = tuple(name for name in Rules.__dataclass_fields__ if name != "durations_minutes")


def _rules(row: sql.Row) -> Rules:
    return Rules(durations_minutes=tuple(row["durations_minutes"]), **{name: row[name] for name in _COLUMNS})


def _host(row: sql.Row) -> Host:
    wording = (row["weekly"], row["overrides"], row["timezone"], row["valid_from"], row["valid_until"])
    return Host(
        user_id=row["user_id"],
        subject_no=row["subject_no"],
        name=row["host_name"],
        hours=None if row["weekly"] is None else _hours(*wording),
        wording=wording,
        schedule_id=row["schedule_id"],
        schedule_version=row["schedule_version"],
        busy_starts=tuple(row["busy_starts"] or ()),
        busy_ends=tuple(row["busy_ends"] or ()),
    )


@lru_cache(maxsize=4096)
def _hours(weekly: str, overrides: str, zone: str, valid_from: date | None, valid_until: date | None) -> Hours:
    """Parsed once per wording: the text itself is the key, so an edited schedule can never be served stale."""
    return parse_hours(orjson.loads(weekly), orjson.loads(overrides), zone, valid_from, valid_until)
