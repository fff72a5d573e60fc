"""Making a booking: decide, then write once.

The one rule: the writing is a single statement, which claims everything the booking needs, and only if the claim holds
writes the booking, its history, its event and the outbox row. Any number of callers for one slot get one winner and
clean refusals; who loses one host of several tries the next.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.db import Connection
from app.core.errors import Conflict, Forbidden, InvalidInput
from app.core.ids import Kind, encode, new_code, new_id
from app.core.recent import Recent
from app.core.times import epoch
from app.domain.availability.assignment import Placement, trace_of
from app.domain.availability.inputs import FIXED, Inputs, Rules, load_inputs
from app.domain.bookings import budgets
from app.domain.bookings.budgets import Plan
from app.domain.bookings.claim import Claim, Outcome, claim, units_as_kept
from app.domain.bookings.decide import Decision, decide, refusal, taken_by
from app.domain.bookings.events import CREATED, event_of
from app.domain.bookings.holds import end_holds_in_the_way
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.meetings import CONFERENCE
from app.domain.bookings.models import Actor, BookedHost, Booking, BookingShown, Step, represent
from app.domain.bookings.orders import Moved, NewBooking, Order, order_of
from app.domain.bookings.redeem import redeem
from app.domain.identity.models import Visitor

_SECOND = timedelta(seconds=1)
# An edit between reading and claiming is rare; three in a row are somebody else's script.
_TRIES = 3
_TAKEN_BY = {Outcome.TAKEN: "busy_booking", Outcome.BUSY: "busy_calendar"}


@dataclass(frozen=True, slots=True)
class Created:
    """A new booking, and its representation without tokens, which its event was made of."""

    booking: Booking
    shown: BookingShown


async def create_booking(
    conn: Connection, principal: Visitor, wanted: NewBooking, actor: Actor, now: datetime
) -> Created:
    """Book one start. Raises SlotUnavailable (with up to three alternatives), SlotTaken, RoutingRejected, InvalidInput
    or NotFound; then nothing is written. In a transaction of the caller's through a link, which raises LinkExpired too,
    and by a key with a number of bookings a day. A key with a budget: raises BudgetExceeded.

    The decision is made by remembered inputs where there are any, and counts only if the claim finds that they still
    hold; a refusal is never made by them.
    """
    if principal.budget is None:
        order = await _order(conn, principal, wanted, now)
    else:
        order = await _order_within_budget(conn, principal, wanted, now)
    remembered = _REMEMBERED.recall((principal.org_id, order.event_type), now)
    if remembered is not None:
        try:
            decision = decide(remembered, order, now)
        except (InvalidInput, Forbidden):
            decision = None
        if decision is not None and decision.offers:
            tried = await _attempt(conn, principal, order, decision, decision.offers[0], actor, now)
            if isinstance(tried, Created):
                return tried
            if order.token is None and tried in _TAKEN_BY:
                # there is one host, and the database itself has said that their time is gone
                raise taken_by(_TAKEN_BY[tried])
    return await _create(conn, principal, order, actor, now)


async def move_booking(
    conn: Connection, principal: Visitor, moved: Moved, start: datetime, timezone: str, actor: Actor, now: datetime
) -> Created:
    """Book another start in the place of a booking that was just ended in the same transaction. Writes no event.

    Raises what `create_booking` raises.
    """
    old = moved.old
    assert old.event_type_id is not None  # noqa: S101 -- only a reservation of a resource has none
    wanted = NewBooking(
        event_type=old.event_type_id,
        start=start,
        attendee=old.attendee and dataclasses.replace(old.attendee, timezone=timezone),
        guests=old.guests,
        custom_fields=old.custom_fields,
        metadata=old.metadata,
        answers=old.answers,
        notes=old.notes,
        requires_approval=moved.requires_approval,
    )
    return await _create(conn, principal, Order(wanted, old.event_type_id, start, moved=moved), actor, now)


async def _order(conn: Connection, principal: Visitor, wanted: NewBooking, now: datetime) -> Order:
    if wanted.link_code is None:
        return order_of(wanted, principal.secret)
    link = await redeem(conn, principal.org_id, wanted.link_code, wanted.event_type, now)
    order = order_of(dataclasses.replace(wanted, event_type=link.event_type_id), principal.secret)
    return dataclasses.replace(order, link_id=link.id)


async def _order_within_budget(conn: Connection, principal: Visitor, wanted: NewBooking, now: datetime) -> Order:
    """An order that the key may make, by the id of its event type. Raises BudgetExceeded."""
    is_counted = await budgets.count_booking(conn, principal, now)
    approval = wanted.requires_approval or budgets.needs_approval(principal)
    order = await _order(conn, principal, dataclasses.replace(wanted, requires_approval=approval), now)
    event_type = await budgets.pin_event_type(conn, principal, order.event_type)
    addresses = budgets.addresses_of(wanted.attendee, wanted.guests)
    budgets.check_plan(principal, Plan(event_type, addresses, order.start, is_counted), now)
    return dataclasses.replace(order, event_type=event_type)


async def _create(conn: Connection, principal: Visitor, order: Order, actor: Actor, now: datetime) -> Created:
    """Decide by fresh inputs and claim, until this caller wins or nothing is open any more."""
    until, lost = order.start + _SECOND, 0
    while True:
        span = (order.start, until, order.moved.minutes if order.moved else 0)
        inputs = await load_inputs(conn, principal.caller, order.event_type, *span, busy=True, now=now)
        _remember((principal.org_id, order.event_type), inputs, now)
        decision = decide(inputs, order, now)
        if not decision.offers:
            raise await refusal(conn, principal.caller, order, decision, now)
        await end_holds_in_the_way(conn, principal.org_id, inputs, epoch(order.start), now)
        for offer in decision.offers:
            tried = await _attempt(conn, principal, order, decision, offer, actor, now)
            if isinstance(tried, Created):
                return tried
            if tried is Outcome.STALE:
                break
        # each loss is somebody's win, and of those there are no more than hosts and units
        lost += 1
        if lost > _TRIES + len(inputs.hosts) + len(inputs.units):
            raise Conflict("This event type is much in demand right now; try again in a moment.")


# Inputs without busy time, as they were when last read, of event types whose bookings one constraint decides. Never an
# answer by themselves: the claim names their versions, and the database says whether they still hold. Whoever changes
# what the claim does not name (a host's name, or that a host is back) raises `config_version` of the event types that
# it concerns; what is changed by hand is forgotten in a minute.
_REMEMBERED: Recent[tuple[UUID, UUID | str], Inputs] = Recent(most=2000, age=timedelta(minutes=1))


def _remember(handle: tuple[UUID, UUID | str], inputs: Inputs, now: datetime) -> None:
    if inputs.rules.needs_only_a_host:
        hosts = tuple(dataclasses.replace(host, held=(), busy=()) for host in inputs.hosts)
        _REMEMBERED.remember(handle, dataclasses.replace(inputs, hosts=hosts, expired=()), now)


async def _attempt(
    conn: Connection,
    principal: Visitor,
    order: Order,
    decision: Decision,
    offer: Placement,
    actor: Actor,
    now: datetime,
) -> Created | Outcome:
    booking = _booking(principal, order, decision, offer, actor, now)
    shown = represent(booking)
    event = event_of(booking, CREATED, shown, now) if booking.event_sequence else None
    kept = order.moved is not None and order.moved.old.assigned_to_id == booking.assigned_to_id
    outcome = await claim(conn, Claim(booking, decision.inputs, offer, event, actor, principal, kept, order.link_id))
    return Created(booking, shown) if outcome is Outcome.WON else outcome


def _status(order: Order, inputs: Inputs) -> Status:
    if order.moved is not None:
        return order.moved.status
    if order.wanted.hold_seconds is not None:
        return Status.DRAFT
    asks = inputs.rules.requires_confirmation or order.wanted.requires_approval
    return Status.PENDING_CONFIRMATION if asks else Status.SCHEDULED


def _booking(
    principal: Visitor, order: Order, decision: Decision, offer: Placement, actor: Actor, now: datetime
) -> Booking:
    wanted, inputs = order.wanted, decision.inputs
    rules, status, attendee = inputs.rules, _status(order, inputs), order.wanted.attendee
    old = order.moved.old if order.moved else None
    booking_id = new_id()
    zones = [host.hours.zone for host in offer.hosts if host.hours]
    hold = None if wanted.hold_seconds is None else now + timedelta(seconds=wanted.hold_seconds)
    steps = () if status is Status.DRAFT else (Step(Status.DRAFT, status, now, actor.by, None),)
    return Booking(
        org_id=principal.org_id,
        id=booking_id,
        code=new_code(),
        status=status,
        event_type_id=rules.event_type_id,
        event_type_code=rules.code,
        resource_id=None,
        assigned_to_id=offer.hosts[0].user_id,
        hosts=tuple(BookedHost(host.user_id, host.name) for host in offer.hosts),
        starts_at=order.start,
        ends_at=order.start + timedelta(minutes=decision.asked.minutes),
        timezone=attendee.timezone if attendee else next(iter(zones), "UTC"),
        attendee=attendee,
        guests=wanted.guests,
        custom_fields=wanted.custom_fields,
        metadata=wanted.metadata,
        answers=wanted.answers,
        notes=wanted.notes,
        location=_location(order, rules, offer),
        service_id=decision.service_id,
        units=units_as_kept(offer),
        routing_trace=_trace(order, decision, offer),
        hold_expires_at=hold,
        requires_confirmation=rules.requires_confirmation or wanted.requires_approval,
        auto_complete=rules.auto_complete,
        ical_uid=old.ical_uid if old else f"{encode(Kind.BOOKING, booking_id)}@slotwire",
        ical_sequence=old.ical_sequence + 1 if old else 0,
        cancelled_at=None,
        cancelled_by=None,
        cancellation_reason=None,
        attendee_bounced_at=None,
        rescheduled_from_id=old.id if old else None,
        rescheduled_to_id=None,
        token_version=0,
        event_sequence=0 if status is Status.DRAFT or old else 1,
        created_at=now,
        updated_at=now,
        history=steps,
    )


def _location(order: Order, rules: Rules, offer: Placement) -> dict[str, Any] | None:
    """A video meeting that a host's calendar made stays the same as long as its host does."""
    old = order.moved.old if order.moved else None
    same = old is not None and old.assigned_to_id == offer.hosts[0].user_id
    if same and old is not None and rules.location and (old.location or {}).get("kind") == CONFERENCE:
        return old.location if rules.location["kind"] == CONFERENCE else rules.location
    return rules.location


def _trace(order: Order, decision: Decision, offer: Placement) -> dict[str, Any] | None:
    """None where there was nothing to choose: one host, whom no rule named."""
    rules, verdict = decision.inputs.rules, decision.verdict
    if rules.assignment == FIXED and verdict.rule_no is None and offer.joins is None:
        return None
    preferred = order.moved.old.assigned_to_id if order.moved else None
    return trace_of(decision.inputs, decision.asked, offer, verdict.rule_no, preferred)
