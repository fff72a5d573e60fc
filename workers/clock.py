"""What is due by the clock alone.

The one rule: every job is safe to run twice and on any number of workers, and does a bounded amount of work at a time.
What can wait for Redis is a cron of arq's; bookings, whose ends were promised to somebody, are tended without it.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg

from app.core import db, idempotency
from app.core.errors import Unavailable
from app.core.logs import logger
from app.domain.bookings.due import take_due_steps

_log = logger("clock")
_BATCH = 1000
_TEND_SECONDS = 2.0


async def tend_bookings(pool: asyncpg.Pool) -> None:
    """Take every step that is due, for ever: holds end, unanswered requests too, meetings complete."""
    while True:
        try:
            async with db.acquire(pool) as conn:
                while await take_due_steps(conn, _BATCH, datetime.now(UTC)) == _BATCH:
                    pass
        except (*db.AWAY, Unavailable, asyncpg.PostgresError) as error:
            _log.warning("bookings_untended", error=type(error).__name__)
        await asyncio.sleep(_TEND_SECONDS)


async def clean_idempotency_keys(ctx: dict[str, Any]) -> int:
    """Delete keys that are older than 24 hours; return how many."""
    pool: asyncpg.Pool = ctx["pool"]
    total = 0
    async with db.acquire(pool) as conn:
        while count := await idempotency.clean(conn, limit=_BATCH, now=datetime.now(UTC)):
            total += count
    _log.info("cleaned_idempotency_keys", count=total)
    return total
