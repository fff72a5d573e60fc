"""Waiting lists: whoever is first in line is offered what becomes free.

The one rule: the database decides who tends which list, by a lock that others skip; so any number of workers share
them, and what a killed one had begun is as if it had not been. A prompt makes it quick. Without one each list is looked
at once a minute, whatever it was that freed something.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg

from app.core import db
from app.core.errors import Unavailable
from app.core.logs import logger
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.offers import take_vacancies, tend_list

SWEEP_SECONDS = 1.0
_log = logger("waitlist")


class Waitlists:
    """One worker's share. `run` ends after `stop`."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, settings: Settings) -> None:
        self._pool, self._vault = pool, vault
        self._offer_time = timedelta(minutes=settings.waitlist_offer_minutes)
        self._attention = asyncio.Event()
        self._stopped = False

    def wake(self) -> None:
        """Something may be free."""
        self._attention.set()

    def stop(self) -> None:
        self._stopped = True
        self._attention.set()

    async def run(self) -> None:
        while not self._stopped:
            self._attention.clear()
            try:
                await self._tend()
            except (*db.AWAY, Unavailable, asyncpg.PostgresError) as error:
                _log.warning("waitlists_untended", error=type(error).__name__)
            except Exception:  # noqa: BLE001 -- a loop that ends tells nobody, and nobody would get an offer any more
                _log.exception("waitlists_untended")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._attention.wait(), timeout=SWEEP_SECONDS)

    async def _tend(self) -> None:
        """Everything that is due now."""
        async with db.acquire(self._pool) as conn:
            for work in (_take, self._tend_one):
                while not self._stopped and await db.run(conn, work):
                    pass

    async def _tend_one(self, conn: db.Connection) -> bool:
        return await tend_list(conn, self._vault, self._offer_time, datetime.now(UTC))


async def _take(conn: db.Connection) -> bool:
    return await take_vacancies(conn, datetime.now(UTC)) > 0
