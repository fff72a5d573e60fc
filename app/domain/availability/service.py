"""Which starts are open, and whether one start is: one function decides both.

The one rule: `open_slots` is the only place where a start is called open. What slots shows is its answer for a range,
and what a booking accepts is its answer for a range of one second (`placements`). What others took between that answer
and the claim is for the database's constraints to find out.
"""

import dataclasses
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.db import Connection
from app.core.errors import InvalidInput, listing
from app.core.ids import Kind, encode
from app.core.times import LATEST, epoch, from_epoch, iso_epoch
from app.domain.availability import slots
from app.domain.availability.caps import closed_by
from app.domain.availability.inputs import COLLECTIVE, FIXED, ROUND_ROBIN, Host, Inputs, Rules, Sitting, load_inputs
from app.domain.availability.requirements import Pool, fitting, pools_of
from app.domain.availability.slots import Interval
from app.domain.availability.windows import pieces
from app.domain.identity.models import Caller

DAY = 86_400
MAXIMUM_RANGE_DAYS = 62
_ALTERNATIVES = 3
_NEAR, _FAR = timedelta(days=4), timedelta(days=31)
_END_OF_TIME = epoch(LATEST)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What routing made of the answers. rejected: the rule's message, where it refuses them. host_ids: who is left;
    None for everybody. rule_no: which rule decided, counted from 0; None when none matched."""

    rejected: str | None = None
    host_ids: frozenset[UUID] | None = None
    rule_no: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, as far as the event type offers it. hosts: whose time counts, in the event type's order."""

    minutes: int
    hosts: tuple[Host, ...]


@dataclass(frozen=True, slots=True)
class OpenSlots:
    """starts: epoch seconds, sorted. lists: per asked host, the starts that the host alone could take."""

    rules: Rules
    asked: Asked
    starts: Sequence[int]
    lists: Sequence[Sequence[int]]

    def hosts_at(self) -> dict[int, int]:
        """By start, which of the asked hosts can take it: one bit each, the first host's the lowest."""
        everybody = (1 << len(self.asked.hosts)) - 1
        if self.rules.assignment != ROUND_ROBIN:
            return dict.fromkeys(self.starts, everybody)
        found = dict.fromkeys(self.starts, 0)
        for number, starts in enumerate(self.lists):
            for start in starts:
                if start in found:
                    found[start] |= 1 << number
        return found


def ask(
    inputs: Inputs,
    *,
    duration: int | None = None,
    service_id: str | None = None,
    host_id: UUID | None = None,
    among: Collection[UUID] | None = None,
) -> Asked:
    """duration: minutes. among: the hosts that routing left, where it decided. Raises InvalidInput for a duration,
    service or host that the event type does not have."""
    minutes = choose_duration(inputs.rules, duration, service_id)
    hosts = inputs.hosts if among is None else tuple(host for host in inputs.hosts if host.user_id in among)
    if host_id is not None and host_id not in {host.user_id for host in inputs.hosts}:
        known = listing(f"{encode(Kind.USER, host.user_id)} ({host.name})" for host in inputs.hosts)
        raise InvalidInput.of("host_id", f"does not host this event type; there are: {known}", "unknown_id")
    if host_id is not None and inputs.rules.assignment != COLLECTIVE:
        hosts = tuple(host for host in hosts if host.user_id == host_id)
    return Asked(minutes, hosts[:1] if inputs.rules.assignment == FIXED else hosts)


def choose_duration(rules: Rules, minutes: int | None, service_id: str | None = None) -> int:
    """The asked duration in minutes, the service's, or the usual one. Raises InvalidInput for what is not offered."""
    if service_id is not None:
        offered = {service["id"]: service["duration_minutes"] for service in rules.services}
        if service_id not in offered:
            known = listing(f"{each['id']} ({each['name']})" for each in rules.services)
            raise InvalidInput.of("service_id", f"there are: {known}", "unknown_id")
        if minutes not in {None, offered[service_id]}:
            raise InvalidInput.of("duration", f"this service takes {offered[service_id]} minutes")
        return int(offered[service_id])
    if minutes is None:
        return rules.duration_minutes
    if minutes not in rules.durations_minutes:
        each = ", ".join(map(str, rules.durations_minutes))
        raise InvalidInput.of("duration", f"this event type is offered for {each} minutes")
    return minutes


