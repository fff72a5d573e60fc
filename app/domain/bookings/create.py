"""Making a booking: decide, then write once.

The one rule: the writing is a single statement, which claims the slot, and only if the claim holds writes the booking,
its history, its event and the outbox row. The exclusion constraint decides; a lost race is an empty result, not an
exception, so any number of callers for one slot get one winner and clean refusals.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, SlotTaken, SlotUnavailable
from app.core.ids import Kind, encode, new_code, new_id
from app.core.recent import Recent
from app.core.times import epoch, zone
from app.domain.availability import service as availability
from app.domain.availability.inputs import Host, Inputs, load_inputs
from app.domain.bookings.events import CREATED, Event, event_of
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Actor, Attendee, BookedHost, Booking, Step, represent
from app.domain.identity.models import Principal

SQL = sql.load("bookings")

_SECOND = timedelta(seconds=1)
# An edit between reading and claiming is rare; three in a row are somebody else's script.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class NewBooking:
    """What a caller asks for. `event_type` is an id or a code, `duration_minutes` one of its durations."""

    event_type: UUID | str
    start: datetime
    attendee: Attendee
    duration_minutes: int | None
    host_id: UUID | None
    guests: list[dict[str, Any]]
    custom_fields: dict[str, Any]
    metadata: dict[str, Any]
    answers: list[dict[str, Any]]
    notes: str | None


@dataclass(frozen=True, slots=True)
class Created:
    """A new booking, and its representation without tokens, which its event was made of."""

    booking: Booking
    shown: dict[str, Any]


async def create_booking(
    conn: Connection, principal: Principal, wanted: NewBooking, actor: Actor, now: datetime
) -> Created:
    """Book one start. Raises SlotUnavailable (with up to three alternatives) or SlotTaken; then nothing is written.

    The decision is made by remembered inputs where there are any, and counts only if the claim finds that they still
    hold; a refusal is never made by them.
    """
    handle = (principal.org_id, wanted.event_type)
    remembered = _REMEMBERED.recall(handle, now)
    if remembered is not None:
        with suppress(SlotUnavailable, InvalidInput):
            created = await _attempt(conn, principal, wanted, remembered, actor, now)
            if created is not None:
                return created
    for _ in range(_TRIES):
        # busy time is not asked for: the claim finds out, and it alone could know
        inputs = await load_inputs(
            conn, principal.caller, wanted.event_type, wanted.start, wanted.start + _SECOND, busy=False, now=now
        )
        _REMEMBERED.remember(handle, inputs, now)
        try:
            created = await _attempt(conn, principal, wanted, inputs, actor, now)
        except SlotUnavailable as refused:
            refused.extra["alternatives"] = await _alternatives(conn, principal, wanted, inputs, now)
            raise
        if created is not None:
            return created
    raise Conflict("This event type is being edited right now; try again in a moment.")


async def _attempt(
    conn: Connection, principal: Principal, wanted: NewBooking, inputs: Inputs, actor: Actor, now: datetime
) -> Created | None:
    """Decide and claim; None when the inputs do not hold any more."""
    minutes = availability.choose_duration(inputs.rules, wanted.duration_minutes)
    if wanted.start.microsecond:
        raise SlotUnavailable("A booking starts on a whole second. Choose one of the open slots.")
    start = epoch(wanted.start)
    host = availability.choose_host(inputs, start, minutes=minutes, host_id=wanted.host_id, now=now)
    booking = _booking(principal, wanted, inputs, host, minutes, actor, now)
    shown = represent(booking)
    outcome = await _claim(conn, booking, event_of(booking, CREATED, shown, now), inputs, host, principal)
    if outcome == "taken":
        raise SlotTaken("Somebody else has this time. Ask for the open slots again and choose another one.")
    return Created(booking, shown) if outcome == "won" else None


async def _alternatives(
    conn: Connection, principal: Principal, wanted: NewBooking, inputs: Inputs, now: datetime
) -> list[dict[str, str]]:
    return await availability.find_alternatives(
        *(conn, principal.caller, inputs.rules.event_type_id, epoch(wanted.start)),
        minutes=availability.choose_duration(inputs.rules, wanted.duration_minutes),
        host_id=wanted.host_id,
        now=now,
    )


# Inputs without busy time, as they were when last read. Never an answer by themselves: the claim names their versions,
# and the database says whether they still hold. Whoever changes what the claim does not name (a host's name, or that a
# host is back) raises `config_version` of the event types that it concerns; what is changed by hand is forgotten in a
# minute.
_REMEMBERED: Recent[tuple[UUID, UUID | str], Inputs] = Recent(most=2000, age=timedelta(minutes=1))


def _booking(
    principal: Principal, wanted: NewBooking, inputs: Inputs, host: Host, minutes: int, actor: Actor, now: datetime
) -> Booking:
    rules = inputs.rules
    status = Status.PENDING_CONFIRMATION if rules.requires_confirmation else Status.SCHEDULED
    return Booking(
        org_id=principal.org_id,
        id=new_id(),
        code=new_code(),
        status=status,
        event_type_id=rules.event_type_id,
        event_type_code=rules.code,
        resource_id=None,
        assigned_to_id=host.user_id,
        hosts=(BookedHost(host.user_id, host.name),),
        starts_at=wanted.start,
        ends_at=wanted.start + timedelta(minutes=minutes),
        timezone=wanted.attendee.timezone,
        attendee=wanted.attendee,
        guests=wanted.guests,
        custom_fields=wanted.custom_fields,
        metadata=wanted.metadata,
        answers=wanted.answers,
        notes=wanted.notes,
        location=rules.location,
        requires_confirmation=rules.requires_confirmation,
        cancelled_at=None,
        cancelled_by=None,
        cancellation_reason=None,
        rescheduled_from_id=None,
        rescheduled_to_id=None,
        token_version=0,
        event_sequence=1,
        created_at=now,
        updated_at=now,
        history=(Step(Status.DRAFT, status, now, actor.by, None),),
    )


async def _claim(
    conn: Connection, booking: Booking, event: Event, inputs: Inputs, host: Host, principal: Principal
) -> str:
    """`won`; `taken` when somebody has the time or a calendar says that the host is busy; `stale` when what the
    decision was made by does not hold any more."""
    rules, attendee, step = inputs.rules, booking.attendee, booking.history[0]
    assert attendee is not None  # noqa: S101 -- only a hold has none, and this is not one
    local_start = booking.starts_at.astimezone(zone(booking.timezone)).replace(tzinfo=None)
    held = (
        booking.starts_at - timedelta(minutes=rules.buffer_before_minutes),
        booking.ends_at + timedelta(minutes=rules.buffer_after_minutes),
    )
    who = (attendee.name, attendee.email, attendee.phone)
    extras = (booking.guests, booking.custom_fields, booking.metadata, booking.answers, booking.notes, booking.location)
    outcome: str = await conn.fetchval(
        SQL.create_booking,
        *(booking.org_id, booking.id, new_id(), host.subject_no, *held),
        *(booking.code, booking.status.value, booking.event_type_id, host.user_id, principal.user_id),
        *(booking.starts_at, booking.ends_at, booking.timezone, local_start, *who, *extras),
        *(booking.requires_confirmation, rules.auto_complete, f"{encode(Kind.BOOKING, booking.id)}@slotwire"),
        *(booking.created_at, step.by, principal.key_id, event.id, event.type, event.body),
        *(rules.config_version, host.schedule_id, host.schedule_version, principal.key_id),
    )
    return outcome
