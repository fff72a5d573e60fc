"""Waiting lists: whoever comes too late waits in line for a start, or for any on a day.

The one rule: nobody waits for what they could not be given. What makes an entry is checked like a booking, so that the
offer can be taken as it is; `offers` makes those.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, Forbidden, NotFound, SlotUnavailable
from app.core.ids import new_id
from app.core.times import from_epoch
from app.domain.availability.explain import Explainer
from app.domain.availability.inputs import Inputs
from app.domain.availability.service import Asked, Verdict, find_alternatives
from app.domain.bookings import budgets
from app.domain.bookings.budgets import Plan
from app.domain.bookings.decide import sentence_for, verdict_on
from app.domain.bookings.entries import Entry, EntryStatus, entry_of
from app.domain.bookings.models import Attendee
from app.domain.bookings.wants import Want, load_for
from app.domain.identity.models import Principal, Visitor

SQL = sql.load("waitlist")

MOST_OF_ATTENDEE = 20
MOST_IN_LINE = 1000


@dataclass(frozen=True, slots=True)
class NewEntry:
    """`event_type` is an id or a code; either a start, or a day in the attendee's zone. duration_minutes, service_id
    and host_id: as of a booking."""

    event_type: UUID | str
    starts_at: datetime | None
    local_date: date | None
    attendee: Attendee
    duration_minutes: int | None = None
    service_id: str | None = None
    host_id: UUID | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)
    notes: str | None = None
    custom_fields: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def want(self) -> Want:
        return want_of(self)


def want_of(entry: NewEntry | Entry) -> Want:
    """In whose zone somebody is matters only to a day."""
    zone = entry.attendee.timezone if entry.local_date else None
    about = (entry.duration_minutes, entry.service_id, entry.host_id)
    return Want(entry.starts_at, entry.local_date, zone, *about)


async def join(conn: Connection, principal: Visitor, wanted: NewEntry, now: datetime) -> Entry:
    """Take a place at the end of the line, in a transaction of the caller's. Where the same address waits for the same
    thing already, nothing is written; the answer is that place, in the words of whoever asks: an address is no proof of
    whose it is, so they learn nothing that was said before.

    Raises NotFound; Conflict `waitlist_closed` where the event type has no list; Conflict for what is open, and where
    the line or the address has too many places; SlotUnavailable for what can never be had by waiting; InvalidInput,
    RoutingRejected and BudgetExceeded like a booking, as which it counts in the key's day.
    """
    is_counted = await budgets.count_booking(conn, principal, now)
    event_type = await _find_event_type(conn, principal.org_id, wanted.event_type)
    if not event_type["waitlist"]:
        raise Conflict("Nobody can wait for this event type. Choose one of the open slots.", code="waitlist_closed")
    if principal.budget is not None:
        # of a day any start may be offered, also its last
        latest = from_epoch(wanted.want.span[1] - 1)
        plan = Plan(event_type["id"], (wanted.attendee.email,), latest, is_counted)
        budgets.check_plan(principal, plan, now)
    await _check(conn, principal, event_type["id"], wanted, now)
    return await _take_place(conn, principal, event_type["id"], wanted, now)


async def _find_event_type(conn: Connection, org_id: UUID, handle: UUID | str) -> sql.Row:
    by_id, by_code = (handle, None) if isinstance(handle, UUID) else (None, handle)
    row = await conn.fetchrow(SQL.find_event_type, org_id, by_id, by_code)
    if row is None:
        raise NotFound("No such event type in this organization.", code="event_type_not_found")
    return row


async def get_entry(conn: Connection, org_id: UUID, entry_id: UUID) -> Entry:
    """Raises NotFound, for another organization's entry too."""
    row = await conn.fetchrow(SQL.get_entry, org_id, entry_id)
    if row is None:
        raise NotFound("No such waitlist entry in this organization.")
    return entry_of(row)


async def check_hosts(conn: Connection, principal: Principal, event_type: UUID | str) -> None:
    """Raises NotFound; Forbidden where the caller is kept to their own, and does not host it."""
    user_id = principal.only_own_user_id
    if user_id is None:
        return
    found = await _find_event_type(conn, principal.org_id, event_type)
    if not await conn.fetchval(SQL.is_host, principal.org_id, found["id"], user_id):
        raise Forbidden("Members let people wait for the event types that they host; ask an owner or an admin.")


async def check_hosts_entry(conn: Connection, principal: Principal, entry_id: UUID) -> None:
    """Raises NotFound where the caller is kept to their own, and does not host what is waited for."""
    user_id = principal.only_own_user_id
    if user_id is not None and not await conn.fetchval(SQL.is_host_of_entry, principal.org_id, entry_id, user_id):
        raise NotFound("Nobody with this id waits for you.")


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which entries; None: whichever. host_id: of event types that this person hosts."""

    event_type_id: UUID | None = None
    statuses: Sequence[EntryStatus] | None = None
    host_id: UUID | None = None

    @property
    def words(self) -> list[str] | None:
        return None if self.statuses is None else [status.value for status in self.statuses]


async def list_entries(
    conn: Connection, org_id: UUID, only: Narrowing, after: UUID | None, limit: int, skip: int = 0
) -> list[Entry]:
    """Up to `limit` entries, oldest first, after the one that the cursor names, or without the first `skip`. In a
    snapshot of the caller's."""
    asked = (only.event_type_id, only.words, after, limit, only.host_id, skip)
    return [entry_of(row) for row in await conn.fetch(SQL.list_entries, org_id, *asked)]


