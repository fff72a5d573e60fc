"""Keys seen a moment ago, so that the busiest routes need no round trip to learn whose they are.

The one rule: what is remembered is who a key belongs to and what it may do, which never changes; never that it is still
alive. Routes that use this prove that in the same statement that answers them.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

from app.domain.identity.models import Principal

_KEPT = timedelta(minutes=1)
_MOST = 10_000


class KnownKeys:
    """By the key itself: it is in this process's memory anyway while a request with it is served."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[Principal, datetime]] = OrderedDict()

    def recall(self, key: str, now: datetime) -> Principal | None:
        principal, at = self._seen.get(key, (None, now))
        return principal if now - at < _KEPT else None

    def remember(self, key: str, principal: Principal, now: datetime) -> None:
        self._seen[key] = (principal, now)
        self._seen.move_to_end(key)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)
