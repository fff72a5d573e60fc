"""Our own events that were changed in a calendar: what follows, one booking at a time.

The one rule: a booking changes only by what was read of its event, by id, while nobody wrote; and only as any host
could change it. One that the rules refuse stays as it is, and its event goes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from app.core.times import iso
from app.core.vault import Vault
from app.domain.bookings.lifecycle import Action, Status
from app.domain.bookings.models import Actor
from app.domain.bookings.reschedule import reschedule_booking
from app.domain.bookings.transitions import change_status
from app.domain.calendars.connections import owe_letter
from app.domain.calendars.outbound import remake
from app.domain.calendars.provider import RemoteEvent
from app.domain.calendars.verdict import Act, Ours, Theirs, Times, judge
from app.domain.identity.models import Visitor
from app.domain.identity.organizations import visitor_of

SQL = sql.load("calendar_sync")

LEASE = timedelta(seconds=120)
"""For looking at some events and deciding."""

APPROVED = "approved"

TOUCHING = frozenset({Act.MOVE, Act.CANCEL})
"""What changes a booking, and so counts for the brake."""

# What is one sync to the brake, however many notifications it came by.
_ONE_SYNC = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Change:
    """One of our events that looks changed, and its booking. state: `approved` where its owner has given their word.
    starts_at, ends_at: where it stood last."""

    id: UUID
    state: str
    user_id: UUID
    booking_id: UUID
    calendar_id: UUID
    remote_id: str
    wanted: bool
    revision: int
    starts_at: datetime | None
    ends_at: datetime | None
    written: dict[str, Any] | None
    status: str
    booked_from: datetime
    booked_until: datetime
    changed_at: datetime
    title: str

    @property
    def ours(self) -> Ours:
        stood = None if self.starts_at is None or self.ends_at is None else Times(self.starts_at, self.ends_at)
        times = Times(self.booked_from, self.booked_until)
        return Ours(Status(self.status), times, self.changed_at, stood, self.wanted)


@dataclass(frozen=True, slots=True)
class Judged:
    """A change that somebody has looked at, under a lease. remote: None where it is gone."""

    change: Change
    remote: RemoteEvent | None
    act: Act
    leased_until: datetime


async def list_changes(conn: Connection, org_id: UUID, calendar_id: UUID, now: datetime) -> list[Change]:
    """Up to 100 that nobody writes, the oldest first."""
    await conn.execute(SQL.drop_idle_changes, org_id, calendar_id)
    rows = await conn.fetch(SQL.list_changes, org_id, calendar_id, now)
    return [Change(**{name: row[name] for name in Change.__dataclass_fields__}) for row in rows]


async def lease(conn: Connection, org_id: UUID, change: Change, now: datetime) -> datetime | None:
    """Until when it is ours to look at; None where somebody writes it."""
    until = now + LEASE
    leased = await conn.fetchval(SQL.lease_event, org_id, change.id, change.revision, until, now)
    return None if leased is None else until


async def release(conn: Connection, org_id: UUID, event_id: UUID, leased_until: datetime) -> None:
    await conn.execute(SQL.release_event, org_id, event_id, leased_until)


def judged(change: Change, remote: RemoteEvent | None, leased_until: datetime, now: datetime) -> Judged:
    """What is to be done about what is there now. remote: None where the event is certainly gone."""
    return Judged(change, remote, judge(change.ours, theirs_of(remote), now), leased_until)


def theirs_of(remote: RemoteEvent | None) -> Theirs:
    if remote is None or remote.deleted:
        return Theirs(deleted=True, times=None, all_day=False, changed_at=remote.changed_at if remote else None)
    times = None
    if remote.starts_at is not None and remote.ends_at is not None:
        times = Times(remote.starts_at, remote.ends_at)
    return Theirs(deleted=False, times=times, all_day=remote.all_day, changed_at=remote.changed_at)


async def must_wait(
    conn: Connection, org_id: UUID, connection_id: UUID, judged: Sequence[Judged], most: int, now: datetime
) -> bool:
    """The brake: whether what these would change is too much for one sync without their owner's word. What looks
    changed and could not be looked at counts with them. If it is not, it counts as done from now on. In a transaction
    of the caller's, one after another for each connection."""
    await conn.fetchrow(SQL.lock_connection, org_id, connection_id)
    looked_at = [each.change.id for each in judged]
    row = await conn.fetchrow(SQL.count_touched, org_id, connection_id, now - _ONE_SYNC, looked_at)
    count = sum(each.act in TOUCHING and each.change.state != APPROVED for each in judged)
    if row is None or row["status"] != "active" or int(row["touched"]) + int(row["unread"]) + count > most:
        return True
    await conn.execute(SQL.note_touched, org_id, connection_id, now, now - _ONE_SYNC, count)
    return False


