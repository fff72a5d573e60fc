"""Logging in: an e-mail and a password, compared without telling which of them was wrong.

The one rule: an account that does not exist takes as long to refuse as one that does.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidInput, LoggedOut
from app.core.vault import Vault
from app.domain.identity.models import Visitor
from app.domain.identity.organizations import visitor_of
from app.domain.identity.passwords import matches

SQL = sql.load("sessions")
_IDENTITY = sql.load("identity")


@dataclass(frozen=True, slots=True)
class Account:
    """What a log-in is compared with. password_hash: None for somebody who was invited and has not come yet.
    generation: of the sessions that this password opens."""

    visitor: Visitor
    user_id: UUID
    password_hash: str | None
    generation: int


@dataclass(frozen=True, slots=True)
class Sought:
    """What an e-mail names. spelling: as the database compares it, whether or not there is such an account."""

    spelling: str
    account: Account | None


async def find_account(conn: Connection, email: str, vault: Vault) -> Sought:
    row = await conn.fetchrow(SQL.find_credentials, email)
    assert row is not None  # noqa: S101 -- it always has one row
    if row["user_id"] is None:
        return Sought(row["spelling"], None)
    facts = (row["user_id"], row["password_hash"], row["session_generation"])
    return Sought(row["spelling"], Account(visitor_of(row, vault), *facts))


async def prove_password(account: Account | None, password: str) -> Account:
    """The account, if it is its password. Holds no connection. Raises LoggedOut."""
    good = await matches(account.password_hash if account else None, password)
    if account is None or not good:
        raise LoggedOut("The e-mail or the password is wrong. A new password can be asked for.")
    return account


async def require_password(conn: Connection, org_id: UUID, user_id: UUID, password: str) -> str:
    """The hash of a person's password, if this is it. Raises InvalidInput."""
    known: str | None = await conn.fetchval(SQL.get_password_hash, org_id, user_id)
    if not await matches(known, password) or known is None:
        raise _wrong("is not your password")
    return known


async def change_password(
    conn: Connection, org_id: UUID, user_id: UUID, known: str, hashed: str, now: datetime
) -> None:
    """Every session of before ends, and so do links to set a password that were mailed. known: the hash that was
    proven. Raises InvalidInput where it is not the password's any more."""
    # the links first, as whoever uses one locks them
    await conn.execute(_IDENTITY.end_account_tokens, org_id, user_id, None, now)
    if await conn.fetchval(SQL.change_password, org_id, user_id, hashed, now, known) is None:
        raise _wrong("was changed a moment ago")


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.of("current_password", message, "wrong_password")
