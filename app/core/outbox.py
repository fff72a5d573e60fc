"""The outbox: work that a commit owes, claimed in batches and leased, so that no crash can lose it.

The one rule: a row is deleted only after what it asks for is done. A killed worker's lease runs out, and the next
sweep gives the row to somebody else; whatever follows from a row must therefore bear being done twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core import sql
from app.core.db import Connection

SQL = sql.load("outbox")

TOPIC_EVENT = "event"


@dataclass(frozen=True, slots=True)
class Owed:
    """One claimed row."""

    no: int
    org_id: UUID
    ref_id: UUID
    attempts: int


async def claim(conn: Connection, topic: str, *, limit: int, lease: timedelta, now: datetime) -> list[Owed]:
    """Up to `limit` due rows of one topic, oldest first, leased to the caller until now + lease."""
    rows = await conn.fetch(SQL.claim_due, topic, limit, now, now + lease)
    return sorted(
        (Owed(row["no"], row["org_id"], row["ref_id"], row["attempts"]) for row in rows), key=lambda owed: owed.no
    )


async def finish(conn: Connection, numbers: list[int]) -> None:
    await conn.execute(SQL.delete_done, numbers)
