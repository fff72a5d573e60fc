"""Counting bookings again where what their caps count in was changed: the caps themselves, or a schedule's zone.

The one rule: a recount sees every claim. It waits for those that are under way and holds off new ones, which then find
that the configuration has another version and decide anew.
"""

from collections import Counter as Tally
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.times import epoch
from app.domain.availability.caps import Caps, periods_of
from app.domain.bookings.claim import Counter, counters_as_kept

SQL = sql.load("caps")

# A month that began before now still counts, and a zone can be a day ahead.
_REACH = timedelta(days=33)


async def recount(conn: Connection, org_id: UUID, event_type_ids: Iterable[UUID], now: datetime) -> None:
    """Make the counters of these event types what their bookings say, from the present month on."""
    for event_type_id in sorted(set(event_type_ids)):
        row = await conn.fetchrow(SQL.lock_for_recount, org_id, event_type_id)
        caps = Caps(row["max_per_day"], row["max_per_week"], row["max_per_month"]) if row else Caps()
        if row is not None and (caps or row["counted"]):
            await conn.execute(SQL.raise_version, org_id, event_type_id)
            await _recount(conn, org_id, event_type_id, caps, now)


async def recount_all(conn: Connection, org_id: UUID, now: datetime) -> None:
    """The same for every capped event type of an organization, since any of them may use the hours that changed."""
    await recount(conn, org_id, [row["id"] for row in await conn.fetch(SQL.list_capped, org_id)], now)


async def _recount(conn: Connection, org_id: UUID, event_type_id: UUID, caps: Caps, now: datetime) -> None:
    zones = {row["user_id"]: row["timezone"] for row in await conn.fetch(SQL.list_host_zones, org_id, event_type_id)}
    counted: Tally[Counter] = Tally()
    for held, keep in (
        (SQL.lock_counted_bookings, SQL.keep_on_bookings),
        (SQL.lock_counted_sittings, SQL.keep_on_sittings),
    ):
        kept = []
        for row in await conn.fetch(held, org_id, event_type_id, now - _REACH):
            start = epoch(row["starts_at"])
            hosts = [user_id for user_id in row["host_ids"] if user_id in zones]
            counters = [(user_id, period) for user_id in hosts for period in periods_of(caps, zones[user_id], start)]
            counted.update(counters)
            kept.append((str(row["id"]), counters_as_kept(counters)))
        await conn.execute(keep, org_id, kept)
    rows = [(user_id, period, first, taken) for (user_id, (period, first)), taken in counted.items()]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    await conn.execute(SQL.replace_counters, org_id, event_type_id, *columns)
