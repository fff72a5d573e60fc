"""Connected accounts: consent asked for, credentials kept, the end of it.

The one rule: a consent belongs to whoever asked for it, once, and for ten minutes. What ends a connection here ends it
at the provider too, by a worker: no request waits for that.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, LinkExpired
from app.core.ids import Kind, encode, new_id
from app.core.vault import Vault, derive, digest
from app.domain.bookings.events import CALENDAR_DISCONNECTED, CALENDAR_PAUSED, CalendarShown, calendar_event
from app.domain.calendars.outbound import plan_again, plan_missing
from app.domain.calendars.provider import RemoteCalendar
from app.domain.identity.models import Principal

SQL = sql.load("calendars")
SYNC = sql.load("calendar_sync")

AUTHORIZATION_LIFETIME = timedelta(minutes=10)
MOST_CONNECTIONS = 10
MOST_CALENDARS = 250
_ENOUGH = f"You have {MOST_CONNECTIONS} accounts connected, which is the most. Disconnect one of them first."
_GONE = "This consent has been used already, or took longer than ten minutes. Connect the calendar again."


@dataclass(frozen=True, slots=True)
class Consent:
    """Whoever came back from a consent page. browser_hash: of the browser that asked; None where a server asked."""

    org_id: UUID
    user_id: UUID
    provider: str
    verifier: str
    browser_hash: bytes | None
    redirect_to: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """What is about to be kept of an account. name: as its provider knows it, usually an address."""

    provider: str
    name: str
    credentials_sealed: bytes
    server_url: str | None = None


async def begin_authorization(
    conn: Connection, principal: Principal, provider: str, redirect_to: str | None, browser: str | None, now: datetime
) -> tuple[str, str]:
    """(state, PKCE verifier) for the consent page. browser: what a cookie of the asking browser holds. Raises Conflict
    for more accounts than anybody needs."""
    if await conn.fetchval(SQL.count_connections, principal.org_id, principal.user_id) >= MOST_CONNECTIONS:
        raise Conflict(_ENOUGH)
    state = token_urlsafe(32)
    browser_hash = digest(browser) if browser else None
    about = (principal.org_id, new_id(), principal.user_id, provider, digest(state), browser_hash, redirect_to)
    await conn.execute(SQL.insert_authorization, *about, now, now + AUTHORIZATION_LIFETIME)
    return state, _verifier(principal.secret, state)


async def take_authorization(conn: Connection, state: str, vault: Vault, now: datetime) -> Consent:
    """Whose consent came back; it is used up by that. Raises LinkExpired."""
    row = await conn.fetchrow(SQL.take_authorization, digest(state))
    if row is None or row["expires_at"] <= now:
        raise LinkExpired(_GONE)
    verifier = _verifier(vault.unseal_cached(row["secret_sealed"]), state)
    return Consent(row["org_id"], row["user_id"], row["provider"], verifier, row["browser_hash"], row["redirect_to"])


def _verifier(secret: bytes, state: str) -> str:
    """Nothing more to keep: it follows from the state, for whoever knows the organization's secret (RFC 7636, 4.1)."""
    return base64.urlsafe_b64encode(derive(secret, f"calendar pkce {state}")).rstrip(b"=").decode()


async def save_account(
    conn: Connection, org_id: UUID, user_id: UUID, account: Account, calendars: Sequence[RemoteCalendar], now: datetime
) -> UUID:
    """Connect an account, or connect it again; its id. Its main calendar counts as busy, and is the one that is
    written to where there is none yet: then what is to come is entered there. Raises Conflict for too many."""
    about = (account.provider, account.name, account.credentials_sealed, account.server_url, now)
    revived = await conn.fetchval(SQL.revive_connection, org_id, user_id, *about)
    row = await conn.fetchrow(SQL.save_connection, org_id, new_id(), user_id, *about)
    assert row is not None  # noqa: S101 -- it is written either way
    if (row["is_new"] or revived) and await conn.fetchval(SQL.count_connections, org_id, user_id) > MOST_CONNECTIONS:
        raise Conflict(_ENOUGH)
    connection_id: UUID = row["id"]
    if revived is not None:
        await conn.execute(SQL.revive_calendars, org_id, connection_id, now, [each.remote_id for each in calendars])
        await plan_again(conn, org_id, connection_id, now)
    await _save_calendars(conn, org_id, connection_id, user_id, calendars, connecting=True, now=now)
    await conn.execute(SQL.read_where_ours_stand, org_id, connection_id, now)
    target = await conn.fetchval(SQL.choose_first_target, org_id, connection_id, now)
    if target is not None:
        await plan_missing(conn, org_id, target, now)
    return connection_id


async def save_calendars(
    conn: Connection, org_id: UUID, connection_id: UUID, calendars: Sequence[RemoteCalendar], now: datetime
) -> None:
    """What there is to choose from by now, of an account that is connected. In a transaction of the caller's."""
    row = await conn.fetchrow(SYNC.lock_connection, org_id, connection_id)
    if row is not None and row["status"] in {"active", "paused"}:
        await _save_calendars(conn, org_id, connection_id, row["user_id"], calendars, connecting=False, now=now)


