"""What is due by the clock alone.

The one rule: every job is safe to run twice and on any number of workers, and does a bounded amount of work at a time.
What can wait for Redis is a cron of arq's, where there is one; bookings, whose ends were promised to somebody, are
tended without it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from app.core import db, idempotency
from app.core.db import Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.domain.bookings.due import take_due_steps
from app.domain.calendars import outbound as calendars
from app.domain.identity import audit, sessions
from app.domain.notifications import outgoing
from app.domain.webhooks import deliveries

_log = logger("clock")
_BATCH = 1000
_TEND_SECONDS = 2.0
_DROP_SECONDS = 5.0
_CLEAN_SECONDS = 1800.0
_MAILS_KEPT = timedelta(days=90)
# of ended sessions nobody but the audit log tells, which keeps its own lines
_SESSIONS_KEPT = timedelta(days=30)
_REFUSALS_KEPT = timedelta(days=90)


async def tend_bookings(pool: asyncpg.Pool) -> None:
    """Take every step that is due, for ever: holds end, unanswered requests too, meetings complete."""
    await _for_ever(pool, "bookings_untended", _TEND_SECONDS, _take_due_steps)


async def drop_owed(pool: asyncpg.Pool) -> None:
    """Drop what webhooks that ended are owed, for ever."""
    await _for_ever(pool, "owed_undropped", _DROP_SECONDS, _drop_settled)


async def keep_clean(pool: asyncpg.Pool) -> None:
    """Delete what is kept no longer, for ever: where there is no Redis, and so no cron."""
    await _for_ever(pool, "keys_uncleaned", _CLEAN_SECONDS, _clean)


async def clean_idempotency_keys(ctx: dict[str, Any]) -> int:
    """The cron: delete keys that are older than 24 hours, and mails and sessions that nobody asks for; return how many
    keys."""
    async with db.acquire(ctx["pool"]) as conn:
        return await _clean(conn)


async def _drop_settled(conn: Connection) -> None:
    await deliveries.drop_settled(conn, datetime.now(UTC))


async def _take_due_steps(conn: Connection) -> None:
    while await take_due_steps(conn, _BATCH, datetime.now(UTC)) == _BATCH:
        pass


async def _clean(conn: Connection) -> int:
    total = 0
    while count := await idempotency.clean(conn, limit=_BATCH, now=datetime.now(UTC)):
        total += count
    _log.info("cleaned_idempotency_keys", count=total)
    while await outgoing.clean(conn, datetime.now(UTC) - _MAILS_KEPT, _BATCH):
        pass
    while await audit.clean(conn, datetime.now(UTC) - _REFUSALS_KEPT):
        pass
    while await sessions.clean(conn, datetime.now(UTC) - _SESSIONS_KEPT):
        pass
    while await calendars.clean(conn, datetime.now(UTC)):
        pass
    return total


async def _for_ever(
    pool: asyncpg.Pool, complaint: str, seconds: float, work: Callable[[Connection], Awaitable[object]]
) -> None:
    while True:
        try:
            async with db.acquire(pool) as conn:
                await work(conn)
        except (*db.AWAY, Unavailable, asyncpg.PostgresError) as error:
            _log.warning(complaint, error=type(error).__name__)
        except Exception:  # noqa: BLE001 -- a task that ends tells nobody, and everything due would stay as it is
            _log.exception(complaint)
        await asyncio.sleep(seconds)
