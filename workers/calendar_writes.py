"""One entry in a host's calendar: made, changed or removed there, and what became of it noted.

The one rule: whatever happens between two lines here may be the end of the worker. So nothing is done there that a
second try would do twice, and nothing is called written before the provider has said so.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import asyncpg

from app.core import db, sql
from app.core.db import AWAY
from app.core.errors import Unavailable
from app.core.logs import logger
from app.domain.bookings.meetings import note_meeting
from app.domain.calendars import outbound
from app.domain.calendars.access import Roads, Used, reach, within
from app.domain.calendars.changes import TOUCHING, theirs_of
from app.domain.calendars.connections import lose_access
from app.domain.calendars.entries import Wish, changed_fields, wish_of
from app.domain.calendars.http import asked_wait
from app.domain.calendars.outbound import Write
from app.domain.calendars.provider import (
    DUPLICATE_NOT_FOUND,
    AccessLost,
    CalendarError,
    Draft,
    EventGone,
    Provider,
    TryLater,
    Window,
    Written,
)
from app.domain.calendars.verdict import Ours, Times, judge

SQL = sql.load("calendar_sync")

# What the provider will refuse again is asked again all the same, in case somebody has mended it there.
_REFUSED_AGAIN = timedelta(hours=1)
# So long a provider that asks for no certain time is left alone.
_REST = timedelta(seconds=5)
_AROUND = timedelta(days=1)
# the lease is longer
_LONGEST_SECONDS = 60.0
# so often one that was made already is looked for, some minutes in all
_LOOKS_FOR_A_DUPLICATE = 4
_log = logger("calendars")


async def write_entry(roads: Roads, write: Write) -> None:
    """Bring the calendar to what the entry should be; a failure is noted on it, and tried again."""
    used = Used()
    try:
        async with within(_LONGEST_SECONDS):
            provider = await reach(roads, write.org_id, write.connection_id, used=used)
            await (_put if write.wanted else _remove)(roads, provider, write)
    except AccessLost as error:
        code = error.code

        async def lose(conn: db.Connection) -> None:
            await lose_access(conn, write.org_id, write.connection_id, code, used.sealed, roads.clock())
            await outbound.note_unwritten(conn, write, code, _REST, roads.clock())

        async with db.acquire(roads.pool) as conn:
            await db.run(conn, lose)
    except TryLater as error:
        if error.code == DUPLICATE_NOT_FOUND and write.attempts >= _LOOKS_FOR_A_DUPLICATE:
            # made by a call whose answer was lost, and deleted since
            async with db.acquire(roads.pool) as conn:
                await db.run(conn, lambda conn: outbound.remake(conn, write.org_id, write.id, _REST, roads.clock()))
        else:
            await _try_later(roads, write, error)
    except CalendarError as error:
        _log.warning("calendar_write_refused", event_id=str(write.id), error=error.code)
        async with db.acquire(roads.pool) as conn:
            await outbound.note_unwritten(conn, write, error.code, _REFUSED_AGAIN, roads.clock())
    except (*AWAY, Unavailable, asyncpg.PostgresError):
        # nothing can be noted just now: the lease runs out
        raise
    except Exception:  # noqa: BLE001 -- it would come again with every lease, and the booking would not say why
        _log.exception("calendar_write_failed", event_id=str(write.id))
        await _try_later(roads, write, TryLater("internal_error"))


async def _try_later(roads: Roads, write: Write, error: TryLater) -> None:
    now = roads.clock()
    asked = asked_wait(error)
    async with db.acquire(roads.pool) as conn:
        if asked is not None or error.code == "rate_limited":
            await conn.execute(SQL.rest_connection, write.org_id, write.connection_id, now + (asked or _REST))
        wait = max(outbound.delay_after(write.attempts + 1), asked or timedelta())
        await outbound.note_unwritten(conn, write, error.code, wait, now)


async def _put(roads: Roads, provider: Provider, write: Write) -> None:
    async with db.acquire(roads.pool) as conn:
        wish = await wish_of(conn, write.org_id, write.booking_id, write.user_id)
        if wish.is_over:
            await outbound.give_up(conn, write, roads.clock())
            return
    gone = moved_there = False
    try:
        written = await _bring(roads, provider, write, wish)
    except EventGone:
        written, gone = None, True
    if written is not None and write.starts_at is not None and write.ends_at is not None:
        # where it stands now is where we put it, now or before, or somebody has moved it meanwhile
        stood, there = Times(write.starts_at, write.ends_at), Times(written.starts_at, written.ends_at)
        moved_there = there not in {stood, Times(wish.draft.starts_at, wish.draft.ends_at)}
        if moved_there:
            written = replace(written, starts_at=stood.starts_at, ends_at=stood.ends_at)

    async def note(conn: db.Connection) -> None:
        if gone and (write.remote_id is None or write.starts_at is None):
            # made by us and deleted before we knew, or to be restored: what is certain is that it should be there
            wait = outbound.delay_after(write.attempts) if write.attempts else timedelta()
            await outbound.remake(conn, write.org_id, write.id, wait, roads.clock())
        elif written is None:
            await outbound.look_first(conn, write, roads.clock())
        else:
            if moved_there:
                await outbound.look_soon(conn, write, roads.clock())
            await _note_written(conn, write, written, wish.draft, roads.clock())

    async with db.acquire(roads.pool) as conn:
        await db.run(conn, note)


async def _note_written(conn: db.Connection, write: Write, written: Written, draft: Draft, now: datetime) -> None:
    url = written.meeting_url
    if draft.conference and url is not None:
        # the booking before its entry, as whoever moves one locks them
        await note_meeting(conn, write.org_id, write.booking_id, url, now)
    await outbound.note_written(conn, write, written, draft, now)


async def _bring(roads: Roads, provider: Provider, write: Write, wish: Wish) -> Written | None:
    """What stands there now; None where somebody else's later change stands there. Raises EventGone."""
    draft, calendar = wish.draft, write.calendar_remote_id
    if write.remote_id is None:
        return await provider.create(calendar, write.id, draft)
    fields = changed_fields(write.written, draft)
    if not fields:
        url = write.meeting_url
        if draft.conference and url is None:
            url = (await provider.get(calendar, write.remote_id, _around(wish, write))).meeting_url
        return Written(write.remote_id, None, draft.starts_at, draft.ends_at, url)
    if fields & {"starts_at", "ends_at"} and write.starts_at is not None and write.ends_at is not None:
        stood = Times(write.starts_at, write.ends_at)
        remote = await provider.get(calendar, write.remote_id, _around(wish, write))
        ours = Ours(wish.status, Times(draft.starts_at, draft.ends_at), wish.changed_at, stood, write.wanted)
        if judge(ours, theirs_of(remote), roads.clock()) in TOUCHING:
            return None
    return await provider.update(calendar, write.remote_id, draft, fields)


def _around(wish: Wish, write: Write) -> Window:
    return Window(wish.draft.starts_at - _AROUND, wish.draft.ends_at + _AROUND, write.timezone or "UTC")


async def _remove(roads: Roads, provider: Provider, write: Write) -> None:
    remote_id = write.remote_id
    if remote_id is None:
        # it may have been made by a call whose answer nobody heard
        async with db.acquire(roads.pool) as conn:
            wish = await wish_of(conn, write.org_id, write.booking_id, write.user_id)
        own = await provider.list_own(write.calendar_remote_id, _around(wish, write))
        remote_id = next((each.remote_id for each in own if each.mark == write.id), None)
    if remote_id is not None:
        await provider.delete(write.calendar_remote_id, remote_id)
    async with db.acquire(roads.pool) as conn:
        await outbound.note_removed(conn, write, roads.clock())
