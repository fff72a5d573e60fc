"""One schedule, walked through: an oracle that shares nothing with the code.

It goes minute by minute through `datetime` objects and applies the slot rules of the API contract to each, word for
word. Where every window, interval and duration is a multiple of some minutes, steps of so many are enough.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from app.domain.availability.windows import Hours, Window

DAY = 86_400

# The dates around which each zone's wall clocks jump, or used to; half of the examples begin near one.
CHANGES = {
    "Africa/Cairo": "2026-04-24 2026-10-30 2027-04-30 2027-10-29",
    "Africa/Casablanca": "2025-02-23 2025-04-06 2026-02-15 2026-03-22 2026-09-20 2027-02-07 2027-03-14",
    "America/Havana": "2025-11-02 2026-03-08 2026-11-01 2027-03-14 2027-11-07",
    "America/New_York": "2026-03-08 2026-11-01 2027-03-14 2027-11-07",
    "America/Sao_Paulo": "2018-02-18 2018-11-04",
    "America/St_Johns": "2010-11-07 2026-03-08 2026-11-01 2027-03-14",
    "Asia/Beirut": "2026-03-29 2026-10-25 2027-03-28 2027-10-31",
    "Asia/Kathmandu": "2026-03-29",
    "Asia/Tehran": "2022-03-22 2022-09-22 2026-03-22",
    "Australia/Lord_Howe": "2026-04-05 2026-10-04 2027-04-04 2027-10-03",
    "Europe/Berlin": "2026-03-29 2026-10-25 2027-03-28 2027-10-31",
    "Europe/Dublin": "2026-03-29 2026-10-25",
    "Pacific/Apia": "2011-12-29 2011-12-30 2011-12-31 2026-04-05",
    "Pacific/Chatham": "2026-04-05 2026-09-27 2027-04-04 2027-09-26",
}

ODD_MINUTES = st.integers(0, 1_440) | st.integers(0, 240) | st.sampled_from([0, 60, 90, 120, 180, 1_380, 1_440])
FIVES = st.integers(0, 288).map(lambda n: n * 5) | st.sampled_from([0, 60, 90, 120, 180, 1_380, 1_440])


def windows(draw: st.DrawFn, minutes: st.SearchStrategy[int] = ODD_MINUTES) -> tuple[Window, ...]:
    """One day: whole, closed, or a few windows, often in the small hours and often up to midnight."""
    kind = draw(st.sampled_from("WWSSSSSC"))
    if kind != "S":
        return ((0, 1_440),) if kind == "W" else ()
    pairs = draw(st.lists(st.tuples(minutes, minutes), min_size=1, max_size=3))
    return tuple((min(pair), max(pair)) for pair in pairs if pair[0] != pair[1])


@lru_cache(maxsize=64)
def walk(zone: str, start: int, end: int, step: int = 1, behind: int = 4, ahead: int = 3) -> Sequence[datetime]:
    """Every `step` minutes from some days before what is asked until some days after, as wall times in the zone."""
    there = ZoneInfo(zone)
    first = datetime.fromtimestamp(start - start % (60 * step), UTC) - timedelta(days=behind)
    count = (end - start) // (60 * step) + 1 + (behind + ahead) * 1_440 // step
    return [(first + timedelta(minutes=n * step)).astimezone(there) for n in range(count)]


def lies_in_a_window(hours: Hours, wall: datetime) -> bool:
    """An instant is open when its local wall time lies in a window of its local date."""
    day, minute = wall.date(), wall.hour * 60 + wall.minute
    if (hours.valid_from and day < hours.valid_from) or (hours.valid_until and day > hours.valid_until):
        return False
    found = hours.overrides[day] if day in hours.overrides else hours.weekly[day.weekday()]
    return any(start <= minute < end for start, end in found)


class Walked:
    """What a walk through a schedule found: which minutes are open, and where slots are counted from."""

    def __init__(self, hours: Hours, walls: Sequence[datetime], step: int = 1) -> None:
        self._step = step * 60
        self._instants = [int(wall.timestamp()) for wall in walls]
        self._opened = [lies_in_a_window(hours, wall) for wall in walls]
        self._day_began: list[int] = []
        first: dict[date, int] = {}
        for n, wall in enumerate(walls):
            self._day_began.append(first.setdefault(wall.date(), n))

    def starts(self, start: int, end: int, minutes: int, interval: int) -> list[int]:
        """The starts in [start, end), for slots of so many minutes every so many minutes."""
        found, stretch_began = [], 0
        settled = DAY // self._step
        for n, (instant, opened) in enumerate(zip(self._instants, self._opened, strict=True)):
            if not opened or not self._opened[n - 1]:
                stretch_began = n
            if not opened or not start <= instant < end:
                continue
            anchor = stretch_began if n - stretch_began < settled else self._day_began[n]
            if (n - anchor) * self._step % (interval * 60) == 0 and self.is_open(instant, minutes):
                found.append(instant)
        return found

    def is_open(self, start: int, minutes: int) -> bool:
        """Whether it is open all the way from a start on."""
        since = start - self._instants[0]
        return all(self._opened[since // self._step : -(-(since + minutes * 60) // self._step)])

    def from_midnight(self, start: int, end: int, interval: int) -> list[int]:
        """The starts in [start, end) of a grid that begins anew with each local date."""
        return [
            instant
            for n, (instant, began) in enumerate(zip(self._instants, self._day_began, strict=True))
            if start <= instant < end and (n - began) * self._step % (interval * 60) == 0
        ]
