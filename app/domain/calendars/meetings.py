"""The link of a video meeting that a host's calendar made: from there to the booking.

The one rule: a booking gets its link once, from the calendar of the host who leads it, and whoever comes is told.
"""

from datetime import datetime
from uuid import UUID

from app.core.db import Connection


async def note_meeting(conn: Connection, org_id: UUID, booking_id: UUID, url: str | None, now: datetime) -> None:
    """Keep the link with the booking whose location asks for one and has none yet. In a transaction of the caller's."""
