"""Whole situations of the availability engine: an event type, its hosts and things, what holds them, and a question.

Everything lies on five minutes, which is as far as the oracle looks; what holds somebody's time may lie anywhere.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from app.domain.availability.caps import PERIODS, first_date
from app.domain.availability.inputs import (
    COLLECTIVE,
    FIXED,
    ROUND_ROBIN,
    Host,
    Inputs,
    Requirement,
    Rules,
    Sitting,
    Unit,
)
from app.domain.availability.windows import Hours
from tests.unit.engine import NINE_TO_FIVE, host_of, rules_of, unit_of
from tests.unit.hours import CHANGES, DAY, FIVES, Walked, walk, windows

STEP = 5
HERE, THERE = UUID(int=0xA1), UUID(int=0xA2)
SERVICES = ({"id": "cut", "duration_minutes": 20}, {"id": "colour", "duration_minutes": 75})

# (zone, a date around which its wall clocks jump, or a usual one)
DAYS = [
    (zone, date.fromisoformat(day))
    for zone, days in sorted(CHANGES.items())
    for day in days.split()
    if "2026" <= day < "2028"
] + [("Etc/UTC", date(2026, 12, 31)), ("Asia/Kathmandu", date(2027, 2, 28))]

WEEKS = [
    (NINE_TO_FIVE,) * 7,
    (((0, 1_440),),) * 7,
    (((540, 720), (780, 1_080)),) * 7,
    (((0, 360), (1_320, 1_440)),) * 7,
    (NINE_TO_FIVE,) * 5 + ((), ()),
    (((485, 1_145),),) * 7,
]


@dataclass(frozen=True)
class Taken:
    """What takes a subject's time: a booking or session with the buffers that it was made with, or a busy block.

    session: the start of the session that it is held for.
    """

    subject_no: int
    start: int
    end: int
    before: int = 0
    after: int = 0
    booking_id: UUID | None = None
    calendar_id: UUID | None = None
    session: int | None = None

    @property
    def held(self) -> tuple[int, int]:
        return (self.start - self.before, self.end + self.after)


@dataclass(frozen=True)
class World:
    """asking: what `ask` is given."""

    inputs: Inputs
    asking: dict[str, Any]
    start: int
    end: int
    now: datetime
    taken: tuple[Taken, ...]


@dataclass(frozen=True)
class Scene:
    """What all parts of a situation are drawn around."""

    zone: str
    day: date
    start: int
    end: int
    rules: Rules
    minutes: int
    starts: Sequence[int] = ()

    def instants(self) -> st.SearchStrategy[int]:
        """Mostly starts that some host has."""
        anywhere = st.integers(self.start - DAY // 2, self.end + DAY // 2)
        return st.sampled_from(self.starts) | st.sampled_from(self.starts) | anywhere if self.starts else anywhere


def seldom(draw: st.DrawFn, one_in: int = 8) -> bool:
    return draw(st.integers(1, one_in)) == one_in


@st.composite
def worlds(draw: st.DrawFn) -> World:
    zone, change = draw(st.sampled_from(DAYS))
    day = change + timedelta(days=draw(st.integers(-1, 1)))
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    start = midnight + draw(st.integers(-24, 24)) * 1_800 + draw(st.sampled_from([0, 0, 0, 1, 299, 300]))
    end = start + draw(st.integers(12, 96)) * 1_800
    rules, asking, minutes = _rules(draw)
    scene = Scene(zone, day, start, end, rules, minutes)
    hosts = _hosts(draw, scene)
    scene = replace(scene, starts=_starts_of(scene, hosts))
    units = _units(draw, scene) if rules.requires else []
    sittings, held = _sessions(draw, scene, hosts, units) if rules.seats > 1 else ({}, [])
    held += _bookings(draw, scene, [*hosts, *hosts, *units], held)
    taken = (*held, *_blocks(draw, scene, hosts))
    inputs = Inputs(
        rules,
        tuple(_with_time_taken(draw, scene, host, taken) for host in hosts),
        tuple(replace(unit, held=_held(taken, unit.subject_no)) for unit in units),
        sittings,
        (),
    )
    return World(inputs, asking | _who(draw, hosts), start, end, _now(draw, scene), taken)


def _rules(draw: st.DrawFn) -> tuple[Rules, dict[str, Any], int]:
    """With how the duration is asked for, and what that comes to in minutes."""
    lengths = draw(st.lists(st.sampled_from([30, 15, 45, 60, 90, 180]), min_size=1, max_size=2, unique=True))
    asked = draw(st.sampled_from([None, None, *lengths]))
    service = draw(st.sampled_from([None, None, None, *SERVICES])) if asked is None else None
    buffers = st.sampled_from([0, 0, 5, 10, 15, 60])
    needs = st.builds(Requirement, st.sampled_from(["room", "room", "beamer"]), st.integers(1, 2), _PLACES)
    rules = rules_of(
        active=not seldom(draw, 16),
        duration_minutes=lengths[0],
        durations_minutes=tuple(lengths),
        longest_minutes=max(*lengths, 75),
        slot_interval_minutes=draw(st.sampled_from([None, None, 5, 15, 20, 30, 60, 100])),
        buffer_before_minutes=draw(buffers),
        buffer_after_minutes=draw(buffers),
        minimum_notice_minutes=draw(st.sampled_from([0, 0, 1, 60, 240, 1_440])),
        booking_window_days=draw(st.sampled_from([None, None, 1, 2, 60])),
        seats=draw(st.sampled_from([1, 1, 2, 3])),
        assignment=draw(st.sampled_from([FIXED, ROUND_ROBIN, ROUND_ROBIN, COLLECTIVE])),
        services=SERVICES,
        requires=tuple(draw(st.lists(needs, max_size=2))) if seldom(draw, 3) else (),
    )
    if service is not None:
        return rules, {"service_id": service["id"]}, int(str(service["duration_minutes"]))
    return rules, {"duration": asked}, asked or lengths[0]


_PLACES = st.sampled_from([None, HERE])


def _hosts(draw: st.DrawFn, scene: Scene) -> list[Host]:
    """One to three, each with hours of their own, or all with the same: then a group has starts in common."""
    numbers = range(1, draw(st.sampled_from([1, 2, 2, 3, 3])) + 1)
    if seldom(draw, 3 if scene.rules.assignment != COLLECTIVE else 1):
        hours = _hours(draw, scene)
        return [host_of(no, hours=hours if not seldom(draw, 6) else _hours(draw, scene)) for no in numbers]
    return [host_of(no, hours=_hours(draw, scene)) for no in numbers]


def _hours(draw: st.DrawFn, scene: Scene) -> Hours | None:
    if seldom(draw, 24):
        return None
    zone = draw(st.sampled_from(DAYS))[0] if seldom(draw, 4) else scene.zone
    week = draw(st.sampled_from(WEEKS)) if not seldom(draw, 4) else (windows(draw, FIVES),) * 7
    near = st.integers(-1, 2)
    changed = draw(st.sets(near, max_size=2)) if seldom(draw, 2) else ()
    overrides = {scene.day + timedelta(days=n): windows(draw, FIVES) for n in sorted(changed)}
    bounds = [scene.day + timedelta(days=draw(near)) if seldom(draw, 16) else None for _ in range(2)]
    return Hours(zone, week, overrides, *bounds)


def _starts_of(scene: Scene, hosts: Sequence[Host]) -> list[int]:
    interval = scene.rules.slot_interval_minutes or scene.minutes
    found: set[int] = set()
    for hours in {id(host.hours): host.hours for host in hosts if host.hours}.values():
        walls = walk(hours.zone, scene.start, scene.end, STEP, 2, 1)
        found.update(Walked(hours, walls, STEP).starts(scene.start, scene.end, scene.minutes, interval))
    return sorted(found)


def _units(draw: st.DrawFn, scene: Scene) -> list[Unit]:
    return [
        unit_of(
            no,
            resource_id=UUID(int=no // 2),
            unit_no=1 + no % 2,
            kind=draw(st.sampled_from(["room", "beamer"])),
            capacity=draw(st.integers(1, 3)),
            location_id=draw(st.sampled_from([HERE, THERE])),
            hours=(_hours(draw, scene) if seldom(draw, 4) else None) or Hours(scene.zone, WEEKS[1]),
        )
        for no in range(100, 100 + draw(st.integers(1, 4)))
    ]


def _sessions(
    draw: st.DrawFn, scene: Scene, hosts: Sequence[Host], units: Sequence[Unit]
) -> tuple[dict[int, Sitting], list[Taken]]:
    """Sessions that somebody booked: of the asked length or another, with room or without."""
    rules, found = scene.rules, {}
    held: list[Taken] = []
    before, after = 60 * rules.buffer_before_minutes, 60 * rules.buffer_after_minutes
    for start in dict.fromkeys(draw(st.lists(scene.instants(), min_size=1, max_size=4))):
        end = start + 60 * (scene.minutes if not seldom(draw, 6) else draw(st.sampled_from([10, 30, 60])))
        taken = draw(st.integers(1, rules.seats))
        if rules.assignment == COLLECTIVE:
            there = list(hosts)[seldom(draw, 3) :] or list(hosts)
        else:
            there = [hosts[0] if rules.assignment == FIXED and not seldom(draw, 4) else draw(st.sampled_from(hosts))]
        things = draw(st.lists(st.sampled_from(units), max_size=2, unique_by=id)) if units else []
        subjects = [each.subject_no for each in there] + [each.subject_no for each in things]
        its = [Taken(number, start, end, before, after, UUID(int=start), session=start) for number in subjects]
        if _fit(held, its):
            held += its
            kept = [{"resource_id": str(unit.resource_id), "subject_no": unit.subject_no} for unit in things]
            who = tuple(host.user_id for host in there)
            found[start] = Sitting(start, end, taken, who, json.dumps(kept), ())
    return found, held


def _bookings(draw: st.DrawFn, scene: Scene, subjects: Sequence[Host | Unit], held: Sequence[Taken]) -> list[Taken]:
    """Of this event type or of others, with buffers of their own."""
    found: list[Taken] = []
    for number in range(draw(st.integers(0, 5))):
        subject, start = draw(st.sampled_from(subjects)), draw(scene.instants())
        size = draw(st.sampled_from([scene.minutes, 5, 30, 60, 240])) * 60 - draw(st.sampled_from([0, 0, 0, 1]))
        before, after = 60 * scene.rules.buffer_before_minutes, 60 * scene.rules.buffer_after_minutes
        if seldom(draw, 2):
            before, after = (draw(st.sampled_from([0, 300, 1_800])) for _ in range(2))
        booking = Taken(subject.subject_no, start, start + size, before, after, UUID(int=0xB00 + number))
        if _fit([*held, *found], [booking]):
            found.append(booking)
    return found


def _fit(held: Sequence[Taken], more: Sequence[Taken]) -> bool:
    """Whether nobody would be held twice, which the database never lets happen."""
    return not any(
        one.subject_no == other.subject_no and one.held[0] < other.held[1] and other.held[0] < one.held[1]
        for one in held
        for other in more
    )


def _blocks(draw: st.DrawFn, scene: Scene, hosts: Sequence[Host]) -> list[Taken]:
    """Busy blocks of the hosts' calendars."""
    blocks = st.tuples(st.sampled_from(hosts), scene.instants(), st.sampled_from([1, 600, 3_600, DAY // 2]))
    return [
        Taken(host.subject_no, at, at + size, calendar_id=UUID(int=0xC00 + number))
        for number, (host, at, size) in enumerate(draw(st.lists(blocks, max_size=3)))
    ]


def _with_time_taken(draw: st.DrawFn, scene: Scene, host: Host, taken: Sequence[Taken]) -> Host:
    busy = tuple(each.held for each in taken if each.subject_no == host.subject_no and each.calendar_id)
    near = st.tuples(st.sampled_from(PERIODS), st.integers(-2, 3))
    full = draw(st.lists(near, max_size=2)) if seldom(draw, 3) else []
    periods = {(period, first_date(period, scene.day + timedelta(days=n))) for period, n in full}
    return replace(host, held=_held(taken, host.subject_no), busy=busy, full=tuple(sorted(periods)))


def _held(taken: Sequence[Taken], subject_no: int) -> tuple[tuple[int, int], ...]:
    return tuple(each.held for each in taken if each.subject_no == subject_no and not each.calendar_id)


def _who(draw: st.DrawFn, hosts: Sequence[Host]) -> dict[str, Any]:
    """Which hosts are asked for: mostly all."""
    ids = [host.user_id for host in hosts]
    among = frozenset(draw(st.sets(st.sampled_from(ids)))) if seldom(draw, 5) else None
    return {"among": among, "host_id": draw(st.sampled_from(ids)) if seldom(draw, 8) else None}


def _now(draw: st.DrawFn, scene: Scene) -> datetime:
    """Long before, or close enough for notice and window to tell."""
    ago = draw(st.integers(-DAY // 2, 2 * DAY) if seldom(draw, 2) else st.integers(20 * DAY, 59 * DAY))
    if scene.rules.booking_window_days in {1, 2}:
        ago = draw(st.integers(0, 2 * DAY))
    if scene.starts and seldom(draw, 4):
        # to the second when some start can just be had, or just not any more
        edges = [scene.rules.minimum_notice_minutes * 60, (scene.rules.booking_window_days or 0) * DAY]
        ago = scene.start - draw(st.sampled_from(scene.starts)) + draw(st.sampled_from(edges))
    micro = draw(st.sampled_from([0, 0, 1, -1]))
    return datetime.fromtimestamp(scene.start - ago, UTC) + timedelta(microseconds=micro)
