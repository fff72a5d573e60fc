"""The outbox: work that a commit owes, written in the same transaction and taken up by a worker, so that no crash
between the two can lose it.

The one rule: a row goes in the statement that puts what follows from it in its place (an event's row becomes
deliveries, which have leases and retries of their own), so there is never a moment with neither.
"""

from datetime import datetime

from app.core import sql
from app.core.db import Connection

SQL = sql.load("outbox")

TOPIC_EVENT = "event"
"""What webhooks are owed."""

TOPIC_NOTICE = "notice"
"""What people are owed: mail, and reminders to come."""

TOPIC_CALENDAR = "calendar"
"""What hosts' calendars are owed. The row is written only where somebody's calendar is."""


async def oldest_due(conn: Connection) -> datetime | None:
    """Since when the oldest work has been due; None when nothing waits."""
    due_at: datetime | None = await conn.fetchval(SQL.find_oldest)
    return due_at
