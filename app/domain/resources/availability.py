"""Which resources are free for a period: open throughout, with a unit that nothing holds.

The one rule: one round trip, whatever the number of resources and units. Units are counted by the database; whether a
schedule is open is decided by `windows`, like everywhere else.
"""

import math
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.times import epoch
from app.domain.availability.inputs import hours_of
from app.domain.availability.windows import Hours, open_stretches
from app.domain.resources.resources import Resource, Wanted, read_resource

SQL = sql.load("resources")

MAXIMUM_RANGE_DAYS = 62


@dataclass(frozen=True, slots=True)
class Vacancy:
    """A resource and how many of its units are free for all of a period."""

    resource: Resource
    units_free: int

    @property
    def id(self) -> UUID:
        return self.resource.id


async def list_vacancies(
    conn: Connection,
    org_id: UUID,
    wanted: Wanted,
    start: datetime,
    end: datetime,
    after: UUID | None,
    limit: int,
    now: datetime,
) -> list[Vacancy]:
    """Up to `limit` active resources with their free units in [start, end), taken ones too, oldest first, after the one
    that the cursor names. A hold that has ended holds nothing."""
    values = (wanted.location_id, wanted.kind, wanted.min_capacity, start, end, after, limit, now)
    first, last = epoch(start), math.ceil(end.timestamp())
    return [_vacancy(row, first, last) for row in await conn.fetch(SQL.list_vacancies, org_id, *values)]


def is_open_throughout(hours: Hours, start: int, end: int) -> bool:
    """Whether one unbroken stretch contains [start, end), in epoch seconds."""
    return any(opens <= start and end <= closes for opens, closes in open_stretches(hours, start, end))


def _vacancy(row: sql.Row, start: int, end: int) -> Vacancy:
    wording = (row["weekly"], row["overrides"], row["timezone"], row["valid_from"], row["valid_until"])
    is_open = row["weekly"] is None or _is_open(*wording, start, end)
    return Vacancy(read_resource(row), row["unheld"] if is_open else 0)


@lru_cache(maxsize=512)
def _is_open(
    weekly: str, overrides: str, zone: str, valid_from: date | None, valid_until: date | None, start: int, end: int
) -> bool:
    """Decided once per wording and period: a hundred desks share one schedule, and an edited one has another text."""
    return is_open_throughout(hours_of(weekly, overrides, zone, valid_from, valid_until), start, end)
