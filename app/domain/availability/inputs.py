"""Everything that one availability question needs, in one round trip, whatever the number of hosts.

The one rule: what comes back is numbers. Busy time is fetched as epoch seconds (a thousand `tstzrange` values take
eight times as long), the hours as the text that a schedule is parsed from once and then remembered.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound, Unauthorized
from app.domain.availability.caps import Caps, Period
from app.domain.availability.slots import Interval
from app.domain.availability.windows import Hours, always_open, parse_hours
from app.domain.identity.models import KEY_ENDED, Caller

SQL = sql.load("availability")

FIXED, ROUND_ROBIN, COLLECTIVE = "fixed", "round_robin", "collective"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A thing that is needed besides people: any unit of this kind, for at least so many, at that place if one is
    named."""

    kind: str
    min_capacity: int
    location_id: UUID | None


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
    caps: Caps
    seats: int
    requires_confirmation: bool
    auto_complete: bool
    assignment: str
    questions: tuple[dict[str, Any], ...]
    routing_rules: tuple[dict[str, Any], ...]
    services: tuple[dict[str, Any], ...]
    requires: tuple[Requirement, ...]
    location: dict[str, Any] | None
    config_version: int

    @property
    def needs_only_a_host(self) -> bool:
        """Whether one host's free time is all that a start needs: then one constraint decides, and the decision may
        leave it to that."""
        return self.assignment == FIXED and self.seats == 1 and not self.caps and not self.requires


@dataclass(frozen=True, slots=True)
class Host:
    """One host's part: hours (None: no schedule, so never open) and what takes their time, unsorted, in epoch
    seconds. held: by bookings, buffers included. busy: by their calendars, or for all that is known. unsure: a calendar
    was not read lately, and its owner takes bookings all the same. full: the periods whose caps are reached.
    """

    user_id: UUID
    subject_no: int
    name: str
    hours: Hours | None
    # what the hours were parsed from: as good a key as the hours, and it can be hashed
    wording: tuple[object, ...]
    schedule_id: UUID | None
    schedule_version: int | None
    held: tuple[Interval, ...]
    busy: tuple[Interval, ...]
    full: tuple[Period, ...]
    weight: int
    priority: int
    assigned_count: int
    last_assigned_at: datetime | None
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """One of so many alike of a resource: when it is open, and what holds it (epoch seconds, buffers included)."""

    resource_id: UUID
    name: str
    unit_no: int
    subject_no: int
    kind: str
    capacity: int
    location_id: UUID
    hours: Hours
    wording: tuple[object, ...]
    schedule_id: UUID | None
    schedule_version: int | None
    held: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Sitting:
    """One start of a seated event type that somebody has booked: epoch seconds, seats taken (one at least), who and
    what it holds. Seats of holds that are over do not count; `ended` names those."""

    start: int
    end: int
    taken: int
    host_ids: tuple[UUID, ...]
    units: str
    ended: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """expired: allocations of holds that are over, which count as free here and have to be ended before a claim; ended:
    such holds themselves, where they stand in a cap."""

    rules: Rules
    hosts: tuple[Host, ...]
    units: tuple[Unit, ...]
    sittings: Mapping[int, Sitting]
    expired: tuple[UUID, ...]
    ended: tuple[UUID, ...] = ()


async def load_inputs(
    conn: Connection,
    caller: Caller,
    event_type: UUID | str,
    start: datetime,
    end: datetime,
    minutes: int = 0,
    *,
    busy: bool,
    now: datetime,
) -> Inputs:
    """The inputs for starts in [start, end) of an event type, named by its id or its code. minutes: how long a booking
    may be that is longer than any on offer.

    Busy time, where it is asked for, is what is held by bookings, live holds and calendars around the range, buffers
    and the longest duration added. Raises NotFound `event_type_not_found`, and Unauthorized when the caller's key has
    ended: the same round trip proves the key, see `app.web.routing`.
    """
    by_id = event_type if isinstance(event_type, UUID) else None
    by_code = event_type if isinstance(event_type, str) else None
    about = (caller.org_id, by_id, by_code, start, end, now, caller.key_id, busy, minutes)
    rows = await conn.fetch(SQL.load_inputs, *about)
    if not rows:
        raise NotFound("No such event type in this organization.", code="event_type_not_found")
    first = rows[0]
    if not first["key_alive"]:
        raise Unauthorized(KEY_ENDED)
    full = _full_periods(first)
    sittings = (_sitting(row) for row in first["sittings"] or ())
    return Inputs(
        _rules(first),
        tuple(_host(row, full.get(row["id"], ())) for row in rows if row["part"] == 0),
        tuple(unit_of(row) for row in rows if row["part"] == 1),
        {sitting.start: sitting for sitting in sittings},
        tuple(allocation for row in rows for allocation in row["expired"] or ()),
        tuple(hold[0] for hold in first["ended_holds"] or ()),
    )


