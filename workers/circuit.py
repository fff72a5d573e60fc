"""A circuit per receiver: one that only fails is left alone for a while, then asked by a single delivery.

The one rule: what is not sent meanwhile is not an attempt. It waits where it is, and uses up none of its retries.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

# So many failures without a success between them open it; each failure that follows a rest doubles the next one.
_FAILURES = 5
_FIRST_REST = timedelta(seconds=1)
_LONGEST_REST = timedelta(seconds=30)
# What a receiver asks for by Retry-After holds for all of its deliveries, up to this.
_LONGEST_ASKED = timedelta(minutes=5)


@dataclass(slots=True)
class Circuit:
    """failures: in a row. rest: the one that it takes, or took last. until: when that is over."""

    failures: int = 0
    rest: timedelta = timedelta(0)
    until: datetime | None = None

    def is_resting(self, now: datetime) -> bool:
        return self.until is not None and now < self.until

    @property
    def is_trying(self) -> bool:
        """Whether only one delivery at a time may show that the receiver is well again."""
        return self.until is not None

    def succeeded(self) -> None:
        self.failures, self.rest, self.until = 0, timedelta(0), None

    def failed(self, now: datetime, asked: int | None) -> None:
        """asked: seconds, of the answer's Retry-After."""
        self.failures += 1
        if asked:
            wanted = now + min(timedelta(seconds=asked), _LONGEST_ASKED)
            self.until = max(wanted, self.until or wanted)
        elif self.failures >= _FAILURES and not self.is_resting(now):
            self.rest = min(max(2 * self.rest, _FIRST_REST), _LONGEST_REST)
            self.until = now + self.rest
