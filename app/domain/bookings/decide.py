"""Whether an order can be had, and if not, why not.

The one rule: nothing is decided here. The availability room says what is open, routing says for whom; this puts the
question and words the refusal.
"""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, RoutingRejected, SlotTaken, SlotUnavailable
from app.core.times import epoch
from app.domain.availability.assignment import Placement, placements
from app.domain.availability.explain import Explainer
from app.domain.availability.inputs import FIXED, Inputs
from app.domain.availability.service import Asked, Verdict, ask, find_alternatives, open_slots
from app.domain.availability.slot_tokens import service_of
from app.domain.bookings.orders import Moved, Order
from app.domain.event_types.routing import check_answers, route
from app.domain.identity.models import Caller

_SENTENCES = {
    "inactive": "This event type is not active, so nothing can be booked.",
    "routing": "The answers lead to hosts who are not free then. Choose another slot.",
    "notice": "This is too soon, or has passed. Choose a later slot.",
    "window": "This is further ahead than bookings are open for. Choose an earlier slot.",
    "outside_schedule": "This time is outside the hours, or not the beginning of a slot. Choose one of the open slots.",
    "override_closed": "This date differs from the usual hours, and is closed then. Choose one of the open slots.",
    "cap_day": "No more bookings are taken on this day. Choose another one.",
    "cap_week": "No more bookings are taken in this week. Choose another one.",
    "cap_month": "No more bookings are taken in this month. Choose another one.",
    "busy_booking": "Somebody else has this time. Ask for the open slots again and choose another one.",
    "busy_calendar": "The host's calendar is busy then. Ask for the open slots again and choose another one.",
    "seats_full": "The last seat is taken. Ask for the open slots again and choose another one.",
    "resource_busy": "What this booking needs besides people is not free then. Choose another slot.",
}
_OUTDATED = "This slot_token is out of date: it has expired, or the event type was changed. Choose an open slot again."


@dataclass(frozen=True, slots=True)
class Decision:
    """asked: whose time counts, for how long. offers: the placements that would do, the best one first. outdated: the
    slot token does not speak of the present configuration any more."""

    inputs: Inputs
    asked: Asked
    verdict: Verdict
    service_id: str | None
    offers: list[Placement]
    outdated: bool = False


def decide(inputs: Inputs, order: Order, now: datetime) -> Decision:
    """Raises InvalidInput for what the event type does not offer, RoutingRejected when a rule refuses the answers."""
    if order.moved is not None:
        return _decide_moved(inputs, order, order.moved, now)
    wanted, token = order.wanted, order.token
    verdict = verdict_on(inputs, wanted.answers, held=wanted.hold_seconds is not None and not wanted.is_answered)
    if token is not None and (token.config_version != inputs.rules.config_version or token.expires <= now.timestamp()):
        minutes = token.minutes if token.minutes in inputs.rules.durations_minutes else None
        asked = ask(inputs, duration=minutes, among=verdict.host_ids)
        return Decision(inputs, asked, verdict, None, [], outdated=True)
    service_id, among = wanted.service_id, verdict.host_ids
    if token is not None:
        if isinstance(wanted.event_type, str) and wanted.event_type != inputs.rules.code:
            raise InvalidInput.of("slot_token", "is a token of another event type")
        service_id = service_of(token, inputs.rules)
        if wanted.service_id not in {None, service_id}:
            raise InvalidInput.of("service_id", "the slot_token is for another service")
        among = _both(among, token.among(inputs.hosts))
    minutes = wanted.duration_minutes if token is None else token.minutes
    asked = ask(inputs, duration=minutes, service_id=service_id, host_id=wanted.host_id, among=among)
    return Decision(inputs, asked, verdict, service_id, _offers(inputs, asked, order.start, None, now))


def verdict_on(inputs: Inputs, answers: list[dict[str, Any]], *, held: bool) -> Verdict:
    """What the event type's questions and rules make of the answers. held: they may be incomplete, and where there are
    none yet, no rule is asked. Raises InvalidInput and RoutingRejected."""
    verdict = route_on(inputs, answers, held=held)
    if verdict.rejected is not None:
        raise RoutingRejected(verdict.rejected, rule=verdict.rule_no)
    return verdict


