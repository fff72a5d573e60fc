"""Mails on their way: claimed under a lease, and settled by whoever holds the lease.

The one rule: an outcome is written only by whoever has the mail: under its lease, or as the one who settled it. So a
worker that slept through its lease can neither send nor judge what another one has by now.
"""

from collections.abc import Sequence
from datetime import datetime

from app.core import sql
from app.core.db import Connection, affected
from app.domain.bookings.attendees import note_bounce
from app.domain.notifications.letters import Kind
from app.domain.notifications.retry import next_attempt
from app.domain.notifications.transport import MailBroken, MailRefused

SQL = sql.load("notifications")

SENT = "sent"
UNKNOWN = "unknown"
BOUNCED = "bounced"
REFUSED = "refused"
GIVEN_UP = "given_up"
SUPERSEDED = "superseded"
UNWANTED = "unwanted"

# The server had the whole mail and never said whether it took it: it is sent once more, but for a reminder, of which
# one too few is better than one too many.
_SILENT = "no answer: "


async def claim(conn: Connection, leased_until: datetime, now: datetime) -> list[sql.Row]:
    """The next eight mails, with all that their letters are made of (see `facts`)."""
    return list(await conn.fetch(SQL.claim_mails, now, leased_until))


async def settle(conn: Connection, mail: sql.Row, now: datetime) -> bool:
    """Write down that a mail is sent, which it is about to be; False: the lease has run out."""
    return await conn.fetchval(SQL.settle_mail, mail["org_id"], mail["id"], mail["leased_until"], now) is not None


async def reopen(conn: Connection, mail: sql.Row, now: datetime) -> None:
    """It was settled at `now`, or nobody knows whether it was, and it has not been sent: nothing has happened."""
    await conn.execute(SQL.reopen_mail, mail["org_id"], mail["id"], now, mail["next_attempt_at"])


async def release(conn: Connection, mails: Sequence[sql.Row]) -> None:
    """Give back what was claimed and not tried."""
    if mails:
        await conn.execute(
            SQL.release_mails,
            *([mail["org_id"] for mail in mails], [mail["id"] for mail in mails]),
            [mail["leased_until"] for mail in mails],
        )


async def refused(conn: Connection, mail: sql.Row, error: MailRefused, now: datetime) -> str | None:
    """The server does not take it; the outcome, None while it is tried again. What is wrong with the recipient stands
    on the booking from now on. now: as it was given to `settle`, if it was. In a transaction of the caller's: the
    booking is locked first, as everywhere."""
    if not error.bounced:
        return await later(conn, mail, str(error), at_last=REFUSED if error.for_good else GIVEN_UP, now=now)
    if mail["booking_id"] is not None:
        await note_bounce(conn, mail["org_id"], mail["booking_id"], mail["recipient"], now)
    await end(conn, mail, BOUNCED, str(error), now)
    return BOUNCED


async def broken(conn: Connection, mail: sql.Row, error: MailBroken, now: datetime) -> str | None:
    """The server fell silent; the outcome, None while it is tried again."""
    if error.handed_over:
        if mail["kind"] == Kind.REMINDER or (mail["error"] or "").startswith(_SILENT):
            await end(conn, mail, UNKNOWN, str(error), now)
            return UNKNOWN
        return await later(conn, mail, f"{_SILENT}{error}", at_last=UNKNOWN, now=now)
    return await later(conn, mail, str(error), at_last=GIVEN_UP, now=now)


async def later(conn: Connection, mail: sql.Row, error: str, *, at_last: str, now: datetime) -> str | None:
    """Try it again when its next time comes; after the last, this is the outcome."""
    at = next_attempt(mail["attempts"] + 1, mail["created_at"], now)
    outcome = at_last if at is None else None
    await conn.execute(SQL.end_mail, mail["org_id"], mail["id"], mail["leased_until"], now, at, outcome, error[:500])
    return outcome


async def end(conn: Connection, mail: sql.Row, outcome: str, error: str | None, now: datetime) -> None:
    """It will not be sent."""
    await conn.execute(
        SQL.end_mail, mail["org_id"], mail["id"], mail["leased_until"], now, None, outcome, error and error[:500]
    )


async def clean(conn: Connection, before: datetime, limit: int) -> int:
    """Delete what was made before; how many."""
    return affected(await conn.execute(SQL.delete_old_mails, before, limit))
