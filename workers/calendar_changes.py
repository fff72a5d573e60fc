"""Our own events that look changed in a calendar: looked at by id, judged together, followed one by one.

The one rule: nothing is believed that was not read again, and what would change more bookings than the brake allows
changes none until their host has said so.
"""

import asyncio
from datetime import datetime
from uuid import UUID

from app.core import db
from app.core.db import Connection
from app.core.logs import logger
from app.domain.calendars import changes, mirror
from app.domain.calendars.access import Roads
from app.domain.calendars.changes import APPROVED, TOUCHING, Change, Judged, Overtaken
from app.domain.calendars.connections import pause, save_calendars
from app.domain.calendars.mirror import Reading
from app.domain.calendars.provider import CalendarError, EventGone, Provider, RemoteEvent

_AT_ONCE = 4
_log = logger("calendars")


async def settle_changes(roads: Roads, provider: Provider, reading: Reading) -> None:
    """Follow what was changed of ours in a calendar. Raises what the provider says no with, when all that could be
    looked at has been followed."""
    async with db.acquire(roads.pool) as conn:
        found = await changes.list_changes(conn, reading.org_id, reading.id, roads.clock())
    if not found:
        return
    crowd = asyncio.Semaphore(_AT_ONCE)

    async def look(change: Change) -> Judged | CalendarError | None:
        async with crowd:
            return await _look(roads, provider, reading, change)

    looked = await asyncio.gather(*map(look, found))
    judged = [each for each in looked if isinstance(each, Judged)]
    errors = [each for each in looked if isinstance(each, CalendarError)]
    held = await _brake(roads, reading, judged)
    for each in judged:
        if each not in held:
            await _follow(roads, reading, each)
    if errors:
        raise errors[0]


async def _look(roads: Roads, provider: Provider, reading: Reading, change: Change) -> Judged | CalendarError | None:
    """What is there now, under a lease; None where somebody writes it just now, or where it was moved to another
    calendar, which has its own news of it."""
    async with db.acquire(roads.pool) as conn:
        leased_until = await changes.lease(conn, reading.org_id, change, roads.clock())
    if leased_until is None:
        return None
    try:
        remote = await _read(provider, reading, change, roads)
    except CalendarError as error:
        async with db.acquire(roads.pool) as conn:
            await changes.release(conn, reading.org_id, change.id, leased_until)
        return error
    if remote is None or remote.deleted:
        window = reading.window(roads.clock())
        try:
            elsewhere = await provider.find_elsewhere(reading.remote_id, change.remote_id, change.id, window)
            if elsewhere is not None:
                await _follow_elsewhere(roads, provider, reading, (change.id, elsewhere, leased_until))
                return None
        except CalendarError as error:
            async with db.acquire(roads.pool) as conn:
                await changes.release(conn, reading.org_id, change.id, leased_until)
            return error
    return changes.judged(change, remote, leased_until, roads.clock())


async def _follow_elsewhere(
    roads: Roads, provider: Provider, reading: Reading, moved: tuple[UUID, str, datetime]
) -> None:
    """Its owner moved it to another calendar, which they may have made since the account was connected."""
    async with db.acquire(roads.pool) as conn:
        known = await mirror.knows(conn, reading, moved[1])
    if not known:
        await refresh_calendars(roads, provider, reading)

    async def follow(conn: Connection) -> None:
        await mirror.rehome(conn, reading, *moved, roads.clock())

    async with db.acquire(roads.pool) as conn:
        await db.run(conn, follow)


async def refresh_calendars(roads: Roads, provider: Provider, reading: Reading) -> None:
    """Learn of calendars that are new in the account, and of what others are called now."""
    calendars = await provider.list_calendars()

    async def save(conn: Connection) -> None:
        await save_calendars(conn, reading.org_id, reading.connection_id, calendars, roads.clock())

    async with db.acquire(roads.pool) as conn:
        await db.run(conn, save)


async def _read(provider: Provider, reading: Reading, change: Change, roads: Roads) -> RemoteEvent | None:
    try:
        return await provider.get(reading.remote_id, change.remote_id, reading.window(roads.clock()))
    except EventGone:
        return None


async def _brake(roads: Roads, reading: Reading, judged: list[Judged]) -> list[Judged]:
    """What has to wait for its owner's word: all that would change bookings, where that is too much."""
    touching = [each for each in judged if each.act in TOUCHING and each.change.state != APPROVED]
    if not touching:
        return []
    about = (reading.org_id, reading.connection_id)

    async def decide(conn: Connection) -> bool:
        most = roads.settings.calendar_brake
        if not await changes.must_wait(conn, *about, judged, most, roads.clock()):
            return False
        await pause(conn, *about, len(touching), roads.clock())
        await changes.hold(conn, reading.org_id, touching)
        return True

    async with db.acquire(roads.pool) as conn:
        return touching if await db.run(conn, decide) else []


async def _follow(roads: Roads, reading: Reading, judged: Judged) -> None:
    async def settle(conn: Connection) -> None:
        await changes.settle(conn, reading.org_id, judged, roads.vault, roads.clock())

    async with db.acquire(roads.pool) as conn:
        try:
            await db.run(conn, settle)
        except Overtaken:
            _log.info("calendar_change_overtaken", event_id=str(judged.change.id))
