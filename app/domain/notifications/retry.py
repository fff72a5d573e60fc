"""When a mail is tried again.

The one rule: a server that says "later" (4xx) is asked again later and later, and after two days nobody waits for the
mail any more. Source: RFC 5321, section 4.5.4.1, which asks for four to five days; a booking's news is stale sooner.
"""

from datetime import datetime, timedelta

GIVE_UP_AFTER = timedelta(days=2)

_PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240)]


def next_attempt(attempts: int, created_at: datetime, now: datetime) -> datetime | None:
    """When to try after this many failures (from 1); None: give up."""
    at = now + _PAUSES[min(attempts, len(_PAUSES)) - 1]
    return at if at < created_at + GIVE_UP_AFTER else None
