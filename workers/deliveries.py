"""Webhook deliveries: the loop that turns outbox rows into signed POSTs.

The one rule: a slow receiver holds its share of the slots, never the loop. Deliveries are claimed as slots become
free, sent side by side, and what happened is written down in batches. Nothing in memory matters: a killed worker's
claims time out.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from app.core import db, metrics
from app.core.db import AWAY, Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.webhooks import deliveries
from app.domain.webhooks.deliver import Delivery, Outcome, attempt, open_session

SWEEP_SECONDS = 1.0
_BATCH = 200
# So long outcomes are gathered before they are written down, and so many are enough.
_GATHER_SECONDS = 0.01
_ENOUGH = 50
_PAUSE_SECONDS = 1.0
# One webhook gets at most a quarter of the slots: a slow receiver never delays the others.
_SHARES = 4
_log = logger("deliveries")


class Deliveries:
    """One worker's share. `run` ends after `stop`, when what is under way is done and written down."""

    def __init__(self, pool: asyncpg.Pool, vault: Vault, settings: Settings) -> None:
        self._pool = pool
        self._vault = vault
        self._settings = settings
        # an attempt that outlives its lease could be made twice, so the lease is longer than any attempt
        self._lease = timedelta(seconds=2 * settings.webhook_timeout_seconds + 1)
        self._sending: set[asyncio.Task[None]] = set()
        self._tried: list[tuple[Delivery, Outcome]] = []
        self._busy: Counter[UUID] = Counter()
        self._attention = asyncio.Event()
        self.stopped = asyncio.Event()

    def wake(self) -> None:
        """Something may be due: after a wake-up, a finished attempt, or a stop."""
        self._attention.set()

    def stop(self) -> None:
        self.stopped.set()
        self.wake()

    async def run(self) -> None:
        settings = self._settings
        self._session = open_session(
            allowed=settings.webhook_allow_networks,
            concurrency=settings.webhook_concurrency,
            timeout_seconds=settings.webhook_timeout_seconds,
        )
        try:
            while not (self.stopped.is_set() and not self._sending and not self._tried):
                self._attention.clear()
                pause = await self._try_step()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._attention.wait(), timeout=pause)
        finally:
            for task in self._sending:
                task.cancel()
            await self._session.close()

    async def _try_step(self) -> float:
        """One step; how long to wait before the next, in seconds. Whatever the database says no to, the loop goes on:
        a worker that ends delivers nothing, and what it held comes back only when its leases run out."""
        try:
            return _GATHER_SECONDS if await self._step() else SWEEP_SECONDS
        except (*AWAY, Unavailable) as error:
            _log.warning("database_away", error=type(error).__name__)
        except asyncpg.PostgresError:
            _log.exception("step_failed")
        await asyncio.sleep(_PAUSE_SECONDS)
        return 0.0

    async def _step(self) -> bool:
        """Write down what happened, fan out new events, claim what fits; whether there is probably more."""
        now = datetime.now(UTC)
        async with db.acquire(self._pool) as conn:
            await self._record(conn)
            free = self._settings.webhook_concurrency - len(self._sending)
            if self.stopped.is_set() or not free:
                return False
            fanned = await deliveries.fan_out(conn, limit=_BATCH, now=now)
            share = max(1, self._settings.webhook_concurrency // _SHARES)
            claimed = await deliveries.claim(
                conn,
                self._vault,
                limit=free,
                per_webhook=share,
                saturated=[webhook for webhook, count in self._busy.items() if count >= share],
                lease=self._lease,
                now=now,
            )
        for delivery in claimed:
            self._busy[delivery.webhook_id] += 1
            if delivery.attempts == 0:
                metrics.DISPATCH_SECONDS.observe(max(0.0, (now - delivery.event_at).total_seconds()))
            task = asyncio.create_task(self._send(delivery))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return fanned == _BATCH

    async def _record(self, conn: Connection) -> None:
        """What cannot be written down now stays for the next time. When a batch is refused, each outcome is tried by
        itself, so that one that the database will never take cannot keep the others from being known."""
        tried, self._tried = self._tried, []
        if not tried:
            return
        try:
            await deliveries.record(conn, tried)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            _log.exception("batch_refused", count=len(tried))
            for each in tried:
                try:
                    await deliveries.record(conn, [each])
                except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                    _log.exception("outcome_refused", delivery_id=str(each[0].id))
        except BaseException:
            self._tried = tried + self._tried
            raise

    async def _send(self, delivery: Delivery) -> None:
        outcome = await attempt(
            self._session,
            delivery,
            development=self._settings.development,
            allowed=self._settings.webhook_allow_networks,
            now=datetime.now(UTC),
        )
        metrics.DELIVERIES.labels("delivered" if outcome.delivered else "failed").inc()
        metrics.DELIVERY_SECONDS.observe(outcome.duration_ms / 1000)
        self._tried.append((delivery, outcome))
        self._busy[delivery.webhook_id] -= 1
        if not self._busy[delivery.webhook_id]:
            del self._busy[delivery.webhook_id]
        # one statement for many outcomes: the first asks for attention a little later, a full batch or the last at once
        if len(self._tried) >= _ENOUGH or len(self._sending) == 1:
            self.wake()
        elif len(self._tried) == 1:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.wake)
