"""Webhook deliveries: what turns outbox rows into signed POSTs.

The one rule: nobody waits for anybody else. One task claims ahead, the senders send what is claimed, another task
writes down in batches what happened, each with a connection of its own. Nothing in memory matters: a killed worker's
claims time out.
"""

import asyncio
import gc
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg

from app.core import db, metrics
from app.core.db import AWAY, Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.webhooks import deliveries
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import Delivery, Outcome, attempt, open_session
from app.domain.webhooks.deliveries import NIL, START, Claimed, Room, Tried
from workers.slots import Slots

SWEEP_SECONDS = 1.0
# While something is under way: so soon a receiver that hangs is noticed.
_WATCH_SECONDS = 0.25
_BATCH = 250
# Events claim themselves when they are fanned out; retries and what found no room then are looked for so often.
_CLAIM_EVERY = timedelta(milliseconds=100)
# So long after an event that waits for one of the same booking, whatever is written down may have been that one.
_FOLLOWED = timedelta(seconds=20)
# So long outcomes are gathered before they are written down, unless so many come sooner.
_GATHER_SECONDS = 0.04
_ENOUGH = 200
# A webhook that somebody holds, as a replay does for a second or two, is looked at again so soon.
_HELD_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
# So many more objects than before set off a collection: a batch in flight is more than the default of 700.
_COLLECT_AFTER = 20_000
_DELIVERED = metrics.DELIVERIES.labels("delivered")
_FAILED = metrics.DELIVERIES.labels("failed")
_REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_log = logger("deliveries")


