"""From outbox to attempt: fan events out to subscriptions, claim what is due, write down what happened.

The one rule: each step is one statement over a batch, so that a crash between steps leaves either the step before or
the step after, never a half. A claimed delivery is leased; when its worker dies, the lease runs out and another takes
it up with the same event id.
"""

import functools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson

from app.core import sql
from app.core.db import Connection, affected
from app.core.ids import new_id
from app.core.vault import SealBroken, Vault
from app.domain.webhooks.deliver import Delivery, Outcome
from app.domain.webhooks.retry import next_delay
from app.domain.webhooks.subscriptions import GONE, disabled_event, get_webhook

SQL = sql.load("webhooks")

_FAILING_MOST = timedelta(days=5)
# Outcomes that say nothing about the receiver.
_OUR_FAULTS = ["secret_unreadable", "internal_error", "unrecordable"]

Place = tuple[UUID, UUID]
"""A webhook in the order in which claims look for what is due: (organization, id)."""

NIL = UUID(int=0)
START: Place = (NIL, NIL)


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
    """events: how many left the outbox. behind: it probably holds more. more: some of their deliveries were not claimed
    and could be. next: the organization where the next one goes on; the null id when this one came to the end."""

    events: int
    claimed: list[Claimed]
    behind: bool
    more: bool
    next: UUID


Tried = tuple[Delivery, Outcome]


class Taken(NamedTuple):
    """next: where the next claim goes on; START when this one came to the end."""

    claimed: list[Claimed]
    next: Place


async def fan_out(
    conn: Connection, vault: Vault, *, limit: int, room: Room, lease: timedelta, after: UUID = NIL, now: datetime
) -> Fanned:
    """Turn some `limit` events of the outbox, of up to 100 organizations from one on, into deliveries, one per
    subscribed webhook; those that there is room for are claimed at once, the others are due.

    The outbox rows go and the deliveries come in the same statement: there is no moment with neither.
    """
    ids = [new_id() for _ in range(limit)]
    until = now + lease
    rows = await conn.fetch(
        *(SQL.fan_out, after, limit, now, ids, until),
        *(room.total, room.other, list(room.of), list(room.of.values())),
    )
    claimed = [Claimed(_delivery(row, vault, now), until) for row in rows if row["id"] is not None]
    first = rows[0]
    return Fanned(first["events"], claimed, first["behind"], first["more"], first["next_org_id"] or NIL)


async def claim(
    conn: Connection, vault: Vault, *, room: Room, lease: timedelta, after: Place = START, now: datetime
) -> Taken:
    """The oldest due deliveries that there is room for, of up to 500 webhooks from a place on, leased until now +
    lease, by the age of their events."""
    until = now + lease
    rows = await conn.fetch(
        *(SQL.claim_deliveries, room.total, now, until),
        *(room.other, list(room.of), list(room.of.values()), *after),
    )
    place = rows[0]["next_org_id"], rows[0]["next_webhook_id"]
    claimed = [Claimed(_delivery(row, vault, now), until) for row in rows if row["id"] is not None]
    return Taken(claimed, START if place[0] is None else place)


async def release(conn: Connection, unsent: Sequence[Claimed]) -> None:
    """Give back what was claimed and will not be sent: it is due again at once."""
    await conn.execute(
        SQL.release_deliveries,
        [each.delivery.org_id for each in unsent],
        [each.delivery.id for each in unsent],
        [each.leased_until for each in unsent],
    )


async def record(conn: Connection, attempts: Sequence[Tried], now: datetime) -> list[Tried]:
    """Write down a batch of attempts: the log, each delivery's new state, and what it says about its webhook; return
    those that have to wait, since somebody holds their webhook just now. In a transaction of the caller's where an
    attempt failed: a webhook may end by it, which is an event."""
    columns: list[tuple[object, ...]] = []
    for delivery, outcome in attempts:
        status, due = _verdict(delivery, outcome)
        columns.append(
            (
                *(delivery.org_id, delivery.id, delivery.webhook_id, delivery.attempts + 1, delivery.retry_no + 1),
                *(status, due, outcome.status_code, outcome.duration_ms, outcome.error, outcome.response, outcome.at),
                delivery.event_id,
            )
        )
    arrays = [list(values) for values in zip(*columns, strict=True)]
    urls = [delivery.url for delivery, _ in attempts]
    rows = await conn.fetch(SQL.record_attempts, *arrays, _FAILING_MOST, urls, _OUR_FAULTS, now)
    for row in rows:
        if row["ends"] is not None:
            await _tell(conn, row["org_id"], row["id"], now)
    written = {row["id"] for row in rows}
    return [each for each in attempts if each[0].webhook_id not in written]


async def _tell(conn: Connection, org_id: UUID, webhook_id: UUID, now: datetime) -> None:
    """A webhook was switched off by us: its organization's other webhooks hear of it."""
    webhook = await get_webhook(conn, org_id, webhook_id)
    event = disabled_event(webhook, now)
    values = (event.id, event.type, event.sequence, now, event.body, list(event.topics))
    await conn.execute(SQL.insert_event, org_id, *values)
    if webhook.disabled_reason == GONE:
        await conn.execute(SQL.drop_owed, org_id, webhook_id, now)


async def drop_settled(conn: Connection, now: datetime) -> None:
    """Drop what deleted webhooks, and those whose receivers are gone, are still owed: some at a time."""
    place = START
    while rows := await conn.fetch(SQL.list_settled_webhooks, *place):
        for row in rows:
            place = row["org_id"], row["webhook_id"]
            while row["settled"] and affected(await conn.execute(SQL.drop_owed, *place, now)):
                pass


def _verdict(delivery: Delivery, outcome: Outcome) -> tuple[str, datetime | None]:
    """(status, next attempt): delivered, failed and to be tried again, or exhausted. Whether a webhook is gone, and
    owed nothing more, only the database knows: its address may be another one by now."""
    if outcome.delivered:
        return "delivered", None
    delay = next_delay(delivery.retry_no + 1, random.random(), outcome.retry_after)  # noqa: S311 -- jitter, no secret
    if delay is None:
        return "exhausted", None
    return "failed", outcome.at + timedelta(milliseconds=outcome.duration_ms, seconds=delay)


def _delivery(row: sql.Row, vault: Vault, now: datetime) -> Delivery:
    old = zip(row["old_secrets_sealed"], row["old_secrets_until"], strict=True)
    sealed = [row["secret_sealed"], *(secret for secret, until in old if until > now)]
    try:
        secrets = tuple(vault.unseal_cached(each).decode() for each in sealed)
        headers = _headers(vault.unseal_cached(row["headers_sealed"])) if row["headers_sealed"] else {}
    except SealBroken:
        secrets, headers = (), {}
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
        headers=headers,
    )


@functools.lru_cache(maxsize=1024)
def _headers(plain: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = orjson.loads(plain)
    return headers