async def _save_calendars(
    conn: Connection,
    org_id: UUID,
    connection_id: UUID,
    user_id: UUID,
    calendars: Sequence[RemoteCalendar],
    *,
    connecting: bool,
    now: datetime,
) -> None:
    some = calendars[:MOST_CALENDARS]
    main = next((each.remote_id for each in some if each.primary), some[0].remote_id if some else None)
    await conn.execute(
        SQL.save_calendars,
        *(org_id, connection_id, user_id, [new_id() for _ in some], [each.remote_id for each in some]),
        *([each.name for each in some], [each.timezone for each in some]),
        *([each.remote_id == main for each in some], [each.writable for each in some], now, connecting),
    )


async def disconnect(conn: Connection, org_id: UUID, connection_id: UUID, now: datetime) -> None:
    """End a connection: its calendars are seen no more, and what they say is busy goes. What stands there stays, and is
    remembered, so that connecting again enters nothing twice. Ended already is fine."""
    row = await conn.fetchrow(SYNC.find_connection, org_id, connection_id)
    if row is None:
        return
    # the person before their connection, as whoever connects or chooses
    await conn.fetchval(SQL.lock_owner, org_id, row["user_id"])
    await conn.fetchrow(SYNC.lock_connection, org_id, connection_id)
    told = await _told(conn, org_id, connection_id)
    if await conn.fetchval(SQL.end_connection, org_id, connection_id, "disconnected", now) is None:
        return
    await tell(conn, org_id, CALENDAR_DISCONNECTED, told, "disconnected", now)
    await conn.execute(SQL.park_calendars, org_id, connection_id, now)
    for forget in (SQL.park_entries, SQL.forget_busy, SQL.forget_changes):
        await conn.execute(forget, org_id, connection_id)


async def disconnect_all(conn: Connection, org_id: UUID, user_id: UUID, now: datetime) -> None:
    """Of somebody who leaves."""
    for row in await conn.fetch(SQL.list_connections_of, org_id, user_id):
        await disconnect(conn, org_id, row["id"], now)


async def lose_access(
    conn: Connection, org_id: UUID, connection_id: UUID, reason: str, sealed: bytes | None, now: datetime
) -> bool:
    """The grant is over: its owner is told, once, and what its calendars say counts as unknown. Nothing else changes.
    sealed: the credentials that were refused; False, and nothing is lost, where the connection has others by now. In a
    transaction of the caller's."""
    row = await conn.fetchrow(SYNC.lock_connection, org_id, connection_id)
    if row is None or row["status"] not in {"active", "paused"}:
        return True
    if row["credentials_sealed"] != sealed:
        return False
    await conn.execute(SYNC.set_status, org_id, connection_id, "needs_reauth", reason, now)
    await conn.execute(SYNC.close_mirrors, org_id, connection_id, reason, now)
    await tell(conn, org_id, CALENDAR_DISCONNECTED, await _told(conn, org_id, connection_id), "needs_reauth", now)
    await _owe_letter(conn, row, "calendar_reauth", {}, now)
    return True


async def pause(conn: Connection, org_id: UUID, connection_id: UUID, count: int, now: datetime) -> None:
    """The brake: changes to bookings wait for the owner's word. In a transaction of the caller's."""
    row = await conn.fetchrow(SYNC.lock_connection, org_id, connection_id)
    if row is None or row["status"] != "active":
        return
    await conn.execute(SYNC.set_status, org_id, connection_id, "paused", "too_many_changes", now)
    await tell(conn, org_id, CALENDAR_PAUSED, await _told(conn, org_id, connection_id), "paused", now)
    await _owe_letter(conn, row, "calendar_paused", {"count": str(count)}, now)


async def tell(
    conn: Connection, org_id: UUID, event_type: str, shown: CalendarShown | None, status: str, now: datetime
) -> None:
    """Write an event of a calendar; none where the connection has none."""
    if shown is not None:
        event = calendar_event(event_type, {**shown, "status": status}, now)
        await conn.execute(SYNC.insert_plain_event, org_id, event.id, event.type, now, event.body, list(event.topics))


async def owe_letter(
    conn: Connection, org_id: UUID, user_id: UUID, kind: str, facts: dict[str, str], now: datetime
) -> None:
    """A mail to one person about their calendar. facts: what the letter names."""
    data = {**facts, "kind": kind, "user_id": str(user_id)}
    await conn.execute(SYNC.owe_notice, org_id, new_id(), data, now)


async def _owe_letter(conn: Connection, row: sql.Row, kind: str, facts: dict[str, str], now: datetime) -> None:
    about = {"provider": row["provider"], "account": row["account"], **facts}
    await owe_letter(conn, row["org_id"], row["user_id"], kind, about, now)


async def _told(conn: Connection, org_id: UUID, connection_id: UUID) -> CalendarShown | None:
    calendar_id = await conn.fetchval(SYNC.find_told, org_id, connection_id)
    row = await conn.fetchrow(SYNC.find_connection, org_id, connection_id)
    if calendar_id is None or row is None:
        return None
    return {
        "id": encode(Kind.CALENDAR, calendar_id),
        "user_id": encode(Kind.USER, row["user_id"]),
        "provider": row["provider"],
        "account": row["account"],
        "status": row["status"],
    }