def route_on(inputs: Inputs, answers: list[dict[str, Any]], *, held: bool = True) -> Verdict:
    """The same for whoever wants to show a rejection. Raises InvalidInput."""
    checked = check_answers(inputs.rules.questions, answers, complete=not held)
    return route(inputs.rules.routing_rules, checked) if answers or not held else Verdict()


async def refusal(conn: Connection, caller: Caller, order: Order, decision: Decision, now: datetime) -> Conflict:
    """What to tell a caller who cannot have it: that it is taken, or that it was never open, with what is open near."""
    inputs, asked, start = decision.inputs, decision.asked, epoch(order.start)
    taken = not order.start.microsecond and _was_open(inputs, asked, start, now)
    reasons = Explainer(inputs, asked, start, start + 1, (), decision.verdict, now).reasons(start)
    codes = list(dict.fromkeys(str(reason["code"]) for reason in reasons))
    sentence = _OUTDATED if decision.outdated else _SENTENCES[codes[0]]
    refused = SlotTaken(sentence) if taken and not decision.outdated else SlotUnavailable(sentence)
    if not decision.outdated:
        refused.extra["reasons"] = codes
    if order.token is not None or not isinstance(refused, SlotTaken):
        refused.extra["alternatives"] = await find_alternatives(
            *(conn, caller, inputs.rules, start),
            minutes=asked.minutes,
            host_id=order.wanted.host_id,
            among=decision.verdict.host_ids,
            now=now,
        )
    return refused


def sentence_for(code: str) -> str:
    """What a reason means to whoever wanted the slot."""
    return _SENTENCES[code]


def taken_by(code: str) -> SlotTaken:
    """The refusal where it is known already what the reason is."""
    return SlotTaken(_SENTENCES[code], reasons=[code])


def ask_to_move(inputs: Inputs, moved: Moved) -> tuple[Inputs, Asked, Verdict]:
    """Where a booking may be moved to. The answers were accepted once, and the length was agreed: neither is asked
    again. An event type that is switched off takes no new bookings; those that it has may still be moved."""
    old = moved.old
    inputs = dataclasses.replace(inputs, rules=dataclasses.replace(inputs.rules, active=True))
    answers = {each["question_id"]: each["answer"] for each in old.answers}
    verdict = route(inputs.rules.routing_rules, answers)
    among = verdict.host_ids
    if inputs.rules.assignment == FIXED and old.assigned_to_id in {host.user_id for host in inputs.hosts}:
        among = frozenset({old.assigned_to_id})
    return inputs, dataclasses.replace(ask(inputs, among=among), minutes=moved.minutes), verdict


def _decide_moved(inputs: Inputs, order: Order, moved: Moved, now: datetime) -> Decision:
    inputs, asked, verdict = ask_to_move(inputs, moved)
    offers = _offers(inputs, asked, order.start, moved.old.assigned_to_id, now)
    return Decision(inputs, asked, verdict, moved.old.service_id, offers)


def _offers(inputs: Inputs, asked: Asked, start: datetime, preferred: UUID | None, now: datetime) -> list[Placement]:
    """A booking starts on a whole second."""
    return [] if start.microsecond else placements(inputs, asked, epoch(start), preferred, now)


def _was_open(inputs: Inputs, asked: Asked, start: int, now: datetime) -> bool:
    """Whether hours, notice, window and caps allow the start: what is missing then is somebody's time, or a seat of a
    session that is counted already."""
    begun = start in inputs.sittings
    hosts = tuple(dataclasses.replace(host, held=(), busy=(), full=() if begun else host.full) for host in asked.hosts)
    units = tuple(dataclasses.replace(unit, held=()) for unit in inputs.units)
    empty = dataclasses.replace(inputs, units=units, sittings={})
    return bool(open_slots(empty, dataclasses.replace(asked, hosts=hosts), start, start + 1, now).starts)


def _both(some: Collection[UUID] | None, others: frozenset[UUID]) -> frozenset[UUID]:
    return others if some is None else others.intersection(some)