async def count_entries(conn: Connection, org_id: UUID, only: Narrowing) -> int:
    count: int = await conn.fetchval(SQL.count_entries, org_id, only.event_type_id, only.words, only.host_id)
    return count


async def _check(conn: Connection, principal: Visitor, event_type_id: UUID, wanted: NewEntry, now: datetime) -> None:
    want = wanted.want
    inputs = await load_for(conn, principal.caller, event_type_id, [want], now)
    verdict = verdict_on(inputs, wanted.answers, held=False)
    asked = want.ask(inputs, verdict.host_ids)
    in_part = wanted.starts_at is not None and wanted.starts_at.microsecond > 0
    if not in_part and want.open_starts(inputs, asked, now):
        what = "This slot is open" if wanted.starts_at else "There are open slots on this day"
        raise Conflict(f"{what}: nobody has to wait. Book it.")
    if in_part or not want.would_be_open(inputs, asked, now):
        raise await _refusal(conn, principal, inputs, want, asked, verdict, now)


async def _refusal(
    conn: Connection, principal: Visitor, inputs: Inputs, want: Want, asked: Asked, verdict: Verdict, now: datetime
) -> SlotUnavailable:
    """Waiting would not help: why, and what is open near."""
    since, until = want.span
    explainer = Explainer(inputs, asked, since, until, (), verdict, now)
    in_part = want.starts_at is not None and want.starts_at.microsecond > 0
    reasons = _of_day(explainer) if want.starts_at is None else [] if in_part else explainer.reasons(since)
    # nor is a part of a second, or a day without slots, the beginning of any
    codes = list(dict.fromkeys(str(reason["code"]) for reason in reasons)) or ["outside_schedule"]
    alternatives = await find_alternatives(
        *(conn, principal.caller, inputs.rules, since),
        minutes=asked.minutes,
        host_id=want.host_id,
        among=verdict.host_ids,
        now=now,
    )
    sentence = f"Waiting would not help. {sentence_for(codes[0])}"
    return SlotUnavailable(sentence, reasons=codes, alternatives=alternatives)


def _of_day(explainer: Explainer) -> list[dict[str, Any]]:
    return [reason for _, reasons in explainer.refused(()) for reason in reasons]


async def _take_place(
    conn: Connection, principal: Visitor, event_type_id: UUID, wanted: NewEntry, now: datetime
) -> Entry:
    org_id, attendee, entry_id = principal.org_id, wanted.attendee, new_id()
    await conn.execute(SQL.lock_attendee, org_id, attendee.email)
    for _ in range(2):
        made = await conn.fetchval(
            SQL.insert_entry,
            *(org_id, entry_id, event_type_id, wanted.starts_at, wanted.local_date, attendee.timezone),
            *(attendee.name, attendee.email, attendee.phone),
            *(wanted.duration_minutes, wanted.service_id, wanted.host_id, wanted.answers, wanted.notes),
            *(wanted.custom_fields, wanted.metadata, wanted.want.closes_at, now),
            budgets.needs_approval(principal),
        )
        if made is not None:
            await conn.execute(SQL.wake_list, org_id, event_type_id, now)
            # exact, since the list is locked now, and the address before
            await _check_room(conn, org_id, event_type_id, attendee)
            return await get_entry(conn, org_id, entry_id)
        when = (wanted.starts_at, wanted.local_date)
        same = await conn.fetchval(SQL.find_same, org_id, event_type_id, attendee.email, *when)
        if same is not None:
            return _as_said(await get_entry(conn, org_id, same), wanted)
        # it ended between the two
    raise Conflict("This place in line is changing right now; try again in a moment.")


async def _check_room(conn: Connection, org_id: UUID, event_type_id: UUID, attendee: Attendee) -> None:
    (places,) = await conn.fetch(SQL.count_places, org_id, event_type_id, attendee.email)
    if places["of_attendee"] > MOST_OF_ATTENDEE:
        raise Conflict(
            f"With one e-mail address nobody can wait for more than {MOST_OF_ATTENDEE} things at once. Leave one of "
            "those lines first, or take what is offered."
        )
    if places["in_line"] > MOST_IN_LINE:
        raise Conflict(
            f"This waiting list is full: {MOST_IN_LINE} people wait already. Choose one of the open slots, or try "
            "again later."
        )


def _as_said(place: Entry, wanted: NewEntry) -> Entry:
    """The place with its id, status and times, and nothing else that it knows: not even the hold, by whose id a caller
    who may change bookings would be shown it."""
    return dataclasses.replace(
        place,
        attendee=wanted.attendee,
        duration_minutes=wanted.duration_minutes,
        service_id=wanted.service_id,
        host_id=wanted.host_id,
        answers=wanted.answers,
        notes=wanted.notes,
        custom_fields=wanted.custom_fields,
        metadata=wanted.metadata,
        booking_id=None,
    )
