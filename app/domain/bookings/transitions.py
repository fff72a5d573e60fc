"""Changing a booking's status. What is allowed is in `lifecycle`; what follows from it is here.

The one rule: lock the booking, read it, decide, write once. A repeat finds the state it asks for and writes nothing.
"""

import dataclasses
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.domain.bookings.events import CANCELLED, event_of
from app.domain.bookings.lifecycle import Action, Status, decide
from app.domain.bookings.models import Actor, Booking, Step, represent
from app.domain.bookings.queries import get_booking

SQL = sql.load("bookings")


async def cancel_booking(
    conn: Connection, org_id: UUID, booking_id: UUID, actor: Actor, reason: str | None, now: datetime
) -> Booking:
    """Cancel, and give the time back. A second cancel returns the booking as it is.

    Raises NotFound and InvalidTransition.
    """
    if await conn.fetchval(SQL.lock_booking, org_id, booking_id) is None:
        raise NotFound("No such booking in this organization.")
    before = await get_booking(conn, org_id, booking_id)
    after = decide(before.status, Action.CANCEL, starts_at=before.starts_at, ends_at=before.ends_at, now=now)
    if after is before.status:
        return before
    booking = dataclasses.replace(
        before,
        status=Status.CANCELLED,
        cancelled_at=now,
        cancelled_by=actor.by,
        cancellation_reason=reason,
        event_sequence=before.event_sequence + 1,
        updated_at=now,
        history=(*before.history, Step(before.status, Status.CANCELLED, now, actor.by, reason)),
    )
    event = event_of(booking, CANCELLED, represent(booking), now)
    await conn.execute(
        SQL.cancel_booking,
        *(org_id, booking_id, now, actor.by, reason, booking.event_sequence, before.status.value, actor.id),
        *(event.id, event.type, event.body),
    )
    return booking
