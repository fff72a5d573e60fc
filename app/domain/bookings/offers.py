"""Offers: what becomes free is held for the first in line, who may take it or leave it to the next.

The one rule: an offer is a booking. It is a hold like any other, made by the claim that makes them all, so that nothing
is offered twice or beside somebody's booking. A list is held by whoever makes its offers, so the line keeps its order
with any number of workers, and nobody has two offers of one list at once, however many places. Between the end that
frees a place and the hold that offers it, strangers may be quicker; that is milliseconds while the worker is woken, and
a second where it is not.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, Forbidden, InvalidInput, InvalidTransition, NotFound
from app.core.logs import logger
from app.core.times import from_epoch
from app.core.vault import Vault
from app.domain.availability.inputs import Inputs
from app.domain.bookings.budgets import Plan, check_plan
from app.domain.bookings.create import create_booking
from app.domain.bookings.decide import verdict_on
from app.domain.bookings.entries import Entry, EntryStatus, entry_of, represent_entry
from app.domain.bookings.events import offered_event
from app.domain.bookings.holds import Finish, finish_booking
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.orders import NewBooking
from app.domain.bookings.transitions import Ending, end_booking, locked_booking
from app.domain.bookings.waitlist import get_entry, want_of
from app.domain.bookings.wants import Want, load_for, together
from app.domain.identity.models import Visitor
from app.domain.identity.organizations import visitor_of

SQL = sql.load("waitlist")

DECLINED = "offer_declined"

# What no end told of (a removed calendar block, more seats, longer hours) is found so soon.
_SWEEP = timedelta(seconds=60)
_TRIES = 3
# So many of a line are tried in one transaction, which others wait for; as many as `list_line` brings.
_TRIED_AT_ONCE = 200
_log = logger("waitlist")


async def take_vacancies(conn: Connection, now: datetime) -> int:
    """Let the lists be due that something was freed for; how much there was. What was freed for a list that somebody
    holds stays, and can be taken a moment later."""
    count: int = await conn.fetchval(SQL.take_vacancies, now)
    return count


async def tend_list(conn: Connection, vault: Vault, offer_time: timedelta, now: datetime) -> bool:
    """Make the next offer of the list that is due the longest; whether there was one. In a transaction of the caller's.

    Whatever keeps one list from being tended keeps no other: it has its turn again later.
    """
    row = await conn.fetchrow(SQL.take_due_list, now)
    if row is None:
        return False
    next_look = _Look(now + _SWEEP)
    try:
        async with conn.transaction():
            held = _List(visitor_of(row, vault), row["event_type_id"], offer_time)
            tried = (row["tried_until"], row["tried_id"])
            next_look = await (_wait(conn, held, now) if row["is_off"] else _tend(conn, held, tried, now))
    except Exception:
        if conn.is_closed():
            raise
        _log.exception("waitlist_untended", event_type_id=str(row["event_type_id"]))
    await conn.execute(SQL.plan_check, row["org_id"], row["event_type_id"], next_look.at, *next_look.after)
    return True


async def accept_offer(conn: Connection, visitor: Visitor, booking_id: UUID, now: datetime) -> Booking:
    """Whoever was offered a place takes it. A repeat returns the booking as it is.

    Raises NotFound, InvalidTransition for an offer that is over, and what `finish_booking` raises.
    """
    held = await locked_booking(conn, visitor.org_id, booking_id)
    over = held.status is Status.DRAFT and held.hold_expires_at is not None and held.hold_expires_at <= now
    if over or held.status is Status.CANCELLED:
        raise InvalidTransition("This offer is over, and the place has gone to the next in line. Join the line again.")
    return await finish_booking(conn, visitor, booking_id, Finish(), Actor("attendee"), now)


async def decline_offer(conn: Connection, org_id: UUID, booking_id: UUID, actor: Actor, now: datetime) -> Booking:
    """Whoever was offered a place leaves it to the next in line. A repeat returns the booking as it is; so does one
    that comes too late. Raises NotFound, and InvalidTransition where the place was taken."""
    held = await locked_booking(conn, org_id, booking_id)
    if held.status is Status.CANCELLED:
        return held
    if held.status is not Status.DRAFT:
        raise InvalidTransition("This place was taken, and is a booking now. To give it back, cancel the booking.")
    return await end_booking(conn, Ending(held, Status.CANCELLED, None, DECLINED, DECLINED), actor, now)


async def leave(conn: Connection, principal: Visitor, entry_id: UUID, actor: Actor, now: datetime) -> None:
    """Leave the line, or the offer. Whoever has left already is not asked again. Raises NotFound, InvalidTransition
    where the place was taken, and BudgetExceeded."""
    org_id = principal.org_id
    if principal.budget is not None:
        waiting = await get_entry(conn, org_id, entry_id)
        check_plan(principal, Plan(waiting.event_type_id, (waiting.attendee.email,)), now)
    if await conn.fetchval(SQL.leave_line, org_id, entry_id, now) is not None:
        return
    entry = await get_entry(conn, org_id, entry_id)
    # the booking first, and what became of the entry by it: whatever ends or finishes it locks them in this order
    if entry.booking_id is not None and entry.status in {EntryStatus.OFFERED, EntryStatus.BOOKED}:
        await decline_offer(conn, org_id, entry.booking_id, actor, now)


class _Tried(Enum):
    """passed_over: nothing is open for them. contended: others were quicker, again and again."""

    OFFERED = "offered"
    PASSED_OVER = "passed_over"
    CONTENDED = "contended"


# of whoever was tried last: when they joined, and their entry
_Place = tuple[datetime | None, UUID | None]
_FRONT: _Place = (None, None)


@dataclass(frozen=True, slots=True)
class _Look:
    """When a list is looked at next (None: nobody waits), and behind which place. What is freed meanwhile has the line
    tried from its front again."""

    at: datetime | None
    after: _Place = _FRONT


@dataclass(frozen=True, slots=True)
class _List:
    """The list of one event type, held by whoever tends it: nobody else makes its offers meanwhile."""

    visitor: Visitor
    event_type_id: UUID
    offer_time: timedelta

    @property
    def key(self) -> tuple[UUID, UUID]:
        return self.visitor.org_id, self.event_type_id


async def _wait(conn: Connection, held: _List, now: datetime) -> _Look:
    """The list is switched off: whoever is in line stays, as long as there is time left."""
    await conn.execute(SQL.expire_entries, *held.key, now, False)
    return await _look_again(conn, held, _Look(now + _SWEEP))


async def _tend(conn: Connection, held: _List, after: _Place, now: datetime) -> _Look:
    """End what has no time left, and offer what is free to the first behind a place in line who can be helped."""
    await conn.execute(SQL.expire_entries, *held.key, now, False)
    wants = [Want(**dict(row)) for row in await conn.fetch(SQL.list_wants, *held.key)]
    open_wants: dict[Want, Inputs] = {}
    try:
        for group in together(wants):
            open_wants |= await _open_among(conn, held, group, now)
    except NotFound:
        # the event type is archived, and nobody can be helped any more
        await conn.execute(SQL.expire_entries, *held.key, now, True)
        return _Look(None)
    next_look = await _offer_first(conn, held, open_wants, after, now) if open_wants else _Look(now + _SWEEP)
    return await _look_again(conn, held, next_look)


async def _look_again(conn: Connection, held: _List, next_look: _Look) -> _Look:
    return next_look if await conn.fetchval(SQL.is_awaited, *held.key) else _Look(None)


async def _open_among(conn: Connection, held: _List, wants: Sequence[Want], now: datetime) -> dict[Want, Inputs]:
    """For whoever asks nothing else: what is closed for them is closed for everybody. With the inputs that say so."""
    inputs = await load_for(conn, held.visitor.caller, held.event_type_id, wants, now)
    found = {}
    for want in wants:
        try:
            asked = want.ask(inputs)
        except InvalidInput:
            # it is not on offer any more; it may be again
            continue
        if want.open_starts(inputs, asked, now):
            found[want] = inputs
    return found


async def _offer_first(
    conn: Connection, held: _List, open_wants: dict[Want, Inputs], after: _Place, now: datetime
) -> _Look:
    """Down the line until somebody can be helped. One offer in one transaction: whoever books beside it, or cancels,
    waits for no more than that."""
    rows = await conn.fetch(SQL.list_line, *held.key, *_when(open_wants), *after)
    for row in rows:
        entry, before = entry_of(row), after
        after = (entry.created_at, entry.id)
        tried = await _try(conn, held, entry, open_wants, now)
        if tried is _Tried.OFFERED:
            return _Look(now, after)
        if tried is _Tried.CONTENDED:
            return _Look(now + timedelta(seconds=1), before)
    return _Look(now, after) if len(rows) == _TRIED_AT_ONCE else _Look(now + _SWEEP)


def _when(wants: Iterable[Want]) -> tuple[list[datetime], list[date], list[str]]:
    """Starts; and days, with the zones that they are meant in."""
    days = [(want.local_date, want.timezone) for want in wants if want.local_date and want.timezone]
    return [want.starts_at for want in wants if want.starts_at], [day for day, _ in days], [zone for _, zone in days]


async def _try(conn: Connection, held: _List, entry: Entry, open_wants: dict[Want, Inputs], now: datetime) -> _Tried:
    """What turns out to be open for nobody is taken out of `open_wants`."""
    want = want_of(entry)
    for _ in range(_TRIES):
        starts = _starts_for(entry, open_wants[want], now) if want in open_wants else ()
        if not starts:
            return _Tried.PASSED_OVER
        try:
            made = await _offer(conn, held, entry, starts[0], now)
        except Conflict:
            # somebody was quicker: what is open now?
            del open_wants[want]
            open_wants |= await _open_among(conn, held, [want], now)
            continue
        except (InvalidInput, Forbidden):
            # what is asked of them was changed since this look began
            return _Tried.PASSED_OVER
        return _Tried.OFFERED if made else _Tried.PASSED_OVER
    return _Tried.CONTENDED


def _starts_for(entry: Entry, inputs: Inputs, now: datetime) -> Sequence[int]:
    """What is open for this one, by their answers; none where the event type would not have them any more."""
    want = want_of(entry)
    try:
        verdict = verdict_on(inputs, entry.answers, held=False)
        return want.open_starts(inputs, want.ask(inputs, verdict.host_ids), now)
    except (InvalidInput, Forbidden):
        return ()


async def _offer(conn: Connection, held: _List, entry: Entry, start: int, now: datetime) -> bool:
    """Hold the start for them, and tell of it; not where they have left. Raises Conflict where it is gone."""
    begins = from_epoch(start)
    seconds = int(min(held.offer_time, begins - now).total_seconds())
    async with conn.transaction():
        if seconds < 1 or await conn.fetchval(SQL.lock_waiting, entry.org_id, entry.id) is None:
            return False
        wanted = NewBooking(
            event_type=entry.event_type_id,
            start=begins,
            attendee=entry.attendee,
            duration_minutes=entry.duration_minutes,
            service_id=entry.service_id,
            host_id=entry.host_id,
            custom_fields=entry.custom_fields,
            metadata=entry.metadata,
            answers=entry.answers,
            notes=entry.notes,
            hold_seconds=seconds,
            is_answered=True,
            requires_approval=entry.requires_approval,
        )
        created = await create_booking(conn, held.visitor, wanted, Actor("system"), now)
        await _record(conn, entry, dataclasses.replace(created.booking, event_sequence=1), now)
    return True


async def _record(conn: Connection, entry: Entry, booking: Booking, now: datetime) -> None:
    offered = dataclasses.replace(
        entry,
        status=EntryStatus.OFFERED,
        booking_id=booking.id,
        offered_at=now,
        offer_expires_at=booking.hold_expires_at,
    )
    event = offered_event(booking, represent_entry(offered), now)
    await conn.execute(
        SQL.record_offer,
        *(entry.org_id, entry.id, booking.id, now, booking.hold_expires_at),
        *(booking.event_sequence, event.id, event.type, event.body, event.topics),
    )
