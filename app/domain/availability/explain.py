"""Why a start cannot be booked: its reasons, each with the object that blocks it.

The one rule: no rule is written twice. Each reason is found by asking `open_slots` once more with all other rules taken
away, so that an explanation cannot disagree with the decision.
"""

import dataclasses
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.ids import Kind, encode
from app.core.times import from_epoch
from app.domain.availability.caps import Caps, closed_by
from app.domain.availability.inputs import FIXED, ROUND_ROBIN, Host, Inputs, Sitting
from app.domain.availability.requirements import fitting, share_out
from app.domain.availability.service import Asked, Verdict, bounds, fits, open_slots, pools
from app.domain.availability.slots import Interval, free_runs, within
from app.domain.availability.windows import Hours, day_start, local_date, open_stretches

SQL = sql.load("availability")

Reason = dict[str, Any]
"""{"code", "host_id"?, …the object that blocks}, as the API shows it."""

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Blocker:
    """What takes a subject's time, in epoch seconds. held: with the buffers it was booked with; core: without."""

    subject_no: int
    held: Interval
    core: Interval
    booking_ids: tuple[UUID, ...]
    calendar_id: UUID | None


async def load_blockers(
    conn: Connection, org_id: UUID, inputs: Inputs, start: datetime, end: datetime, now: datetime
) -> list[Blocker]:
    """Who holds the time of these hosts and units around [start, end)."""
    rules = inputs.rules
    subjects = [host.subject_no for host in inputs.hosts] + [unit.subject_no for unit in inputs.units]
    since = start - timedelta(minutes=rules.buffer_before_minutes)
    until = end + timedelta(minutes=rules.longest_minutes + rules.buffer_after_minutes)
    return [
        Blocker(
            row["subject_no"],
            (row["held_from"], row["held_until"]),
            (row["core_from"], row["core_until"]),
            tuple(row["booking_ids"] or ()),
            row["calendar_id"],
        )
        for row in await conn.fetch(SQL.load_blockers, org_id, subjects, since, until, now)
    ]