async def find_open_slots(
    conn: Connection,
    caller: Caller,
    event_type: UUID | str,
    start: datetime,
    end: datetime,
    *,
    duration: int | None,
    host_id: UUID | None,
    now: datetime,
) -> OpenSlots:
    """The open starts in [start, end) of an event type, for one of its durations (minutes)."""
    inputs = await load_inputs(conn, caller, event_type, start, end, busy=True, now=now)
    return open_slots(inputs, ask(inputs, duration=duration, host_id=host_id), epoch(start), epoch(end), now)


def open_slots(inputs: Inputs, asked: Asked, start: int, end: int, now: datetime) -> OpenSlots:
    """The one decision: what can be booked in [start, end), epoch seconds, from inputs that reach that far."""
    rules = inputs.rules
    earliest, latest = bounds(rules, start, end, now)
    if not rules.active or not asked.hosts or earliest >= latest:
        return OpenSlots(rules, asked, [], [])
    lists = [_starts(rules, host, host.held + host.busy, asked.minutes, earliest, latest) for host in asked.hosts]
    if len(lists) == 1:
        starts = lists[0]
    else:
        starts = slots.intersect(lists) if rules.assignment == COLLECTIVE else slots.unite(lists)
    if rules.requires:
        starts = fitting(pools(inputs, asked.minutes, earliest, latest), starts)
    found = OpenSlots(rules, asked, starts, lists)
    return _seated(inputs, found, earliest, latest) if inputs.sittings else found


def check_size(inputs: Inputs, asked: Asked, start: int, end: int, *, most: int) -> None:
    """Raises InvalidInput where a listing would have more starts, counted for each host, than anybody reads at once."""
    interval = (inputs.rules.slot_interval_minutes or asked.minutes) * 60
    if (end - start) // interval * max(len(asked.hosts), 1) > most:
        raise InvalidInput.of("end", "these are too many slots for one answer; ask for fewer days at once")


def pools(inputs: Inputs, minutes: int, earliest: int, latest: int) -> list[Pool]:
    """Which units could meet each requirement, and when."""
    rules = inputs.rules
    return pools_of(
        rules.requires,
        inputs.units,
        duration=minutes * 60,
        before=rules.buffer_before_minutes * 60,
        after=rules.buffer_after_minutes * 60,
        earliest=earliest,
        latest=latest,
    )


def question(inputs: Inputs, asked: Asked, start: int, end: int, now: datetime) -> tuple[object, ...]:
    """Everything that the answer of `open_slots` depends on: equal questions have equal answers, whenever asked. The
    clock is in it only as far as notice and booking window reach into the range."""
    rules = inputs.rules
    hosts = tuple((host.user_id, host.wording, host.held, host.busy, host.full) for host in inputs.hosts)
    units = tuple(
        (unit.subject_no, unit.kind, unit.capacity, unit.location_id, unit.wording, unit.held) for unit in inputs.units
    )
    who = tuple(host.user_id for host in asked.hosts)
    about = (rules.event_type_id, rules.config_version, asked.minutes, who, *bounds(rules, start, end, now))
    return (about, hosts, units, tuple(inputs.sittings.values()))


