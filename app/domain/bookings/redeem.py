"""Booking through a link that can be used a few times.

The one rule: a use is the booking itself. The link is locked first, then its bookings are counted, and the claim
follows in the same transaction: whatever undoes the one undoes the other. A lost slot leaves the link as it was.
"""

from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidInput
from app.domain.bookings.holds import end_hold
from app.domain.links.models import EventLink
from app.domain.links.service import get_link, lock_link

SQL = sql.load("links")


async def redeem(conn: Connection, org_id: UUID, code: str, event_type: UUID | str | None, now: datetime) -> EventLink:
    """A link that can be used once more, by whoever holds this transaction of the caller's and nobody else. event_type:
    what the caller names besides.

    Raises NotFound `link_not_found`, InvalidInput for a link to another event type than the one that is named, and
    LinkExpired for one that was used up, revoked, or has expired.
    """
    link_id = await lock_link(conn, org_id, code)
    for row in await conn.fetch(SQL.list_ended_holds_of_link, org_id, link_id, now):
        await end_hold(conn, org_id, row["id"], now)
    link = await get_link(conn, code, now)
    if event_type not in {None, link.event_type_id, link.event_type_code}:
        raise InvalidInput.of("link_code", "is a link to another event type; one of them is enough")
    link.check(now)
    return link
