"""What a key's budget lets it do to bookings: how many a day, of what, how far ahead, for whom.

The one rule: the day is counted before anything else is locked, so that callers with one key wait for each other there
and nowhere else; and it is counted in the transaction of what it counts, so that what is refused costs nothing. People,
links and keys without a budget are not asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import ApprovalRequired, BudgetExceeded, NotFound, listing
from app.core.ids import Kind, encode
from app.core.times import iso
from app.domain.bookings.lifecycle import Action
from app.domain.bookings.models import Attendee, Booking
from app.domain.identity.budgets import Budget
from app.domain.identity.models import Visitor

SQL = sql.load("budgets")

_ONE_DAY = timedelta(days=1)
_ASK = "For anything else, ask a person of the organization."
_DECISIONS = frozenset({Action.CONFIRM, Action.DECLINE})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to be done. event_type: by its id where the budget is by ids; None for a resource. addresses:
    e-mails of whom it is for, besides the people of the organization. start: None where no start is chosen. is_counted:
    whether the day had room for it. is_own: false for a hold that is about to be finished and counts in no day, or in
    another key's."""

    event_type: UUID | str | None
    addresses: tuple[str, ...] = ()
    start: datetime | None = None
    is_counted: bool = True
    is_own: bool = True


def needs_approval(principal: Visitor) -> bool:
    """Whether a person decides whatever this caller books."""
    return principal.budget is not None and principal.budget.requires_approval


def addresses_of(attendee: Attendee | None, guests: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    return (*([attendee.email] if attendee else []), *(guest["email"] for guest in guests))


def plan_for(booking: Booking, start: datetime | None = None, *, is_counted: bool = True) -> Plan:
    """To change a booking that there is. Whoever reserves a resource is a person of the organization."""
    addresses = () if booking.event_type_id is None else addresses_of(booking.attendee, booking.guests)
    return Plan(booking.event_type_id, addresses, start, is_counted)


async def count_booking(conn: Connection, principal: Visitor, now: datetime) -> bool:
    """Count one more booking of the key's day; False where none is left of it. Before any other lock, in a transaction
    of the caller's, which undoes it with all the rest."""
    budget = principal.budget
    if budget is None or budget.bookings_per_day is None:
        return True
    if not conn.is_in_transaction():
        raise RuntimeError("a booking of a key with a number of bookings a day is counted in its transaction")
    about = (principal.org_id, principal.caller.key_id, _day_of(now), budget.bookings_per_day)
    return await conn.fetchval(SQL.count_booking, *about) is not None


async def is_own_hold(conn: Connection, principal: Visitor, booking_id: UUID) -> bool:
    """Whether a hold may be finished without counting it: the key has no number of bookings a day, or has counted it
    when it made the hold."""
    if principal.budget is None or principal.budget.bookings_per_day is None:
        return True
    return bool(await conn.fetchval(SQL.is_held_by, principal.org_id, booking_id, principal.caller.key_id))


async def pin_event_type(conn: Connection, principal: Visitor, event_type: UUID | str) -> UUID | str:
    """The id behind a code, where a budget is by ids: what is checked is what is booked then, whoever may rename it.
    Raises NotFound `event_type_not_found`."""
    if isinstance(event_type, UUID) or principal.budget is None or principal.budget.event_type_ids is None:
        return event_type
    found: UUID | None = await conn.fetchval(SQL.find_event_type, principal.org_id, event_type)
    if found is None:
        raise NotFound("No such event type in this organization.", code="event_type_not_found")
    return found


def check_plan(principal: Visitor, plan: Plan, now: datetime) -> None:
    """Raises BudgetExceeded, which names all that the key's budget does not allow."""
    budget = principal.budget
    if budget is None:
        return
    refused = {reason: sentence for reason, sentence in _refusals(budget, plan, now) if sentence}
    if refused:
        raise BudgetExceeded(" ".join([*refused.values(), _ASK]), reasons=list(refused))


def check_step(principal: Visitor, booking: Booking, action: Action, now: datetime) -> None:
    """Raises BudgetExceeded for a booking that is none of the key's business, and ApprovalRequired for what a person
    decides."""
    check_plan(principal, plan_for(booking), now)
    if needs_approval(principal) and action in _DECISIONS:
        raise ApprovalRequired(
            "This key asks, and a person decides: it can neither confirm nor decline. The hosts have been mailed links "
            "that do, and the dashboard does it too. Read the booking again later; to take a request back, cancel it."
        )


def check_readdressing(principal: Visitor, booking: Booking, after: Attendee, now: datetime) -> None:
    """The attendee's data are about to change. Raises BudgetExceeded, and ApprovalRequired for another name, e-mail or
    phone: whoever is asked is told of them, and the link in their mail is good for whatever the booking says later."""
    before = booking.attendee
    check_plan(principal, plan_for(booking), now)
    if before is None or before.email.lower() != after.email.lower():
        check_plan(principal, Plan(booking.event_type_id, (after.email,)), now)
    if needs_approval(principal) and (before is None or _who(before) != _who(after)):
        raise ApprovalRequired(
            "A person decides what this key books, and for whom: it cannot change the attendee's name, e-mail or phone "
            "afterwards. Ask a person of the organization; or, where the key booked it, cancel it and book anew."
        )


def _who(attendee: Attendee) -> tuple[str, str, str | None]:
    return attendee.name, attendee.email.lower(), attendee.phone


def _refusals(budget: Budget, plan: Plan, now: datetime) -> Iterable[tuple[str, str]]:
    yield "bookings_per_day", _of_day(budget, plan, now)
    yield "event_type_ids", _of_event_type(budget, plan)
    yield "max_lead_days", _of_lead(budget, plan, now)
    yield "attendee_domains", _of_addresses(budget, plan)


def _of_day(budget: Budget, plan: Plan, now: datetime) -> str:
    if not plan.is_own:
        return (
            "This key has a number of bookings a day, so it finishes holds of its own only, which it has counted. "
            "Whoever holds this one has to finish it; what a waiting list offers is taken by the link in the mail."
        )
    if plan.is_counted:
        return ""
    anew = datetime.combine(_day_of(now) + _ONE_DAY, time(), UTC)
    most = "once" if budget.bookings_per_day == 1 else f"{budget.bookings_per_day} times"
    return f"This key may book, hold or move {most} a day, which it has done; its next day begins at {iso(anew)}."


def _of_event_type(budget: Budget, plan: Plan) -> str:
    ids = budget.event_type_ids
    if ids is None or plan.event_type in ids:
        return ""
    what = "not this one" if plan.event_type else "and no resources"
    these = listing(encode(Kind.EVENT_TYPE, each) for each in ids)
    return f"This key may book certain event types only ({these}), {what}."


def _of_lead(budget: Budget, plan: Plan, now: datetime) -> str:
    if budget.max_lead_days is None or plan.start is None:
        return ""
    last = (now + budget.max_lead_days * _ONE_DAY).astimezone(UTC)
    if plan.start <= last:
        return ""
    days = "1 day" if budget.max_lead_days == 1 else f"{budget.max_lead_days} days"
    return f"This key may book at most {days} ahead: choose a start until {iso(last.replace(microsecond=0))}."


def _of_addresses(budget: Budget, plan: Plan) -> str:
    strange = [address for address in plan.addresses if not budget.allows_address(address)]
    if not strange:
        return ""
    others = listing(dict.fromkeys(address.rpartition("@")[2].lower() for address in strange))
    return f"This key may book for e-mail addresses at {listing(budget.attendee_domains or ())} only, not at {others}."


def _day_of(now: datetime) -> date:
    return now.astimezone(UTC).date()
