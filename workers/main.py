"""The worker process: deliveries, mails, offers to whoever waits, calendars, and arq for what is due by the clock.

The one rule: Redis only makes it faster. The loops sweep the database by themselves, so they run beside arq, not inside
it: while Redis is away arq is restarted until it comes back, and events go out all the same.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import orjson
import uvloop
from arq import cron
from arq.connections import RedisSettings
from arq.worker import Worker
from prometheus_client import start_http_server
from redis.exceptions import RedisError

from app.core import db, wake
from app.core.logs import logger, set_up_logs
from app.core.settings import ConfigurationError, Settings, load_settings
from app.core.vault import Vault
from workers.calendars import Calendars
from workers.clock import clean_idempotency_keys, drop_owed, keep_clean, tend_bookings
from workers.deliveries import Deliveries
from workers.notices import Notices
from workers.waitlist import Waitlists

_RETRY_SECONDS = 1.0
_log = logger("worker")


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is under way, within the drain time."""
    async with db.open_pool(settings.database_url, size=settings.pool_size, name="slotwire-worker") as pool:
        vault = Vault(settings.secret_keys)
        deliveries, notices = Deliveries(pool, vault, settings), Notices(pool, vault, settings)
        waitlists, calendars = Waitlists(pool, vault, settings), Calendars(pool, vault, settings)
        everything: tuple[Deliveries | Notices | Waitlists | Calendars, ...] = (
            *(deliveries, notices),
            *(waitlists, calendars),
        )

        def stop() -> None:
            for each in everything:
                each.stop()

        def wake_all() -> None:
            for each in everything:
                each.wake()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        helpers = [asyncio.create_task(tend_bookings(pool)), asyncio.create_task(drop_owed(pool))]
        if settings.redis_url:
            helpers += [
                asyncio.create_task(_persist("wakeups", lambda: _listen(settings, wake_all))),
                asyncio.create_task(_persist("arq", lambda: _run_arq(settings, pool))),
            ]
        else:
            helpers.append(asyncio.create_task(keep_clean(pool)))
        for helper in helpers:
            helper.add_done_callback(_tell)
        _log.info("worker_started")
        works = [asyncio.create_task(each.run()) for each in everything]
        stopped = asyncio.create_task(deliveries.stopped.wait())
        await asyncio.wait({*works, stopped}, return_when=asyncio.FIRST_COMPLETED)
        # where one has ended by itself, the others end in order
        stop()
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        _, late = await asyncio.wait(works, timeout=settings.drain_seconds)
        if late:
            _log.warning("drain_timed_out")
        for work in works:
            if work in late:
                work.cancel()
            with suppress(asyncio.CancelledError):
                await work
    _log.info("worker_stopped")


def _tell(helper: asyncio.Task[None]) -> None:
    """A helper that ends by itself is a fault, which nobody else would hear of."""
    if not helper.cancelled() and (error := helper.exception()) is not None:
        _log.error("helper_died", exc_info=error)


async def _persist(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run something that needs Redis, again and again, however often Redis goes away."""
    away = False
    while True:
        try:
            await work()
        except (RedisError, OSError, TimeoutError) as error:
            if not away:
                _log.warning("redis_away", work=name, error=type(error).__name__)
            away = True
        else:
            away = False
        await asyncio.sleep(_RETRY_SECONDS)


async def _listen(settings: Settings, wake_all: Callable[[], None]) -> None:
    """Pass on the wake-ups that web processes send after a commit."""
    client = wake.listener(settings.redis_url)
    try:
        async with client.pubsub() as channel:
            await channel.subscribe(wake.CHANNEL)
            # what was committed while nobody listened
            wake_all()
            async for _ in channel.listen():
                wake_all()
    finally:
        await client.aclose()


async def _run_arq(settings: Settings, pool: asyncpg.Pool) -> None:
    worker = Worker(
        cron_jobs=[cron(clean_idempotency_keys, minute={7, 37}, second=0)],
        redis_settings=RedisSettings.from_dsn(settings.redis_url),
        ctx={"pool": pool},
        handle_signals=False,
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
    )
    try:
        await worker.async_run()
    finally:
        with suppress(RedisError, OSError, TimeoutError):
            await worker.close()


def main() -> int:
    try:
        settings = load_settings()
        if not settings.database_url:
            raise ConfigurationError(
                "SLOTWIRE_DATABASE_URL is not set; the worker needs the database of the web server"
            )
        set_up_logs(settings.log_level)
        if settings.worker_metrics_port:
            start_http_server(settings.worker_metrics_port)
        uvloop.run(run_worker(settings))
    except ConfigurationError as error:
        print(f"slotwire: {error}", file=sys.stderr)
        return 2
    except Exception:  # noqa: BLE001 -- logged without the values that a database error quotes
        _log.exception("worker_failed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
