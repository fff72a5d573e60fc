"""What happens to bookings by the clock alone: holds end, requests that nobody answered too, meetings complete.

The one rule: one booking, one transaction. Whatever keeps one from its step keeps no other one, and a step that
somebody else took meanwhile is none of ours.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict
from app.core.logs import logger
from app.domain.bookings.holds import end_hold
from app.domain.bookings.lifecycle import Action
from app.domain.bookings.transitions import take_due_step

SQL = sql.load("bookings")

UNANSWERED = "unanswered"
_log = logger("due")

Step = Callable[[Connection, UUID, UUID, datetime], Awaitable[object]]


async def take_due_steps(conn: Connection, limit: int, now: datetime) -> int:
    """Up to `limit` steps of each kind, of every organization; how many were taken of the kind that had most."""
    kinds: tuple[tuple[str, Step], ...] = (
        (SQL.list_ended_holds, end_hold),
        (SQL.list_unanswered, _expire),
        (SQL.list_over, _complete),
    )
    return max([await _take(conn, due, step, limit, now) for due, step in kinds])


async def _take(conn: Connection, due: str, step: Step, limit: int, now: datetime) -> int:
    taken = 0
    for row in await conn.fetch(due, now, limit):
        try:
            async with conn.transaction():
                await step(conn, row["org_id"], row["id"], now)
        except Conflict:
            continue
        except Exception:
            # without a connection none of the others could be helped either
            if conn.is_closed():
                raise
            _log.exception("due_step_failed", booking_id=str(row["id"]))
            continue
        taken += 1
    return taken


async def _expire(conn: Connection, org_id: UUID, booking_id: UUID, now: datetime) -> None:
    await take_due_step(conn, org_id, booking_id, Action.EXPIRE, UNANSWERED, now)


async def _complete(conn: Connection, org_id: UUID, booking_id: UUID, now: datetime) -> None:
    await take_due_step(conn, org_id, booking_id, Action.COMPLETE, None, now)
