"""One entry in a host's calendar: made, changed or removed there, and what became of it noted.

The one rule: whatever happens between two lines here may be the end of the worker. So nothing is done there that a
second try would do twice, and nothing is called written before the provider has said so.
"""

from datetime import timedelta

from app.core import db, sql
from app.core.logs import logger
from app.domain.calendars import outbound
from app.domain.calendars.access import Roads, reach
from app.domain.calendars.changes import TOUCHING, theirs_of
from app.domain.calendars.connections import lose_access
from app.domain.calendars.entries import Wish, changed_fields, wish_of
from app.domain.calendars.meetings import note_meeting
from app.domain.calendars.outbound import Write
from app.domain.calendars.provider import AccessLost, CalendarError, EventGone, Provider, TryLater, Window, Written
from app.domain.calendars.verdict import Ours, Times, judge

SQL = sql.load("calendar_sync")

# What the provider will refuse again is asked again all the same, in case somebody has mended it there.
_REFUSED_AGAIN = timedelta(hours=1)
# So long a provider that asks for no certain time is left alone.
_REST = timedelta(seconds=5)
_AROUND = timedelta(days=1)
_log = logger("calendars")


async def write_entry(roads: Roads, write: Write) -> None:
    """Bring the calendar to what the entry should be; a failure is noted on it, and tried again."""
    try:
        provider = await reach(roads, write.org_id, write.connection_id)
        await (_put if write.wanted else _remove)(roads, provider, write)
    except AccessLost as error:
        async with db.acquire(roads.pool) as conn, conn.transaction():
            await lose_access(conn, write.org_id, write.connection_id, error.code, roads.clock())
            await outbound.note_unwritten(conn, write, error.code, _REST, roads.clock())
    except TryLater as error:
        await _try_later(roads, write, error)
    except CalendarError as error:
        _log.warning("calendar_write_refused", event_id=str(write.id), error=error.code)
        async with db.acquire(roads.pool) as conn:
            await outbound.note_unwritten(conn, write, error.code, _REFUSED_AGAIN, roads.clock())


async def _try_later(roads: Roads, write: Write, error: TryLater) -> None:
    now = roads.clock()
    asked = timedelta(seconds=error.seconds) if error.seconds is not None else None
    async with db.acquire(roads.pool) as conn:
        if asked is not None or error.code == "rate_limited":
            await conn.execute(SQL.rest_connection, write.org_id, write.connection_id, now + (asked or _REST))
        wait = max(outbound.delay_after(write.attempts + 1), asked or timedelta())
        await outbound.note_unwritten(conn, write, error.code, wait, now)


async def _put(roads: Roads, provider: Provider, write: Write) -> None:
    async with db.acquire(roads.pool) as conn:
        wish = await wish_of(conn, write.org_id, write.booking_id, write.user_id)
    try:
        written = await _bring(roads, provider, write, wish)
    except EventGone:
        async with db.acquire(roads.pool) as conn, conn.transaction():
            if write.remote_id is None:
                # made by us, and deleted before we knew: what is certain is that it should be there
                await outbound.remake(conn, write.org_id, write.id, roads.clock())
            else:
                await outbound.look_first(conn, write, roads.clock())
        return
    async with db.acquire(roads.pool) as conn, conn.transaction():
        if written is None:
            await outbound.look_first(conn, write, roads.clock())
        elif await outbound.note_written(conn, write, written, wish.draft, roads.clock()):
            await note_meeting(conn, write.org_id, write.booking_id, written.meeting_url, roads.clock())


async def _bring(roads: Roads, provider: Provider, write: Write, wish: Wish) -> Written | None:
    """What stands there now; None where somebody else's later change stands there. Raises EventGone."""
    draft, calendar = wish.draft, write.calendar_remote_id
    if write.remote_id is None:
        return await provider.create(calendar, write.id, draft)
    fields = changed_fields(write.written, draft)
    if not fields:
        return Written(write.remote_id, None, draft.starts_at, draft.ends_at, write.meeting_url)
    if fields & {"starts_at", "ends_at"} and write.starts_at is not None and write.ends_at is not None:
        stood = Times(write.starts_at, write.ends_at)
        window = Window(draft.starts_at - _AROUND, draft.ends_at + _AROUND, write.timezone or "UTC")
        remote = await provider.get(calendar, write.remote_id, window)
        ours = Ours(wish.status, Times(draft.starts_at, draft.ends_at), wish.changed_at, stood, write.wanted)
        if judge(ours, theirs_of(remote), roads.clock()) in TOUCHING:
            return None
    return await provider.update(calendar, write.remote_id, draft, fields)


async def _remove(roads: Roads, provider: Provider, write: Write) -> None:
    remote_id = write.remote_id
    if remote_id is None:
        # it may have been made by a call whose answer nobody heard
        async with db.acquire(roads.pool) as conn:
            wish = await wish_of(conn, write.org_id, write.booking_id, write.user_id)
        window = Window(wish.draft.starts_at - _AROUND, wish.draft.ends_at + _AROUND, write.timezone or "UTC")
        own = await provider.list_own(write.calendar_remote_id, window)
        remote_id = next((each.remote_id for each in own if each.mark == write.id), None)
    if remote_id is not None:
        await provider.delete(write.calendar_remote_id, remote_id)
    async with db.acquire(roads.pool) as conn:
        await outbound.note_removed(conn, write, roads.clock())
