"""The event log: what happened, for whoever was away and wants to catch up.

The one rule: reading on from the last event seen misses nothing. Events are shown in the order of their commits, and
only once nothing can come in before them any more; until then, which is some milliseconds as a rule, there are
`unsettled` ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound, unknown_cursor
from app.core.ids import first_id
from app.domain.bookings.events import Event

SQL = sql.load("events")

# an event's id is made after its time was taken; in between somebody may have set the clock back
_CLOCKS_APART = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """body: the bytes that every receiver gets, as text."""

    id: UUID
    body: str


@dataclass(frozen=True, slots=True)
class Narrowing:
    """None: not by this. since: when it happened, inclusive. samples: with those that never did."""

    types: Sequence[str] | None = None
    booking_id: UUID | None = None
    since: datetime | None = None
    samples: bool = False


async def get_event(conn: Connection, org_id: UUID, event_id: UUID) -> LoggedEvent:
    """Raises NotFound."""
    row = await conn.fetchrow(SQL.get_event, org_id, event_id)
    if row is None:
        raise NotFound("No such event in this organization.")
    return LoggedEvent(row["id"], row["body"])


async def list_events(
    conn: Connection, org_id: UUID, narrowing: Narrowing, after: UUID | None, limit: int
) -> list[LoggedEvent]:
    """Up to `limit` events, oldest first, after the one that the cursor names. In a snapshot of the caller's. Raises
    InvalidInput for a cursor that names none."""
    place = (None, None) if after is None else await _place_of(conn, org_id, after)
    since = narrowing.since
    earliest = None if since is None else first_id(since - _CLOCKS_APART)
    by = (narrowing.types, since, *place, narrowing.booking_id, earliest)
    rows = await conn.fetch(SQL.list_events, org_id, *by, limit, narrowing.samples)
    return [LoggedEvent(row["id"], row["body"]) for row in rows]


async def _place_of(conn: Connection, org_id: UUID, after: UUID) -> tuple[str, UUID]:
    row = await conn.fetchrow(SQL.find_place, org_id, after)
    if row is None:
        raise unknown_cursor()
    return row["xact"], row["id"]


async def record_sample(conn: Connection, org_id: UUID, event: Event, now: datetime) -> None:
    """Write a sample into the log, owed to nobody: for whoever listens to it."""
    await conn.execute(SQL.insert_sample_event, org_id, event.id, event.type, now, event.body)


async def has_unsettled(conn: Connection, org_id: UUID) -> bool:
    """Whether the organization has events that are committed and not shown yet."""
    found: bool = await conn.fetchval(SQL.find_unsettled, org_id)
    return found
