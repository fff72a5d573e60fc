"""Links that can be used a few times: mint, list, open, revoke.

The one rule: a code is stored as a hash, which finds it, and sealed, so that its maker can copy it again. How often it
was used is never stored: the bookings that came through it are counted, by whoever holds its lock.
"""

import secrets
import string
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound
from app.core.ids import new_id
from app.core.vault import Vault, digest
from app.domain.event_types.service import get_event_type
from app.domain.identity.organizations import visitor_of
from app.domain.links.models import EventLink, LinkDoor, NewLink

SQL = sql.load("links")

# Letters and digits only: a mail program leaves no other character out of a link. 62^24 are 142 bits.
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 24

_PLAIN = "id event_type_id event_type_code max_uses uses expires_at revoked_at created_at".split()


async def create_link(
    conn: Connection, org_id: UUID, event_type: UUID | str, wanted: NewLink, vault: Vault, now: datetime
) -> EventLink:
    """Make a link to an event type, named by its id or its code. Raises NotFound `event_type_not_found`, and
    InvalidInput for an end that has passed."""
    found = await get_event_type(conn, org_id, event_type)
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise InvalidInput.of("expires_at", "must lie in the future")
    link_id, code = new_id(), "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    sealed = vault.seal(code.encode())
    await conn.execute(
        SQL.insert_link, org_id, link_id, found.id, digest(code), sealed, wanted.max_uses, wanted.expires_at, now
    )
    return EventLink(link_id, code, found.id, found.code, wanted.max_uses, 0, wanted.expires_at, None, now)


async def list_links(
    conn: Connection, org_id: UUID, event_type_id: UUID, after: UUID | None, limit: int, vault: Vault, now: datetime
) -> list[EventLink]:
    """Up to `limit` links to an event type, oldest first, after the one that the cursor names."""
    rows = await conn.fetch(SQL.list_links, org_id, event_type_id, after, limit, now)
    return [_link(row, vault.unseal(row["code_sealed"]).decode()) for row in rows]


async def revoke_link(conn: Connection, org_id: UUID, code: str, now: datetime) -> UUID:
    """Its id. What was booked through it stays. A repeat changes nothing. Raises NotFound `link_not_found`."""
    link_id: UUID | None = await conn.fetchval(SQL.revoke_link, org_id, digest(code), now)
    if link_id is None:
        raise unknown_link()
    return link_id


async def lock_link(conn: Connection, org_id: UUID, code: str) -> UUID:
    """Its id, when nobody else books through it until the transaction ends. Raises NotFound `link_not_found`."""
    link_id: UUID | None = await conn.fetchval(SQL.lock_link, org_id, digest(code))
    if link_id is None:
        raise unknown_link()
    return link_id


async def get_link(conn: Connection, code: str, now: datetime) -> EventLink:
    """Of whatever organization. Raises NotFound `link_not_found`."""
    return _link(await _find(conn, code, now), code)


async def open_link(conn: Connection, code: str, vault: Vault, now: datetime) -> LinkDoor:
    """For a visitor who knows nothing but the code. Raises NotFound `link_not_found`."""
    row = await _find(conn, code, now)
    return LinkDoor(visitor_of(row, vault), _link(row, code), row["active"])


def unknown_link() -> NotFound:
    return NotFound("No such link. Check that it was copied whole.", code="link_not_found")


async def _find(conn: Connection, code: str, now: datetime) -> sql.Row:
    row = await conn.fetchrow(SQL.find_link, digest(code), now)
    if row is None:
        raise unknown_link()
    return row


def _link(row: sql.Row, code: str) -> EventLink:
    return EventLink(code=code, **{name: row[name] for name in _PLAIN})
