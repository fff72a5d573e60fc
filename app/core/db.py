"""The pool, and the one way to run a transaction.

The one rule: `conn` is an argument. Services neither acquire nor commit; whoever opens a unit of work does both.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import orjson

from app.core.errors import Unavailable
from app.core.settings import ConfigurationError

Result = TypeVar("Result")
Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection

# Lost, refused, shutting down, starting up, out of connections: the same request may succeed in a second.
AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    # a lock or a statement that took too long: the caller may try again
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    TimeoutError,
)

# The transaction was refused whole and may be tried again as a whole, once.
_RETRIED = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_ACQUIRE_SECONDS = 5.0


async def _set_up(conn: asyncpg.Connection) -> None:
    await conn.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


async def _leave_as_is(_conn: asyncpg.Connection) -> None:
    """Skip the reset on release: it costs more than a point query, and no unit of work leaves session state behind."""


@asynccontextmanager
async def open_pool(dsn: str, *, size: int, name: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool of at most `size` connections. Raises ConfigurationError with one line when the database is away."""
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min(2, size),
            max_size=size,
            init=_set_up,
            reset=_leave_as_is,
            statement_cache_size=1024,
            timeout=10,
            command_timeout=30,
            server_settings={
                "application_name": name,
                "timezone": "UTC",
                # compiling a plan costs more than any statement of ours
                "jit": "off",
                # and planning one afresh costs as much as running it: every statement here is a look-up by index
                "plan_cache_mode": "force_generic_plan",
                "idle_in_transaction_session_timeout": "60s",
                "lock_timeout": "10s",
            },
        )
    except (*AWAY, asyncpg.PostgresError, ValueError) as error:
        raise ConfigurationError(refused(dsn, error)) from None
    try:
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), timeout=10)
        except TimeoutError:
            pool.terminate()


def unreachable(dsn: str, error: BaseException) -> str:
    """One line, without the password that the address may hold, before the host or in the query."""
    where = dsn.split("://", 1)[-1].rsplit("@", 1)[-1].split("?", 1)[0] or "its socket"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"the database at {where} cannot be reached: {reason}"


def refused(dsn: str, error: BaseException) -> str:
    """The one line for whatever keeps a connection from being made, by the kind of the error."""
    if isinstance(error, AWAY):
        return unreachable(dsn, error)
    if isinstance(error, asyncpg.PostgresError):
        return f"SLOTWIRE_DATABASE_URL: the database refuses us: {str(error).splitlines()[0]}"
    # the parser's own words would quote a piece of the address, and so perhaps of the password
    return (
        "SLOTWIRE_DATABASE_URL is not a database address; expected postgresql://user:password@host:5432/database, "
        "with special characters in the password written as %2F, %40, …"
    )


@asynccontextmanager
async def acquire(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """One connection for a request. Raises Unavailable when the database is away or every connection stays busy."""
    try:
        # waiting with a limit costs a task and a timer, which a request that need not wait is spared
        conn = await pool.acquire(timeout=None if pool.get_idle_size() else _ACQUIRE_SECONDS)
    except AWAY as error:
        raise Unavailable("The database is away or overloaded; try again in a moment.") from error
    try:
        yield conn
    finally:
        await pool.release(conn)


async def run(conn: Connection, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    """Run `work` in one transaction, and once more as a whole when the database refuses it for a conflict."""
    try:
        async with conn.transaction():
            return await work(conn)
    except _RETRIED:
        async with conn.transaction():
            return await work(conn)


@asynccontextmanager
async def snapshot(conn: Connection) -> AsyncIterator[None]:
    """Read several things as they are at one moment, each planned for its values: for lists with many filters, whose
    best plan depends on which are given."""
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        await conn.execute("set local plan_cache_mode = force_custom_plan")
        yield


def affected(tag: Any) -> int:
    """The row count of a command tag such as `DELETE 3`."""
    return int(str(tag).rsplit(" ", 1)[-1])
