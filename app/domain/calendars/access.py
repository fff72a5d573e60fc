"""From a connection to its provider: credentials opened, tokens kept fresh.

The one rule: a refresh happens under the connection's lock, and is stored before anybody uses what it gave. Where a
provider gives another refresh token each time, two workers would otherwise end up with none.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import aiohttp
import asyncpg
import orjson

from app.core import db, sql
from app.core.settings import Settings
from app.core.times import iso, parse_instant
from app.core.vault import SealBroken, Vault, digest
from app.domain.calendars import oauth
from app.domain.calendars.caldav import CalDav
from app.domain.calendars.google import Google
from app.domain.calendars.microsoft import Microsoft
from app.domain.calendars.oauth import Client, OAuthProvider, Tokens
from app.domain.calendars.provider import Access, AccessLost, Provider, TryLater

SQL = sql.load("calendar_sync")

Clock = Callable[[], datetime]

IN_USE = frozenset({"active", "paused"})

# each holds a connection to the database for as long as the provider takes
_REFRESHES_AT_ONCE = 2


class Refreshes:
    """Of one process: few at once, so that a provider that hangs leaves the pool to everybody else. One that has begun
    goes on to its end, even where nobody waits for it any more: a token that was given and not kept is lost."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_REFRESHES_AT_ONCE)
        self._begun: set[asyncio.Task[bytes]] = set()

    async def do(self, work: Callable[[], Awaitable[bytes]]) -> bytes:
        await self._turns.acquire()
        task = asyncio.create_task(self._finish(work))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return await asyncio.shield(task)

    async def _finish(self, work: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            return await work()
        finally:
            self._turns.release()


@dataclass(frozen=True, slots=True)
class Roads:
    """What leads to providers. session: to those that the operator configured. guarded: to whichever a person named,
    and so through the guard."""

    pool: asyncpg.Pool
    vault: Vault
    settings: Settings
    session: aiohttp.ClientSession
    guarded: aiohttp.ClientSession
    clock: Clock
    refreshes: Refreshes = field(default_factory=Refreshes)


@dataclass(slots=True)
class Used:
    """The credentials that somebody works with, sealed, as they were last read; None before that. What a provider says
    of these it says of no others."""

    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose bookings a calendar is to be connected to, and where its owner is sent afterwards, if anywhere."""

    name: str
    org_name: str
    provider: str
    redirect_to: str | None


@dataclass(frozen=True, slots=True)
class Login:
    """Of a CalDAV account."""

    username: str
    password: str


def seal_tokens(tokens: Tokens, vault: Vault) -> bytes:
    kept = {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_at": iso(tokens.expires_at),
    }
    return vault.seal(orjson.dumps(kept))


def open_tokens(sealed: bytes, vault: Vault) -> Tokens:
    """Raises AccessLost where nothing opens it any more: its owner has to connect again."""
    kept = _opened(sealed, vault)
    return Tokens(kept["access_token"], kept["refresh_token"], parse_instant(kept["expires_at"]))


def seal_login(login: Login, vault: Vault) -> bytes:
    return vault.seal(orjson.dumps({"username": login.username, "password": login.password}))


def open_login(sealed: bytes, vault: Vault) -> Login:
    """Raises AccessLost like `open_tokens`."""
    kept = _opened(sealed, vault)
    return Login(kept["username"], kept["password"])


async def find_asker(conn: db.Connection, state: str, now: datetime) -> Asker | None:
    """For whom a server asked for this consent; None where a browser did, and where it is over. Uses nothing up."""
    row = await conn.fetchrow(SQL.find_asker, digest(state), now)
    return None if row is None else Asker(**row)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """For work of several calls: each has its own bound, and a server that is always just within it would hold us for
    hours. Raises TryLater("deadline")."""
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise TryLater("deadline") from None


async def reach(
    roads: Roads,
    org_id: UUID,
    connection_id: UUID,
    statuses: frozenset[str] = IN_USE,
    used: Used | None = None,
) -> Provider:
    """The account of a connection in one of these statuses. used: is kept up with the credentials that calls are made
    with. Raises AccessLost in any other status, and where nothing opens its credentials."""
    used = used or Used()
    async with db.acquire(roads.pool) as conn:
        row = await conn.fetchrow(SQL.find_connection, org_id, connection_id)
    if row is None or row["status"] not in statuses:
        raise AccessLost("disconnected")
    used.sealed = row["credentials_sealed"]
    if row["provider"] == "caldav":
        login = open_login(row["credentials_sealed"], roads.vault)
        return CalDav(roads.guarded, row["server_url"], login.username, login.password)
    return provider_of(roads, row["provider"], kept_access(roads, row, statuses, used))


def provider_of(roads: Roads, provider: str, access: Access) -> Provider:
    """Google or Microsoft, by whatever gives access tokens."""
    if provider == "google":
        return Google(roads.session, access, roads.settings.google_base_url)
    return Microsoft(roads.session, access, roads.settings.microsoft_base_url)


def kept_access(roads: Roads, row: sql.Row, statuses: frozenset[str], used: Used) -> Access:
    """Tokens of a connection (see `find_connection`), from the database and back into it."""
    current: bytes = row["credentials_sealed"]

    async def access(refused: str | None) -> str:
        nonlocal current
        tokens = open_tokens(current, roads.vault)
        if tokens.access_token != refused and tokens.is_good(roads.clock()):
            return tokens.access_token
        current = await roads.refreshes.do(lambda: _refreshed(roads, row, refused, statuses, used))
        used.sealed = current
        return open_tokens(current, roads.vault).access_token

    return access


async def _refreshed(roads: Roads, known: sql.Row, refused: str | None, statuses: frozenset[str], used: Used) -> bytes:
    """Sealed tokens that are good: those that somebody else has refreshed meanwhile, or new ones."""
    org_id, connection_id = known["org_id"], known["id"]
    client = configured(roads.settings, known["provider"])
    # by itself, whatever else is under way: what the provider gave must be kept even if all the rest fails
    async with db.acquire(roads.pool) as conn, conn.transaction():
        row = await conn.fetchrow(SQL.lock_connection, org_id, connection_id)
        if row is None or row["status"] not in statuses:
            raise AccessLost("disconnected")
        sealed: bytes = row["credentials_sealed"]
        used.sealed = sealed
        tokens = open_tokens(sealed, roads.vault)
        if tokens.access_token != refused and tokens.is_good(roads.clock()):
            return sealed
        fresh = await oauth.refresh(roads.session, client, tokens.refresh_token, roads.clock())
        sealed = seal_tokens(fresh, roads.vault)
        await conn.execute(SQL.store_credentials, org_id, connection_id, sealed, roads.clock())
        return sealed


def configured(settings: Settings, provider: OAuthProvider) -> Client:
    """Raises TryLater where the operator has taken the registration away: the grant is as good as before."""
    client = oauth.client_of(settings, provider)
    if client is None:
        raise TryLater("not_configured")
    return client


def _opened(sealed: bytes, vault: Vault) -> dict[str, str]:
    try:
        kept: dict[str, str] = orjson.loads(vault.unseal(sealed))
    except (SealBroken, orjson.JSONDecodeError):
        raise AccessLost("credentials_unreadable") from None
    return kept
