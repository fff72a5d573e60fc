"""What providers tell of calendars: that something has changed there, or that a channel is about to end.

The one rule: a notification is only a reason to look. Nothing in it is believed but its secret, so one that is lost,
doubled or late does no harm.
Source: Google Calendar API, "Push notifications"; Microsoft Graph, "Change notifications through webhooks" and "Reduce
missing change notifications".
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.vault import digest

SQL = sql.load("calendar_sync")

REAUTHORIZE, REMOVED = "reauthorizationRequired", "subscriptionRemoved"


@dataclass(frozen=True, slots=True)
class Hooked:
    """The calendar that a notification says it is about, until it has proven that."""

    org_id: UUID
    calendar_id: UUID
    secret_hash: bytes | None

    def is_proven_by(self, secret: str) -> bool:
        # ours are ASCII; what is not may be no text at all
        if self.secret_hash is None or not secret.isascii():
            return False
        return hmac.compare_digest(digest(secret), self.secret_hash)


async def find_hook(conn: Connection, hook_id: UUID) -> Hooked | None:
    row = await conn.fetchrow(SQL.find_hook, hook_id)
    return None if row is None else Hooked(row["org_id"], row["id"], row["hook_secret_hash"])


async def take_notice(conn: Connection, hooked: Hooked, events: Iterable[str], now: datetime) -> None:
    """Have the calendar read soon. events: of a subscription's life, none where the calendar has changed."""
    about = (hooked.org_id, hooked.calendar_id, now)
    found = set(events)
    if REMOVED in found:
        await conn.execute(SQL.forget_channel, *about)
    elif REAUTHORIZE in found:
        await conn.execute(SQL.renew_channel_soon, *about)
    await conn.execute(SQL.prompt_calendar, *about)
