"""Slots without a database: deliveries out of nothing, and a world of receivers in passed time."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from app.core.ids import new_id
from app.domain.webhooks.deliver import Delivery
from app.domain.webhooks.deliveries import Claimed, Room
from workers.slots import Slots

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LONGEST = timedelta(seconds=16)
LEASE = timedelta(seconds=31)
ORG, OTHERS = UUID(int=9), UUID(int=8)

Lasting = Callable[[UUID, float], float]
"""How long the attempt of a webhook takes that begins after so many seconds; from 15 on, it timed out."""


def owed(webhook_id: UUID, count: int, lease: timedelta = LEASE, *, org_id: UUID = ORG) -> list[Claimed]:
    def one() -> Delivery:
        return Delivery(org_id, new_id(), new_id(), webhook_id, "booking.created", b"{}", "", (), 0, 0, NOW)

    return [Claimed(one(), NOW + lease) for _ in range(count)]


def line_up(slots: Slots, webhook_id: UUID, count: int, *, org_id: UUID = ORG, now: datetime = NOW) -> None:
    slots.put(owed(webhook_id, count, now - NOW + LEASE, org_id=org_id), slots.room(now), now)


def take_all(slots: Slots, now: datetime = NOW) -> list[Delivery]:
    return list(iter(lambda: slots.take(now), None))


def prove(slots: Slots, webhook_id: UUID, after: timedelta = timedelta(0), *, org_id: UUID = ORG) -> None:
    line_up(slots, webhook_id, 1, org_id=org_id)
    (sent,) = take_all(slots)
    slots.finished(sent, NOW + after, delivered=True)


def many(count: int, first: int = 1000) -> list[UUID]:
    return [UUID(int=first + number) for number in range(count)]


def end(slots: Slots, sent: list[Delivery], seconds: float, *, delivered: bool = True) -> None:
    for each in sent:
        slots.finished(each, moment(seconds), delivered=delivered)


class World:
    """Webhooks with a backlog that never ends, and others to which something happens now and then; a worker that claims
    what is due, each webhook's first before any webhook's second, sends it, and gives back what it is told to."""

    def __init__(self, slots: Slots, busy: dict[UUID, UUID], rare: dict[UUID, UUID], lasting: Lasting) -> None:
        """busy, rare: webhooks with their organizations."""
        self._slots, self._lasting, self._orgs = slots, lasting, busy | rare
        self._busy = list(busy)
        self._due: dict[UUID, list[float]] = {webhook_id: [] for webhook_id in rare}
        self._came: dict[UUID, float] = {}
        self._ends: list[tuple[float, UUID, Delivery, bool]] = []
        self._random = Random(1)  # noqa: S311 -- an order, no secret
        self.waits: list[float] = []
        self.taken = dict.fromkeys(self._orgs, 0)
        self.claimed = self.given_back = self.most_waiting = 0

    def run(self, seconds: int, *, every: float) -> None:
        """every: how often something happens to a rare one, in seconds. waits: how long each of that took to arrive."""
        happens = {webhook_id: self._random.uniform(0, every) for webhook_id in self._due}
        for step in range(1, 10 * seconds):
            at = step / 10
            for webhook_id, due in self._due.items():
                if at >= happens[webhook_id]:
                    due.append(at)
                    happens[webhook_id] += every
            self._end(at)
            self._claim(at)
            self._start(at)
        self.waits += [seconds - came for due in self._due.values() for came in due]
        self.waits += [seconds - came for came in self._came.values()]

    def _end(self, at: float) -> None:
        while self._ends and self._ends[0][0] <= at:
            ended, _, delivery, timed_out = heapq.heappop(self._ends)
            self._slots.finished(delivery, moment(ended), delivered=not timed_out, timed_out=timed_out)
            if delivery.webhook_id in self._due:
                self.waits.append(ended - self._came.pop(delivery.id))

    def _claim(self, at: float) -> None:
        for delivery, _ in self._slots.review(moment(at)):
            self.given_back += 1
            if delivery.webhook_id in self._due:
                self._due[delivery.webhook_id].insert(0, self._came.pop(delivery.id))
        room = self._slots.room(moment(at))
        if room.total < 100:
            return
        batch: list[Claimed] = []
        for webhook_id in self._chosen(room):
            batch += owed(webhook_id, 1, timedelta(seconds=at) + LEASE, org_id=self._orgs[webhook_id])
            if webhook_id in self._due:
                self._came[batch[-1].delivery.id] = self._due[webhook_id].pop(0)
        self.claimed += len(batch)
        self._slots.put(batch, room, moment(at))
        self.most_waiting = max(self.most_waiting, self._slots.waiting)

    def _chosen(self, room: Room) -> list[UUID]:
        wanted = {webhook_id: room.of.get(webhook_id, room.other) for webhook_id in self._busy}
        for webhook_id, due in self._due.items():
            wanted[webhook_id] = min(len(due), room.of.get(webhook_id, room.other))
        chosen: list[UUID] = []
        for place in range(room.total):
            firsts = [webhook_id for webhook_id, most in wanted.items() if most > place]
            if not firsts or len(chosen) >= room.total:
                break
            chosen += self._random.sample(firsts, len(firsts))
        return chosen[: room.total]

    def _start(self, at: float) -> None:
        while delivery := self._slots.take(moment(at)):
            lasts = self._lasting(delivery.webhook_id, at)
            self.taken[delivery.webhook_id] += 1
            heapq.heappush(self._ends, (at + lasts, delivery.id, delivery, lasts >= 15))


def moment(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)