async def find_alternatives(
    conn: Connection,
    caller: Caller,
    rules: Rules,
    wanted: int,
    *,
    minutes: int,
    host_id: UUID | None,
    among: Collection[UUID] | None,
    now: datetime,
) -> list[dict[str, str]]:
    """Up to three open slots nearest to the wanted start, in the order of time: of a few days around it, or around the
    nearest time that can be booked at all; where they have too few, of the weeks that follow.

    minutes: as agreed, whether or not they are on offer (a booking that is moved keeps its length).
    """
    earliest, latest = bounds(rules, 0, _END_OF_TIME, now)
    around = from_epoch(min(max(wanted, earliest), max(latest - 1, earliest)))
    nearest: list[int] = []
    for behind, ahead in ((_NEAR, _NEAR), (_FAR, _FAR)):
        start, end = max(now, around - behind), around + ahead
        inputs = await load_inputs(conn, caller, rules.event_type_id, start, end, minutes, busy=True, now=now)
        asked = dataclasses.replace(ask(inputs, host_id=host_id, among=among), minutes=minutes)
        found = open_slots(inputs, asked, epoch(start), epoch(end), now).starts
        nearest = sorted(sorted(found, key=lambda each: abs(each - wanted))[:_ALTERNATIVES])
        if len(nearest) == _ALTERNATIVES:
            break
    return [{"start": iso_epoch(each), "end": iso_epoch(each + minutes * 60)} for each in nearest]


def _starts(
    rules: Rules, host: Host, busy: Sequence[Interval], minutes: int, earliest: int, latest: int
) -> Sequence[int]:
    """The starts in [earliest, latest), epoch seconds, that one host alone could take."""
    if host.hours is None:
        return []
    return slots.open_starts(
        pieces(host.hours, earliest, latest, longest=max(rules.longest_minutes, minutes) * 60),
        busy,
        duration=minutes * 60,
        interval=(rules.slot_interval_minutes or minutes) * 60,
        before=rules.buffer_before_minutes * 60,
        after=rules.buffer_after_minutes * 60,
        earliest=earliest,
        latest=latest,
        closed=closed_by(host.full, host.hours.zone),
    )


def _seated(inputs: Inputs, fresh: OpenSlots, earliest: int, latest: int) -> OpenSlots:
    """Where somebody sits already, a seat beside them is all that can be had; elsewhere a fresh start.

    The session holds its hosts, units and place in the caps, so that only hours and calendars are asked again.
    """
    rules, asked = inputs.rules, fresh.asked
    uncapped = [dataclasses.replace(host, full=()) for host in asked.hosts]
    alone = [set(_starts(rules, host, host.busy, asked.minutes, earliest, latest)) for host in uncapped]
    joined: dict[int, frozenset[int]] = {}
    for start, sitting in inputs.sittings.items():
        there = frozenset(number for number, host in enumerate(asked.hosts) if host.user_id in sitting.host_ids)
        if sitting.taken < rules.seats and fits(asked, rules, sitting) and all(start in alone[each] for each in there):
            joined[start] = there
    lists = [
        sorted({*starts}.difference(inputs.sittings).union(at for at, there in joined.items() if number in there))
        for number, starts in enumerate(fresh.lists)
    ]
    return OpenSlots(rules, asked, sorted({*fresh.starts}.difference(inputs.sittings).union(joined)), lists)


def fits(asked: Asked, rules: Rules, sitting: Sitting) -> bool:
    """Whether the session is what is asked for: as long, and with the hosts who are asked for, all where all count."""
    hosts = {host.user_id for host in asked.hosts}
    who = hosts == set(sitting.host_ids) if rules.assignment == COLLECTIVE else hosts.issuperset(sitting.host_ids)
    return who and sitting.end == sitting.start + asked.minutes * 60


def bounds(rules: Rules, start: int, end: int, now: datetime) -> tuple[int, int]:
    """The asked range, cut by notice and booking window; both count in elapsed time from now."""
    earliest = max(start, math.ceil(now.timestamp()) + rules.minimum_notice_minutes * 60)
    if rules.booking_window_days is None:
        return earliest, end
    return earliest, min(end, math.floor(now.timestamp()) + rules.booking_window_days * DAY + 1)