class Explainer:
    """The reasons of the starts in [start, end), epoch seconds, for what is asked of these inputs."""

    def __init__(
        self,
        inputs: Inputs,
        asked: Asked,
        start: int,
        end: int,
        blockers: Iterable[Blocker],
        verdict: Verdict,
        now: datetime,
    ) -> None:
        self._inputs, self._asked, self._verdict = inputs, asked, verdict
        self._start, self._end = start, end
        self._bounds = bounds(inputs.rules, start, end, now)
        self._pools = pools(inputs, asked.minutes, start, end)
        self._by_subject: dict[int, list[Blocker]] = {}
        for blocker in sorted(blockers, key=attrgetter("held")):
            self._by_subject.setdefault(blocker.subject_no, []).append(blocker)
        lengths = (each.held[1] - each.held[0] for subject in self._by_subject.values() for each in subject)
        self._longest = max(lengths, default=0)
        # whom routing took out of the turn; without a turn nobody else would have come
        candidates = inputs.hosts if inputs.rules.assignment == ROUND_ROBIN else inputs.hosts[: not asked.hosts]
        away = [host for host in candidates if verdict.host_ids is not None and host.user_id not in verdict.host_ids]
        self._away = [_Alone(inputs, asked.minutes, host, start, end) for host in away]
        hosts = asked.hosts[:1] if inputs.rules.assignment == FIXED else asked.hosts
        self._alone = [_Alone(inputs, asked.minutes, host, start, end) for host in hosts]

    def refused(self, free: Iterable[int]) -> list[tuple[int, list[Reason]]]:
        """Every start of the hosts' grids, and every one outside their hours that a grid from midnight has, but the
        free ones: in order, with reasons."""
        everybody = (*self._alone, *self._away)
        grid = {start for alone in everybody for start in alone.grid}
        rules = self._inputs.rules
        interval = (rules.slot_interval_minutes or self._asked.minutes) * 60
        zones = [alone.hours.zone for alone in everybody if alone.hours]
        closed = {
            start
            for start in _from_midnight(zones[0] if zones else "UTC", interval, self._start, self._end)
            if not any(within(alone.runs, start) for alone in everybody)
        }
        return [(start, self.reasons(start)) for start in sorted((grid | closed).difference(free))]

    def reasons(self, start: int) -> list[Reason]:
        """Why a start that is not open is not; the same one is named once."""
        rules, session = self._inputs.rules, self._inputs.sittings.get(start)
        found: list[Reason] = []
        if not rules.active:
            found.append({"code": "inactive"})
        if self._verdict.rejected is not None:
            found.append({"code": "routing", "rule": self._verdict.rule_no, "message": self._verdict.rejected})
        if start < self._bounds[0]:
            found.append({"code": "notice", "minimum_notice_minutes": rules.minimum_notice_minutes})
        if start >= self._bounds[1]:
            found.append({"code": "window", "booking_window_days": rules.booking_window_days})
        of_hosts = [self._of_host(alone, start, session) for alone in self._alone]
        # in a turn whoever is free would do, and then nobody's time is what is missing; a session has its host
        if rules.assignment != ROUND_ROBIN or session is not None or all(of_hosts):
            found += [reason for reasons in of_hosts for reason in reasons]
        for alone in self._away:
            if not self._of_host(alone, start, session):
                host_id = encode(Kind.USER, alone.host.user_id)
                found.append({"code": "routing", "rule": self._verdict.rule_no, "host_id": host_id})
        if session is not None:
            found += self._of_session(session)
        elif rules.requires:
            found += self._of_things(start)
        if not found and self._away:
            return [{"code": "routing", "rule": self._verdict.rule_no}]
        return found or [{"code": "outside_schedule"}]

    def _of_host(self, alone: "_Alone", start: int, session: Sitting | None) -> list[Reason]:
        host_id = encode(Kind.USER, alone.host.user_id)
        if start not in alone.grid:
            return [{"code": alone.closed_by(start), "host_id": host_id, **alone.schedule(start)}]
        found: list[Reason] = []
        if session is None and start not in alone.beside_bookings:
            found += self._bookings(alone.host.subject_no, start, host_id) or [
                {"code": "busy_booking", "host_id": host_id}
            ]
        if start not in alone.beside_calendars:
            ids = dict.fromkeys(
                blocker.calendar_id
                for blocker in self._meeting(alone.host.subject_no, start)
                if blocker.calendar_id is not None
            )
            named = [{"calendar_id": encode(Kind.CALENDAR, each)} for each in ids] or [{}]
            found += [{"code": "busy_calendar", "host_id": host_id, **each} for each in named]
        if session is None:
            found += [{"host_id": host_id, **reason} for reason in alone.caps(start)]
        return found

    def _of_session(self, sitting: Sitting) -> list[Reason]:
        rules = self._inputs.rules
        numbers = {"seats": rules.seats, "taken": sitting.taken}
        if sitting.taken >= rules.seats:
            return [{"code": "seats_full", **numbers}]
        return [] if fits(self._asked, rules, sitting) else [{"code": "busy_booking", **numbers}]

    def _of_things(self, start: int) -> list[Reason]:
        if share_out(self._pools, start) is not None:
            return []
        missing = [number for number, pool in enumerate(self._pools) if not fitting([pool], [start])]
        found: list[Reason] = []
        # each alone could be met, but not all together
        for number in missing or range(len(self._pools)):
            needed = self._inputs.rules.requires[number]
            units = [candidate.unit for candidate in self._pools[number]]
            bookings = [reason for unit in units for reason in self._bookings(unit.subject_no, start, "")]
            found.append(
                {
                    "code": "resource_busy",
                    "kind": needed.kind,
                    "min_capacity": needed.min_capacity,
                    "location_id": needed.location_id and encode(Kind.LOCATION, needed.location_id),
                    "resource_ids": list(dict.fromkeys(encode(Kind.RESOURCE, unit.resource_id) for unit in units)),
                    "booking_ids": list(dict.fromkeys(reason["booking_id"] for reason in bookings)),
                }
            )
        return found

    def _bookings(self, subject_no: int, start: int, host_id: str) -> list[Reason]:
        """The bookings that meet a start there: by themselves, or only by a buffer of theirs or ours."""
        end = start + self._asked.minutes * 60
        found = []
        for blocker in self._meeting(subject_no, start):
            if blocker.calendar_id is None:
                meets = blocker.core[0] < end and blocker.core[1] > start
                for booking_id in blocker.booking_ids:
                    reason = {"code": "busy_booking" if meets else "buffer", "host_id": host_id}
                    found.append({**reason, "booking_id": encode(Kind.BOOKING, booking_id)})
        return found

    def _meeting(self, subject_no: int, start: int) -> list[Blocker]:
        """What shares a second with the period that a booking at `start` would hold."""
        rules = self._inputs.rules
        since = start - rules.buffer_before_minutes * 60
        until = start + (self._asked.minutes + rules.buffer_after_minutes) * 60
        blockers = self._by_subject.get(subject_no, [])
        first = bisect_left(blockers, since - self._longest, key=_begin)
        near = blockers[first : bisect_left(blockers, until, key=_begin)]
        return [blocker for blocker in near if blocker.held[1] > since]


