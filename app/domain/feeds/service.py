"""A host's bookings as a calendar that programs subscribe to.

The one rule: most look-ups find nothing new, so whether there is anything is asked first, in one statement; the
calendar is made only then.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core import link_tokens, sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.core.vault import Vault
from app.domain.bookings.ical import Method, calendar_of
from app.domain.feeds.addresses import feed_token, proves
from app.domain.feeds.entries import feed_entry, published
from app.domain.identity.organizations import visitor_of

SQL = sql.load("feeds")

_BEHIND, _AHEAD = timedelta(days=30), timedelta(days=400)
_MOST = 2000
REFRESH = timedelta(minutes=30)
# raised when the same bookings are written in other words
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Feed:
    """Whose calendar an address is of."""

    org_id: UUID
    user_id: UUID
    name: str
    org_name: str
    locale: str


async def open_feed(conn: Connection, token: str, vault: Vault) -> Feed:
    """Raises NotFound `link_not_found`, for an address that has ended and for a host who was removed too."""
    said = link_tokens.read(token)
    row = await conn.fetchrow(SQL.find_feed, *said[:2]) if said else None
    if said is None or row is None:
        raise _unknown()
    visitor = visitor_of(row, vault)
    if not proves(said[2], visitor.secret, row["id"], row["feed_version"]):
        raise _unknown()
    return Feed(row["org_id"], row["id"], row["name"], row["org_name"], row["locale"])


async def feed_address(conn: Connection, org_id: UUID, user_id: UUID, secret: bytes) -> str:
    """The token of a person's feed. Raises NotFound."""
    return _token(await conn.fetchrow(SQL.get_feed_version, org_id, user_id), secret)


async def rotate_feed(conn: Connection, org_id: UUID, user_id: UUID, secret: bytes) -> str:
    """Another one; the address before ends. Raises NotFound."""
    return _token(await conn.fetchrow(SQL.rotate_feed, org_id, user_id), secret)


async def digest_feed(conn: Connection, feed: Feed, sender: str, now: datetime) -> str:
    """The same text as long as the calendar would be the same bytes."""
    row = await conn.fetchrow(SQL.digest_feed, feed.org_id, feed.user_id, now - _BEHIND, now + _AHEAD)
    facts = (_FORMAT, sender, feed, tuple(row.values()) if row else ())
    return hashlib.sha1(repr(facts).encode(), usedforsecurity=False).hexdigest()


async def list_feed(conn: Connection, feed: Feed, now: datetime) -> list[sql.Row]:
    """Up to 2,000 bookings from 30 days ago to 400 days ahead, whose time is kept or has passed; the earliest first."""
    return await conn.fetch(SQL.list_feed, feed.org_id, feed.user_id, now - _BEHIND, now + _AHEAD, _MOST)


def write_feed(feed: Feed, rows: Iterable[sql.Row], sender: str, now: datetime) -> bytes:
    """The calendar. Two thousand bookings are a second's work: not for the event loop."""
    entries = (feed_entry(published(row), feed.locale, sender) for row in rows)
    return calendar_of(Method.PUBLISH, entries, name=f"{feed.name} ({feed.org_name})", refresh=REFRESH, now=now)


def _token(row: sql.Row | None, secret: bytes) -> str:
    if row is None:
        raise NotFound("No such user in this organization.")
    return feed_token(secret, row["org_id"], row["id"], row["feed_version"])


def _unknown() -> NotFound:
    return NotFound("No such feed. Its address may have been changed; ask for the new one.", code="link_not_found")
