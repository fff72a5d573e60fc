"""A booking as a file that a calendar program opens.

The one rule: it shows what is. A booking that was moved is where it was moved to: its old time, CANCELLED under the
same UID, would take the new one out of the calendar. A link is followed there only while the attendee is whom it was
sent to.
"""

from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.domain.bookings.ical import Method, calendar_of
from app.domain.bookings.lifecycle import Status
from app.domain.feeds.entries import invite_entry, published

SQL = sql.load("feeds")


async def publish_invite(
    conn: Connection, org_id: UUID, booking_id: UUID, sender: str, *, by_link: bool, now: datetime
) -> bytes:
    """The calendar with this one booking. sender: the address that mails come from. by_link: for whoever has no more
    than a link to it. Raises NotFound, for a hold too."""
    row = await conn.fetchrow(SQL.find_published, org_id, booking_id, by_link)
    if row is None and by_link:
        ended = "This link was ended. The newest mail about the booking has the one that works."
        raise NotFound(ended, code="link_not_found")
    if row is None:
        raise NotFound("No such booking in this organization.")
    booking = published(row)
    if booking.status is Status.DRAFT or row["nobodys"]:
        raise NotFound("This booking is only held; it gets into a calendar when it is finished.")
    return calendar_of(Method.PUBLISH, [invite_entry(booking, sender)], now=now)