def _begin(blocker: Blocker) -> int:
    return blocker.held[0]


class _Alone:
    """One host's starts with one rule at a time."""

    def __init__(self, inputs: Inputs, minutes: int, host: Host, start: int, end: int) -> None:
        self.host, self.hours = host, host.hours
        rules = dataclasses.replace(
            inputs.rules,
            active=True,
            minimum_notice_minutes=0,
            booking_window_days=None,
            assignment=FIXED,
            requires=(),
            seats=1,
            caps=Caps(),
        )

        def starts(**kept: Any) -> frozenset[int]:
            only = dataclasses.replace(host, **({"held": (), "busy": (), "full": ()} | kept))
            one = dataclasses.replace(inputs, rules=rules, hosts=(only,), units=(), sittings={})
            # long before, so that no start of the range lies behind
            return frozenset(open_slots(one, Asked(minutes, (only,)), start, end, from_epoch(start) - _ONE_DAY).starts)

        self.grid = starts()
        self.beside_bookings = starts(held=host.held) if host.held else self.grid
        self.beside_calendars = starts(busy=host.busy) if host.busy else self.grid
        self._seconds, self._span = minutes * 60, (start, end)

    @cached_property
    def runs(self) -> list[Interval]:
        """The starts that the hours leave room for, whatever the grid."""
        return self._runs(self.hours)

    @cached_property
    def _weekly_runs(self) -> list[Interval]:
        return self._runs(self.hours and dataclasses.replace(self.hours, overrides={}))

    def _runs(self, hours: Hours | None) -> list[Interval]:
        if hours is None:
            return []
        start, end = self._span
        stretches = open_stretches(hours, start, end, longest=self._seconds)
        return free_runs(stretches, (), duration=self._seconds, before=0, after=0, earliest=start, latest=end)

    def closed_by(self, start: int) -> str:
        return "override_closed" if self._overridden(start) else "outside_schedule"

    def schedule(self, start: int) -> Reason:
        """The schedule that is closed then, and the date, where it is that date's override that says so."""
        found: Reason = {"schedule_id": self.host.schedule_id and encode(Kind.SCHEDULE, self.host.schedule_id)}
        if self.hours is not None and self._overridden(start):
            found["date"] = local_date(self.hours.zone, start).isoformat()
        return found

    def _overridden(self, start: int) -> bool:
        """Whether the weekly hours alone would have let a booking in."""
        return not within(self.runs, start) and within(self._weekly_runs, start)

    def caps(self, start: int) -> list[Reason]:
        zone = self.hours.zone if self.hours else "UTC"
        return [
            {"code": f"cap_{period}", "period_start": first.isoformat()}
            for period, first in self.host.full
            if any(since <= start < until for since, until in closed_by([(period, first)], zone))
        ]


def _from_midnight(zone: str, interval: int, start: int, end: int) -> Sequence[int]:
    """Starts of a grid that begins anew with each local date."""
    day, found = local_date(zone, start), []
    while (begins := day_start(zone, day)) < end:
        ends = day_start(zone, day + _ONE_DAY)
        found += [each for each in range(begins, ends, interval) if start <= each < end]
        day += _ONE_DAY
    return found
