"""From what a commit owed to mails that wait: outbox rows become rows of `mails` and `reminders`, in one transaction.

The one rule: who gets which mail is decided once, when it is taken from the outbox, and what the mail says when it is
sent: a changed name or title is told as it is by then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from app.core import sql
from app.core.db import Connection
from app.core.ids import Kind as IdKind
from app.core.ids import decode, new_id
from app.core.logs import logger
from app.core.times import parse_instant
from app.domain.bookings import events
from app.domain.bookings.lifecycle import AGREED
from app.domain.notifications import reminders
from app.domain.notifications.audience import Host, News, Owed, letters_owed
from app.domain.notifications.letters import Kind, Role
from app.domain.notifications.reminders import Planned

SQL = sql.load("notifications")

# What a newer version wrote, or what none should have.
_FAULTS = (LookupError, TypeError, ValueError, AttributeError, AssertionError, OverflowError)
_MANAGERS = frozenset({"owner", "admin"})
_log = logger("notices")
_ENDS = frozenset({events.CANCELLED, events.DECLINED})


@dataclass(frozen=True, slots=True)
class Mail:
    """One that is about to wait. booking_id, event_id, thread: of one that follows from an event; thread is the
    booking's calendar UID."""

    org_id: UUID
    owed: Owed
    happened_at: datetime
    booking_id: UUID | None = None
    event_id: UUID | None = None
    thread: str | None = None
    organizer: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


async def put_mails(conn: Connection, mails: Sequence[Mail], now: datetime) -> None:
    """Let mails wait to be sent. What waits already for the same person from the same event is left as it is."""
    if not mails:
        return
    owed = [mail.owed for mail in mails]
    await conn.execute(
        SQL.insert_mails,
        *([mail.org_id for mail in mails], [new_id() for _ in mails]),
        *([each.kind.value for each in owed], [each.role.value for each in owed], [each.recipient for each in owed]),
        *([each.user_id for each in owed], [mail.booking_id for mail in mails], [mail.event_id for mail in mails]),
        *([mail.thread for mail in mails], [mail.happened_at for mail in mails]),
        *([each.method.value if each.method else None for each in owed], [mail.organizer for mail in mails]),
        *([each.kind is Kind.REMINDER for each in owed], now, [mail.data for mail in mails]),
    )


@dataclass(slots=True)
class _Work:
    """What follows from a batch of the outbox."""

    mails: list[Mail] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    ended: list[tuple[UUID, UUID]] = field(default_factory=list)
    unread: list[sql.Row] = field(default_factory=list)


async def take_notices(conn: Connection, sender: str | None, now: datetime) -> int:
    """Take up to 200 rows from the outbox, and let wait what follows from them; how many were taken.

    sender: the address that mails come from; None where nobody gets mail. Runs in a transaction of the caller's.
    """
    rows = await conn.fetch(SQL.take_notices, now)
    people = await _concerned(conn, [row for row in rows if row["data"] is not None])
    work = _Work()
    for row in rows:
        try:
            _read(row, people, sender, work, now)
        except _FAULTS:
            # It keeps no other from being read; a newer worker may know better, or somebody who reads the log.
            _log.exception("notice_unread", ref_id=str(row["ref_id"]))
            work.unread.append(row)
    if sender is not None:
        await put_mails(conn, work.mails, now)
    await reminders.plan(conn, work.planned, work.ended, now)
    if work.unread:
        await conn.execute(
            SQL.put_back,
            *([row["org_id"] for row in work.unread], [row["ref_id"] for row in work.unread]),
            *([row["data"] for row in work.unread], [row["attempts"] + 1 for row in work.unread], now),
        )
    return len(rows) - len(work.unread)


async def _concerned(conn: Connection, notices: Sequence[sql.Row]) -> Sequence[sql.Row]:
    if not notices:
        return []
    named = [each for row in notices if (each := _uuid(row["data"])) is not None]
    return await conn.fetch(SQL.list_concerned, [row["org_id"] for row in notices], named)


