"""What differs between our bookings and what stands in a calendar, and how the two come together again.

The one rule: a repair writes into the calendar, or has somebody look; it never moves or cancels a booking. What would
do that goes the usual way, through the reading of the calendar and its brake.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from typing_extensions import TypedDict

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.core.ids import Kind, encode
from app.core.shown import BookingRef, CalendarRef, Time, one_of
from app.core.times import iso
from app.domain.bookings.lifecycle import AGREED, Status
from app.domain.calendars.access import IN_USE, Roads, reach
from app.domain.calendars.choices import NO_SUCH
from app.domain.calendars.outbound import plan_missing, remake, wait_to_plan
from app.domain.calendars.provider import (
    HORIZON,
    PAST,
    AccessLost,
    CalendarError,
    EventGone,
    Provider,
    RemoteEvent,
    Window,
)
from app.domain.calendars.verdict import Times

SQL = sql.load("calendars")
SYNC = sql.load("calendar_sync")

_AT_ONCE = 4
# So many that are missing are looked for by their ids; the rest waits for the next report.
_MOST_READ = 50


class Difference(StrEnum):
    """missing_there: it is to stand there, and was deleted. moved_there: it stands at another time. left_there: it is
    to stand there no more. not_written: the booking has no entry. write_failed: the entry was refused, or the provider
    was away. change_held: it waits for its owner's word."""

    MISSING_THERE = "missing_there"
    MOVED_THERE = "moved_there"
    LEFT_THERE = "left_there"
    NOT_WRITTEN = "not_written"
    WRITE_FAILED = "write_failed"
    CHANGE_HELD = "change_held"


@dataclass(frozen=True, slots=True)
class Item:
    """event_id: of our entry; None where there is none. there: where it stands."""

    kind: Difference
    booking_id: UUID
    code: str
    booked: Times
    event_id: UUID | None = None
    there: Times | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """writing: entries that are on their way. error: why the calendar could not be looked at; then the items are only
    what is known here. more: there is more than one look shows."""

    calendar_id: UUID
    items: tuple[Item, ...]
    writing: int
    error: str | None
    more: bool

    @property
    def in_step(self) -> bool:
        return not self.items and not self.writing and self.error is None and not self.more

    @property
    def counts(self) -> Counter[str]:
        return Counter(item.kind.value for item in self.items)


class DifferenceShown(TypedDict):
    """start_there, end_there: where it stands in the calendar, if anywhere."""

    kind: Annotated[str, one_of(*Difference)]
    booking_id: BookingRef
    code: str
    start_time: Time
    end_time: Time
    start_there: Time | None
    end_there: Time | None
    error: str | None


class CountsOfDifferences(TypedDict):
    """How many there are of each kind."""

    missing_there: int
    moved_there: int
    left_there: int
    not_written: int
    write_failed: int
    change_held: int


class ReportShown(TypedDict):
    """in_step: nothing differs, and nothing is on its way. writing: entries that are on their way. error: why the
    calendar could not be looked at; then only what is known here is listed. more: there is more than is listed."""

    calendar_id: CalendarRef
    in_step: bool
    writing: int
    error: str | None
    more: bool
    counts: CountsOfDifferences
    differences: list[DifferenceShown]


class RepairShown(ReportShown):
    """The report that was acted upon. repaired: how many of its differences are being made good now."""

    repaired: int


def represent_report(report: Report) -> ReportShown:
    found = report.counts
    counts: Any = {kind.value: found[kind.value] for kind in Difference}
    return {
        "calendar_id": encode(Kind.CALENDAR, report.calendar_id),
        "in_step": report.in_step,
        "writing": report.writing,
        "error": report.error,
        "more": report.more,
        "counts": counts,
        "differences": [_shown(item) for item in report.items],
    }


async def reach_for_report(roads: Roads, org_id: UUID, connection_id: UUID, status: str) -> Provider | CalendarError:
    """The account, or why it cannot be looked at."""
    if status not in IN_USE:
        return AccessLost(status)
    try:
        return await reach(roads, org_id, connection_id)
    except CalendarError as error:
        return error