class Deliveries:
    """One worker's share. `run` ends after `stop`, when what is under way is done and written down."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._vault = vault
        self._settings = settings
        self._guard = Guard.of(settings)
        # an attempt that outlives its lease could be made twice: the lease is for a wait in the queue as long as an
        # attempt, and the attempt, which the client may round up to whole seconds
        longest = timedelta(seconds=settings.webhook_timeout_seconds + 1)
        self._lease = longest + timedelta(seconds=settings.webhook_timeout_seconds)
        self._slots = Slots(settings.webhook_concurrency, longest)
        self._senders: set[asyncio.Task[None]] = set()
        self._tried: list[Tried] = []
        # how many outcomes wait for somebody who holds their webhook
        self._held = 0
        self._unsent: list[Claimed] = []
        # whether the database probably holds more than was claimed
        self._more = True
        self._claimed_at = self._followed_until = datetime.min.replace(tzinfo=UTC)
        self._org_id, self._place = NIL, START
        self._attention = asyncio.Event()
        self._news = asyncio.Event()
        self._enough = asyncio.Event()
        self.stopped = asyncio.Event()

    def wake(self) -> None:
        """Something may be due: after a wake-up, when room is made, or after a stop."""
        self._attention.set()

    def stop(self) -> None:
        self.stopped.set()
        self.wake()

    async def run(self) -> None:
        settings = self._settings
        self._session = open_session(
            guard=self._guard,
            concurrency=settings.webhook_concurrency,
            timeout_seconds=settings.webhook_timeout_seconds,
        )
        # what was imported stays for good: collections need not walk through it again and again
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECT_AFTER)
        recorder = asyncio.create_task(self._record_all())
        try:
            while not self.stopped.is_set():
                if recorder.done():
                    # nothing would be written down any more: better to end, and be started again
                    await recorder
                self._attention.clear()
                pause = await self._insist(self._step)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._attention.wait(), timeout=pause)
            await self._leave()
            self._news.set()
            await recorder
        finally:
            for task in (recorder, *self._senders):
                task.cancel()
            await self._session.close()

    async def _leave(self) -> None:
        """Give back what is not being sent, and let what is being sent finish."""
        self._unsent += self._slots.empty()
        while self._unsent:
            await self._insist(self._release)
        while self._senders:
            await asyncio.wait(self._senders)

    async def _insist(self, work: Callable[[Connection], Awaitable[float]]) -> float:
        """Do some work on a connection; how long to wait before the next, in seconds. Whatever the database says no
        to, the worker goes on: one that ends delivers nothing, and what it held comes back only when its leases run
        out."""
        try:
            async with db.acquire(self._pool) as conn:
                return await work(conn)
        except (*AWAY, Unavailable) as error:
            _log.warning("database_away", error=type(error).__name__)
        except asyncpg.PostgresError:
            _log.exception("step_failed")
        await asyncio.sleep(_PAUSE_SECONDS)
        return 0.0

    # What is due.

    async def _step(self, conn: Connection) -> float:
        """Fan out new events, claim what fits, and set senders on it."""
        now = datetime.now(UTC)
        self._unsent += self._slots.review(now)
        if self._unsent:
            await self._release(conn)
        room = self._slots.room(now)
        metrics.CIRCUITS_OPEN.set(self._slots.resting(now))
        # while outcomes cannot be written down, more of them must not pile up
        if room.total >= self._settings.webhook_concurrency and len(self._tried) <= 10 * _ENOUGH:
            claimed = await self._claim(conn, room, now)
            if self._more and self._slots.waiting <= self._slots.few:
                return 0.0
            if not claimed:
                # what is due besides new events, such as a redelivery, waits for no sweep
                return _CLAIM_EVERY.total_seconds()
        return _WATCH_SECONDS if self._senders else SWEEP_SECONDS

    async def _claim(self, conn: Connection, room: Room, now: datetime) -> bool:
        """Whether it looked for everything that is due."""
        behind, self._more = self._more, False
        limit = min(_BATCH, room.total)
        fanned = await deliveries.fan_out(
            conn, self._vault, limit=limit, room=room, lease=self._lease, after=self._org_id, now=now
        )
        self._org_id = fanned.next
        self._line_up(fanned.claimed, room, now)
        self._more = fanned.behind or fanned.next != NIL
        if fanned.more:
            self._followed_until = now + _FOLLOWED
        looks = fanned.more or (behind and not fanned.events) or now - self._claimed_at >= _CLAIM_EVERY
        if looks:
            self._claimed_at = now
            room = self._slots.room(now)
            taken = await deliveries.claim(conn, self._vault, room=room, lease=self._lease, after=self._place, now=now)
            self._place = taken.next
            self._line_up(taken.claimed, room, now)
            self._more |= len(taken.claimed) >= room.total or taken.next != START
        return looks

    def _line_up(self, claimed: list[Claimed], room: Room, now: datetime) -> None:
        for delivery, _ in claimed:
            if delivery.attempts == 0:
                metrics.DISPATCH_SECONDS.observe(max(0.0, (now - delivery.event_at).total_seconds()))
        self._slots.put(claimed, room, now)
        self._fill(datetime.now(UTC))

    async def _release(self, conn: Connection) -> float:
        await deliveries.release(conn, self._unsent)
        self._unsent.clear()
        return 0.0

    # Sending.

    def _fill(self, now: datetime) -> None:
        """A sender for every slot that may be used."""
        while not self.stopped.is_set() and (delivery := self._slots.take(now)):
            task = asyncio.create_task(self._send(delivery, now))
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    async def _send(self, delivery: Delivery | None, now: datetime) -> None:
        """Send one delivery after the other, as long as there are any: a task for each would cost more."""
        while delivery:
            outcome = await self._attempt(delivery, now)
            now = datetime.now(UTC)
            (_DELIVERED if outcome.delivered else _FAILED).inc()
            metrics.DELIVERY_SECONDS.observe(outcome.duration_ms / 1000)
            self._tried.append((delivery, outcome))
            self._news.set()
            if len(self._tried) >= _ENOUGH:
                self._enough.set()
            if self._slots.finished(
                *(delivery, now),
                delivered=outcome.delivered,
                timed_out=outcome.error == "timeout",
                asked=outcome.retry_after,
            ):
                self._more = True
            delivery = None if self.stopped.is_set() else self._slots.take(now)
            # this outcome may have earned its webhook more slots
            self._fill(now)
            if self._more and self._slots.waiting <= self._slots.few:
                self.wake()

    async def _attempt(self, delivery: Delivery, now: datetime) -> Outcome:
        """An attempt never raises; if it does, that is our fault, and must cost neither the slot nor the record."""
        try:
            return await attempt(self._session, delivery, guard=self._guard, now=now)
        except Exception:  # noqa: BLE001 -- see above
            _log.exception("attempt_failed", delivery_id=str(delivery.id))
            return Outcome(now, None, 0, "internal_error", None, None)

    # What happened.

    async def _record_all(self) -> None:
        """Write down outcomes as they come, until the last sender has left."""
        while self._tried or self._held or self._senders or not self.stopped.is_set():
            await self._news.wait()
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), timeout=_GATHER_SECONDS)
            self._enough.clear()
            await self._insist(self._record)

    async def _record(self, conn: Connection) -> float:
        """What cannot be written down now stays for the next time. When a batch is refused, each outcome is tried by
        itself, so that one that the database will never take cannot keep the others from being known."""
        left, self._tried = deque(self._tried), []
        if not left:
            return 0.0
        waiting: list[Tried] = []
        try:
            try:
                waiting = await self._write_down(conn, left)
            except _REFUSED:
                _log.exception("batch_refused", count=len(left))
                while left:
                    waiting += await self._record_one(conn, *left[0])
                    left.popleft()
        except BaseException:
            self._tried = [*waiting, *left, *self._tried]
            self._news.set()
            raise
        self._put_off(waiting)
        self._more |= datetime.now(UTC) < self._followed_until
        if self._more:
            # claiming may have paused until this was written down
            self.wake()
        return 0.0

    def _put_off(self, tried: list[Tried]) -> None:
        """What has to wait for whoever holds its webhook is out of the others' way meanwhile."""
        if tried:
            self._held += len(tried)
            asyncio.get_running_loop().call_later(_HELD_SECONDS, self._try_again, tried)

    def _try_again(self, tried: list[Tried]) -> None:
        self._held -= len(tried)
        self._tried += tried
        self._news.set()

    async def _write_down(self, conn: Connection, tried: Sequence[Tried]) -> list[Tried]:
        """In a transaction where a webhook may end by it, and its event must follow. What has to wait comes back."""
        if all(outcome.delivered for _, outcome in tried):
            return await deliveries.record(conn, tried, datetime.now(UTC))
        async with conn.transaction():
            return await deliveries.record(conn, tried, datetime.now(UTC))

    async def _record_one(self, conn: Connection, delivery: Delivery, outcome: Outcome) -> list[Tried]:
        """An outcome that the database will never take is written down without what it may object to, so that the
        attempt counts: a delivery whose attempts do not count would be tried for ever."""
        try:
            return await self._write_down(conn, [(delivery, outcome)])
        except _REFUSED:
            _log.exception("outcome_refused", delivery_id=str(delivery.id))
            plain = Outcome(outcome.at, None, 0, "unrecordable", None, None)
            with suppress(*_REFUSED):
                return await self._write_down(conn, [(delivery, plain)])
        return []
