"""Webhook subscriptions: which URL hears of which events, and the secret it verifies them with."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection, affected
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.vault import Vault
from app.domain.webhooks.signing import new_signing_secret

SQL = sql.load("webhooks")

_OVERLAP = timedelta(hours=24)

DEFAULT_EVENTS = ("booking.created", "booking.cancelled", "booking.rescheduled", "booking.no_show")
EVENTS = (
    *DEFAULT_EVENTS,
    "booking.confirmed",
    "booking.declined",
    "booking.completed",
    "booking.updated",
    "booking.reminder",
    "waitlist.offered",
    "calendar.disconnected",
    "calendar.paused",
    "webhook.disabled",
)


@dataclass(frozen=True, slots=True)
class Webhook:
    id: UUID
    url: str
    events: tuple[str, ...]
    description: str | None
    active: bool
    failing_since: datetime | None
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime


async def create_webhook(
    conn: Connection,
    org_id: UUID,
    *,
    url: str,
    events: tuple[str, ...],
    description: str | None,
    active: bool,
    vault: Vault,
    now: datetime,
) -> tuple[Webhook, str]:
    """Subscribe a URL; return the webhook and, for the only time, its secret."""
    webhook_id, secret = new_id(), new_signing_secret()
    values = (url, list(events), description, active, vault.seal(secret.encode()), now)
    await conn.execute(SQL.insert_webhook, org_id, webhook_id, *values)
    return await get_webhook(conn, org_id, webhook_id), secret


async def get_webhook(conn: Connection, org_id: UUID, webhook_id: UUID) -> Webhook:
    row = await conn.fetchrow(SQL.get_webhook, org_id, webhook_id)
    if row is None:
        raise NotFound("No such webhook in this organization.")
    return _webhook(row)


async def list_webhooks(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[Webhook]:
    """Up to `limit` webhooks, oldest first, after the one that the cursor names."""
    return [_webhook(row) for row in await conn.fetch(SQL.list_webhooks, org_id, after, limit)]


async def update_webhook(
    conn: Connection, org_id: UUID, webhook_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Webhook:
    """Merge the changes (url, events, description, active). A paused webhook gets nothing of what happens meanwhile;
    what it was owed before waits. Raises NotFound."""
    await conn.fetchval(SQL.lock_webhook, org_id, webhook_id)
    before = await get_webhook(conn, org_id, webhook_id)
    merged = dataclasses.replace(before, **changes)
    if merged == before:
        return before
    values = (merged.url, list(merged.events), merged.description, merged.active, now)
    await conn.execute(SQL.update_webhook, org_id, webhook_id, *values)
    return await get_webhook(conn, org_id, webhook_id)


async def rotate_secret(
    conn: Connection, org_id: UUID, webhook_id: UUID, vault: Vault, now: datetime
) -> tuple[Webhook, str]:
    """A new secret, shown this once. For 24 hours deliveries are signed with the one before too, however often it is
    rotated meanwhile. Raises NotFound."""
    secret = new_signing_secret()
    sealed = vault.seal(secret.encode())
    await conn.execute(SQL.rotate_secret, org_id, webhook_id, sealed, now, now + _OVERLAP)
    return await get_webhook(conn, org_id, webhook_id), secret


async def delete_webhook(conn: Connection, org_id: UUID, webhook_id: UUID, now: datetime) -> None:
    """Unsubscribe. What it was sent stays in the log; what is still owed to it is dropped."""
    if not affected(await conn.execute(SQL.delete_webhook, org_id, webhook_id, now)):
        raise NotFound("No such webhook in this organization.")


def _webhook(row: sql.Row) -> Webhook:
    values = {name: row[name] for name in Webhook.__dataclass_fields__ if name != "events"}
    return Webhook(events=tuple(row["events"]), **values)
