"""Caps per day, week and month: which period a start counts in, and which starts a full period closes.

The one rule: a period is one of local dates, in the zone of the host's schedule. Weeks begin on Monday.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from app.domain.availability.slots import Interval
from app.domain.availability.windows import day_start, local_date

DAY, WEEK, MONTH = "day", "week", "month"
PERIODS = (DAY, WEEK, MONTH)

Period = tuple[str, date]
"""(`day`, `week` or `month`, its first date)."""


@dataclass(frozen=True, slots=True)
class Caps:
    """At most so many bookings of one event type with one host, per period; None: as many as fit."""

    day: int | None = None
    week: int | None = None
    month: int | None = None

    def __bool__(self) -> bool:
        return any(self.limits.values())

    @property
    def limits(self) -> Mapping[str, int | None]:
        return {DAY: self.day, WEEK: self.week, MONTH: self.month}


def periods_of(caps: Caps, zone: str, start: int) -> list[Period]:
    """The capped periods that a start (epoch seconds) counts in."""
    day = local_date(zone, start)
    return [(period, first_date(period, day)) for period, limit in caps.limits.items() if limit is not None]


def first_date(period: str, day: date) -> date:
    """The first date of the period that a date lies in."""
    if period == DAY:
        return day
    return day - timedelta(days=day.weekday()) if period == WEEK else day.replace(day=1)


def closed_by(full: Iterable[Period], zone: str) -> list[Interval]:
    """The starts, as runs in epoch seconds, that full periods leave no room for."""
    return [(day_start(zone, first), day_start(zone, next_date(period, first))) for period, first in full]


def next_date(period: str, first: date) -> date:
    """The date after the last one of a period."""
    if period == MONTH:
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=1 if period == DAY else 7)
