"""The store behind Idempotency-Key: one row per key and organization, kept for 24 hours.

The one rule: every function runs inside the transaction of what the key stands for.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection, affected
from app.core.errors import IdempotencyInProgress, IdempotencyKeyReused
from app.core.vault import Vault

SQL = sql.load("idempotency")
KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Kept:
    """The first request's fingerprint and the sealed bytes of its answer."""

    fingerprint: bytes
    body_sealed: bytes


@dataclass(frozen=True, slots=True)
class Words:
    """What a face says to whoever repeats a request that still runs, or uses its key for another one."""

    running: str
    reused: str


async def once(
    conn: Connection,
    org_id: UUID,
    key: str,
    fingerprint: bytes,
    make: Callable[[Connection], Awaitable[bytes]],
    vault: Vault,
    *,
    words: Words,
    now: datetime,
) -> tuple[bytes, bool]:
    """What `make` gives, and whether it was given before, to the first request with this key. Raises
    IdempotencyInProgress and IdempotencyKeyReused."""
    if not await try_hold(conn, org_id, key):
        raise IdempotencyInProgress(words.running)
    kept = await find(conn, org_id, key, now)
    if kept is None:
        body = await make(conn)
        await keep(conn, org_id, key, Kept(fingerprint, vault.seal(body)), now)
        return body, False
    if kept.fingerprint != fingerprint:
        raise IdempotencyKeyReused(words.reused)
    return vault.unseal(kept.body_sealed), True


async def try_hold(conn: Connection, org_id: UUID, key: str) -> bool:
    """Hold the key until the transaction ends; False when another transaction holds it."""
    lock = int.from_bytes(hashlib.sha256(org_id.bytes + key.encode()).digest()[:8], "big", signed=True)
    held: bool = await conn.fetchval(SQL.try_lock, lock)
    return held


async def find(conn: Connection, org_id: UUID, key: str, now: datetime) -> Kept | None:
    row = await conn.fetchrow(SQL.find_key, org_id, key, now - KEPT)
    return Kept(row["fingerprint"], row["body_sealed"]) if row else None


async def keep(conn: Connection, org_id: UUID, key: str, kept: Kept, now: datetime) -> None:
    await conn.execute(SQL.insert_key, org_id, key, kept.fingerprint, kept.body_sealed, now)


async def clean(conn: Connection, *, limit: int, now: datetime) -> int:
    """Delete up to `limit` keys that are over; return how many."""
    return affected(await conn.execute(SQL.delete_old, now - KEPT, limit))
