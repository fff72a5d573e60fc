"""What a calendar says is taken, kept here so that no slot waits for a provider.

The one rule: a full sync fills a generation of its own, and takes the old one's place in one transaction; so busy time
is never forgotten between, and a sync that dies leaves nothing that counts.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.times import iso, parse_instant
from app.domain.calendars.provider import HORIZON, PAST, RemoteEvent, Window

SQL = sql.load("calendar_sync")

LEASE = timedelta(minutes=2)
"""For a few pages; it is prolonged with each."""

# So long after we removed an event, somebody may still tell us that it is there.
_LATE_NEWS = timedelta(minutes=10)

# A window that has moved on by so much is read anew.
_WINDOW_AGE = timedelta(days=7)


class LeaseLost(Exception):
    """Somebody else reads this calendar by now: whatever was read here is dropped."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A calendar that is ours to read until the lease runs out. sync_state: {"token", "window_start"}, or empty.
    channel: the push channel, if there is one; channel_due_at: when it is to be renewed, or asked for again."""

    org_id: UUID
    id: UUID
    connection_id: UUID
    user_id: UUID
    remote_id: str
    timezone: str | None
    user_timezone: str
    subject_no: int
    sync_state: dict[str, Any]
    generation: int
    leased_until: datetime
    failures: int
    channel: dict[str, Any] | None
    channel_due_at: datetime | None
    channel_failures: int
    read_busy: bool

    def window(self, now: datetime) -> Window:
        """What a full sync reads."""
        return Window(now - PAST, now + HORIZON, self.timezone or self.user_timezone)

    def was_read_long_ago(self, now: datetime) -> bool:
        """Whether the last full sync was more than a day ago."""
        start = self.sync_state.get("window_start")
        return start is not None and now - parse_instant(start) > PAST + timedelta(days=1)

    def kept_window(self, now: datetime) -> Window | None:
        """What the last full sync read; None where another one is due."""
        start = self.sync_state.get("window_start")
        if not self.sync_state.get("token") or start is None or now - parse_instant(start) > PAST + _WINDOW_AGE:
            return None
        begun = parse_instant(start)
        return Window(begun, begun + PAST + HORIZON, self.timezone or self.user_timezone)


@dataclass(slots=True)
class Seen:
    """Our own events that a sync met: by their ids there, and those that look changed."""

    own: set[str] = field(default_factory=set)
    changed: set[UUID] = field(default_factory=set)


async def claim_calendars(conn: Connection, but: Sequence[UUID], now: datetime) -> list[Reading]:
    """The next few calendars that are due, but of these connections and organizations."""
    rows = await conn.fetch(SQL.claim_calendars, now, now + LEASE, list(but))
    return [Reading(**{name: row[name] for name in Reading.__dataclass_fields__}) for row in rows]


async def begin_generation(conn: Connection, reading: Reading) -> int:
    """The number of the generation that a full sync fills. Raises LeaseLost."""
    number = await conn.fetchval(SQL.begin_generation, reading.org_id, reading.id, reading.leased_until)
    if number is None:
        raise LeaseLost
    await conn.execute(SQL.drop_generations, reading.org_id, reading.id, [reading.generation])
    return int(number)


async def keep(conn: Connection, reading: Reading, now: datetime) -> Reading:
    """With a longer lease. Raises LeaseLost."""
    until = now + LEASE
    if await conn.fetchval(SQL.keep_calendar, reading.org_id, reading.id, reading.leased_until, until) is None:
        raise LeaseLost
    return dataclasses.replace(reading, leased_until=until)


async def add_page(
    conn: Connection, reading: Reading, generation: int, events: Sequence[RemoteEvent], seen: Seen, now: datetime
) -> None:
    """Put events into a generation; ours are noted in `seen` and count as no busy time: their bookings do. In a
    transaction of the caller's."""
    ours = await _own(conn, reading, events, seen, now)
    foreign = [each for each in events if each.remote_id not in ours]
    blocks = [(each.remote_id, block) for each in foreign for block in each.blocks if block.starts_at < block.ends_at]
    if blocks:
        await conn.execute(
            SQL.insert_blocks,
            *(reading.org_id, reading.id, generation, reading.subject_no),
            *([remote_id for remote_id, _ in blocks], [block.starts_at for _, block in blocks]),
            *([block.ends_at for _, block in blocks], [block.tentative for _, block in blocks]),
        )


