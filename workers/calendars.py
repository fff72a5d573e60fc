"""Hosts' calendars: bookings go there, and what hosts do there comes here.

The one rule: the database decides who does what. Entries and calendars are leased by statements that skip what
another worker has, so any number of workers share them, and a killed one's come back when their leases run out. What
is slow takes no other one's turn: no account, and no organization by all of its accounts.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import asyncpg

from app.core import db
from app.core.db import AWAY, Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.calendars.access import Roads
from app.domain.calendars.mirror import claim_calendars
from app.domain.calendars.outbound import claim_writes, plan_writes
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import open_session
from workers.calendar_endings import end_some
from workers.calendar_reads import read_calendar
from workers.calendar_writes import write_entry

Result = TypeVar("Result")

SWEEP_SECONDS = 1.0
# under load so many commits share one look
_GATHER_SECONDS = 0.05
_WRITERS, _READERS = 16, 8
# So many of them may work on one account at once; on all accounts of one organization half of them.
_SHARE_OF_WRITERS, _SHARE_OF_READERS = 4, 2
_TIMEOUT_SECONDS = 15.0
_log = logger("calendars")


class Calendars:
    """One worker's share. `run` ends after `stop`, when what is under way is done."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, settings: Settings) -> None:
        self._pool, self._vault, self._settings = pool, vault, settings
        self._writes, self._reads, self._ends = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stopped = False

    def wake(self) -> None:
        """Something may be owed to a calendar, or new in one."""
        self._writes.set()
        self._reads.set()

    def stop(self) -> None:
        self._stopped = True
        self._ends.set()
        self.wake()

    async def run(self) -> None:
        guarded = open_session(
            guard=Guard.of(self._settings), concurrency=_WRITERS + _READERS, timeout_seconds=_TIMEOUT_SECONDS
        )
        plain = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        async with plain as session, guarded:
            self._roads = Roads(self._pool, self._vault, self._settings, session, guarded, _now)
            works = (self._write_for_ever, self._read_for_ever, self._end_for_ever)
            tasks = [asyncio.create_task(each()) for each in works]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _write_for_ever(self) -> None:
        crew = _Crew(_WRITERS, _SHARE_OF_WRITERS, self._writes)
        while not self._stopped:
            self._writes.clear()
            planned = await self._insist(lambda conn: db.run(conn, _plan)) or 0
            found = await self._insist(lambda conn: claim_writes(conn, crew.busy, _now())) if crew.has_room else None
            for each in found or ():
                crew.start(each.org_id, each.connection_id, write_entry(self._roads, each))
            if not planned and not found:
                await _wait(self._writes)
                await asyncio.sleep(_GATHER_SECONDS)
        await crew.finish()

    async def _read_for_ever(self) -> None:
        crew = _Crew(_READERS, _SHARE_OF_READERS, self._reads)
        while not self._stopped:
            self._reads.clear()
            found = await self._insist(lambda conn: claim_calendars(conn, crew.busy, _now())) if crew.has_room else None
            for each in found or ():
                crew.start(each.org_id, each.connection_id, read_calendar(self._roads, each))
            if not found:
                await _wait(self._reads)
                await asyncio.sleep(_GATHER_SECONDS)
        await crew.finish()

    async def _end_for_ever(self) -> None:
        while not self._stopped:
            if not await _guarded(end_some(self._roads)):
                await _wait(self._ends)

    async def _insist(self, work: Callable[[Connection], Awaitable[Result]]) -> Result | None:
        """Do some work on a connection; None where that failed."""

        async def on_a_connection() -> Result:
            async with db.acquire(self._pool) as conn:
                return await work(conn)

        return await _guarded(on_a_connection())


async def _guarded(work: Coroutine[Any, Any, Result]) -> Result | None:
    try:
        return await work
    except (*AWAY, Unavailable, asyncpg.PostgresError) as error:
        _log.warning("calendars_untended", error=type(error).__name__)
    except Exception:  # noqa: BLE001 -- a loop that ends tells nobody, and no calendar would be tended any more
        _log.exception("calendars_untended")
    await asyncio.sleep(SWEEP_SECONDS)
    return None


class _Crew:
    """So much at once, so much of it for one connection, and half of it for one organization. done: set whenever some
    of it is."""

    def __init__(self, size: int, share: int, done: asyncio.Event) -> None:
        self._size, self._share, self._most, self._done = size, share, size // 2, done
        self._tasks: set[asyncio.Task[None]] = set()
        self._of: Counter[UUID] = Counter()
        self._of_org: Counter[UUID] = Counter()

    @property
    def has_room(self) -> bool:
        # a claim takes some at once: what is beyond an organization's share takes nothing from the others
        return sum(min(count, self._most) for count in self._of_org.values()) < self._size

    @property
    def busy(self) -> list[UUID]:
        """The connections and organizations that have their share."""
        connections = [each for each, count in self._of.items() if count >= self._share]
        return connections + [each for each, count in self._of_org.items() if count >= self._most]

    def start(self, org_id: UUID, connection_id: UUID, work: Coroutine[Any, Any, None]) -> None:
        self._of[connection_id] += 1
        self._of_org[org_id] += 1
        task = asyncio.create_task(self._do(org_id, connection_id, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _do(self, org_id: UUID, connection_id: UUID, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (*AWAY, Unavailable, asyncpg.PostgresError) as error:
            # its lease runs out, and somebody takes it up again
            _log.warning("calendar_work_lost", error=type(error).__name__)
        except Exception:  # noqa: BLE001 -- one that fails in its own way must not end all of them
            _log.exception("calendar_work_failed")
        finally:
            for counter, each in ((self._of, connection_id), (self._of_org, org_id)):
                counter[each] -= 1
                if not counter[each]:
                    del counter[each]
            self._done.set()


async def _plan(conn: Connection) -> int:
    return await plan_writes(conn, _now())


async def _wait(event: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout=SWEEP_SECONDS)


def _now() -> datetime:
    return datetime.now(UTC)
