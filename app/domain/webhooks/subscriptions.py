"""Webhook subscriptions: which URL hears of which events, the secret it verifies them with, and its own headers.

The one rule: the secret and what the headers say are shown to nobody again; they are sealed, and only the worker opens
them.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from typing_extensions import TypedDict

from app.core import sql
from app.core.db import Connection, affected
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import Kind, encode, new_id
from app.core.shown import EventTypeRef, Link, Time, WebhookRef, one_of
from app.core.times import iso
from app.core.vault import Vault
from app.domain.bookings.events import CALENDAR_DISCONNECTED, CALENDAR_PAUSED, WEBHOOK_DISABLED, Event, plain_event
from app.domain.webhooks.signing import new_signing_secret

SQL = sql.load("webhooks")

_OVERLAP = timedelta(hours=24)
MOST_WEBHOOKS = 100

DEFAULT_EVENTS = ("booking.created", "booking.cancelled", "booking.rescheduled", "booking.no_show")
EVENTS = (
    *DEFAULT_EVENTS,
    "booking.confirmed",
    "booking.declined",
    "booking.completed",
    "booking.updated",
    "booking.reminder",
    "waitlist.offered",
    CALENDAR_DISCONNECTED,
    CALENDAR_PAUSED,
    WEBHOOK_DISABLED,
)

GONE = "gone"
FAILING = "failing"
DISABLED_REASONS = (GONE, FAILING)
"""Why we switch a webhook off: its receiver answered 410; it did nothing but fail for five days."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """event_type_ids: hears of bookings of these only; None: of all. header_names: of its own headers."""

    id: UUID
    url: str
    events: tuple[str, ...]
    event_type_ids: tuple[UUID, ...] | None
    header_names: tuple[str, ...]
    description: str | None
    active: bool
    failing_since: datetime | None
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime


class WebhookShown(TypedDict):
    """header_names: of `headers`, which are never shown. disabled_reason: why we switched it off, until somebody
    switches it on again."""

    id: WebhookRef
    url: Link
    events: list[Annotated[str, one_of(*EVENTS)]]
    event_type_ids: list[EventTypeRef] | None
    header_names: list[str]
    description: str | None
    active: bool
    failing_since: Time | None
    disabled_reason: Annotated[str, one_of(*DISABLED_REASONS)] | None
    created_at: Time
    updated_at: Time


def represent_webhook(webhook: Webhook) -> WebhookShown:
    of = webhook.event_type_ids
    return {
        "id": encode(Kind.WEBHOOK, webhook.id),
        "url": webhook.url,
        "events": list(webhook.events),
        "event_type_ids": None if of is None else [encode(Kind.EVENT_TYPE, each) for each in of],
        "header_names": list(webhook.header_names),
        "description": webhook.description,
        "active": webhook.active,
        "failing_since": iso(webhook.failing_since) if webhook.failing_since else None,
        "disabled_reason": webhook.disabled_reason,
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }


def disabled_event(webhook: Webhook, now: datetime) -> Event:
    """For the organization's other webhooks: this one was switched off by us. Of its address they learn the host: what
    comes after it may be a secret."""
    address = urlsplit(webhook.url)
    shown = {**represent_webhook(webhook), "url": f"{address.scheme}://{address.netloc}/"}
    return plain_event(WEBHOOK_DISABLED, {"webhook": shown}, now)


async def create_webhook(
    conn: Connection,
    org_id: UUID,
    *,
    url: str,
    events: tuple[str, ...],
    event_type_ids: Sequence[UUID] | None = None,
    headers: Mapping[str, str] | None = None,
    description: str | None,
    active: bool,
    vault: Vault,
    now: datetime,
) -> tuple[Webhook, str]:
    """Subscribe a URL; return the webhook and, for the only time, its secret. Raises Conflict where there are too many,
    since every event is written down for each of them, and InvalidInput for an event type
    that there is not."""
    webhook_id, secret = new_id(), new_signing_secret()
    if await conn.fetchval(SQL.count_webhooks, org_id) >= MOST_WEBHOOKS:
        raise Conflict(f"This organization has {MOST_WEBHOOKS} webhooks, which is the most. Delete one of them first.")
    await _know_event_types(conn, org_id, event_type_ids)
    sealed, names = _seal_headers(headers or {}, vault)
    values = (url, list(events), event_type_ids, description, active, vault.seal(secret.encode()), sealed, names, now)
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
    conn: Connection, org_id: UUID, webhook_id: UUID, changes: Mapping[str, Any], vault: Vault, now: datetime
) -> Webhook:
    """Merge the changes (url, events, event_type_ids, headers, description, active). A paused webhook gets nothing of
    what happens meanwhile; what it was owed before waits. Headers are replaced together. Raises NotFound, and
    InvalidInput for an event type that there is not."""
    before = await lock_webhook(conn, org_id, webhook_id)
    await _know_event_types(conn, org_id, changes.get("event_type_ids"))
    if "headers" in changes or _moves(before.url, changes.get("url")):
        sealed = _seal_headers(changes.get("headers", {}), vault)
        await conn.execute(SQL.set_headers, org_id, webhook_id, *sealed, now)
    merged = dataclasses.replace(before, **{name: value for name, value in changes.items() if name != "headers"})
    if merged != before:
        values = (merged.url, list(merged.events), merged.event_type_ids, merged.description, merged.active, now)
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
    """Unsubscribe. What it was sent stays in the log; what is still owed to it is dropped: some at once, and the rest
    of a long backlog by the clock."""
    if not affected(await conn.execute(SQL.delete_webhook, org_id, webhook_id, now)):
        raise NotFound("No such webhook in this organization.")
    await conn.execute(SQL.drop_owed, org_id, webhook_id, now)


async def lock_webhook(conn: Connection, org_id: UUID, webhook_id: UUID) -> Webhook:
    """Before its deliveries are written in numbers: whoever writes down attempts holds it, too. Raises NotFound."""
    await conn.fetchval(SQL.lock_webhook, org_id, webhook_id)
    return await get_webhook(conn, org_id, webhook_id)


def _moves(old: str, new: str | None) -> bool:
    """Whether the new address is another receiver's, who must not get the old one's credentials."""
    return new is not None and urlsplit(old)[:2] != urlsplit(new)[:2]


async def _know_event_types(conn: Connection, org_id: UUID, event_type_ids: Sequence[UUID] | None) -> None:
    if event_type_ids is None:
        return
    known = {row["id"] for row in await conn.fetch(SQL.find_event_types, org_id, list(event_type_ids))}
    for number, each in enumerate(event_type_ids):
        if each not in known:
            raise InvalidInput.of(f"event_type_ids.{number}", "no such event type in this organization", "unknown_id")


def _seal_headers(headers: Mapping[str, str], vault: Vault) -> tuple[bytes | None, list[str]]:
    return vault.seal(orjson.dumps(dict(headers))) if headers else None, sorted(headers)


def _webhook(row: sql.Row) -> Webhook:
    lists = ("events", "event_type_ids", "header_names")
    values = {name: row[name] for name in Webhook.__dataclass_fields__ if name not in lists}
    of = row["event_type_ids"]
    return Webhook(
        events=tuple(row["events"]),
        event_type_ids=None if of is None else tuple(of),
        header_names=tuple(row["header_names"]),
        **values,
    )