def _caps(row: sql.Row) -> Caps:
    return Caps(row["max_per_day"], row["max_per_week"], row["max_per_month"])


def _full_periods(row: sql.Row) -> dict[UUID, tuple[Period, ...]]:
    """By host, the periods whose caps are reached. Holds that are over do not count; nor does a session all of whose
    seats are such holds."""
    limits = _caps(row).limits
    ended = row["ended_holds"] or ()
    of_session = Counter(sitting_id for _, sitting_id, _, _ in ended)
    over: Counter[tuple[str, str, str]] = Counter()
    seen = set()
    for _, sitting_id, taken, counters in ended:
        if sitting_id is None or (taken == of_session[sitting_id] and sitting_id not in seen):
            over.update((user_id, period, since) for user_id, period, since in orjson.loads(counters))
        seen.add(sitting_id)
    full: dict[UUID, tuple[Period, ...]] = {}
    for user_id, period, since, taken in row["full_periods"] or ():
        limit = limits[period]
        if limit is not None and taken - over[str(user_id), period, since.isoformat()] >= limit:
            full[user_id] = (*full.get(user_id, ()), (period, since))
    return full


_PLAIN = (
    "event_type_id code title active duration_minutes longest_minutes slot_interval_minutes buffer_before_minutes "
    "buffer_after_minutes minimum_notice_minutes booking_window_days seats requires_confirmation auto_complete "
    "assignment config_version"
).split()


def _rules(row: sql.Row) -> Rules:
    return Rules(
        durations_minutes=tuple(row["durations_minutes"]),
        caps=_caps(row),
        questions=_list(row["questions"]),
        routing_rules=_list(row["routing_rules"]),
        services=_list(row["services"]),
        requires=_requirements(row["requires"]),
        location=None if row["location"] is None else orjson.loads(row["location"]),
        **{name: row[name] for name in _PLAIN},
    )


def _host(row: sql.Row, full: tuple[Period, ...]) -> Host:
    wording = _wording(row)
    return Host(
        user_id=row["id"],
        subject_no=row["subject_no"],
        name=row["name"],
        hours=None if row["weekly"] is None else hours_of(*wording),
        wording=wording,
        schedule_id=row["schedule_id"],
        schedule_version=row["schedule_version"],
        held=_intervals(row["held_starts"], row["held_ends"]),
        busy=_busy(row),
        unsure=bool(row["unsure"]),
        full=full,
        weight=row["weight"],
        priority=row["priority"],
        assigned_count=row["assigned_count"],
        last_assigned_at=row["last_assigned_at"],
    )


def unit_of(row: sql.Row) -> Unit:
    wording = _wording(row)
    return Unit(
        resource_id=row["id"],
        name=row["name"],
        unit_no=row["no"],
        subject_no=row["subject_no"],
        kind=row["kind"],
        capacity=row["capacity"],
        location_id=row["location_id"],
        hours=always_open(row["location_zone"]) if row["weekly"] is None else hours_of(*wording),
        wording=(row["location_zone"], *wording),
        schedule_id=row["schedule_id"],
        schedule_version=row["schedule_version"],
        held=_intervals(row["held_starts"], row["held_ends"]),
    )


def _sitting(row: sql.Row) -> Sitting:
    start, end, taken, host_ids, units, ended = row
    return Sitting(start, end, taken, tuple(host_ids), units, tuple(ended or ()))


def _intervals(starts: list[int] | None, ends: list[int] | None) -> tuple[Interval, ...]:
    return tuple(zip(starts or (), ends or (), strict=True))


def _busy(row: sql.Row) -> tuple[Interval, ...]:
    known = _intervals(row["busy_starts"], row["busy_ends"])
    return known if row["unknown_since"] is None else (*known, (row["unknown_since"], row["unknown_until"]))


def _wording(row: sql.Row) -> tuple[Any, ...]:
    return (row["weekly"], row["overrides"], row["timezone"], row["valid_from"], row["valid_until"])


@lru_cache(maxsize=4096)
def hours_of(weekly: str, overrides: str, zone: str, valid_from: date | None, valid_until: date | None) -> Hours:
    """Parsed once per wording: the text itself is the key, so an edited schedule can never be served stale."""
    return parse_hours(orjson.loads(weekly), orjson.loads(overrides), zone, valid_from, valid_until)


@lru_cache(maxsize=4096)
def _list(text: str) -> tuple[dict[str, Any], ...]:
    """Also once per wording; nobody changes what comes out."""
    return tuple(orjson.loads(text))


@lru_cache(maxsize=1024)
def _requirements(text: str) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(each["kind"], each["min_capacity"], UUID(each["location_id"]) if each["location_id"] else None)
        for each in orjson.loads(text)
    )
