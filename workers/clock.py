"""What is due by the clock alone.

The one rule: every job is safe to run twice and on any number of workers, and does a bounded amount of work at a time.
What can wait for Redis is a cron of arq's; holds, which a caller was promised an end of, are tended without it.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg

from app.core import db, idempotency
from app.core.errors import Unavailable
from app.core.logs import logger
from app.domain.bookings.holds import end_holds

_log = logger("clock")
_BATCH = 1000
_HOLDS_SECONDS = 2.0


async def tend_holds(pool: asyncpg.Pool) -> None:
    """End holds that are over, for ever. Whoever wants such a slot does not wait for this."""
    while True:
        try:
            async with db.acquire(pool) as conn:
                while await end_holds(conn, _BATCH, datetime.now(UTC)) == _BATCH:
                    pass
        except (*db.AWAY, Unavailable, asyncpg.PostgresError) as error:
            _log.warning("holds_untended", error=type(error).__name__)
        await asyncio.sleep(_HOLDS_SECONDS)


async def clean_idempotency_keys(ctx: dict[str, Any]) -> int:
    """Delete keys that are older than 24 hours; return how many."""
    pool: asyncpg.Pool = ctx["pool"]
    total = 0
    async with db.acquire(pool) as conn:
        while count := await idempotency.clean(conn, limit=_BATCH, now=datetime.now(UTC)):
            total += count
    _log.info("cleaned_idempotency_keys", count=total)
    return total
