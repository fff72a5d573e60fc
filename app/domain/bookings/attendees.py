"""Changing who comes: the attendee's name, e-mail, phone and zone, and nothing else of a booking.

The one rule: whoever had the old e-mail has no say any more. A changed e-mail ends the links that were sent to it, and
the event that follows says that it changed, from which the new address gets its confirmation.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidTransition
from app.domain.bookings.budgets import check_readdressing
from app.domain.bookings.claim import local_start
from app.domain.bookings.events import updated_event
from app.domain.bookings.lifecycle import MOVABLE
from app.domain.bookings.models import Booking, represent
from app.domain.bookings.transitions import locked_booking
from app.domain.identity.models import Visitor

SQL = sql.load("bookings")


async def change_attendee(
    conn: Connection, principal: Visitor, booking_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Booking:
    """Merge the changes (names of `Attendee`) into the booking's attendee; without a difference nothing is written.

    Raises NotFound, and InvalidTransition for a booking that is ended or a hold; for a key with a budget,
    BudgetExceeded and ApprovalRequired too. Source: seed 001, "Update attendee details".
    """
    org_id = principal.org_id
    before = await locked_booking(conn, org_id, booking_id)
    if before.status not in MOVABLE or before.attendee is None:
        raise InvalidTransition(f"The attendee of a booking that is {before.status} cannot be changed.")
    attendee = dataclasses.replace(before.attendee, **changes)
    check_readdressing(principal, before, attendee, now)
    if attendee == before.attendee:
        return before
    moved_out = attendee.email.lower() != before.attendee.email.lower()
    booking = dataclasses.replace(
        before,
        attendee=attendee,
        timezone=attendee.timezone,
        token_version=before.token_version + moved_out,
        event_sequence=before.event_sequence + 1,
        ical_sequence=before.ical_sequence + moved_out,
        attendee_bounced_at=None if moved_out else before.attendee_bounced_at,
        updated_at=now,
    )
    event = updated_event(booking, {"attendee": represent(before)["attendee"]}, noticed=moved_out, now=now)
    await conn.execute(
        SQL.change_attendee,
        *(org_id, booking_id, attendee.name, attendee.email, attendee.phone, attendee.timezone, local_start(booking)),
        *(booking.token_version, booking.event_sequence, now, event.id, event.type, event.body),
        *(event.topics, booking.ical_sequence),
    )
    return booking


async def note_bounce(conn: Connection, org_id: UUID, booking_id: UUID, address: str, now: datetime) -> None:
    """A mail server refused this address for good. Where it is the attendee's, the booking says so from now on, and
    receivers hear of it: somebody has to call. Nothing happens where it says so already, or the address has changed."""
    before = await locked_booking(conn, org_id, booking_id)
    attendee = before.attendee
    if attendee is None or before.attendee_bounced_at is not None or attendee.email.lower() != address.lower():
        return
    sequence = before.event_sequence + 1
    booking = dataclasses.replace(before, attendee_bounced_at=now, event_sequence=sequence, updated_at=now)
    event = updated_event(booking, {"attendee_bounced_at": None}, noticed=False, now=now)
    await conn.execute(
        SQL.note_bounce, org_id, booking_id, now, sequence, event.id, event.type, event.body, event.topics
    )
