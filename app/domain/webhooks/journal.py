"""The deliveries log: what a webhook was sent, what it answered, and asking for it again.

The one rule: a delivery keeps its id and its event's, so that a receiver which dedupes by them does nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, NotFound, unknown_cursor
from app.core.ids import new_id
from app.domain.bookings.events import Event
from app.domain.webhooks.subscriptions import get_webhook, lock_webhook

SQL = sql.load("journal")

_MOST_REPLAYED = 100_000

STATUSES = ("pending", "delivered", "failed", "exhausted")


@dataclass(frozen=True, slots=True)
class Attempt:
    """status_code: none where there was no answer. response: the beginning of its body."""

    at: datetime
    status_code: int | None
    duration_ms: int
    error: str | None
    response: str | None


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """failed: to be tried again, at next_attempt_at. exhausted: not any more."""

    id: UUID
    event_id: UUID
    webhook_id: UUID
    event_type: str
    status: str
    attempts: tuple[Attempt, ...]
    next_attempt_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def list_deliveries(
    conn: Connection,
    org_id: UUID,
    webhook_id: UUID,
    statuses: Sequence[str] | None,
    after: UUID | None,
    limit: int,
    skip: int = 0,
) -> list[LoggedDelivery]:
    """Up to `limit` deliveries of a webhook, newest first, after the one that the cursor names, or without the first
    `skip`. Raises NotFound, and InvalidInput for a cursor that names none of it."""
    await get_webhook(conn, org_id, webhook_id)
    place: tuple[object, object] = (None, None)
    if after is not None:
        row = await conn.fetchrow(SQL.find_delivery_place, org_id, webhook_id, after)
        if row is None:
            raise unknown_cursor()
        place = (row["created_at"], row["id"])
    rows = await conn.fetch(SQL.list_deliveries, org_id, webhook_id, statuses, *place, limit, skip)
    return [_delivery(row) for row in rows]


async def count_deliveries(conn: Connection, org_id: UUID, webhook_id: UUID, statuses: Sequence[str] | None) -> int:
    count: int = await conn.fetchval(SQL.count_deliveries, org_id, webhook_id, statuses)
    return count


async def redeliver(conn: Connection, org_id: UUID, delivery_id: UUID, now: datetime) -> LoggedDelivery:
    """Send it again, as soon as a worker has room. Raises NotFound, and Conflict where its webhook is paused."""
    found = await get_delivery(conn, org_id, delivery_id)
    if await conn.fetchval(SQL.redeliver, org_id, delivery_id, now) is None:
        await get_webhook(conn, org_id, found.webhook_id)
        raise _paused()
    return await get_delivery(conn, org_id, delivery_id)


async def replay(
    conn: Connection,
    org_id: UUID,
    webhook_id: UUID,
    since: datetime,
    until: datetime | None,
    *,
    failed_only: bool,
    now: datetime,
) -> int:
    """Send what happened in [since, until) again; failed_only: what never arrived. How many deliveries that makes.

    In a transaction of the caller's. Raises NotFound, Conflict for a paused webhook, and InvalidInput for more than can
    be sent again at once; then nothing is.
    """
    if not (await lock_webhook(conn, org_id, webhook_id)).active:
        raise _paused()
    values = (now, since, until, failed_only, _MOST_REPLAYED + 1)
    count: int = await conn.fetchval(SQL.replay, org_id, webhook_id, *values)
    if count > _MOST_REPLAYED:
        raise InvalidInput.of("until", f"these are more than {_MOST_REPLAYED:,} events; shorten the period")
    return count


async def send_sample(conn: Connection, org_id: UUID, webhook_id: UUID, event: Event, now: datetime) -> LoggedDelivery:
    """Owe a webhook an event that never happened. Raises NotFound, and Conflict for a paused webhook."""
    if not (await get_webhook(conn, org_id, webhook_id)).active:
        raise _paused()
    delivery_id = new_id()
    values = (event.id, event.type, now, event.body, delivery_id, webhook_id)
    await conn.execute(SQL.insert_sample, org_id, *values)
    return await get_delivery(conn, org_id, delivery_id)


async def get_delivery(conn: Connection, org_id: UUID, delivery_id: UUID) -> LoggedDelivery:
    """Raises NotFound."""
    row = await conn.fetchrow(SQL.get_delivery, org_id, delivery_id)
    if row is None:
        raise NotFound("No such delivery in this organization.")
    return _delivery(row)


def _paused() -> Conflict:
    return Conflict('This webhook is paused. Switch it on first: PATCH it with {"active": true}.')


def _delivery(row: sql.Row) -> LoggedDelivery:
    attempts = tuple(Attempt(*each) for each in row["attempts"] or ())
    names = (name for name in LoggedDelivery.__dataclass_fields__ if name != "attempts")
    return LoggedDelivery(attempts=attempts, **{name: row[name] for name in names})
