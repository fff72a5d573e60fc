"""Who gets the next slot: what a worker has claimed and not yet sent, in one lane per webhook.

The one rule: nobody's deliveries keep anybody else's from being claimed or sent. What a receiver has shown decides how
many slots it may hold, see shares.py, and how much may wait for it here: much for a quick one; for those that are slow
or not known yet, and for all of them of one organization, only what they may soon have. The rest is given back. One
that only fails rests, see circuit.py.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from app.domain.webhooks.deliver import Delivery
from app.domain.webhooks.deliveries import Claimed, Room
from workers.circuit import Circuit
from workers.shares import Holder, Pace, Shares

# An answer later than this is slow, and so is an attempt that has been under way for this long.
_SLOW_ANSWER = timedelta(seconds=1)
_SLOW_ATTEMPT = timedelta(milliseconds=500)
# For so long after its last attempt a webhook is remembered, and for so long one that was slow or only failed: it would
# come back as unknown, and hang or fail once more with a larger share.
_MEMORY = timedelta(seconds=60)
_LONG_MEMORY = timedelta(minutes=10)
# However many there are, only so many: those go first that were well, then the slow ones, and circuits last.
_MOST_LANES = 2000


class _Attempt(NamedTuple):
    """pace: its lane's when it began."""

    began: datetime
    pace: Pace


@dataclass(eq=False, slots=True)
class _Lane:
    """sending: the attempts under way, oldest first. more: the database probably holds more for it. refused: in which
    state of the shares it got no slot."""

    webhook_id: UUID
    org_id: UUID
    holder: Holder
    used_at: datetime
    waiting: deque[Claimed] = field(default_factory=deque)
    sending: dict[UUID, _Attempt] = field(default_factory=dict)
    pace: Pace = Pace.UNKNOWN
    more: bool = False
    refused: int = -1
    circuit: Circuit = field(default_factory=Circuit)

    def drags(self, now: datetime) -> bool:
        """Whether its oldest attempt has been under way for long."""
        return bool(self.sending) and now - next(iter(self.sending.values())).began > _SLOW_ATTEMPT

    @property
    def is_idle(self) -> bool:
        return not self.sending and not self.waiting

    @property
    def is_troubled(self) -> bool:
        return self.pace is Pace.SLOW or self.circuit.is_trying

    @property
    def worth(self) -> int:
        """What forgetting it would cost others: most when a circuit would be forgotten with it."""
        return self.is_troubled + self.circuit.is_trying


class _Queue(NamedTuple):
    """What waits, by organization: for quick webhooks, and for those that are slow or not known yet, of which one
    organization may have share. busy, full: the quick, the others have together as much as they may."""

    quick: Counter[UUID]
    unproven: Counter[UUID]
    share: int
    busy: bool
    full: bool


