"""Tables full of bookings and busy time, by COPY: what would take the service hours takes a minute.

The one rule: the rows are those that the service and a synchronized calendar leave. So foreign keys are not checked,
which costs a third of the time, but every other constraint is: bookings that meet are refused.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

import asyncpg

from app.core import db
from app.core.db import Connection
from app.core.ids import new_code, new_id
from bench.dataset import Tenant

_CHUNK = 10_000
_WRITERS = 3
_PATIENCE_SECONDS = 120.0
_GUESTS = 300_000

_PLACES = """
select t.org_id, t.id as event_type_id, t.code, h.user_id, u.subject_no
from event_types t
join event_type_hosts h on h.org_id = t.org_id and h.event_type_id = t.id
join users u on u.org_id = h.org_id and u.id = h.user_id
where t.org_id = $1 and t.code = any($2)
order by u.subject_no
"""
_SECONDARY = "select indexname, indexdef from pg_indexes where tablename = 'bookings' and indexname <> 'bookings_pkey'"
_BOOKINGS = (
    "org_id id code status event_type_id assigned_to_id host_ids starts_at ends_at timezone local_start "
    "attendee_name attendee_email ical_uid event_sequence created_at updated_at"
).split()
_ALLOCATIONS = "org_id id subject_no during booking_id".split()
_CONNECTIONS = "org_id id user_id provider account credentials_sealed status created_at updated_at".split()
_CALENDARS = "org_id id connection_id user_id remote_id name generation synced_at created_at updated_at".split()
_BUSY = "org_id calendar_id generation remote_id subject_no during".split()

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A host and the event type that is only theirs."""

    org_id: UUID
    event_type_id: UUID
    code: str
    user_id: UUID
    subject_no: int


@dataclass(frozen=True, slots=True)
class Span:
    """Some of a host's time."""

    place: Place
    start: datetime
    end: datetime


async def places_of(conn: Connection, tenant: Tenant) -> list[Place]:
    """The tenant's hosts, in the order of their codes."""
    found = {row["code"]: Place(**row) for row in await conn.fetch(_PLACES, tenant.org_id, tenant.codes)}
    return [found[code] for code in tenant.codes]


async def book(pool: asyncpg.Pool, spans: Iterable[Span]) -> None:
    """Make a booking of each span. They are written in their order, but for a few thousand at a time."""
    left, now = enumerate(spans), datetime.now(UTC)

    async def repeat() -> None:
        async with _unchecked(pool) as conn:
            while chunk := list(islice(left, _CHUNK)):
                made = [(number, new_id(), span) for number, span in chunk]
                await _copy(conn, "bookings", _BOOKINGS, [_booking(*each, now) for each in made])
                await _copy(conn, "allocations", _ALLOCATIONS, [_allocation(*each) for each in made])

    await asyncio.gather(*(repeat() for _ in range(_WRITERS)))


def _booking(number: int, booking_id: UUID, span: Span, now: datetime) -> Row:
    place = span.place
    return (
        *(place.org_id, booking_id, new_code()),
        *("COMPLETED" if span.end < now else "SCHEDULED", place.event_type_id, place.user_id, [place.user_id]),
        *(span.start, span.end, "Europe/London", span.start.replace(tzinfo=None)),
        *("Jane Smith", f"guest-{number % _GUESTS}@example.com", f"{number}@slotwire", 1, now, now),
    )


def _allocation(_number: int, booking_id: UUID, span: Span) -> Row:
    return (span.place.org_id, new_id(), span.place.subject_no, asyncpg.Range(span.start, span.end), booking_id)


async def mirror(pool: asyncpg.Pool, spans: Sequence[Span]) -> None:
    """Let a calendar of each host say that they are busy then."""
    now = datetime.now(UTC)
    calendars = {place: new_id() for place in dict.fromkeys(span.place for span in spans)}
    connections: list[Row] = []
    mirrored: list[Row] = []
    for place, calendar_id in calendars.items():
        connection_id, owner = new_id(), (place.org_id, place.user_id)
        connections.append((owner[0], connection_id, owner[1], "google", place.code, b"", "active", now, now))
        mirrored.append((owner[0], calendar_id, connection_id, owner[1], "primary", "Calendar", 1, now, now, now))
    busy = [
        (place.org_id, calendars[place], 1, f"event-{number}", place.subject_no, asyncpg.Range(span.start, span.end))
        for number, span in enumerate(spans)
        for place in (span.place,)
    ]
    async with db.acquire(pool) as conn:
        await _copy(conn, "calendar_connections", _CONNECTIONS, connections)
        await _copy(conn, "calendars", _CALENDARS, mirrored)
        await _copy(conn, "busy_blocks", _BUSY, busy)


async def _copy(conn: Connection, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    await conn.copy_records_to_table(table, records=rows, columns=columns, timeout=_PATIENCE_SECONDS)


@asynccontextmanager
async def _unchecked(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection whose rows' foreign keys are not looked up."""
    async with db.acquire(pool) as conn:
        await conn.execute("set session_replication_role = replica")
        try:
            yield conn
        finally:
            await conn.execute("reset session_replication_role")


@asynccontextmanager
async def indexed_afterwards(pool: asyncpg.Pool) -> AsyncIterator[None]:
    """While millions of bookings are written, only their primary key is kept up; the other indexes are made of all rows
    at once. What excludes double bookings stays, and is most of the time that it takes."""
    async with db.acquire(pool) as conn:
        indexes = await conn.fetch(_SECONDARY)
        for index in indexes:
            await conn.execute(f"drop index {index['indexname']}")
        yield
        await conn.execute("set maintenance_work_mem = '256MB'")
        for index in indexes:
            await conn.execute(index["indexdef"], timeout=_PATIENCE_SECONDS)
        await conn.execute("reset maintenance_work_mem")