async def hold(conn: Connection, org_id: UUID, waiting: list[Judged]) -> None:
    """Let changes wait for their owner's word. In a transaction of the caller's."""
    for each in waiting:
        starts_at = each.remote.starts_at if each.remote and each.act is Act.MOVE else None
        plan = {"action": each.act.value, "starts_at": iso(starts_at) if starts_at else None}
        await conn.execute(SQL.note_plan, org_id, each.change.id, plan)
        await release(conn, org_id, each.change.id, each.leased_until)
    await conn.execute(SQL.hold_changes, org_id, [each.change.id for each in waiting])


async def settle(conn: Connection, org_id: UUID, judged: Judged, vault: Vault, now: datetime) -> None:
    """Do what was judged, and forget the change. In a transaction of the caller's, which fails as a whole where the
    lease was lost: then nothing has happened."""
    change = judged.change
    await conn.execute(SQL.drop_change, org_id, change.id)
    if judged.act is Act.CANCEL:
        await _cancel(conn, org_id, judged, vault, now)
    elif judged.act is Act.REWRITE:
        await remake(conn, org_id, change.id, timedelta(), now)
    elif judged.act is Act.MOVE:
        await _move(conn, org_id, judged, vault, now)
    elif judged.act is Act.PUT_BACK:
        await _put_back(conn, org_id, judged, "length", now)
    else:
        await _note_seen(conn, org_id, judged, again=judged.act is Act.WRITE, now=now)


async def _cancel(conn: Connection, org_id: UUID, judged: Judged, vault: Vault, now: datetime) -> None:
    change = judged.change
    visitor = await _visitor(conn, org_id, vault)
    try:
        async with conn.transaction():
            by = Actor("calendar", change.user_id)
            await change_status(conn, visitor, change.booking_id, Action.CANCEL, by, None, now)
    except Conflict:
        # it has ended in another way meanwhile
        await release(conn, org_id, change.id, judged.leased_until)
        return
    _check(await conn.fetchval(SQL.note_cancelled_there, org_id, change.id, judged.leased_until, now))


async def _move(conn: Connection, org_id: UUID, judged: Judged, vault: Vault, now: datetime) -> None:
    change, remote = judged.change, judged.remote
    assert remote is not None  # noqa: S101 -- what has moved is there
    assert remote.starts_at is not None  # noqa: S101
    visitor = await _visitor(conn, org_id, vault)
    by = Actor("calendar", change.user_id)
    try:
        async with conn.transaction():
            await reschedule_booking(conn, visitor, change.booking_id, remote.starts_at, None, by, None, now)
    except (Conflict, Forbidden, InvalidInput, NotFound) as refusal:
        await _put_back(conn, org_id, judged, refusal.error_code, now)
        return
    await _note_seen(conn, org_id, judged, again=False, now=now)


async def _put_back(conn: Connection, org_id: UUID, judged: Judged, why: str, now: datetime) -> None:
    """The event goes back to the booking's time, and its host is told why."""
    change, remote = judged.change, judged.remote
    await _note_seen(conn, org_id, judged, again=True, now=now)
    facts = {"title": change.title, "reason": why}
    if remote is not None and remote.starts_at is not None:
        facts["moved_to"] = iso(remote.starts_at)
    facts["starts_at"] = iso(change.booked_from)
    await owe_letter(conn, org_id, change.user_id, "calendar_restored", facts, now)


async def _note_seen(conn: Connection, org_id: UUID, judged: Judged, *, again: bool, now: datetime) -> None:
    """Where it stands there. again: it is written once more, so that it stands where the booking is."""
    change, remote = judged.change, judged.remote
    starts_at = remote.starts_at if remote else None
    ends_at = remote.ends_at if remote else None
    written = None
    if starts_at is not None and ends_at is not None:
        written = {**(change.written or {}), "starts_at": iso(starts_at), "ends_at": iso(ends_at)}
        if remote is not None and remote.all_day:
            # no time of day is as good as none
            written |= {"starts_at": None, "ends_at": None}
    about = (org_id, change.id, judged.leased_until, starts_at, ends_at, now, written, int(again))
    _check(await conn.fetchval(SQL.note_seen, *about))


async def _visitor(conn: Connection, org_id: UUID, vault: Vault) -> Visitor:
    row = await conn.fetchrow(SQL.find_visitor, org_id)
    assert row is not None  # noqa: S101 -- the event's foreign keys hold the organization
    return visitor_of(row, vault)


class Overtaken(Exception):
    """Somebody else has written the event meanwhile."""


def _check(held: UUID | None) -> None:
    if held is None:
        raise Overtaken