class Slots:
    """`put` what was claimed, `take` what to send next, and say when each attempt has `finished`.

    longest: of an attempt; what could no longer be answered within its lease is dropped, since another worker may
    have it then.
    """

    def __init__(self, concurrency: int, longest: timedelta) -> None:
        self._shares = Shares(concurrency)
        self._longest = longest
        self._small = self._shares.small
        self._unproven_most = concurrency
        self._unproven_of_org = max(1, concurrency // 3)
        self._quick_most = 5 * concurrency
        # a single claim may go beyond both of these, and then another one still finds room
        self._claim_most = 5 * concurrency // 2
        self._most = 12 * concurrency
        self.few = 2 * concurrency
        self.waiting = 0
        self._lanes: dict[UUID, _Lane] = {}
        self._holders: dict[UUID, Holder] = {}
        # the lanes with something waiting, in the order of their turns
        self._turns: deque[_Lane] = deque()
        # counts whatever may give a slot to those that were refused one: asking all of them each time costs too much
        self._state = 0

    def room(self, now: datetime) -> Room:
        """How much may be claimed: in all, of a webhook without a lane, and of each that has one."""
        total = max(0, min(self._most - self.waiting, self._claim_most))
        queue = self._queue()
        # of one without a lane nobody knows yet whose it is: however many wait, its first is claimed
        other = min(total, 1 if queue.full else self._small)
        return Room(total, other, {key: self._room_of(lane, queue, now) for key, lane in self._lanes.items()})

    def _queue(self) -> _Queue:
        """The unproven are bounded together: many of them with a little each would fill the queue, and nobody else's
        deliveries could be claimed. When they reach the bound, organizations have equal shares of it."""
        quick: Counter[UUID] = Counter()
        unproven: Counter[UUID] = Counter()
        for lane in self._turns:
            (quick if lane.pace is Pace.QUICK else unproven)[lane.org_id] += len(lane.waiting)
        share = self._unproven_of_org
        full = sum(min(count, share) for count in unproven.values()) >= self._unproven_most
        if full:
            share = min(share, max(1, self._unproven_most // len(unproven)))
        return _Queue(quick, unproven, share, quick.total() >= self._quick_most, full)

    def _room_of(self, lane: _Lane, queue: _Queue, now: datetime) -> int:
        if lane.circuit.is_trying and (lane.circuit.is_resting(now) or not lane.is_idle):
            return 0
        if lane.pace is Pace.QUICK:
            most = self._quick_room(lane, queue)
            return min(most, 1) if lane.circuit.is_trying else most
        # nothing waits for long behind a slow receiver: only what it may have at once is claimed
        left = queue.share - queue.unproven[lane.org_id]
        if left <= 0 or not self._shares.fits(lane.holder, lane.pace, len(lane.sending)):
            return 0
        most = 1 if lane.circuit.is_trying else self._small - len(lane.waiting) - len(lane.sending)
        return max(0, min(most, max(1, left // lane.holder.lanes)))

    def _quick_room(self, lane: _Lane, queue: _Queue) -> int:
        """When the quick are busy, organizations have equal shares, and each other webhook of theirs a little."""
        if not queue.busy:
            return max(0, self._quick_most - len(lane.waiting))
        equal = self._quick_most // (len(queue.quick) + 1) - queue.quick[lane.org_id]
        return max(0, equal, max(1, self._small // lane.holder.lanes) - len(lane.waiting))

    def put(self, batch: Iterable[Claimed], room: Room, now: datetime) -> None:
        """Line up what was claimed with this room."""
        came: Counter[UUID] = Counter()
        for claimed in batch:
            lane = self._lane_of(claimed.delivery, now)
            came[lane.webhook_id] += 1
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
            if not most and webhook_id in self._lanes:
                self._lanes[webhook_id].more = True

    def _lane_of(self, delivery: Delivery, now: datetime) -> _Lane:
        lane = self._lanes.get(delivery.webhook_id)
        if lane is None:
            holder = self._holders.setdefault(delivery.org_id, Holder())
            holder.lanes += 1
            lane = self._lanes[delivery.webhook_id] = _Lane(delivery.webhook_id, delivery.org_id, holder, now)
        return lane

    def take(self, now: datetime) -> Delivery | None:
        """The next delivery to send, which holds a slot from now on; None when there is none or it must wait."""
        if not self._shares.free:
            return None
        for _ in range(len(self._turns)):
            lane = self._turns.popleft()
            found = self._next(lane, now) if lane.refused != self._state and self._may_start(lane, now) else None
            if lane.waiting:
                self._turns.append(lane)
            if found is not None:
                self._shares.took(lane.holder, lane.pace)
                lane.sending[found.id] = _Attempt(now, lane.pace)
                return found
        return None

    def _next(self, lane: _Lane, now: datetime) -> Delivery | None:
        while lane.waiting:
            claimed = lane.waiting.popleft()
            self.waiting -= 1
            if now + self._longest <= claimed.leased_until:
                return claimed.delivery
        return None

    def _may_start(self, lane: _Lane, now: datetime) -> bool:
        if lane.circuit.is_trying and (lane.sending or lane.circuit.is_resting(now)):
            return False
        if lane.pace is Pace.QUICK and lane.drags(now):
            lane.pace = Pace.SLOW
        if self._shares.may_take(lane.holder, lane.pace, len(lane.sending)):
            return True
        if lane.pace is not Pace.QUICK:
            lane.refused = self._state
        return False

    def finished(
        self, delivery: Delivery, now: datetime, *, delivered: bool, timed_out: bool = False, asked: int | None = None
    ) -> bool:
        """An attempt has ended: its slot is free. asked: seconds to be left alone, of a Retry-After. Whether its
        webhook has room again and the database more for it."""
        lane = self._lanes[delivery.webhook_id]
        attempt = lane.sending.pop(delivery.id)
        if self._shares.returned(lane.holder, attempt.pace):
            self._state += 1
        lane.used_at = now
        lane.refused = -1
        if delivered:
            lane.circuit.succeeded()
        else:
            lane.circuit.failed(now, asked)
        slow = timed_out or now - attempt.began > _SLOW_ANSWER or lane.drags(now)
        # one that only refuses, however fast, has not become quick
        if slow:
            lane.pace = Pace.SLOW
        elif delivered:
            lane.pace = Pace.QUICK
        if lane.more and len(lane.waiting) <= (0 if lane.pace is Pace.SLOW else self.few):
            lane.more = False
            return True
        return False

    def review(self, now: datetime) -> list[Claimed]:
        """Notice who hangs, and forget who is gone; what waits behind the unproven beyond their share, to give back:
        it would fill the queue, and keep others' deliveries from being claimed."""
        surplus: list[Claimed] = []
        idle: list[_Lane] = []
        # whatever else may have changed: nobody is refused for longer than from one review to the next
        self._state += 1
        for lane in self._lanes.values():
            if lane.drags(now):
                lane.pace = Pace.SLOW
            surplus += self._cut(lane, self._keep(lane, now))
            self._drop_late(lane, now)
            if lane.is_idle:
                idle.append(lane)
        surplus += self._cut_organizations()
        self._turns = deque(lane for lane in self._turns if lane.waiting)
        self._forget(idle, now)
        return surplus

    def _keep(self, lane: _Lane, now: datetime) -> int:
        """How many may wait for this webhook here."""
        if lane.circuit.is_trying:
            return 0 if lane.sending or lane.circuit.is_resting(now) else 1
        return self._small if lane.pace is Pace.SLOW else len(lane.waiting)

    def _cut(self, lane: _Lane, keep: int) -> list[Claimed]:
        if len(lane.waiting) <= keep:
            return []
        surplus = list(islice(lane.waiting, keep, None))
        self.waiting -= len(surplus)
        lane.waiting = deque(islice(lane.waiting, keep))
        lane.more = True
        return surplus

    def _cut_organizations(self) -> list[Claimed]:
        """What the unproven of an organization have beyond its share: the lanes whose turns come first keep some."""
        queue = self._queue()
        left = {org_id: queue.share for org_id, count in queue.unproven.items() if count > queue.share}
        if not left:
            return []
        lanes = [lane for lane in self._turns if lane.pace is not Pace.QUICK and lane.org_id in left]
        many = Counter(lane.org_id for lane in lanes)
        surplus: list[Claimed] = []
        for lane in lanes:
            each = max(1, queue.share // many[lane.org_id])
            surplus += self._cut(lane, min(each, left[lane.org_id]))
            left[lane.org_id] -= len(lane.waiting)
        return surplus

    def _drop_late(self, lane: _Lane, now: datetime) -> None:
        """What waits too long is not ours to give back: its lease is about to end; whoever claims it then has it."""
        while lane.waiting and now + self._longest > lane.waiting[0].leased_until:
            lane.waiting.popleft()
            self.waiting -= 1
            lane.more = True

    def _forget(self, idle: list[_Lane], now: datetime) -> None:
        gone = [lane for lane in idle if now - lane.used_at > (_LONG_MEMORY if lane.is_troubled else _MEMORY)]
        surplus = len(self._lanes) - len(gone) - _MOST_LANES
        if surplus > 0:
            kept = sorted(set(idle).difference(gone), key=lambda lane: (lane.worth, lane.used_at))
            gone += kept[:surplus]
        for lane in gone:
            del self._lanes[lane.webhook_id]
            lane.holder.lanes -= 1
            if not lane.holder.lanes:
                del self._holders[lane.org_id]

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
