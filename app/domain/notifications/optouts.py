"""Who wants no reminders: addresses, one organization at a time, ended by the link in the mail itself (RFC 8058).

The one rule: whoever has a mail's link decides for the address that the mail went to, and for nobody else. What a
booking needs (that it was moved, or cancelled) is no reminder and goes on.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import link_tokens, sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.core.vault import Vault
from app.domain.identity.organizations import visitor_of

SQL = sql.load("optouts")

_PURPOSE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Optout:
    """What a link is about. wanted: whether the address gets reminders now."""

    org_id: UUID
    org_name: str
    address: str
    wanted: bool


def unsubscribe_token(secret: bytes, org_id: UUID, mail_id: UUID) -> str:
    return link_tokens.write(org_id, mail_id, link_tokens.prove(secret, _PURPOSE, mail_id.bytes))


async def open_optout(conn: Connection, token: str, vault: Vault) -> Optout:
    """Raises NotFound `link_not_found`, for a mail that is so old that nobody knows it any more, too."""
    said = link_tokens.read(token)
    row = await conn.fetchrow(SQL.find_optout, *said[:2]) if said else None
    if said is None or row is None:
        raise _unknown()
    visitor = visitor_of(row, vault)
    if not link_tokens.proves(said[2], visitor.secret, _PURPOSE, row["id"].bytes):
        raise _unknown()
    return Optout(row["org_id"], row["org_name"], row["recipient"], not row["opted_out"])


async def opt_out(conn: Connection, org_id: UUID, address: str, now: datetime) -> None:
    """No more reminders. A repeat changes nothing."""
    await conn.execute(SQL.insert_optout, org_id, address, now)


async def opt_in(conn: Connection, org_id: UUID, address: str) -> None:
    """Reminders again, for whoever pressed the button by mistake."""
    await conn.execute(SQL.delete_optout, org_id, address)


def _unknown() -> NotFound:
    return NotFound("No such link. Check that it was copied whole.", code="link_not_found")
