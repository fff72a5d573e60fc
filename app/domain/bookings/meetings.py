"""The link of a video meeting that a host's calendar made.

The one rule: a booking gets its link once, from the host who leads it, and whoever comes is told.
"""

import dataclasses
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.domain.bookings.events import updated_event
from app.domain.bookings.lifecycle import MOVABLE
from app.domain.bookings.models import represent
from app.domain.bookings.transitions import locked_booking

SQL = sql.load("bookings")

CONFERENCE = "conference"
"""The kind of a location whose link the host's calendar makes (Google Meet, Microsoft Teams)."""


async def note_meeting(conn: Connection, org_id: UUID, booking_id: UUID, url: str, now: datetime) -> None:
    """Keep the link. Nothing happens where the booking has one, wants none or has ended. In a transaction of the
    caller's."""
    before = await locked_booking(conn, org_id, booking_id)
    place = before.location or {}
    if before.status not in MOVABLE or place.get("kind") != CONFERENCE or place.get("value"):
        return
    booking = dataclasses.replace(
        before,
        location={**place, "value": url},
        event_sequence=before.event_sequence + 1,
        ical_sequence=before.ical_sequence + 1,
        updated_at=now,
    )
    event = updated_event(booking, {"location": represent(before)["location"]}, noticed=True, now=now)
    await conn.execute(
        SQL.set_location,
        *(org_id, booking_id, booking.location, booking.event_sequence, booking.ical_sequence, now),
        *(event.id, event.type, event.body, event.topics),
    )
