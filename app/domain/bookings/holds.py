"""Holds: a slot kept as DRAFT while somebody asks their person, or a checkout runs.

The one rule: a hold that is over keeps nothing. Whoever asks for its time ends it first; the worker ends the others.
Receivers hear of a booking when it is finished; of a hold that ended by itself they never heard.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import FieldError, InvalidInput, InvalidTransition, NotFound, SlotUnavailable
from app.domain.availability.inputs import Inputs, load_inputs
from app.domain.bookings import budgets
from app.domain.bookings.budgets import Plan
from app.domain.bookings.claim import local_start
from app.domain.bookings.decide import verdict_on
from app.domain.bookings.events import CREATED, event_of
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Actor, Attendee, Booking, Step, represent
from app.domain.bookings.transitions import Ending, end_booking, locked_booking
from app.domain.identity.models import Caller, Visitor

SQL = sql.load("bookings")

LONGEST_SECONDS = 900
EXPIRED = "hold_expired"


@dataclass(frozen=True, slots=True)
class Finish:
    """What completes a hold; None keeps what came with it."""

    attendee: Attendee | None = None
    guests: list[dict[str, Any]] | None = None
    custom_fields: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    answers: list[dict[str, Any]] | None = None
    notes: str | None = None


async def finish_booking(
    conn: Connection, principal: Visitor, booking_id: UUID, finish: Finish, actor: Actor, now: datetime
) -> Booking:
    """Make a hold a booking. A repeat returns the booking as it is. The key's day was counted when it was held, so a
    key with a number of bookings a day finishes what it held itself.

    Raises NotFound, InvalidTransition for a hold that is over, InvalidInput for a missing attendee or answer,
    RoutingRejected, SlotUnavailable when the answers lead to other hosts than the one that is held, and BudgetExceeded.
    """
    org_id = principal.org_id
    before = await locked_booking(conn, org_id, booking_id)
    budgets.check_plan(principal, budgets.plan_for(before, before.starts_at), now)
    if before.status in {Status.SCHEDULED, Status.PENDING_CONFIRMATION, Status.RESCHEDULED}:
        return before
    if before.status in {Status.COMPLETED, Status.NO_SHOW}:
        raise InvalidTransition(f"A booking that is {before.status} cannot be finished.")
    if before.status is not Status.DRAFT or before.hold_expires_at is None or before.hold_expires_at <= now:
        raise InvalidTransition("This hold is over, and its time is free again. Book the slot anew.")
    given = {name: value for name in Finish.__dataclass_fields__ if (value := getattr(finish, name)) is not None}
    attendee = finish.attendee or before.attendee
    if attendee is None:
        wanted = FieldError("attendee", "missing", "is required: the hold was made without one")
        raise InvalidInput(f"{wanted.field} {wanted.message}", code="missing_field", errors=[wanted])
    named = budgets.addresses_of(attendee, given.get("guests", before.guests))
    own = await budgets.is_own_hold(conn, principal, booking_id)
    budgets.check_plan(principal, Plan(before.event_type_id, named, before.starts_at, is_own=own), now)
    await _check(conn, org_id, before, given.get("answers", before.answers), now)
    asks = before.requires_confirmation or budgets.needs_approval(principal)
    status = Status.PENDING_CONFIRMATION if asks else Status.SCHEDULED
    booking = dataclasses.replace(
        before,
        **given,
        status=status,
        requires_confirmation=asks,
        timezone=attendee.timezone,
        hold_expires_at=None,
        event_sequence=before.event_sequence + 1,
        updated_at=now,
        history=(*before.history, Step(before.status, status, now, actor.by, None)),
    )
    await _write(conn, booking, attendee, actor, now)
    return booking


async def end_holds_in_the_way(conn: Connection, org_id: UUID, inputs: Inputs, start: int, now: datetime) -> None:
    """End the holds that are over and whose time or seats these inputs count as free."""
    ended = [*inputs.ended, *(inputs.sittings[start].ended if start in inputs.sittings else ())]
    if inputs.expired:
        ended += [row["id"] for row in await conn.fetch(SQL.find_ended_holds, org_id, list(inputs.expired), now)]
    for booking_id in dict.fromkeys(ended):
        await end_hold(conn, org_id, booking_id, now)


async def end_hold(conn: Connection, org_id: UUID, booking_id: UUID, now: datetime) -> None:
    """Nothing happens where somebody else has ended or finished it."""
    async with conn.transaction():
        held = await locked_booking(conn, org_id, booking_id)
        if held.status is Status.DRAFT and held.hold_expires_at is not None and held.hold_expires_at <= now:
            await end_booking(conn, Ending(held, Status.CANCELLED, None, EXPIRED, EXPIRED), Actor("system"), now)


async def _check(conn: Connection, org_id: UUID, held: Booking, answers: list[dict[str, Any]], now: datetime) -> None:
    """The answers have to be complete now, and lead to whom the hold keeps."""
    assert held.event_type_id is not None  # noqa: S101 -- only a reservation of a resource has none
    span = (held.starts_at, held.ends_at)
    try:
        inputs = await load_inputs(conn, Caller(org_id), held.event_type_id, *span, busy=False, now=now)
    except NotFound:
        return  # archived meanwhile: its bookings stay, and nobody asks its questions any more
    verdict = verdict_on(inputs, answers, held=False)
    if verdict.host_ids is not None and not verdict.host_ids.issuperset(host.user_id for host in held.hosts):
        raise SlotUnavailable("The answers lead to other hosts than the one who is held. Book anew with the answers.")


async def _write(conn: Connection, booking: Booking, attendee: Attendee, actor: Actor, now: datetime) -> None:
    event = event_of(booking, CREATED, represent(booking), now)
    await conn.execute(
        SQL.finish_booking,
        *(booking.org_id, booking.id, booking.status.value, booking.event_sequence, now),
        *(booking.timezone, local_start(booking), attendee.name, attendee.email, attendee.phone),
        *(booking.guests, booking.custom_fields, booking.metadata, booking.answers, booking.notes),
        *(actor.by, actor.id, event.id, event.type, event.body, event.topics, booking.requires_confirmation),
    )
