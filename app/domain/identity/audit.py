"""The audit log: who did what to accounts, keys, people and webhooks, and from where.

The one rule: an entry is written in the transaction of what it tells, and holds ids and names, never a secret. It is
kept, but for what strangers write into it. Every booking keeps a history of its own, which is shown beside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection, affected
from app.core.ids import new_id

SQL = sql.load("audit")


@dataclass(frozen=True, slots=True)
class Doer:
    """Who did it: `user`, `api_key`, `attendee` or `system`, and from which address, if it is known."""

    kind: str
    id: UUID | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """target: the id of what it was done to, as the wire shows it."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    action: str
    target: str | None
    address: str | None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """None: whichever. action: all of it, or a noun such as `key`."""

    action: str | None = None
    target: str | None = None
    actor_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


async def note(
    conn: Connection,
    org_id: UUID,
    doer: Doer,
    action: str,
    target: str | None,
    details: Mapping[str, Any],
    now: datetime,
) -> None:
    """action: noun and past participle, such as `key.created`."""
    values = (doer.kind, doer.id, action, target, doer.address, dict(details))
    await conn.execute(SQL.insert_entry, org_id, new_id(), now, *values)


async def list_entries(
    conn: Connection, org_id: UUID, only: Narrowing, skip: int, limit: int
) -> tuple[list[Entry], int]:
    """Newest first, and how many there are in all."""
    asked = (only.action, only.target, only.actor_id, only.since, only.until)
    rows = await conn.fetch(SQL.list_entries, org_id, *asked, skip, limit)
    total = await conn.fetchval(SQL.count_entries, org_id, *asked)
    return [Entry(**{name: row[name] for name in Entry.__dataclass_fields__}) for row in rows], total


async def clean(conn: Connection, before: datetime) -> int:
    """Delete up to a thousand lines, of everybody, of what strangers did before then; how many."""
    return affected(await conn.execute(SQL.delete_old_refusals, before))
