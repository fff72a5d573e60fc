"""Waking the worker after a commit: a Redis message, best effort.

The one rule: nothing depends on it. The worker sweeps the outbox every second anyway; a wake-up only spares an event
that second. So publishing never delays an answer and never fails a request, and while Redis is away it is not even
tried more than once a second.
"""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.core.logs import logger
from app.core.metrics import WAKES_LOST

CHANNEL = "slotwire:wake"
_PAUSE_SECONDS = 1.0
_GATHER_SECONDS = 0.005
_log = logger("wake")


def connect(url: str) -> Redis:
    """A client that gives up quickly: a hanging Redis must not hold anything up."""
    client: Redis = Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
    return client


def listener(url: str) -> Redis:
    """A client that waits as long as it takes, and notices a dead connection by pinging."""
    client: Redis = Redis.from_url(url, socket_connect_timeout=1.0, health_check_interval=10)
    return client


class Waker:
    """Coalesces wake-ups: however many commits happen meanwhile, at most one message is under way."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._wanted = asyncio.Event()
        self._silent_until = 0.0
        self._stopped = False

    def wake(self) -> None:
        if self._redis is not None:
            self._wanted.set()

    def stop(self) -> None:
        """Let `run` end. Cancelling it is not enough: a client library may take the cancellation for its own."""
        self._stopped = True
        self._wanted.set()

    async def run(self) -> None:
        """Publish until stopped."""
        while self._redis is not None:
            await self._wanted.wait()
            if self._stopped:
                return
            self._wanted.clear()
            if time.monotonic() < self._silent_until:
                WAKES_LOST.inc()
                continue
            try:
                await self._redis.publish(CHANNEL, b"1")
            except (RedisError, OSError, TimeoutError) as error:
                WAKES_LOST.inc()
                self._silent_until = time.monotonic() + _PAUSE_SECONDS
                _log.warning("redis_away", error=str(error))
            # commits of the next moment share one message; a worker drains whatever there is anyway
            await asyncio.sleep(_GATHER_SECONDS)