async def compare(
    conn: Connection, org_id: UUID, calendar_id: UUID, provider: Provider | CalendarError, now: datetime
) -> Report:
    """Look at the calendar, and at what is to stand there. provider: the account, or why there is none. It is only
    read; no transaction of the caller's may be open meanwhile. Raises NotFound for a calendar that has gone."""
    place = await conn.fetchrow(SQL.find_place, org_id, calendar_id)
    if place is None:
        raise NotFound(NO_SUCH)
    window = Window(now - PAST, now + HORIZON, place["timezone"])
    looked: _Looked | CalendarError
    if isinstance(provider, CalendarError):
        looked = provider
    else:
        looked = await _look(conn, provider, place["remote_id"], org_id, calendar_id, window, now)
    held = await conn.fetch(SQL.list_held, org_id, place["connection_id"])
    unwritten = await conn.fetch(SQL.list_unwritten, org_id, calendar_id, now)
    items = [_held(row) for row in held if row["calendar_id"] == calendar_id]
    items += [Item(Difference.NOT_WRITTEN, row["booking_id"], row["code"], _booked(row)) for row in unwritten]
    ours = await conn.fetch(SQL.list_upcoming, org_id, calendar_id, now)
    waiting = {row["id"] for row in held}
    rows = [row for row in ours if row["id"] not in waiting]
    items += [_failed(row) for row in rows if row["error"] is not None]
    writing = sum(row["due_at"] is not None and row["error"] is None for row in rows)
    if isinstance(looked, CalendarError):
        return Report(calendar_id, tuple(items), writing, looked.code, more=False)
    at_rest = [row for row in rows if row["error"] is None and row["due_at"] is None and row["remote_id"]]
    items += [item for row in at_rest if (item := _differs(row, looked)) is not None]
    items += [item for item in looked.left if item.event_id not in waiting]
    return Report(calendar_id, tuple(items), writing, None, looked.more)


async def repair(conn: Connection, org_id: UUID, report: Report, now: datetime) -> int:
    """Make good what a report found; how many of it. What was moved there is looked at again, and then the usual rules
    decide; what is held waits on. In a transaction of the caller's."""
    await wait_to_plan(conn)
    ids: dict[Difference, list[UUID]] = {kind: [] for kind in Difference}
    for item in report.items:
        if item.event_id is not None:
            ids[item.kind].append(item.event_id)
    if moved := ids[Difference.MOVED_THERE]:
        # in the order in which whoever reads the calendar locks: the calendar, its changes, the entries
        await conn.execute(SYNC.prompt_calendar, org_id, report.calendar_id, now)
        await conn.execute(SYNC.insert_changes, org_id, report.calendar_id, moved, now)
    for event_id in ids[Difference.MISSING_THERE]:
        await remake(conn, org_id, event_id, timedelta(), now)
    if left := ids[Difference.LEFT_THERE]:
        await conn.execute(SQL.queue_removals, org_id, left, now)
    if failed := ids[Difference.WRITE_FAILED]:
        await conn.execute(SQL.retry_writes, org_id, failed, now)
    if report.counts[Difference.NOT_WRITTEN.value]:
        await plan_missing(conn, org_id, report.calendar_id, now)
    return len(report.items) - len(ids[Difference.CHANGE_HELD])


@dataclass(frozen=True, slots=True)
class _Looked:
    """own: events with a mark of ours, by it. gone: entries of which it is certain that they are in no calendar of the
    account."""

    own: Mapping[UUID, Sequence[RemoteEvent]]
    gone: frozenset[UUID]
    left: tuple[Item, ...]
    more: bool


async def _look(
    conn: Connection,
    provider: Provider,
    calendar: str,
    org_id: UUID,
    calendar_id: UUID,
    window: Window,
    now: datetime,
) -> _Looked | CalendarError:
    own: dict[UUID, list[RemoteEvent]] = {}
    try:
        for event in await provider.list_own(calendar, window):
            if event.mark is not None and not event.deleted:
                own.setdefault(event.mark, []).append(event)
        # asked for after the calendar: what was made meanwhile is here, and not there yet
        rows = await conn.fetch(SQL.list_upcoming, org_id, calendar_id, now)
        missing = [row for row in rows if _is_missing(row, own, window)]
        gone, found = await _search(provider, calendar, missing[:_MOST_READ], window)
    except CalendarError as error:
        return error
    for mark, event in found:
        own.setdefault(mark, []).append(event)
    left = await _left(conn, org_id, calendar_id, own, {row["id"] for row in rows})
    return _Looked(own, gone, left, len(missing) > _MOST_READ)


