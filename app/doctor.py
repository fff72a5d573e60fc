"""`slotwire doctor`: look at everything an installation stands on, and say what to do about what is wrong.

The one rule: it changes nothing, and one broken thing does not keep it from looking at the next.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
from aiosmtplib.errors import SMTPException
from redis.exceptions import RedisError

from app.core import sql, wake
from app.core.db import AWAY, refused
from app.core.loopback import LOOPBACK
from app.core.migrate import pending
from app.core.outbox import oldest_due
from app.core.rotation import count_seals
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.calendars.oauth import OAuthProvider, client_of
from app.domain.notifications.transport import MailServerAway, open_smtp

SQL = sql.load("calendars")

_PROVIDERS: dict[OAuthProvider, tuple[str, str]] = {
    "google": ("Google", "SLOTWIRE_GOOGLE_CLIENT"),
    "microsoft": ("Microsoft", "SLOTWIRE_MICROSOFT_CLIENT"),
}
_OLDEST_POSTGRES = 150_000
_CLOCK_SECONDS = 2.0
_BACKLOG_SECONDS = 60
_SMTP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """state: `ok`, `warn` (works, but) or `fail` (does not work); advice says what to do about the last two."""

    state: str
    subject: str
    detail: str
    advice: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding("ok", "configuration", f"{settings.env}, links begin with {settings.public_url}")
    if not settings.secret_keys:
        yield Finding("fail", "secret keys", "none", "set SLOTWIRE_SECRET_KEYS to a Fernet key")
    if settings.env == "production" and not settings.base_url:
        yield Finding("warn", "base address", "SLOTWIRE_BASE_URL is not set", "set it to the public https address")
    if not settings.database_url:
        yield Finding("fail", "database", "SLOTWIRE_DATABASE_URL is not set", "set it, or use `slotwire up`")
    else:
        async for finding in _database(settings):
            yield finding
    yield await _redis(settings)
    yield await _mail(settings)


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        conn = await asyncpg.connect(settings.database_url, timeout=5)
    except (*AWAY, asyncpg.PostgresError, ValueError) as error:
        advice = "check SLOTWIRE_DATABASE_URL, and that the server runs and lets us in"
        yield Finding("fail", "database", refused(settings.database_url, error), advice)
        return
    try:
        version = str(await conn.fetchval("show server_version")).split(" ")[0]
        number = int(await conn.fetchval("show server_version_num"))
        state = "ok" if number >= _OLDEST_POSTGRES else "fail"
        yield Finding(state, "database", f"PostgreSQL {version}", "use PostgreSQL 15 or newer")
        yield Finding("ok", "extensions", "none needed")
        yield await _migrations(conn)
        yield await _clock(conn)
        async for finding in _contents(conn, settings):
            yield finding
    finally:
        await conn.close()


async def _migrations(conn: asyncpg.Connection) -> Finding:
    missing = await pending(conn)
    if missing:
        return Finding("fail", "migrations", f"{len(missing)} have not run", "run `slotwire migrate`")
    return Finding("ok", "migrations", "all have run")


async def _clock(conn: asyncpg.Connection) -> Finding:
    began = time.time()
    theirs: datetime = await conn.fetchval("select clock_timestamp()")
    apart = abs(theirs.timestamp() - (began + time.time()) / 2)
    if apart > _CLOCK_SECONDS:
        return Finding("warn", "clock", f"{apart:.1f} s apart from the database's", "run an NTP client on both")
    return Finding("ok", "clock", f"{apart * 1000:.0f} ms apart from the database's")


async def _contents(conn: asyncpg.Connection, settings: Settings) -> AsyncIterator[Finding]:
    """What only a migrated database can tell: whether its secrets open, and whether work piles up."""
    if await conn.fetchval("select to_regclass('outbox')") is None:
        return
    if settings.secret_keys and not await pending(conn):
        yield await _seals(conn, settings)
        async for finding in _calendars(conn, settings):
            yield finding
    oldest = await oldest_due(conn)
    waiting = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    if waiting > _BACKLOG_SECONDS:
        yield Finding("warn", "outbox", f"the oldest work has waited {waiting:.0f} s", "is `slotwire worker` running?")
    else:
        yield Finding("ok", "outbox", "nothing waits")


async def _seals(conn: asyncpg.Connection, settings: Settings) -> Finding:
    """Whether the keys open what is stored, and which of them it still takes."""
    found = (await count_seals(conn, Vault(settings.secret_keys))).values()
    lost, older = sum(tally.lost for tally in found), sum(tally.older for tally in found)
    if lost:
        advice = "put the old key back, behind the new one; `slotwire rotate-keys --check` says where"
        return Finding("fail", "secret keys", f"{lost:,} sealed values open with none of them", advice)
    if older:
        advice = "keep them all, and run `slotwire rotate-keys` when every process knows the first one"
        return Finding("warn", "secret keys", f"{older:,} sealed values still need an older key than the first", advice)
    more = "; only the first is needed any more" if len(settings.secret_keys) > 1 else ""
    return Finding("ok", "secret keys", f"open what is stored{more}")


async def _calendars(conn: asyncpg.Connection, settings: Settings) -> AsyncIterator[Finding]:
    """Which providers can be connected, and whether the accounts that are can be used."""
    registered = {provider for provider in _PROVIDERS if client_of(settings, provider) is not None}
    for provider, (name, variable) in _PROVIDERS.items():
        client = client_of(settings, provider)
        if client is not None and not client.secret:
            yield Finding("fail", "calendars", f"{name} has a client id and no secret", f"set {variable}_SECRET")
    vault, rows = Vault(settings.secret_keys), await conn.fetch(SQL.list_kept_credentials)
    for provider, (name, variable) in _PROVIDERS.items():
        left = sum(row["provider"] == provider for row in rows) if provider not in registered else 0
        if left:
            advice = f"set {variable}_ID and {variable}_SECRET; nothing is read or written there until then"
            yield Finding("fail", "calendars", f"{_accounts(left)} of {name}, which is not set up", advice)
    lost = sum(vault.opener(row["credentials_sealed"]) is None for row in rows)
    if lost:
        advice = "put the old key back into SLOTWIRE_SECRET_KEYS, or let their owners connect them again"
        yield Finding("fail", "calendars", f"the credentials of {_accounts(lost)} open with no key", advice)
    ended = sum(row["status"] == "needs_reauth" for row in rows)
    if ended:
        advice = "their owners have a mail, and connect them again where they did first"
        yield Finding("warn", "calendars", f"{_accounts(ended)} must be connected again", advice)
    paused = sum(row["status"] == "paused" for row in rows)
    if paused:
        advice = "their owners have a mail, and decide: apply, or restore"
        yield Finding("warn", "calendars", f"changes of {_accounts(paused)} are held back", advice)
    offered = ", ".join([_PROVIDERS[each][0] for each in _PROVIDERS if each in registered] + ["CalDAV"])
    yield Finding("ok", "calendars", f"{offered} can be connected; {_accounts(len(rows))} in use")


def _accounts(count: int) -> str:
    return f"{count:,} account{'s' if count != 1 else ''}"


async def _redis(settings: Settings) -> Finding:
    if not settings.redis_url:
        return Finding("warn", "Redis", "SLOTWIRE_REDIS_URL is not set", "events wait for the next sweep, a second")
    client = wake.connect(settings.redis_url)
    try:
        await client.ping()
    except (RedisError, OSError, TimeoutError) as error:
        advice = "bookings go on without it; events wait for the next sweep, a second"
        return Finding("warn", "Redis", f"cannot be reached: {error}", advice)
    finally:
        await client.aclose()
    return Finding("ok", "Redis", "answers")


async def _mail(settings: Settings) -> Finding:
    """The words are the transport's own, which holds no password in them."""
    if not settings.smtp_url:
        return _no_mail_server(settings)
    where = urlsplit(settings.smtp_url).hostname or ""
    try:
        client = await open_smtp(settings, _SMTP_SECONDS)
    except MailServerAway as error:
        advice = "check SLOTWIRE_SMTP_URL (special characters in it as %2F, %40, …), and that the server lets us in"
        return Finding("fail", "mail", str(error), advice)
    encrypted = client.get_transport_info("sslcontext") is not None
    with suppress(SMTPException, OSError):
        await client.quit()
    if not encrypted and where not in LOOPBACK:
        advice = "use smtps://, or a server that offers STARTTLS: everybody on the way can read the links in mails"
        return Finding("warn", "mail", f"{where} takes mails, but without encryption", advice)
    how = "takes mails, encrypted" if encrypted else "takes mails"
    return Finding("ok", "mail", f"{where} {how}; they come from {settings.sender}")


def _no_mail_server(settings: Settings) -> Finding:
    kept = f"mails are put into {settings.mail_dir}" if settings.mail_dir else "mails are not even kept"
    if settings.development:
        return Finding("ok", "mail", f"no mail server; {kept if settings.mail_dir else '`slotwire up` keeps them'}")
    advice = "set SLOTWIRE_SMTP_URL to smtp://user:password@host:587 or smtps://user:password@host:465"
    return Finding("warn", "mail", f"nobody gets mail: SLOTWIRE_SMTP_URL is not set; {kept}", advice)


def run_doctor(settings: Settings) -> int:
    """Print one line per finding, with its advice; 1 when something does not work."""

    async def look() -> int:
        failed = 0
        async for finding in examine(settings):
            print(f"{finding.state:>4}  {finding.subject}: {finding.detail}")
            if finding.state != "ok" and finding.advice:
                print(f"      -> {finding.advice}")
            failed |= finding.state == "fail"
        return failed

    return asyncio.run(look())