def _uuid(data: Any) -> UUID | None:
    try:
        return UUID(data["user_id"])
    except _FAULTS:
        return None


def _read(row: sql.Row, people: Sequence[sql.Row], sender: str | None, work: _Work, now: datetime) -> None:
    if row["data"] is not None:
        work.mails += _of_nobodys_booking(row, people, now)
    elif row["body"] is not None:
        body = orjson.loads(row["body"])
        mails, planned = list(_mails_of(row, body, sender)), list(_reminders_of(row, body))
        work.ended += _ended_by(row, body)
        work.mails += mails
        work.planned += planned


async def remind(conn: Connection, sender: str | None, now: datetime) -> int:
    """Fire up to 200 reminders that are due, and let their mails wait; how many were looked at. Runs in a
    transaction of the caller's."""
    taken, fired = await reminders.fire_due(conn, now)
    if sender is not None:
        mails = (
            Mail(each.due.org_id, owed, now, each.due.booking_id, each.event.id, each.due.thread)
            for each in fired
            for owed in each.owed
        )
        await put_mails(conn, list(mails), now)
    return taken


def _mails_of(row: sql.Row, body: dict[str, Any], sender: str | None) -> Iterable[Mail]:
    data = body["data"]
    previous = data.get("previous")
    if previous is not None and "hosts" not in previous:
        # an update names only what it changed
        previous = {**data["booking"], **previous}
    hosts = (Host(UUID(each["user_id"]), each["address"], each["writes"]) for each in row["hosts"] or ())
    asked = frozenset(each.lower() for each in row["asked"])
    facts = {"until": data["booking"]["hold_expires_at"]} if row["type"] == events.OFFERED else {}
    deciders = tuple(Host(UUID(each["user_id"]), each["address"]) for each in row["deciders"] or ())
    news = News(row["type"], data["booking"], previous, {host.user_id: host for host in hosts}, asked, deciders)
    for owed in letters_owed(news):
        organizer = (row["organizer"] or sender) if owed.method else None
        # what waits for an answer is told after what it takes the place of
        at = row["at"] + timedelta(microseconds=owed.kind is Kind.PENDING)
        yield Mail(row["org_id"], owed, at, row["booking_id"], row["ref_id"], row["ical_uid"], organizer, facts)


def _reminders_of(row: sql.Row, body: dict[str, Any]) -> Iterable[Planned]:
    booking = body["data"]["booking"]
    if row["type"] in _ENDS or booking["status"] not in AGREED:
        return
    starts_at = parse_instant(booking["start_time"])
    for minutes in row["reminders_minutes_before"] or ():
        yield Planned(row["org_id"], row["booking_id"], minutes, starts_at, row["at"])


def _ended_by(row: sql.Row, body: dict[str, Any]) -> Iterable[tuple[UUID, UUID]]:
    if row["type"] in _ENDS:
        yield row["org_id"], row["booking_id"]
    elif row["type"] == events.RESCHEDULED:
        before = decode(IdKind.BOOKING, body["data"]["previous"]["id"])
        if before is not None:
            yield row["org_id"], before


def _of_nobodys_booking(row: sql.Row, people: Sequence[sql.Row], now: datetime) -> Iterable[Mail]:
    """A notice with a kind of its own, such as `{"kind": "webhook_disabled", "url": …}`: to the person whose `user_id`
    it names, or else to the organization's owners and administrators."""
    data, kind = row["data"], Kind(row["data"]["kind"])
    user_id = UUID(data["user_id"]) if "user_id" in data else None
    for person in people:
        wanted = person["role"] in _MANAGERS if user_id is None else person["id"] == user_id
        if wanted and person["org_id"] == row["org_id"]:
            yield Mail(row["org_id"], Owed(kind, Role.MEMBER, person["email"], user_id=person["id"]), now, data=data)
