"""Wall time to UTC seconds: what a schedule's weekly windows mean on the line of elapsed time.

The one rule, from the slot rules of the API contract: an instant is open when its local wall time lies in
a window of its local date. A missing hour is therefore not open and a repeated one is open twice. All
knowledge of daylight saving is in this file. It cuts time into segments of constant offset, on each of which
wall time and elapsed time differ by one number, so that nothing here asks what a wall time "means".

Instants are integers, epoch seconds; wall times are minutes of the local day; local days are counted from
1970-01-01. Nothing reads a clock, and no object is made per slot.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from app.core.times import zone as open_zone

DAY = 86_400
DAY_MINUTES = 1_440
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

# A stretch is followed this far behind what was asked. One day would do: only "has it run for 24 hours?"
# depends on what is cut off, and a stretch cut here has run for longer than that at every asked instant.
LOOKBACK = 2 * DAY

# And this far ahead, so that a slot which starts at the last asked instant still sees whether it fits. Who
# books for longer passes `longest`; who forgets to gets a slot too few, never one too many.
LOOKAHEAD = 2 * DAY

Window = tuple[int, int]
"""(start, end) in minutes of the local day, 0 <= start < end <= 1440; 1440 is 24:00."""

Stretch = tuple[int, int]
"""[begin, end) in epoch seconds, open throughout, closed just before and at its end."""

Piece = tuple[int, int, int, int]
"""(anchor, lo, hi, end): starts s with lo <= s < hi and s = anchor modulo the interval, whose slot has to
end by `end`, where the unbroken stretch does."""

_Segment = tuple[int, int, int]  # [lo, hi) in epoch seconds and the offset in seconds that holds throughout

_EPOCH = date(1970, 1, 1).toordinal()
_BLOCK = 64 * DAY  # offsets are kept in blocks: a 62-day request needs two or three of them
_FIRST = (2 - _EPOCH) * DAY  # the instants that `datetime` can place in any zone; beyond them, the
_LAST = (date.max.toordinal() - 2 - _EPOCH) * DAY  # offset at the edge goes on
_WALL_TIME = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Hours:
    """When something is open: weekly windows in one zone, and the dates that differ.

    zone: an IANA name. weekly: seven tuples of windows, Monday to Sunday. overrides: the windows that
    replace the weekly ones on a date (none: closed). valid_from, valid_until: local dates, inclusive.
    Windows may come in any order and overlap; they are kept sorted and united. ValueError: not seven days,
    a window outside 0 <= start < end <= 1440, or a zone that does not exist.
    """

    zone: str
    weekly: tuple[tuple[Window, ...], ...]
    overrides: Mapping[date, tuple[Window, ...]] = field(default_factory=dict)
    valid_from: date | None = None
    valid_until: date | None = None

    def __post_init__(self) -> None:
        if len(self.weekly) != len(WEEKDAYS):
            raise ValueError(f"a week has seven days, not {len(self.weekly)}")
        open_zone(self.zone)
        object.__setattr__(self, "weekly", tuple(map(_united, self.weekly)))
        object.__setattr__(self, "overrides", {day: _united(rows) for day, rows in self.overrides.items()})


@lru_cache(maxsize=1024)
def always_open(zone: str) -> Hours:
    """The hours of what has no schedule: every minute of every day, counted from local midnights."""
    return Hours(zone, (((0, DAY_MINUTES),),) * 7)


def parse_hours(
    weekly: Iterable[Mapping[str, Any]],
    overrides: Iterable[Mapping[str, Any]],
    zone: str,
    valid_from: date | None,
    valid_until: date | None,
) -> Hours:
    """Hours from the stored shapes of a schedule.

    weekly: [{"day": "MO", "start": "09:00", "end": "17:00"}]; overrides: [{"date": "2026-12-24",
    "windows": [{"start", "end"}]}], an empty list meaning closed. Windows of one day are united, and so are
    two overrides of one date. ValueError: any other shape; the wire refuses it before it is stored.
    """
    days: dict[str, list[Window]] = {day: [] for day in WEEKDAYS}
    dates: dict[date, tuple[Window, ...]] = {}
    try:
        for row in weekly:
            days[row["day"]].append(_window(row))
        for row in overrides:
            on = date.fromisoformat(row["date"])
            dates[on] = dates.get(on, ()) + tuple(map(_window, row["windows"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the shape of a schedule: {error!r}") from error
    return Hours(zone, tuple(map(tuple, days.values())), dates, valid_from, valid_until)


def open_stretches(hours: Hours, start: int, end: int, *, longest: int = LOOKAHEAD) -> list[Stretch]:
    """The unbroken open stretches that intersect [start, end): sorted, disjoint, never touching.

    start, end, longest: seconds. A stretch is given whole even where it begins or ends outside what was
    asked, as far as LOOKBACK before `start` and `longest` after `end`; it is cut there.
    """
    if start >= end:
        return []
    found = _stretches(hours, start - LOOKBACK, end + max(longest, LOOKAHEAD))
    return [(opens, closes) for opens, closes in found if closes > start and opens < end]


def pieces(hours: Hours, start: int, end: int, *, longest: int = LOOKAHEAD) -> list[Piece]:
    """The grid of starts in [start, end): sorted, disjoint pieces with one anchor each.

    start, end: epoch seconds; longest: the longest duration that will be asked for, in seconds. By the slot
    rules of the API contract starts are counted in elapsed time from the beginning of each unbroken stretch
    and, where that has already run for 24 hours or more, from the first instant of the local date.
    """
    found: list[Piece] = []
    for opens, closes in open_stretches(hours, start, end, longest=longest):
        lo, hi = max(opens, start), min(closes, end)
        settled = opens + DAY
        if lo < settled:
            found.append((opens, lo, min(hi, settled), closes))
        if settled < hi:
            found += _daily(hours.zone, max(lo, settled), hi, closes)
    return found


def offset_at(zone: str, epoch: int) -> int:
    """How far local wall time is ahead of UTC at an instant, in seconds. ValueError: no such zone."""
    return next(offset for _, until, offset in _block(zone, epoch // _BLOCK) if epoch < until)


def local_date(zone: str, epoch: int) -> date:
    """The date on the zone's wall calendars at an instant. ValueError: no such zone, or no such year."""
    return date.fromordinal((epoch + offset_at(zone, epoch)) // DAY + _EPOCH)


def day_start(zone: str, day: date) -> int:
    """The first instant of a local date, in epoch seconds: midnight, or what follows a skipped one.

    For a date that the zone skipped it is the instant at which the calendar jumped over it, so that
    [day_start(day), day_start(day + 1)) is empty then. ValueError: no such zone.
    """
    return _day_start(zone, _count(day))


def _united(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Windows in order, overlapping and adjoining ones made one. ValueError: one is outside the day."""
    found: list[Window] = []
    for start, end in sorted(windows):
        if not 0 <= start < end <= DAY_MINUTES:
            raise ValueError(f"a window needs 0 <= start < end <= 24:00, not minutes {start} to {end}")
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def _window(row: Mapping[str, Any]) -> Window:
    """{"start": "09:00", "end": "17:00"} in minutes. KeyError, TypeError, ValueError: another shape."""
    return _minute(row["start"]), _minute(row["end"])


def _minute(wall_time: str) -> int:
    match = _WALL_TIME.fullmatch(wall_time)
    if match is None:
        raise ValueError(f"not a wall time HH:MM: {wall_time!r}")
    return int(match[1]) * 60 + int(match[2])


def _count(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH


def _stretches(hours: Hours, lo: int, hi: int) -> list[Stretch]:
    """The open stretches of [lo, hi), cut at both ends."""
    dates = {_count(day): windows for day, windows in hours.overrides.items()}
    since = _count(hours.valid_from or date.min)
    until = _count(hours.valid_until or date.max)
    found: list[Stretch] = []
    for begin, finish, offset in _segments(hours.zone, lo, hi):
        first, last = max(since, (begin + offset) // DAY), min(until, (finish - 1 + offset) // DAY)
        for day in range(first, last + 1):
            midnight = day * DAY - offset
            for start, end in dates.get(day, hours.weekly[(day + 3) % 7]):  # 1970-01-01 was a Thursday
                opens, closes = max(midnight + start * 60, begin), min(midnight + end * 60, finish)
                if opens >= closes:
                    continue
                if found and found[-1][1] == opens:
                    found[-1] = (found[-1][0], closes)
                else:
                    found.append((opens, closes))
    return found


def _daily(zone: str, lo: int, hi: int, end: int) -> list[Piece]:
    """Pieces of [lo, hi) that are each anchored where their local date began."""
    found: list[Piece] = []
    for begin, finish, offset in _segments(zone, lo, hi):
        for day in range((begin + offset) // DAY, (finish - 1 + offset) // DAY + 1):
            midnight = day * DAY - offset
            anchor = _day_start(zone, day)
            until = min(midnight + DAY, finish)
            if found and found[-1][0] == anchor:  # a date goes on across a change of offset
                found[-1] = (anchor, found[-1][1], until, end)
            else:
                found.append((anchor, max(midnight, begin), until, end))
    return found


@lru_cache(maxsize=65_536)
def _day_start(zone: str, day: int) -> int:
    """The first instant whose local date is `day` or later."""
    wanted = day * DAY
    segments = _segments(zone, wanted - DAY, wanted + DAY)  # offsets are smaller than a day
    starts = ((max(begin, wanted - offset), finish) for begin, finish, offset in segments)
    return next(start for start, finish in starts if start < finish)


def _segments(zone: str, lo: int, hi: int) -> list[_Segment]:
    """[lo, hi) cut into segments of constant offset, in order; neighbours may share an offset."""
    found: list[_Segment] = []
    for number in range(lo // _BLOCK, (hi - 1) // _BLOCK + 1):
        for begin, finish, offset in _block(zone, number):
            if begin < hi and finish > lo:
                found.append((max(begin, lo), min(finish, hi), offset))
    return found


@lru_cache(maxsize=16_384)
def _block(zone: str, number: int) -> tuple[_Segment, ...]:
    """The segments of [number, number + 1) blocks.

    One look-up a day, and a bisection in the days whose two ends differ. A change that is undone within one
    UTC day would go unseen; the time zone database has none.
    """
    info = open_zone(zone)
    begin, finish = number * _BLOCK, (number + 1) * _BLOCK
    found: list[_Segment] = []
    offset = _offset(info, begin)
    at = begin
    while at < finish:
        ahead = min(at - at % DAY + DAY, finish)
        if _offset(info, ahead) == offset:
            at = ahead
            continue
        changed = _change(info, at, ahead, offset)
        if changed == finish:  # the next block's first instant
            break
        found.append((begin, changed, offset))
        begin = at = changed
        offset = _offset(info, changed)
    found.append((begin, finish, offset))
    return tuple(found)


def _change(info: ZoneInfo, lo: int, hi: int, offset: int) -> int:
    """The first instant in (lo, hi] without the offset that holds at lo and not at hi."""
    return lo + bisect_left(range(lo, hi), True, lo=1, key=lambda at: _offset(info, at) != offset)


def _offset(info: ZoneInfo, epoch: int) -> int:
    known = min(max(epoch, _FIRST), _LAST)
    return int(datetime.fromtimestamp(known, info).replace(tzinfo=UTC).timestamp()) - known
