"""Migrations: numbered files, forward only, each in its own transaction, with a ledger of what ran. One that says in
its first line that it runs outside of one must be safe to run again from its beginning: a stop may leave half of it.

The one rule: a file that ran never changes. The ledger keeps its SHA-256, and an edited or missing file stops the
start. The lock is polled: a blocking advisory lock deadlocks with CREATE INDEX CONCURRENTLY, which waits for every
snapshot, the blocked waiter's too.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from importlib import resources

import asyncpg

from app.core import sql
from app.core.db import AWAY, Connection, refused
from app.core.settings import ConfigurationError

SQL = sql.load("events")

_LOCK = 7_561_402_513
_LOCK_POLL_SECONDS = 0.1
_LOCK_PATIENCE_SECONDS = 120
_OUTSIDE = "-- outside a transaction\n"
_LEDGER = """
create table if not exists schema_migrations (
    name        text primary key,
    sha256      text not null,
    applied_at  timestamptz not null default clock_timestamp()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The files that ship with this version, in order."""
    folder = resources.files("sql").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [Migration(name, folder.joinpath(name).read_text("utf-8")) for name in names]


async def ledger(conn: Connection) -> dict[str, str]:
    """What ran here: file name to SHA-256. Empty on a database that was never migrated."""
    if await conn.fetchval("select to_regclass('schema_migrations')") is None:
        return {}
    return {row["name"]: row["sha256"] for row in await conn.fetch("select name, sha256 from schema_migrations")}


def check_ledger(applied: dict[str, str], known: list[Migration]) -> list[Migration]:
    """What is still to run. Raises ConfigurationError for a file that was edited or is missing here."""
    by_name = {migration.name: migration for migration in known}
    for name, sha256 in sorted(applied.items()):
        if name not in by_name:
            raise ConfigurationError(
                f"the database was migrated by a newer Slotwire (it has {name}, which is not here); upgrade this one"
            )
        if by_name[name].sha256 != sha256:
            raise ConfigurationError(
                f"migration {name} was edited after it ran; restore the file, write a new one instead"
            )
    return [migration for migration in known if migration.name not in applied]


async def pending(conn: Connection) -> list[str]:
    """Names of the migrations that this version needs and the database lacks."""
    applied = await ledger(conn)
    return [migration.name for migration in migrations() if migration.name not in applied]


async def migrate(dsn: str) -> list[str]:
    """Bring the database up to this version; return the names of the files that ran.

    Safe from several hosts at once: one holds the lock, the others wait and find nothing left to do.
    Raises ConfigurationError with one line when the database is away, the ledger disagrees, or a file fails.
    """
    try:
        conn = await asyncpg.connect(dsn, timeout=10, server_settings={"application_name": "slotwire-migrate"})
    except (*AWAY, asyncpg.PostgresError, ValueError) as error:
        raise ConfigurationError(refused(dsn, error)) from None
    try:
        await _lock(conn)
        await conn.execute(_LEDGER)
        applied = [await _apply(conn, each) for each in check_ledger(await ledger(conn), migrations())]
        await conn.execute(SQL.reset_places)
        return applied
    finally:
        await conn.close()


async def _lock(conn: asyncpg.Connection) -> None:
    for _ in range(int(_LOCK_PATIENCE_SECONDS / _LOCK_POLL_SECONDS)):
        if await conn.fetchval("select pg_try_advisory_lock($1)", _LOCK):
            return
        await asyncio.sleep(_LOCK_POLL_SECONDS)
    raise ConfigurationError("another process has been migrating this database for two minutes; is it stuck?")


async def _apply(conn: asyncpg.Connection, migration: Migration) -> str:
    note = ("insert into schema_migrations (name, sha256) values ($1, $2)", migration.name, migration.sha256)
    try:
        if migration.text.startswith(_OUTSIDE):
            for statement in migration.text.rstrip().rstrip(";").split(";\n"):
                await conn.execute(statement)
            await conn.execute(*note)
            return migration.name
        async with conn.transaction():
            # a migration that must wait for a long transaction gives way instead of blocking everybody behind it
            await conn.execute("set local lock_timeout = '5s'")
            await conn.execute(migration.text)
            await conn.execute(*note)
    except asyncpg.PostgresError as error:
        kept = "can be run again" if migration.text.startswith(_OUTSIDE) else "was rolled back"
        raise ConfigurationError(f"migration {migration.name} failed and {kept}: {error}") from error
    return migration.name
