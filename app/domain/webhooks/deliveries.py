"""From outbox to attempt: fan events out to subscriptions, claim what is due, write down what happened.

The one rule: each step is one statement over a batch, so that a crash between steps leaves either the step before or
the step after, never a half. A claimed delivery is leased; when its worker dies, the lease runs out and another takes
it up with the same event id.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.ids import new_id
from app.core.outbox import TOPIC_EVENT
from app.core.vault import SealBroken, Vault
from app.domain.webhooks.deliver import Delivery, Outcome
from app.domain.webhooks.retry import next_delay

SQL = sql.load("webhooks")

_GONE = 410


async def fan_out(conn: Connection, *, limit: int, now: datetime) -> int:
    """Turn up to `limit` events of the outbox into due deliveries, one per subscribed webhook; return how many events.

    The outbox rows go and the deliveries come in the same statement: there is no moment with neither.
    """
    ids = [new_id() for _ in range(limit)]
    count: int = await conn.fetchval(SQL.fan_out, TOPIC_EVENT, limit, now, ids)
    return count


async def claim(
    conn: Connection,
    vault: Vault,
    *,
    limit: int,
    per_webhook: int,
    saturated: Sequence[UUID],
    lease: timedelta,
    now: datetime,
) -> list[Delivery]:
    """Up to `limit` due deliveries, oldest first, at most `per_webhook` of one webhook and none of the saturated ones,
    leased until now + lease."""
    rows = await conn.fetch(SQL.claim_deliveries, limit, now, now + lease, per_webhook, list(saturated))
    return sorted((_delivery(row, vault, now) for row in rows), key=lambda each: each.event_id)


async def record(conn: Connection, attempts: Sequence[tuple[Delivery, Outcome]]) -> None:
    """Write down a batch of attempts: the log, each delivery's new state, and what it says about its webhook."""
    columns: list[tuple[object, ...]] = []
    for delivery, outcome in attempts:
        status, due = _verdict(delivery, outcome)
        columns.append(
            (
                *(delivery.org_id, delivery.id, delivery.webhook_id, delivery.attempts + 1, delivery.retry_no + 1),
                *(status, due, outcome.status_code, outcome.duration_ms, outcome.error, outcome.response, outcome.at),
            )
        )
    arrays = [list(values) for values in zip(*columns, strict=True)]
    await conn.execute(SQL.record_attempts, *arrays)


def _verdict(delivery: Delivery, outcome: Outcome) -> tuple[str, datetime | None]:
    """(status, next attempt): delivered, failed and to be tried again, or exhausted."""
    if outcome.delivered:
        return "delivered", None
    delay = next_delay(delivery.retry_no + 1, random.random(), outcome.retry_after)  # noqa: S311 -- jitter, no secret
    if delay is None or outcome.status_code == _GONE:
        return "exhausted", None
    return "failed", outcome.at + timedelta(milliseconds=outcome.duration_ms, seconds=delay)


def _delivery(row: sql.Row, vault: Vault, now: datetime) -> Delivery:
    sealed = [row["secret_sealed"]]
    if row["old_secret_sealed"] is not None and row["old_secret_until"] > now:
        sealed.append(row["old_secret_sealed"])
    try:
        secrets = tuple(vault.unseal_cached(each).decode() for each in sealed)
    except SealBroken:
        secrets = ()
    return Delivery(
        org_id=row["org_id"],
        id=row["id"],
        event_id=row["event_id"],
        webhook_id=row["webhook_id"],
        event_type=row["event_type"],
        body=row["body"].encode(),
        url=row["url"],
        secrets=secrets,
        attempts=row["attempts"],
        retry_no=row["retry_no"],
        event_at=row["event_at"],
    )
