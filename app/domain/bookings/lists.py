"""Lists of bookings, and how many there are.

The one rule: a list is in the order of starts, and then of ids, and neither of a booking ever changes, so a page goes
on where the last one ended whatever was booked or cancelled meanwhile.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import unknown_cursor
from app.domain.availability.windows import local_date
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Booking
from app.domain.bookings.queries import get_bookings

SQL = sql.load("booking_lists")

_DAY_SECONDS, _QUARTER_SECONDS = 86_400, 900
# the bits of `grouping`: one is 0 for each column that a row counts by
_BY_STATUS, _BY_EVENT_TYPE, _BY_HOSTS, _BY_TIME = 0b0111, 0b1011, 0b1101, 0b1110


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None: not by this. starts_from inclusive, starts_before not. resource_id: reserved by
    itself, or held beside a host."""

    statuses: Sequence[Status] | None = None
    event_type_id: UUID | None = None
    assigned_to_id: UUID | None = None
    attendee_email: str | None = None
    resource_id: UUID | None = None
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    # hosts it, or made it
    of_user_id: UUID | None = None

    def arguments(self) -> tuple[object, ...]:
        statuses = None if self.statuses is None else [status.value for status in self.statuses]
        return (
            *(statuses, self.event_type_id, self.assigned_to_id, self.attendee_email, self.resource_id),
            *(self.starts_from, self.starts_before),
        )


async def list_bookings(
    conn: Connection, org_id: UUID, filters: Filters, *, after: UUID | None = None, limit: int, skip: int = 0
) -> list[Booking]:
    """Up to `limit` bookings, earliest start first, after the one that the cursor names, or without the first `skip`.

    In a snapshot of the caller's. Raises InvalidInput for a cursor that names none.
    """
    place = (None, None) if after is None else await _place_of(conn, org_id, after)
    rows = await conn.fetch(SQL.find_bookings, org_id, *filters.arguments(), *place, limit, skip, filters.of_user_id)
    return await get_bookings(conn, org_id, [row["id"] for row in rows])


async def count_bookings(conn: Connection, org_id: UUID, filters: Filters) -> int:
    count: int = await conn.fetchval(SQL.count_bookings, org_id, *filters.arguments(), filters.of_user_id)
    return count


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of bookings, the most frequent first and days in their order. by_host: a booking of several hosts counts
    for each."""

    by_status: dict[Status, int]
    by_event_type: list[tuple[UUID, str, int]]
    by_host: list[tuple[UUID, int]]
    by_day: list[tuple[date, int]]

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


async def count_by_kind(
    conn: Connection, org_id: UUID, start: datetime | None, end: datetime | None, zone: str, of: UUID | None = None
) -> Stats:
    """Of the bookings that start in [start, end); zone: the IANA zone whose days they are counted by. of: only those
    that this person hosts or made."""
    # no zone is off by anything but quarters of an hour
    seconds = _DAY_SECONDS if zone == "UTC" else _QUARTER_SECONDS
    rows = await conn.fetch(SQL.count_by_kind, org_id, start, end, seconds, of)
    statuses: dict[str, int] = {row["status"]: row["count"] for row in rows if row["kind"] == _BY_STATUS}
    types = [(row["event_type_id"], row["code"], row["count"]) for row in rows if row["kind"] == _BY_EVENT_TYPE]
    hosts: Counter[UUID] = Counter()
    days: Counter[date] = Counter()
    for row in rows:
        if row["kind"] == _BY_HOSTS:
            hosts.update(dict.fromkeys(row["host_ids"], row["count"]))
        elif row["kind"] == _BY_TIME:
            days[local_date(zone, row["since"])] += row["count"]
    return Stats(
        by_status={status: statuses.get(status.value, 0) for status in Status},
        by_event_type=sorted((each for each in types if each[0]), key=lambda each: (-each[2], each[0])),
        by_host=sorted(hosts.items(), key=lambda each: (-each[1], each[0])),
        by_day=sorted(days.items()),
    )


async def _place_of(conn: Connection, org_id: UUID, after: UUID) -> tuple[datetime, UUID]:
    """A place after nothing would be an empty page, which says that the list is over."""
    row = await conn.fetchrow(SQL.find_cursor, org_id, after)
    if row is None:
        raise unknown_cursor()
    return row["starts_at"], row["id"]
