"""From the outbox to a host's calendar: what is to be written, and what became of it.

The one rule: an entry is leased to whoever writes it, and what was written is noted before the next one is. A failure
stays on the entry, where the booking shows it, until it has been made good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection, affected
from app.core.times import iso
from app.domain.calendars.entries import as_kept
from app.domain.calendars.provider import Draft, Written

SQL = sql.load("calendar_sync")

LEASE = timedelta(seconds=90)
"""Longer than the few calls that one entry takes."""

# What failed is tried again so much later, and then every six hours until the booking is over.
_DELAYS = (1, 5, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600)

_MOST_ATTEMPTS = 100
# so long news of what we removed may come
_REMEMBERED = timedelta(days=30)
_AFTER_A_LOOK = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Write:
    """An entry that is ours to write until the lease runs out. revision: which wish it is. written: see `as_kept`;
    None where nothing is known to stand there. starts_at, ends_at: where it stood last."""

    org_id: UUID
    id: UUID
    booking_id: UUID
    user_id: UUID
    calendar_id: UUID
    connection_id: UUID
    calendar_remote_id: str
    timezone: str | None
    remote_id: str | None
    wanted: bool
    revision: int
    written: dict[str, Any] | None
    starts_at: datetime | None
    ends_at: datetime | None
    attempts: int
    meeting_url: str | None
    leased_until: datetime


async def plan_writes(conn: Connection, now: datetime) -> int:
    """Take up to 200 rows from the outbox; how many were taken. In a transaction of the caller's."""
    await conn.fetchval(SQL.lock_plans)
    return int(await conn.fetchval(SQL.plan_writes, now))


async def wait_to_plan(conn: Connection) -> None:
    """Before entries are locked by whoever plans among other things: nobody else plans until the transaction ends."""
    await conn.fetchval(SQL.lock_plans)


async def plan_missing(conn: Connection, org_id: UUID, calendar_id: UUID, now: datetime) -> None:
    """Let everything be written that is agreed, to come and in no calendar yet, where this one is written to. In a
    transaction of the caller's."""
    await conn.fetchval(SQL.lock_plans)
    await conn.execute(SQL.retire_parked, org_id, calendar_id, now)
    await conn.execute(SQL.plan_missing, org_id, calendar_id, now)


async def plan_again(conn: Connection, org_id: UUID, connection_id: UUID, now: datetime) -> None:
    """Let all that stands in the calendars of a connection be written as its bookings are by now. In a transaction of
    the caller's."""
    await conn.fetchval(SQL.lock_plans)
    await conn.execute(SQL.plan_again, org_id, connection_id, now)


async def claim_writes(conn: Connection, but: Sequence[UUID], now: datetime) -> list[Write]:
    """The next few entries that are due, but of these connections and organizations."""
    rows = await conn.fetch(SQL.claim_writes, now, now + LEASE, list(but))
    return [Write(**{name: row[name] for name in Write.__dataclass_fields__}) for row in rows]


async def note_written(conn: Connection, write: Write, written: Written, draft: Draft, now: datetime) -> bool:
    """What stands there now is the draft. False where somebody else had taken it over."""
    kept = {**as_kept(draft), "starts_at": iso(written.starts_at), "ends_at": iso(written.ends_at)}
    about = (write.org_id, write.id, write.leased_until, written.remote_id, kept, written.starts_at, written.ends_at)
    more = (written.meeting_url, write.revision, now, draft.conference and written.meeting_url is None)
    return await conn.fetchval(SQL.note_written, *about, *more) is not None


async def note_removed(conn: Connection, write: Write, now: datetime) -> None:
    """It stands there no more. What is wanted again meanwhile is made anew."""
    await conn.execute(SQL.note_removed, write.org_id, write.id, write.leased_until, now, write.revision)


async def remake(conn: Connection, org_id: UUID, event_id: UUID, wait: timedelta, now: datetime) -> None:
    """Somebody deleted it there, and it is to stand there: another one takes its place, after the wait."""
    await conn.execute(SQL.remake_event, org_id, event_id, now, now + wait)


async def give_up(conn: Connection, write: Write, now: datetime) -> None:
    """Nothing of it is to stand there."""
    await conn.execute(SQL.give_up, write.org_id, write.id, write.leased_until, now)


async def note_unwritten(conn: Connection, write: Write, code: str, wait: timedelta, now: datetime) -> None:
    """It failed, and is tried again after the wait; after some weeks of that no more, unless something changes."""
    due_at = now + wait if write.attempts < _MOST_ATTEMPTS else None
    about = (write.org_id, write.id, write.leased_until, now, due_at, write.revision, code)
    await conn.execute(SQL.note_unwritten, *about)


async def look_first(conn: Connection, write: Write, now: datetime) -> None:
    """It was changed there by somebody else: whoever reads the calendar decides, at once, and then it may be written.
    In a transaction of the caller's."""
    await look_soon(conn, write, now)
    wait = max(_AFTER_A_LOOK, delay_after(write.attempts + 1))
    await conn.execute(SQL.put_off_write, write.org_id, write.id, write.leased_until, now + wait)


async def look_soon(conn: Connection, write: Write, now: datetime) -> None:
    """Whoever reads the calendar is to look at this entry, and at once. In a transaction of the caller's, before the
    entry is locked: calendar, changes and entry are locked in this order everywhere."""
    await conn.execute(SQL.prompt_calendar, write.org_id, write.calendar_id, now)
    await conn.execute(SQL.insert_changes, write.org_id, write.calendar_id, [write.id], now)


async def clean(conn: Connection, now: datetime) -> bool:
    """Forget entries that were removed long ago, and consents that nobody came back from; whether there may be more."""
    await conn.execute(SQL.clean_authorizations, now)
    return affected(await conn.execute(SQL.clean_events, now - _REMEMBERED)) > 0


def delay_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts, the one that just failed included."""
    return timedelta(seconds=_DELAYS[min(max(attempts, 1), len(_DELAYS)) - 1])
