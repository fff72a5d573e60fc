"""One calendar read: what is new there, what of it is busy, and what of ours was changed.

The one rule: what was read counts only together with the token that the next sync goes on from. A worker that dies
anywhere here leaves a calendar that is read again from where it was.
"""

import functools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import asyncpg

from app.core import db, sql
from app.core.db import AWAY
from app.core.errors import Unavailable
from app.core.logs import logger
from app.domain.calendars import mirror, outbound
from app.domain.calendars.access import Roads, Used, reach, within
from app.domain.calendars.connections import lose_access
from app.domain.calendars.http import asked_wait
from app.domain.calendars.mirror import LeaseLost, Reading, Seen
from app.domain.calendars.provider import (
    AccessLost,
    CalendarError,
    Page,
    Provider,
    RemoteEvent,
    TokenExpired,
    TryLater,
    Window,
)
from workers.calendar_changes import refresh_calendars, settle_changes
from workers.calendar_channels import keep_channel

SQL = sql.load("calendar_sync")

Result = TypeVar("Result")

# A lost push is made good by a look that comes so much later than where nobody pushes.
_WITH_PUSH = 10
_JITTER = 0.2
_LONGEST_WAIT = timedelta(hours=1)
_REST = timedelta(seconds=5)
_SOON = timedelta(seconds=1)
# ten thousand events take some seconds of it
_LONGEST_SECONDS = 600.0
_log = logger("calendars")


async def read_calendar(roads: Roads, reading: Reading) -> None:
    """Sync one calendar, and follow what was changed there of ours. A failure is noted on it, and tried again."""
    holder = _Holder(roads, reading)
    try:
        async with within(_LONGEST_SECONDS):
            provider = await reach(roads, reading.org_id, reading.connection_id, used=holder.used)
            pushed = await keep_channel(roads, provider, reading)
            await _sync(holder, provider)
            await settle_changes(roads, provider, holder.reading)
    except LeaseLost:
        _log.info("calendar_lease_lost", calendar_id=str(reading.id))
    except CalendarError as error:
        await _note_unread(holder, error)
    except (*AWAY, Unavailable, asyncpg.PostgresError):
        # nothing can be noted just now: the lease runs out
        raise
    except Exception:  # noqa: BLE001 -- it would come again with every lease, and the calendar would not say why
        _log.exception("calendar_reading_failed", calendar_id=str(reading.id))
        await _note_unread(holder, TryLater("internal_error"))
    else:
        # only that they do not all come at once
        spread = 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311
        wait = roads.settings.calendar_poll_seconds * (_WITH_PUSH if pushed else 1) * spread
        async with db.acquire(roads.pool) as conn:
            now = roads.clock()
            await conn.execute(SQL.release_calendar, *holder.lease, now + timedelta(seconds=wait), now + _SOON)


class _Holder:
    """A reading whose lease grows with what is read."""

    def __init__(self, roads: Roads, reading: Reading) -> None:
        self.roads, self.reading, self.used = roads, reading, Used()

    @property
    def lease(self) -> tuple[object, ...]:
        return (self.reading.org_id, self.reading.id, self.reading.leased_until)

    @property
    def fresh(self) -> timedelta:
        """So long what was read counts as known: no shorter than two looks are apart, whatever was configured."""
        settings = self.roads.settings
        apart = timedelta(seconds=settings.calendar_poll_seconds * _WITH_PUSH * (1 + _JITTER))
        return max(timedelta(minutes=settings.calendar_stale_minutes), 2 * apart)

    async def within(self, work: Callable[[db.Connection, datetime], Awaitable[Result]]) -> Result:
        """Some work in a transaction of its own."""
        async with db.acquire(self.roads.pool) as conn:
            return await db.run(conn, lambda conn: work(conn, self.roads.clock()))

    async def keep(self) -> None:
        """Prolong the lease. Raises LeaseLost."""
        self.reading = await self.within(lambda conn, now: mirror.keep(conn, self.reading, now))


async def _sync(holder: _Holder, provider: Provider) -> None:
    now = holder.roads.clock()
    kept = holder.reading.kept_window(now)
    if kept is not None:
        try:
            await _sync_increment(holder, provider, kept)
        except TokenExpired:
            _log.info("calendar_token_expired", calendar_id=str(holder.reading.id))
        else:
            return
    await _sync_fully(holder, provider, holder.reading.window(now))


async def _sync_increment(holder: _Holder, provider: Provider, window: Window) -> None:
    reading, events = holder.reading, list[RemoteEvent]()
    token = None
    async for page in _kept(holder, provider.changes(reading.remote_id, reading.sync_state["token"], window)):
        events += page.events
        token = page.token
    if token is None:
        raise TryLater("no_token")
    about = (holder.reading, events, token, holder.fresh)
    await holder.within(lambda conn, now: mirror.apply_increment(conn, *about, now))


async def _sync_fully(holder: _Holder, provider: Provider, window: Window) -> None:
    generation = await holder.within(lambda conn, _: mirror.begin_generation(conn, holder.reading))
    seen, token = Seen(), None
    async for page in _kept(holder, provider.full_sync(holder.reading.remote_id, window)):
        some = (holder.reading, generation, page.events, seen)
        await holder.within(functools.partial(_add, some))
        token = page.token
    if token is None:
        raise TryLater("no_token")
    about = (holder.reading, generation, window, token, seen, holder.fresh)
    await holder.within(lambda conn, now: mirror.finish_generation(conn, *about, now))
    # what was booked in the moment in which the calendar was connected
    await holder.within(lambda conn, now: outbound.plan_missing(conn, holder.reading.org_id, holder.reading.id, now))
    if holder.reading.was_read_long_ago(holder.roads.clock()):
        await _refresh(holder, provider)


async def _refresh(holder: _Holder, provider: Provider) -> None:
    """Now and then, what is new in the account. A calendar that can be read is not given up because its account's list
    cannot."""
    try:
        await refresh_calendars(holder.roads, provider, holder.reading)
    except AccessLost:
        raise
    except CalendarError as error:
        _log.info("calendars_unlisted", calendar_id=str(holder.reading.id), error=error.code)


async def _add(some: tuple[Reading, int, Sequence[RemoteEvent], Seen], conn: db.Connection, now: datetime) -> None:
    await mirror.add_page(conn, *some, now)


async def _kept(holder: _Holder, pages: AsyncIterator[Page]) -> AsyncIterator[Page]:
    """With the lease prolonged for each page."""
    async for page in pages:
        await holder.keep()
        yield page


async def _note_unread(holder: _Holder, error: CalendarError) -> None:
    reading = holder.reading
    wait = min(timedelta(seconds=5 * 2 ** min(reading.failures, 10)), _LONGEST_WAIT)
    asked = asked_wait(error)
    _log.warning("calendar_unread", calendar_id=str(reading.id), error=error.code)

    async def note(conn: db.Connection, now: datetime) -> None:
        lost = False
        if isinstance(error, AccessLost):
            about = (reading.org_id, reading.connection_id, error.code, holder.used.sealed)
            lost = await lose_access(conn, *about, now)
        elif asked is not None or error.code == "rate_limited":
            await conn.execute(SQL.rest_connection, reading.org_id, reading.connection_id, now + (asked or _REST))
        again = now + max(wait, asked or timedelta())
        await conn.execute(SQL.note_unread, *holder.lease, again, error.code, lost, now)

    await holder.within(note)
