"""Who gets the next slot: what a worker has claimed and not yet sent, in one lane per webhook.

The one rule: what a receiver has shown decides how much of the worker it may hold. One that answers quickly may have
nearly all slots; one that is slow, or has not been seen yet, a tenth; and the slow ones together a quarter, so that
however many of them there are, the others find slots. One that only fails rests, see circuit.py.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice
from uuid import UUID

from app.domain.webhooks.deliver import Delivery
from app.domain.webhooks.deliveries import Claimed, Room
from workers.circuit import Circuit

# An answer later than this is slow, and so is an attempt that has been under way for this long.
_SLOW_ANSWER = timedelta(seconds=1)
_SLOW_ATTEMPT = timedelta(milliseconds=500)
# A slow webhook is remembered for so long after its last attempt; others only while few lanes are kept.
_MEMORY = timedelta(seconds=60)
_MANY_LANES = 1000


class _Pace(Enum):
    UNKNOWN = 0
    QUICK = 1
    SLOW = 2


@dataclass(eq=False, slots=True)
class _Lane:
    """sending: when each attempt under way began, oldest first. more: the database probably holds more for it."""

    used_at: datetime
    waiting: deque[Claimed] = field(default_factory=deque)
    sending: dict[UUID, datetime] = field(default_factory=dict)
    pace: _Pace = _Pace.UNKNOWN
    more: bool = False
    circuit: Circuit = field(default_factory=Circuit)

    def drags(self, now: datetime) -> bool:
        """Whether its oldest attempt has been under way for long."""
        return bool(self.sending) and now - next(iter(self.sending.values())) > _SLOW_ATTEMPT


class Slots:
    """`put` what was claimed, `take` what to send next, and say when each attempt has `finished`.

    longest: of an attempt; what could no longer be answered within its lease is dropped, since another worker may
    have it then.
    """

    def __init__(self, concurrency: int, longest: timedelta) -> None:
        self._free = concurrency
        self._longest = longest
        self._small = max(1, concurrency // 10)
        self._reserve = concurrency // 10
        self._slow_most = max(1, concurrency // 4)
        self._unproven_most = max(1, 3 * concurrency // 4)
        self._unproven_waiting_most = concurrency
        self._lane_most = 4 * concurrency
        self._most = 5 * concurrency
        self.few = 2 * concurrency
        self.waiting = 0
        self._held = dict.fromkeys(_Pace, 0)
        self._lanes: dict[UUID, _Lane] = {}
        # the lanes with something waiting, in the order of their turns
        self._turns: deque[_Lane] = deque()

    def room(self, now: datetime) -> Room:
        """How much may be claimed: in all, of a webhook without a lane, and of each that has one."""
        # half of it at a time: what a single claim brings for the unproven cannot fill it
        total = max(0, min(self._most - self.waiting, self._most // 2))
        open_to_all = self._unproven() < self._unproven_waiting_most
        of = {key: self._room_of(lane, open_to_all, now) for key, lane in self._lanes.items()}
        return Room(total, min(total, self._small) if open_to_all else 0, of)

    def _unproven(self) -> int:
        """How much waits for webhooks that are slow or have not been seen yet. Bounded together: many of them with a
        little each would fill the queue, and nobody else's deliveries could be claimed."""
        return sum(len(lane.waiting) for lane in self._lanes.values() if lane.pace is not _Pace.QUICK)

    def _room_of(self, lane: _Lane, open_to_all: bool, now: datetime) -> int:
        if lane.circuit.is_resting(now):
            return 0
        if lane.circuit.is_trying:
            return 0 if lane.waiting or lane.sending else 1
        if lane.pace is _Pace.QUICK:
            return max(0, self._lane_most - len(lane.waiting))
        if not open_to_all:
            return 0
        if lane.pace is _Pace.SLOW and self._held[_Pace.SLOW] >= self._slow_most:
            return 0
        # nothing waits for long behind a slow receiver: only what it may have at once is claimed
        return max(0, self._small - len(lane.waiting) - len(lane.sending))

    def put(self, batch: Iterable[Claimed], room: Room, now: datetime) -> None:
        """Line up what was claimed with this room."""
        came: dict[UUID, int] = {}
        for claimed in batch:
            webhook_id = claimed.delivery.webhook_id
            lane = self._lanes.get(webhook_id)
            if lane is None:
                lane = self._lanes[webhook_id] = _Lane(now)
            came[webhook_id] = came.get(webhook_id, 0) + 1
            if claimed.delivery.id in lane.sending:
                continue
            if not lane.waiting:
                self._turns.append(lane)
            lane.waiting.append(claimed)
            self.waiting += 1
        for webhook_id, count in came.items():
            self._lanes[webhook_id].more = count >= room.of.get(webhook_id, room.other)
        # who knows what there is for those that could get nothing
        for webhook_id, most in room.of.items():
            if not most and (lane := self._lanes.get(webhook_id)) is not None:
                lane.more = True

    def take(self, now: datetime) -> Delivery | None:
        """The next delivery to send, which holds a slot from now on; None when there is none or it must wait."""
        if not self._free:
            return None
        for _ in range(len(self._turns)):
            lane = self._turns.popleft()
            found = self._next(lane, now) if self._may_start(lane, now) else None
            if lane.waiting:
                self._turns.append(lane)
            if found is not None:
                self._free -= 1
                self._held[lane.pace] += 1
                lane.sending[found.id] = now
                return found
        return None

    def _next(self, lane: _Lane, now: datetime) -> Delivery | None:
        while lane.waiting:
            claimed = lane.waiting.popleft()
            self.waiting -= 1
            if now + self._longest <= claimed.leased_until:
                return claimed.delivery
        return None

    def _drop_late(self, lane: _Lane, now: datetime) -> None:
        """What waits too long is not ours to give back: its lease is about to end; whoever claims it then has it."""
        while lane.waiting and now + self._longest > lane.waiting[0].leased_until:
            lane.waiting.popleft()
            self.waiting -= 1
            lane.more = True
        if not lane.waiting and lane in self._turns:
            self._turns.remove(lane)

    def _may_start(self, lane: _Lane, now: datetime) -> bool:
        held = len(lane.sending)
        if lane.circuit.is_trying:
            return not held and not lane.circuit.is_resting(now)
        if lane.pace is _Pace.QUICK:
            return held < self._small or self._free > self._reserve
        slow = self._held[_Pace.SLOW]
        if lane.pace is _Pace.SLOW:
            return held < self._small and slow < self._slow_most
        return held < self._small and slow + self._held[_Pace.UNKNOWN] < self._unproven_most

    def finished(
        self, delivery: Delivery, now: datetime, *, delivered: bool, timed_out: bool = False, asked: int | None = None
    ) -> bool:
        """An attempt has ended: its slot is free. asked: seconds to be left alone, of a Retry-After. Whether its
        webhook has room again and the database more for it."""
        lane = self._lanes[delivery.webhook_id]
        began = lane.sending.pop(delivery.id)
        self._free += 1
        self._held[lane.pace] -= 1
        lane.used_at = now
        if delivered:
            lane.circuit.succeeded()
        else:
            lane.circuit.failed(now, asked)
        slow = timed_out or now - began > _SLOW_ANSWER or lane.drags(now)
        self._judge(lane, _Pace.SLOW if slow else _Pace.QUICK)
        if lane.more and len(lane.waiting) <= (0 if slow else self.few):
            lane.more = False
            return True
        return False

    def _judge(self, lane: _Lane, pace: _Pace) -> None:
        if pace is not lane.pace:
            self._held[lane.pace] -= len(lane.sending)
            self._held[pace] += len(lane.sending)
            lane.pace = pace

    def review(self, now: datetime) -> list[Claimed]:
        """Notice who hangs, and forget who is gone; what waits behind the slow ones beyond their share, to give back:
        it would fill the queue, and keep others' deliveries from being claimed."""
        surplus: list[Claimed] = []
        for key, lane in list(self._lanes.items()):
            if lane.drags(now):
                self._judge(lane, _Pace.SLOW)
            keep = self._keep(lane, now)
            if len(lane.waiting) > keep:
                surplus += islice(lane.waiting, keep, None)
                self.waiting -= len(lane.waiting) - keep
                lane.waiting = deque(islice(lane.waiting, keep))
                lane.more = True
            if lane.pace is not _Pace.QUICK or lane.circuit.is_trying:
                self._drop_late(lane, now)
            if not lane.sending and not lane.waiting and self._forgettable(lane, now):
                del self._lanes[key]
        return surplus

    def _keep(self, lane: _Lane, now: datetime) -> int:
        """How many may wait for this webhook here."""
        if lane.circuit.is_trying:
            return 0 if lane.sending or lane.circuit.is_resting(now) else 1
        return self._small if lane.pace is _Pace.SLOW else len(lane.waiting)

    def _forgettable(self, lane: _Lane, now: datetime) -> bool:
        if lane.circuit.is_resting(now):
            return False
        crowded = len(self._lanes) > _MANY_LANES and lane.pace is not _Pace.SLOW
        return crowded or now - lane.used_at > _MEMORY

    def empty(self) -> list[Claimed]:
        """Everything that waits, to give back."""
        waiting = [claimed for lane in self._turns for claimed in lane.waiting]
        for lane in self._turns:
            lane.waiting.clear()
        self._turns.clear()
        self.waiting = 0
        return waiting

    def resting(self, now: datetime) -> int:
        """How many webhooks are left alone just now."""
        return sum(lane.circuit.is_resting(now) for lane in self._lanes.values())
