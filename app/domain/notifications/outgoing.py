"""Mails on their way: claimed under a lease, and settled by whoever holds the lease.

The one rule: an outcome is written only by whoever has the mail: under its lease, or as the one who settled it. So a
worker that slept through its lease can neither send nor judge what another one has by now.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection, affected
from app.domain.bookings.attendees import note_bounce

SQL = sql.load("notifications")

SENT = "sent"
BOUNCED = "bounced"
REFUSED = "refused"
GIVEN_UP = "given_up"
SUPERSEDED = "superseded"
UNWANTED = "unwanted"


async def claim(conn: Connection, limit: int, leased_until: datetime, now: datetime) -> Sequence[sql.Row]:
    """The next mails, with all that their letters are made of (see `facts`)."""
    return await conn.fetch(SQL.claim_mails, limit, now, leased_until)


async def settle(conn: Connection, mail: sql.Row, now: datetime) -> bool:
    """Write down that a mail is sent, which it is about to be; False: the lease has run out."""
    return await conn.fetchval(SQL.settle_mail, mail["org_id"], mail["id"], mail["leased_until"], now) is not None


async def reopen(conn: Connection, mail: sql.Row, settled_at: datetime, error: str, now: datetime) -> None:
    """The connection broke before the server answered: nobody knows whether it has the mail, so it is sent again."""
    await conn.execute(SQL.reopen_mail, mail["org_id"], mail["id"], settled_at, now, error)


async def release(conn: Connection, mails: Sequence[sql.Row], until: datetime) -> None:
    """Give back what was claimed and not tried, to be claimed from `until` on."""
    if mails:
        await conn.execute(
            SQL.release_mails,
            *([mail["org_id"] for mail in mails], [mail["id"] for mail in mails]),
            *([mail["leased_until"] for mail in mails], until),
        )


async def retry(conn: Connection, mail: sql.Row, at: datetime, error: str, now: datetime) -> None:
    """now: as it was given to `settle`, if it was."""
    await _end(conn, mail, at, None, error, now)


async def end(conn: Connection, mail: sql.Row, outcome: str, error: str | None, now: datetime) -> None:
    """It is not sent, and will not be."""
    await _end(conn, mail, None, outcome, error, now)


async def bounce(conn: Connection, mail: sql.Row, error: str, now: datetime) -> None:
    """The server refused the recipient for good; the booking says so where it is its attendee. In a transaction of the
    caller's: the booking is locked first, as everywhere."""
    booking_id: UUID | None = mail["booking_id"]
    if booking_id is not None:
        await note_bounce(conn, mail["org_id"], booking_id, mail["recipient"], now)
    await _end(conn, mail, None, BOUNCED, error, now)


async def clean(conn: Connection, before: datetime, limit: int) -> int:
    """Delete what was settled before; how many."""
    return affected(await conn.execute(SQL.delete_old_mails, before, limit))


async def _end(
    conn: Connection, mail: sql.Row, at: datetime | None, outcome: str | None, error: str | None, now: datetime
) -> None:
    await conn.execute(
        SQL.end_mail, mail["org_id"], mail["id"], mail["leased_until"], now, at, outcome, error and error[:500]
    )