def _is_missing(row: sql.Row, own: Mapping[UUID, object], window: Window) -> bool:
    """To stand there, at rest, and not among what was listed."""
    expected = row["wanted"] and Status(row["status"]) in AGREED and row["remote_id"] and row["due_at"] is None
    return bool(expected and row["error"] is None and row["id"] not in own and row["booked_from"] < window.ends_at)


async def _search(
    provider: Provider, calendar: str, missing: Sequence[sql.Row], window: Window
) -> tuple[frozenset[UUID], list[tuple[UUID, RemoteEvent]]]:
    """Which are gone from the account, and those that stand there after all, perhaps without their mark."""
    crowd = asyncio.Semaphore(_AT_ONCE)

    async def read(row: sql.Row) -> RemoteEvent | bool:
        async with crowd:
            try:
                event = await provider.get(calendar, row["remote_id"], window)
            except EventGone:
                event = None
            if event is not None and not event.deleted:
                return event
            # moved to another calendar by its owner: that calendar's reading tells
            return await provider.find_elsewhere(calendar, row["remote_id"], row["id"], window) is None

    looked = await asyncio.gather(*map(read, missing))
    pairs = list(zip(missing, looked, strict=True))
    gone = frozenset(row["id"] for row, found in pairs if found is True)
    return gone, [(row["id"], found) for row, found in pairs if isinstance(found, RemoteEvent)]


async def _left(
    conn: Connection, org_id: UUID, calendar_id: UUID, own: Mapping[UUID, Sequence[RemoteEvent]], live: set[UUID]
) -> tuple[Item, ...]:
    """Events of ours that we took away, and that stand there all the same."""
    strangers = [mark for mark in own if mark not in live]
    rows = await conn.fetch(SQL.find_marks, org_id, strangers) if strangers else []
    return tuple(
        Item(Difference.LEFT_THERE, row["booking_id"], row["code"], _booked(row), row["id"], _there(event))
        for row in rows
        for event in own[row["id"]]
        # a copy has another id, and is its owner's
        if not row["live"] and row["calendar_id"] == calendar_id and row["remote_id"] == event.remote_id
    )


def _differs(row: sql.Row, looked: _Looked) -> Item | None:
    """Of an entry at rest."""
    booked = Times(row["booked_from"], row["booked_until"])
    about = (row["booking_id"], row["code"], booked, row["id"])
    events = [each for each in looked.own.get(row["id"], ()) if each.remote_id == row["remote_id"]]
    if not row["wanted"] or Status(row["status"]) not in AGREED:
        return Item(Difference.LEFT_THERE, *about, _there(events[0])) if events else None
    if row["id"] in looked.gone:
        return Item(Difference.MISSING_THERE, *about)
    there = _there(events[0]) if events else None
    # a series, whose times are none, is its owner's affair
    return Item(Difference.MOVED_THERE, *about, there) if there is not None and there != booked else None


def _held(row: sql.Row) -> Item:
    return Item(Difference.CHANGE_HELD, row["booking_id"], row["code"], _booked(row), row["id"])


def _failed(row: sql.Row) -> Item:
    booked = Times(row["booked_from"], row["booked_until"])
    about = (row["booking_id"], row["code"], booked, row["id"])
    return Item(Difference.WRITE_FAILED, *about, error=row["error"])


def _booked(row: sql.Row) -> Times:
    return Times(row["starts_at"], row["ends_at"])


def _there(event: RemoteEvent) -> Times | None:
    return None if event.starts_at is None or event.ends_at is None else Times(event.starts_at, event.ends_at)


def _shown(item: Item) -> DifferenceShown:
    booked, there = item.booked, item.there
    return {
        "kind": item.kind.value,
        "booking_id": encode(Kind.BOOKING, item.booking_id),
        "code": item.code,
        "start_time": iso(booked.starts_at),
        "end_time": iso(booked.ends_at),
        "start_there": iso(there.starts_at) if there else None,
        "end_there": iso(there.ends_at) if there else None,
        "error": item.error,
    }