async def apply_increment(
    conn: Connection, reading: Reading, events: Sequence[RemoteEvent], token: str, fresh: timedelta, now: datetime
) -> None:
    """All that changed since the last sync, and the token for the next one. In a transaction of the caller's. Raises
    LeaseLost."""
    seen, latest = Seen(), {each.remote_id: each for each in events}
    about = (reading.org_id, reading.id)
    state = {**reading.sync_state, "token": token}
    if await conn.fetchval(SQL.finish_increment, *about, reading.leased_until, state, now + fresh, now) is None:
        raise LeaseLost
    await conn.execute(SQL.delete_blocks, *about, reading.generation, list(latest))
    await add_page(conn, reading, reading.generation, list(latest.values()), seen, now)
    await _note_changes(conn, reading, seen, now)


async def finish_generation(
    conn: Connection,
    reading: Reading,
    generation: int,
    window: Window,
    token: str,
    seen: Seen,
    fresh: timedelta,
    now: datetime,
) -> None:
    """The new generation counts from now on; what of ours it did not show is looked at again. In a transaction of the
    caller's. Raises LeaseLost."""
    about = (reading.org_id, reading.id)
    state = {"token": token, "window_start": iso(window.starts_at)}
    known = (state, window.ends_at, now + fresh, now)
    if await conn.fetchval(SQL.finish_generation, *about, reading.leased_until, generation, *known) is None:
        raise LeaseLost
    await conn.execute(SQL.drop_generations, *about, [generation])
    absent = await conn.fetch(SQL.list_absent, *about, list(seen.own), window.starts_at, window.ends_at)
    seen.changed |= {row["id"] for row in absent}
    await _note_changes(conn, reading, seen, now)


async def knows(conn: Connection, reading: Reading, calendar: str) -> bool:
    """Whether we know a calendar of the same account, by its id there."""
    return await conn.fetchval(SQL.find_sibling, reading.org_id, reading.id, calendar) is not None


async def rehome(
    conn: Connection, reading: Reading, event_id: UUID, calendar: str, leased_until: datetime, now: datetime
) -> None:
    """Its owner moved one of our events to another calendar of theirs: nothing has happened to the booking. In a
    transaction of the caller's."""
    sibling = await conn.fetchval(SQL.find_sibling, reading.org_id, reading.id, calendar)
    # the calendar, its changes, the entry: as whoever reads the other calendar locks them
    if sibling is not None:
        await conn.execute(SQL.begin_polling, reading.org_id, sibling, now)
    await conn.execute(SQL.drop_change, reading.org_id, event_id)
    if sibling is not None:
        # its id may be another one there; that calendar's next sync tells
        await conn.execute(SQL.rehome_event, reading.org_id, event_id, sibling, now)
    await conn.execute(SQL.release_event, reading.org_id, event_id, leased_until)


async def _own(
    conn: Connection, reading: Reading, events: Sequence[RemoteEvent], seen: Seen, now: datetime
) -> set[str]:
    """The ids there of events that are ours, whatever became of them."""
    marks = {each.mark: each for each in events if each.mark is not None}
    by_remote = {each.remote_id: each for each in events}
    whose = (reading.connection_id, reading.user_id)
    rows = await conn.fetch(SQL.find_own, reading.org_id, reading.id, list(by_remote), list(marks), *whose)
    ours, adopted = set(), []
    for row in rows:
        event = marks.get(row["id"]) or by_remote.get(row["remote_id"])
        if event is None:
            continue
        elsewhere = row["remote_id"] is None or row["calendar_id"] != reading.id
        if event.remote_id != row["remote_id"] and not elsewhere:
            # a copy of ours, in the same calendar, is its owner's
            continue
        removed_at = row["removed_at"]
        if removed_at is not None and not event.deleted and removed_at < now - _LATE_NEWS:
            # its owner brought back what we took away: it is theirs
            continue
        ours.add(event.remote_id)
        if removed_at is not None:
            continue
        if elsewhere and not row["within"]:
            # another account of theirs shows it too
            continue
        seen.own.add(event.remote_id)
        if elsewhere and not event.deleted:
            adopted.append((row["id"], event.remote_id))
        if not (elsewhere and event.deleted) and not _stands(event, row):
            seen.changed.add(row["id"])
    if adopted:
        ids, remote_ids = [each for each, _ in adopted], [remote_id for _, remote_id in adopted]
        await conn.execute(SQL.adopt_events, reading.org_id, reading.id, ids, remote_ids, now)
    return ours


def _stands(event: RemoteEvent, row: sql.Row) -> bool:
    """Where we last wrote it, or saw it: an echo, as a rule."""
    same = event.starts_at == row["starts_at"] and event.ends_at == row["ends_at"]
    return same and not event.deleted and not event.all_day


async def _note_changes(conn: Connection, reading: Reading, seen: Seen, now: datetime) -> None:
    if seen.changed:
        await conn.execute(SQL.insert_changes, reading.org_id, reading.id, list(seen.changed), now)
