"""Links to a person's own account, sent by mail: to accept an invitation, or to set a new password.

The one rule: what is stored opens nothing. A link names its organization and its row and is made under the
organization's secret; the row holds a hash of it, until when it is good, and whether it was used. It is used once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.core import link_tokens, sql
from app.core.db import Connection
from app.core.errors import LinkExpired, NotFound
from app.core.ids import new_id
from app.core.vault import digest

SQL = sql.load("identity")


class AccountPurpose(StrEnum):
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 -- the name of a purpose


LIFETIMES = {AccountPurpose.INVITATION: timedelta(days=7), AccountPurpose.PASSWORD_RESET: timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class AccountLink:
    """Whose account a link opens."""

    org_id: UUID
    org_name: str
    token_id: UUID
    user_id: UUID
    email: str


def account_token(secret: bytes, purpose: AccountPurpose, org_id: UUID, token_id: UUID) -> str:
    proof = link_tokens.prove(secret, f"account token: {purpose}", token_id.bytes)
    return link_tokens.write(org_id, token_id, proof)


async def issue_account_token(
    conn: Connection, secret: bytes, purpose: AccountPurpose, org_id: UUID, user_id: UUID, now: datetime
) -> UUID:
    """The id of a new token, which ends the older ones of its purpose; `account_token` makes the link of it."""
    token_id = new_id()
    proof = digest(account_token(secret, purpose, org_id, token_id))
    await conn.execute(SQL.end_account_tokens, org_id, user_id, purpose.value, now)
    await conn.execute(
        SQL.insert_account_token, org_id, token_id, user_id, purpose.value, proof, now, now + LIFETIMES[purpose]
    )
    return token_id


async def open_account_link(conn: Connection, token: str, purpose: AccountPurpose, now: datetime) -> AccountLink:
    """Raises NotFound `link_not_found` for a link that was not made for this purpose, and for somebody who was removed;
    LinkExpired for one that was used, replaced by a newer one, or is over."""
    said = link_tokens.read(token)
    row = await conn.fetchrow(SQL.find_account_token, *said[:2], purpose.value, digest(token), now) if said else None
    if row is None:
        raise _unknown()
    if not row["good"]:
        raise _ended()
    return AccountLink(**{name: row[name] for name in AccountLink.__dataclass_fields__})


async def set_password(conn: Connection, link: AccountLink, password_hash: str, now: datetime) -> None:
    """Use a link up: its person has this password from now on, and sessions that began with another one end.

    Raises what `open_account_link` raises: of two at once one is late. Nothing is changed then, provided that the
    caller's transaction ends with it.
    """
    if await conn.fetchval(SQL.use_account_token, link.org_id, link.token_id, now) is None:
        raise _ended()
    if await conn.fetchval(SQL.set_password, link.org_id, link.user_id, password_hash, now) is None:
        raise _unknown()
    # whatever else was mailed, perhaps to somebody else's eyes, opens this account no more
    await conn.execute(SQL.end_account_tokens, link.org_id, link.user_id, None, now)


async def awaits_password(conn: Connection, org_id: UUID, user_id: UUID) -> bool:
    """Whether a person was invited and has not come yet."""
    return bool(await conn.fetchval(SQL.awaits_password, org_id, user_id))


def _unknown() -> NotFound:
    return NotFound("No such link. Check that it was copied whole.", code="link_not_found")


def _ended() -> LinkExpired:
    return LinkExpired("It was used, its time is over, or a newer mail has taken its place. Ask for another one.")
