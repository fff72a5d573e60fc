"""What is due by the clock alone: arq's crons.

The one rule: every job is safe to run twice and on any number of workers, and does a bounded amount of work at a time.
"""

from datetime import UTC, datetime
from typing import Any

import asyncpg

from app.core import db, idempotency
from app.core.logs import logger

_log = logger("clock")
_BATCH = 1000


async def clean_idempotency_keys(ctx: dict[str, Any]) -> int:
    """Delete keys that are older than 24 hours; return how many."""
    pool: asyncpg.Pool = ctx["pool"]
    total = 0
    async with db.acquire(pool) as conn:
        while count := await idempotency.clean(conn, limit=_BATCH, now=datetime.now(UTC)):
            total += count
    _log.info("cleaned_idempotency_keys", count=total)
    return total
