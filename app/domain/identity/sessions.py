"""Sessions: somebody who logged in with a browser, and the devices that they are remembered on.

The one rule: the cookie holds a random token and nothing else; what is stored of it is a hash. A session lives as long
as its row does: it ends by its own age, by log-out, by a new password, and with its person.

Source: the OWASP Session Management Cheat Sheet (renewal at log-in, idle and absolute time-outs).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection, affected
from app.core.errors import LoggedOut, NotFound
from app.core.ids import new_id
from app.core.vault import Vault, digest
from app.domain.identity.models import Principal
from app.domain.identity.roles import SCOPES_OF_ROLES

SQL = sql.load("sessions")

LIFETIME = timedelta(days=30)
IDLE = timedelta(days=14)
_LONGEST_AGENT = 400


@dataclass(frozen=True, slots=True)
class Device:
    """Where somebody is logged in. address: as text, last seen there. user_agent: as the browser calls itself."""

    id: UUID
    user_agent: str | None
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Where:
    """From where somebody calls; the address as text, None for a socket of this machine's."""

    address: str | None
    user_agent: str | None


async def begin_session(
    conn: Connection, org_id: UUID, user_id: UUID, where: Where, generation: int | None, now: datetime
) -> tuple[UUID, str]:
    """The session's id, and the token for the cookie, which is shown this once. generation: of the sessions when the
    password was proven, if it was. Raises LoggedOut for somebody who was removed a moment ago, or has another password
    by now."""
    session_id, token = new_id(), secrets.token_urlsafe(32)
    agent = (where.user_agent or "")[:_LONGEST_AGENT] or None
    values = (digest(token), agent, where.address, now, now + LIFETIME, generation)
    if await conn.fetchval(SQL.begin_session, org_id, session_id, user_id, *values) is None:
        raise LoggedOut("Log in first.", given=False)
    return session_id, token


async def find_device(conn: Connection, org_id: UUID, user_id: UUID, token: str) -> UUID | None:
    """The session of this very person that a browser's cookie is of, ended or not."""
    session_id: UUID | None = await conn.fetchval(SQL.find_device, digest(token), org_id, user_id)
    return session_id


async def authenticate_session(conn: Connection, token: str, where: Where, vault: Vault, now: datetime) -> Principal:
    """Whose session it is. Raises LoggedOut for one that is unknown, over or ended, without saying which."""
    row = await conn.fetchrow(SQL.find_session, digest(token), now, now - IDLE)
    if row is None:
        raise LoggedOut("This session is over. Log in again.")
    if row["stale"]:
        await conn.execute(SQL.touch_session, row["org_id"], row["id"], now, where.address)
    return Principal(
        org_id=row["org_id"],
        org_name=row["org_name"],
        secret=vault.unseal_cached(row["secret_sealed"]),
        user_id=row["user_id"],
        role=row["role"],
        scopes=SCOPES_OF_ROLES[row["role"]],
        granted=SCOPES_OF_ROLES[row["role"]],
        session_id=row["id"],
    )


async def list_sessions(conn: Connection, org_id: UUID, user_id: UUID, now: datetime) -> list[Device]:
    """Where a person is logged in, last seen first."""
    rows = await conn.fetch(SQL.list_sessions, org_id, user_id, now, now - IDLE)
    return [Device(**{name: row[name] for name in Device.__dataclass_fields__}) for row in rows]


async def end_session(conn: Connection, org_id: UUID, user_id: UUID, session_id: UUID, now: datetime) -> None:
    """Raises NotFound for a session that is not this person's, or has ended."""
    if await conn.fetchval(SQL.end_session, org_id, user_id, session_id, now) is None:
        raise NotFound("No such session of yours; it may have ended.")


async def log_out(conn: Connection, org_id: UUID, user_id: UUID, session_id: UUID, now: datetime) -> None:
    """End a session, and every one of the person's that began before it (the API contract, "`/api`")."""
    await conn.execute(SQL.end_sessions_until, org_id, user_id, session_id, now)


async def log_out_here(conn: Connection, token: str, now: datetime) -> None:
    """End the session that a browser has had, when it gets another one; whosever it was."""
    await conn.execute(SQL.end_session_by_token, digest(token), now)


async def log_out_everywhere(conn: Connection, org_id: UUID, user_id: UUID, now: datetime) -> None:
    await conn.execute(SQL.end_all_sessions, org_id, user_id, now)


async def clean(conn: Connection, ended_before: datetime) -> int:
    """Delete up to a thousand sessions, of everybody, that ended so long ago; how many."""
    return affected(await conn.execute(SQL.delete_old_sessions, ended_before))
