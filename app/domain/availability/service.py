"""Which starts are open, and whether one start is: one function decides both.

The one rule: `_starts` is the only place where a start is called open. `open_slots` asks it for a range, `choose_host`
for a range of one second; what slots shows is therefore what a booking accepts. What is held by others is in the inputs
of the former, and in the exclusion constraint that decides the latter: the same periods, buffers included.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.db import Connection
from app.core.errors import InvalidInput, SlotUnavailable
from app.core.times import epoch, from_epoch, iso_epoch
from app.domain.availability import slots
from app.domain.availability.inputs import Host, Inputs, Rules, load_inputs
from app.domain.availability.slots import Interval
from app.domain.availability.windows import pieces
from app.domain.identity.models import Caller

DAY = 86_400
MAXIMUM_RANGE_DAYS = 62
_ALTERNATIVES = 3
_ALTERNATIVES_REACH = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class OpenSlots:
    """starts: epoch seconds, sorted. hours_zone: the zone of the first host's hours."""

    rules: Rules
    duration_minutes: int
    starts: list[int]
    hours_zone: str


def choose_duration(rules: Rules, minutes: int | None) -> int:
    """The asked duration in minutes, or the first one. Raises InvalidInput for one that is not offered."""
    if minutes is None:
        return rules.duration_minutes
    if minutes not in rules.durations_minutes:
        offered = ", ".join(map(str, rules.durations_minutes))
        raise InvalidInput.of("duration", f"this event type is offered for {offered} minutes")
    return minutes


def choose_hosts(inputs: Inputs, host_id: UUID | None) -> tuple[Host, ...]:
    """Whose time counts. Raises InvalidInput for a host that is not one of this event type."""
    if host_id is None:
        return inputs.hosts[:1]
    chosen = tuple(host for host in inputs.hosts if host.user_id == host_id)
    if not chosen:
        raise InvalidInput.of("host_id", "this person does not host the event type", "unknown_id")
    return chosen


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
    return open_slots(inputs, epoch(start), epoch(end), duration=duration, host_id=host_id, now=now)


def open_slots(
    inputs: Inputs, start: int, end: int, *, duration: int | None, host_id: UUID | None, now: datetime
) -> OpenSlots:
    """The same from inputs that are already there; start and end in epoch seconds."""
    minutes = choose_duration(inputs.rules, duration)
    hosts = choose_hosts(inputs, host_id)
    lists = [_starts(inputs.rules, host, host.busy, minutes, start, end, now) for host in hosts]
    found = lists[0] if len(lists) == 1 else slots.unite(lists)
    zone = next((host.hours.zone for host in hosts if host.hours), "UTC")
    return OpenSlots(inputs.rules, minutes, found, zone)


def question(
    inputs: Inputs, start: int, end: int, *, duration: int | None, host_id: UUID | None, now: datetime
) -> tuple[object, ...]:
    """Everything that the answer of `open_slots` depends on: equal questions have equal answers, whenever asked. The
    clock is in it only as far as notice and booking window reach into the range."""
    rules = inputs.rules
    hosts = tuple((host.user_id, host.wording, host.busy_starts, host.busy_ends) for host in inputs.hosts)
    asked = (duration, host_id, *_bounds(rules, start, end, now))
    return (rules.event_type_id, rules.config_version, asked, hosts)


def choose_host(inputs: Inputs, start: int, *, minutes: int, host_id: UUID | None, now: datetime) -> Host:
    """The host who takes a booking at `start` (epoch seconds) for `minutes`, if nobody else has the time: that is for
    the claim to find out. Raises SlotUnavailable for a start that is not open even with nothing booked."""
    for host in choose_hosts(inputs, host_id):
        if _starts(inputs.rules, host, host.busy, minutes, start, start + 1, now):
            return host
    raise SlotUnavailable(_why_not(inputs.rules, start, now))


async def find_alternatives(
    conn: Connection,
    caller: Caller,
    event_type_id: UUID,
    wanted: int,
    *,
    minutes: int,
    host_id: UUID | None,
    now: datetime,
) -> list[dict[str, str]]:
    """Up to three open slots nearest to the wanted start, within a week of it, in the order of time."""
    around = from_epoch(wanted)
    start, end = max(now, around - _ALTERNATIVES_REACH), max(now, around) + _ALTERNATIVES_REACH
    found = await find_open_slots(conn, caller, event_type_id, start, end, duration=minutes, host_id=host_id, now=now)
    nearest = sorted(sorted(found.starts, key=lambda each: abs(each - wanted))[:_ALTERNATIVES])
    return [{"start": iso_epoch(each), "end": iso_epoch(each + minutes * 60)} for each in nearest]


def _starts(
    rules: Rules, host: Host, busy: Sequence[Interval], minutes: int, start: int, end: int, now: datetime
) -> list[int]:
    """The one decision: open starts of one host in [start, end), epoch seconds."""
    if host.hours is None or not rules.active:
        return []
    earliest, latest = _bounds(rules, start, end, now)
    if earliest >= latest:
        return []
    return slots.open_starts(
        pieces(host.hours, earliest, latest, longest=rules.longest_minutes * 60),
        busy,
        duration=minutes * 60,
        interval=(rules.slot_interval_minutes or minutes) * 60,
        before=rules.buffer_before_minutes * 60,
        after=rules.buffer_after_minutes * 60,
        earliest=earliest,
        latest=latest,
    )


def _bounds(rules: Rules, start: int, end: int, now: datetime) -> tuple[int, int]:
    """The asked range, cut by notice and booking window; both count in elapsed time from now."""
    earliest = max(start, math.ceil(now.timestamp()) + rules.minimum_notice_minutes * 60)
    if rules.booking_window_days is None:
        return earliest, end
    return earliest, min(end, math.floor(now.timestamp()) + rules.booking_window_days * DAY + 1)


def _why_not(rules: Rules, start: int, now: datetime) -> str:
    """A sentence for the caller whose start is not open even with nothing booked."""
    if not rules.active:
        return "This event type is not active, so nothing can be booked."
    earliest, latest = _bounds(rules, start, start + 1, now)
    if start < now.timestamp():
        return "This time has passed. Choose one of the open slots."
    if start < earliest:
        return f"Bookings need {rules.minimum_notice_minutes} minutes of notice. Choose a later slot."
    if latest <= start:
        return f"Bookings are open for the next {rules.booking_window_days} days only. Choose an earlier slot."
    return "This time is outside the hours, or not the beginning of a slot. Choose one of the open slots."
