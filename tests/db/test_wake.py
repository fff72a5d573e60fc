"""Wake-ups: best effort, and never in anybody's way."""

import asyncio

from app.core import wake
from app.core.wake import Waker
from tests.support import Servers


class Swallowing:
    """A client that takes a cancellation for its own and goes on, as one did between two commits of a test."""

    def __init__(self) -> None:
        self.published = 0

    async def publish(self, _channel: str, _message: bytes) -> None:
        self.published += 1
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            return


async def test_stopping_ends_it_whatever_the_client_does() -> None:
    client = Swallowing()
    waker = Waker(client)  # type: ignore[arg-type]
    task = asyncio.create_task(waker.run())
    waker.wake()
    await asyncio.sleep(0.01)
    task.cancel()
    waker.stop()
    await asyncio.wait_for(asyncio.wait({task}), timeout=2)
    assert task.done()
    assert client.published == 1


async def test_many_wakes_are_few_messages_and_none_is_lost(servers: Servers) -> None:
    redis = wake.connect(servers.redis_url)
    heard = 0
    async with redis.pubsub() as channel:
        await channel.subscribe(wake.CHANNEL)
        waker = Waker(redis)
        task = asyncio.create_task(waker.run())
        for _ in range(500):
            waker.wake()
            await asyncio.sleep(0)
        for _ in range(20):
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=0.05)
            heard += message is not None
        waker.stop()
        await asyncio.wait({task}, timeout=2)
    await redis.aclose()
    assert 1 <= heard < 100


async def test_without_redis_a_wake_is_nothing() -> None:
    waker = Waker(None)
    waker.wake()
    await asyncio.wait_for(waker.run(), timeout=1)
