"""From outbox to attempt: fan events out to subscriptions, claim what is due, write down what happened.

The one rule: each step is one statement over a batch, so that a crash between steps leaves either the step before or
the step after, never a half. A claimed delivery is leased; when its worker dies, the lease runs out and another takes
it up with the same event id.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
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


@dataclass(frozen=True, slots=True)
class Room:
    """How many deliveries may be claimed: in all, of each of these webhooks, and of any other webhook."""

    total: int
    other: int
    of: Mapping[UUID, int]


class Claimed(NamedTuple):
    """A delivery that is ours until the lease runs out."""

    delivery: Delivery
    leased_until: datetime


class Fanned(NamedTuple):
    """events: how many left the outbox. more: some of their deliveries found no room and wait to be claimed."""

    events: int
    claimed: list[Claimed]
    more: bool


async def fan_out(conn: Connection, vault: Vault, *, limit: int, room: Room, lease: timedelta, now: datetime) -> Fanned:
    """Turn up to `limit` events of the outbox into deliveries, one per subscribed webhook; those that there is room for
    are claimed at once, the others are due.

    The outbox rows go and the deliveries come in the same statement: there is no moment with neither.
    """
    ids = [new_id() for _ in range(limit)]
    until = now + lease
    rows = await conn.fetch(
        *(SQL.fan_out, TOPIC_EVENT, limit, now, ids, until),
        *(room.total, room.other, list(room.of), list(room.of.values())),
    )
    claimed = [Claimed(_delivery(row, vault, now), until) for row in rows if row["id"] is not None]
    return Fanned(rows[0]["events"], claimed, rows[0]["more"])


async def claim(conn: Connection, vault: Vault, *, room: Room, lease: timedelta, now: datetime) -> list[Claimed]:
    """The oldest due deliveries that there is room for, leased until now + lease, by the age of their events."""
    until = now + lease
    full = [webhook_id for webhook_id, count in room.of.items() if not count]
    rows = await conn.fetch(
        *(SQL.claim_deliveries, room.total, now, until),
        *(room.other, list(room.of), list(room.of.values()), full),
    )
    return [Claimed(_delivery(row, vault, now), until) for row in rows]


async def release(conn: Connection, unsent: Sequence[Claimed]) -> None:
    """Give back what was claimed and will not be sent: it is due again at once."""
    await conn.execute(
        SQL.release_deliveries,
        [each.delivery.org_id for each in unsent],
        [each.delivery.id for each in unsent],
        [each.leased_until for each in unsent],
    )


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
    old = zip(row["old_secrets_sealed"], row["old_secrets_until"], strict=True)
    sealed = [row["secret_sealed"], *(secret for secret, until in old if until > now)]
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
