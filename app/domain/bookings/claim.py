"""The claim: one statement that takes everything a booking needs, or nothing.

The one rule: the database decides. A lost race is an outcome, not an exception; a claim that finds out halfway that
another part is gone takes back what it has (`refuse_claim` in the migrations), by a savepoint where a transaction is
open.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from app.core import sql
from app.core.db import Connection
from app.core.ids import new_id
from app.core.times import epoch, zone
from app.domain.availability.assignment import Placement
from app.domain.availability.caps import Period, periods_of
from app.domain.availability.inputs import ROUND_ROBIN, Inputs, Unit
from app.domain.bookings.events import Event
from app.domain.bookings.models import Actor, Booking
from app.domain.identity.models import Visitor

SQL = sql.load("bookings")

_REFUSED = "SW001"

Counter = tuple[UUID, Period]
"""A cap's counter: the host, and the period in the host's zone."""


class Outcome(StrEnum):
    """taken: somebody has a host, a unit or the last seat. busy: a calendar says so. capped: a cap was reached. stale:
    what the decision was made by does not hold any more, or only holds that are over are in the way."""

    WON = "won"
    TAKEN = "taken"
    BUSY = "busy"
    CAPPED = "capped"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Claim:
    """A booking that is about to be written, and what it stands on. event: none for a hold, or for a booking whose
    event another statement writes. keeps_host: it is moved and stays with its host, which is no turn of theirs."""

    booking: Booking
    inputs: Inputs
    placement: Placement
    event: Event | None
    actor: Actor
    principal: Visitor
    keeps_host: bool
    link_id: UUID | None = None


async def claim(conn: Connection, wanted: Claim) -> Outcome:
    """Write the booking and all that follows from it, if everything it needs can still be had."""
    arguments = _arguments(wanted)
    try:
        if not (conn.is_in_transaction() and _may_stop_halfway(wanted)):
            return Outcome(await conn.fetchval(SQL.create_booking, *arguments))
        async with conn.transaction():
            return Outcome(await conn.fetchval(SQL.create_booking, *arguments))
    except asyncpg.DeadlockDetectedError:
        # somebody took the same things in another order; whoever is told so looks again
        if conn.is_in_transaction() and not _may_stop_halfway(wanted):
            raise
        return Outcome.STALE
    except asyncpg.PostgresError as error:
        if error.sqlstate != _REFUSED:
            raise
        return Outcome(str(error))


def units_as_kept(placement: Placement) -> list[dict[str, Any]]:
    """The units that a booking holds, as it keeps them."""
    if placement.joins is not None:
        kept: list[dict[str, Any]] = orjson.loads(placement.joins.units)
        return kept
    return [unit_as_kept(unit) for unit in placement.units]


def unit_as_kept(unit: Unit) -> dict[str, Any]:
    return {
        "resource_id": str(unit.resource_id),
        "name": unit.name,
        "unit": unit.unit_no,
        "subject_no": unit.subject_no,
    }


def counters_of(inputs: Inputs, placement: Placement, start: int) -> list[Counter]:
    """The counters that a booking at `start` (epoch seconds) raises: for each host, in the host's zone."""
    caps = inputs.rules.caps
    if not caps:
        return []
    zones = [(host.user_id, host.hours.zone) for host in placement.hosts if host.hours is not None]
    return [(user_id, period) for user_id, name in zones for period in periods_of(caps, name, start)]


def _may_stop_halfway(wanted: Claim) -> bool:
    """Whether the statement may find out that a part is gone when it has taken another."""
    rules, placement = wanted.inputs.rules, wanted.placement
    return rules.seats > 1 or bool(rules.caps) or len(placement.hosts) + len(placement.units) > 1


def _arguments(wanted: Claim) -> tuple[object, ...]:
    booking, inputs, placement = wanted.booking, wanted.inputs, wanted.placement
    rules, attendee, event = inputs.rules, booking.attendee, wanted.event
    held = (
        booking.starts_at - timedelta(minutes=rules.buffer_before_minutes),
        booking.ends_at + timedelta(minutes=rules.buffer_after_minutes),
    )
    units = booking.units
    subjects = sorted([host.subject_no for host in placement.hosts] + [int(unit["subject_no"]) for unit in units])
    hosts = [host.user_id for host in placement.hosts]
    who = (attendee.name, attendee.email, attendee.phone) if attendee else (None, None, None)
    extras = (booking.guests, booking.custom_fields, booking.metadata, booking.answers, booking.notes, booking.location)
    counters = counters_of(inputs, placement, epoch(booking.starts_at))
    return (
        *(booking.org_id, booking.id, [new_id() for _ in subjects], subjects, *held),
        *(booking.code, booking.status.value, booking.event_type_id, hosts, wanted.principal.known_user_id),
        *(booking.starts_at, booking.ends_at, booking.timezone, local_start(booking), *who, *extras),
        *(booking.requires_confirmation, rules.auto_complete, booking.ical_uid),
        *(booking.created_at, wanted.actor.by, wanted.actor.id),
        *((event.id, event.type, event.body) if event else (None, None, None)),
        *(rules.config_version, [host.schedule_id for host in placement.hosts]),
        *([host.schedule_version for host in placement.hosts], wanted.principal.caller.key_id),
        [unit.subject_no for unit in placement.units],
        [unit.schedule_id for unit in placement.units],
        [unit.schedule_version for unit in placement.units],
        *(new_id(), units, counters_as_kept(counters), rules.seats, booking.hold_expires_at),
        [user_id for user_id, _ in counters],
        [period for _, (period, _) in counters],
        [first for _, (_, first) in counters],
        *(rules.caps.day, rules.caps.week, rules.caps.month),
        *(booking.service_id, booking.routing_trace, booking.rescheduled_from_id, booking.ical_sequence),
        *(rules.assignment == ROUND_ROBIN and not wanted.keeps_host, wanted.link_id),
        list(event.topics) if event else [],
    )


def counters_as_kept(counters: list[Counter]) -> list[list[str]]:
    """What a booking's end gives back: [[user_id, period, first date]]."""
    return [[str(user_id), period, first.isoformat()] for user_id, (period, first) in counters]


def local_start(booking: Booking) -> datetime:
    """The wall time that the attendee was promised."""
    return booking.starts_at.astimezone(zone(booking.timezone)).replace(tzinfo=None)
