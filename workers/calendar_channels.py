"""Push channels: asked for, renewed before they end, given up in order.

The one rule: a calendar without a channel is read all the same, only later. So nothing here keeps a sync from running.
"""

from datetime import datetime, timedelta
from secrets import token_urlsafe

from app.core import db, sql
from app.core.ids import new_id
from app.core.logs import logger
from app.core.times import iso, parse_instant
from app.core.vault import digest
from app.domain.calendars.access import Roads
from app.domain.calendars.mirror import Reading
from app.domain.calendars.provider import AccessLost, CalendarError, Channel, Hook, Provider

SQL = sql.load("calendar_sync")

_LIFETIME = timedelta(days=7)
# Providers give less than is asked for. It is renewed a day before its end, or at half of its time.
_SPARE = timedelta(days=1)
_AGAIN = timedelta(minutes=1)
_LONGEST = timedelta(days=1)
_log = logger("calendars")


async def keep_channel(roads: Roads, provider: Provider, reading: Reading) -> bool:
    """Whether changes of this calendar are pushed to us, from now on at least. Raises AccessLost."""
    if not provider.has_push:
        return False
    now = roads.clock()
    if reading.channel_due_at is not None and now < reading.channel_due_at:
        return reading.channel is not None
    try:
        if reading.channel is None or not await _renew(roads, provider, reading, reading.channel):
            await _watch(roads, provider, reading)
    except AccessLost:
        raise
    except CalendarError as error:
        # the address may not be reachable from there at all
        again = now + min(_AGAIN * 2 ** min(reading.channel_failures, 12), _LONGEST)
        _log.warning("calendar_not_pushed", calendar_id=str(reading.id), error=error.code)
        async with db.acquire(roads.pool) as conn:
            await conn.execute(SQL.note_no_channel, reading.org_id, reading.id, reading.leased_until, again)
        return False
    return True


async def _renew(roads: Roads, provider: Provider, reading: Reading, kept: dict[str, str | None]) -> bool:
    channel = channel_of(kept)
    longer = await provider.renew(reading.remote_id, channel, roads.clock() + _LIFETIME)
    if longer is None:
        return False
    async with db.acquire(roads.pool) as conn:
        due_at = _due_at(longer, roads.clock())
        about = (reading.org_id, reading.id, reading.leased_until, as_kept(longer), due_at)
        await conn.execute(SQL.prolong_channel, *about)
    return True


async def _watch(roads: Roads, provider: Provider, reading: Reading) -> None:
    """Another channel; the one before ends when this one is there."""
    secret, hook_id = token_urlsafe(32), new_id()
    address = f"{roads.settings.public_url}/hooks/calendars/{hook_id}"
    hook = Hook(hook_id, address, f"{address}/lifecycle", secret)
    channel = await provider.watch(reading.remote_id, hook, roads.clock() + _LIFETIME)
    async with db.acquire(roads.pool) as conn:
        due_at = _due_at(channel, roads.clock())
        about = (reading.org_id, reading.id, reading.leased_until, as_kept(channel), due_at)
        stored = await conn.fetchval(SQL.store_channel, *about, hook_id, digest(secret))
    old = channel if stored is None else channel_of(reading.channel) if reading.channel else None
    if old is not None:
        try:
            await provider.unwatch(old)
        except CalendarError as error:
            # it ends by itself in a few days, and what it tells meanwhile is not listened to
            _log.info("calendar_channel_left", calendar_id=str(reading.id), error=error.code)


def _due_at(channel: Channel, now: datetime) -> datetime:
    """When it is to be renewed."""
    return channel.expires_at - min(_SPARE, (channel.expires_at - now) / 2)


def as_kept(channel: Channel) -> dict[str, str | None]:
    return {"id": channel.id, "resource": channel.resource, "expires_at": iso(channel.expires_at)}


def channel_of(kept: dict[str, str | None]) -> Channel:
    return Channel(kept["id"] or "", kept["resource"], parse_instant(kept["expires_at"] or ""))
