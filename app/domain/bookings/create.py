"""Making a booking: look once, decide, write once.

The one rule: the writing is a single statement, which claims the slot, and only if the claim holds writes the booking,
its history, its event and the outbox row. The exclusion constraint decides; a lost race is an empty result, not an
exception, so any number of callers for one slot get one winner and clean refusals.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import SlotTaken, SlotUnavailable
from app.core.ids import Kind, encode, new_code, new_id
from app.core.times import epoch, zone
from app.domain.availability import service as availability
from app.domain.availability.inputs import Host, Inputs, load_inputs
from app.domain.bookings.events import CREATED, Event, event_of
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Actor, Attendee, BookedHost, Booking, Step, represent
from app.domain.identity.models import Principal

SQL = sql.load("bookings")


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
    """Book one start. Raises SlotUnavailable (with up to three alternatives) or SlotTaken; then nothing is written."""
    second = timedelta(seconds=1)
    inputs = await load_inputs(conn, principal.caller, wanted.event_type, wanted.start, wanted.start + second, now)
    minutes = availability.choose_duration(inputs.rules, wanted.duration_minutes)
    start = epoch(wanted.start)
    try:
        if wanted.start.microsecond:
            raise SlotUnavailable("A booking starts on a whole second. Choose one of the open slots.")
        host = availability.choose_host(inputs, start, minutes=minutes, host_id=wanted.host_id, now=now)
    except SlotUnavailable as refused:
        refused.extra["alternatives"] = await availability.find_alternatives(
            *(conn, principal.caller, inputs.rules.event_type_id, start),
            minutes=minutes,
            host_id=wanted.host_id,
            now=now,
        )
        raise
    booking = _booking(principal, wanted, inputs, host, minutes, actor, now)
    shown = represent(booking)
    await _claim(conn, booking, event_of(booking, CREATED, shown, now), inputs, host, principal)
    return Created(booking, shown)


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
) -> None:
    """Raises SlotTaken when somebody was faster, or a calendar said meanwhile that the host is busy."""
    rules, attendee, step = inputs.rules, booking.attendee, booking.history[0]
    assert attendee is not None  # noqa: S101 -- only a hold has none, and this is not one
    local_start = booking.starts_at.astimezone(zone(booking.timezone)).replace(tzinfo=None)
    held = (
        booking.starts_at - timedelta(minutes=rules.buffer_before_minutes),
        booking.ends_at + timedelta(minutes=rules.buffer_after_minutes),
    )
    who = (attendee.name, attendee.email, attendee.phone)
    extras = (booking.guests, booking.custom_fields, booking.metadata, booking.answers, booking.notes, booking.location)
    won = await conn.fetchval(
        SQL.create_booking,
        *(booking.org_id, booking.id, new_id(), host.subject_no, *held),
        *(booking.code, booking.status.value, booking.event_type_id, host.user_id, principal.user_id),
        *(booking.starts_at, booking.ends_at, booking.timezone, local_start, *who, *extras),
        *(booking.requires_confirmation, rules.auto_complete, f"{encode(Kind.BOOKING, booking.id)}@slotwire"),
        *(booking.created_at, step.by, principal.key_id, event.id, event.type, event.body),
    )
    if not won:
        raise SlotTaken("Somebody else booked this time a moment ago. Ask for the open slots again.")
