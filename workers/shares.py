"""How many of the worker's slots one may hold: a webhook, an organization, and all whose receivers are unproven.

The one rule: whatever the receivers of some organizations do, there is a slot for one that holds none, and a quarter of
them for the quick. So the shares are (of a hundred slots):

    one webhook          as many as are free beside it, at most 50; while it is unproven, 10
    one organization     80; of its unproven webhooks together, 33
    all that are slow    25, the last 5 only for an organization that holds none of these
    all that are unknown 50, the last 10 likewise; 75 with the slow ones, for an organization that holds none at all
    the last 10 free     for an unknown webhook's first and up to 10 of a quick one; the last 5 of these only for an
                         organization that holds none

A slot counts for what its webhook was when it got it: what a quick one that begins to hang holds keeps nobody unknown
from being tried.
"""

from dataclasses import dataclass, field
from enum import IntEnum


class Pace(IntEnum):
    """What a webhook's receiver has shown; all but the quick are unproven."""

    UNKNOWN = 0
    QUICK = 1
    SLOW = 2


@dataclass(eq=False, slots=True)
class Holder:
    """An organization. slots: what it holds. held: the same by pace. lanes: how many of its webhooks are remembered."""

    slots: int = 0
    held: dict[Pace, int] = field(default_factory=lambda: dict.fromkeys(Pace, 0))
    lanes: int = 0


class Shares:
    """`took` and `returned` keep the count; the questions are about one more slot. held: by the webhook itself."""

    def __init__(self, concurrency: int) -> None:
        self.free = concurrency
        self.small = max(1, concurrency // 10)
        self._of_holder = max(1, 4 * concurrency // 5)
        self._unproven_of_holder = max(1, concurrency // 3)
        self._of_all = {Pace.UNKNOWN: max(1, concurrency // 2), Pace.SLOW: max(1, concurrency // 4)}
        self._unproven_of_all = sum(self._of_all.values())
        self._kept = min(concurrency - 1, max(1, concurrency // 20))
        self._held = dict.fromkeys(Pace, 0)

    def took(self, holder: Holder, pace: Pace) -> None:
        self._count(holder, pace, 1)

    def returned(self, holder: Holder, pace: Pace) -> bool:
        """pace: as it was when the slot was taken. Whether somebody unproven who was refused a slot may get one now."""
        self._count(holder, pace, -1)
        scarce = self.free <= 2 * self._kept + 1
        return pace is not Pace.QUICK or scarce or holder.slots in {0, self._of_holder - 1}

    def _count(self, holder: Holder, pace: Pace, slots: int) -> None:
        self.free -= slots
        holder.slots += slots
        holder.held[pace] += slots
        self._held[pace] += slots

    def may_take(self, holder: Holder, pace: Pace, held: int) -> bool:
        return self.free > self._left_to_others(holder, pace, held) and self.fits(holder, pace, held)

    def fits(self, holder: Holder, pace: Pace, held: int) -> bool:
        """Whether the shares allow it, however few are free just now."""
        if holder.slots >= self._of_holder:
            return False
        if pace is Pace.QUICK:
            return True
        unproven = holder.held[Pace.UNKNOWN] + holder.held[Pace.SLOW]
        if held >= self.small or unproven >= self._unproven_of_holder:
            return False
        most = self._of_all[pace]
        if holder.held[pace]:
            most -= most // 5
        elif pace is Pace.UNKNOWN and not holder.slots:
            most = self._unproven_of_all - self._held[Pace.SLOW]
        return self._held[pace] < most

    def _left_to_others(self, holder: Holder, pace: Pace, held: int) -> int:
        if not holder.slots:
            return 0
        if pace is Pace.QUICK:
            return self._kept if held < self.small else held
        first = pace is Pace.UNKNOWN and not held
        return self._kept if first else 2 * self._kept
