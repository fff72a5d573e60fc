"""Everything that can be killed, and its coming back: PostgreSQL and Redis of the suite's own, two web processes, two
workers.

The one rule: it kills only what it has started, by its process number, and gives nothing that helps the survivors.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from app.core import db
from app.core.errors import Unavailable
from app.core.migrate import migrate
from app.core.settings import Settings
from app.core.vault import Vault
from app.embedded import Postgres, Redis
from tests.processes import Process, free_port, ready
from tests.support import Servers, Tenant, environment_for, make_tenant, settings_for

# So long an attempt may take: receivers that hang are passed in time.
TIMEOUT_SECONDS = 2.0
_START_SECONDS = 30.0
_POOL = 8
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.1
_LEFT_BEHIND = ("Traceback (most recent call last)", '"level":"error"', '"level":"critical"')
_DEADLOCK = "deadlock detected"
_STARTED = '"worker_started"'

Result = TypeVar("Result")


class Stage:
    """What runs. Use it through `open_stage`."""

    pool: asyncpg.Pool
    tenant: Tenant

    def __init__(self, folder: Path, nameserver: str) -> None:
        # durable, as `slotwire up` has it: without synchronous_commit an immediate shutdown loses acknowledged commits
        self._postgres, self._redis = Postgres(folder), Redis(folder)
        # both die with the thread that started them
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._folder = folder
        self._nameserver = nameserver
        self._ports = (free_port(), free_port())
        self._webs: list[Process] = []
        self._workers: list[Process] = []

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    async def _call(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def start(self) -> None:
        servers = Servers(await self._call(self._postgres.start), await self._call(self._redis.start))
        self._settings = settings_for(servers, webhook_timeout_seconds=TIMEOUT_SECONDS, processes=1)
        await migrate(servers.database_url)
        self._webs = [self._launch_web(number) for number in range(2)]
        self._workers = [self._launch_worker(number) for number in range(2)]
        for url, web in zip(self.urls, self._webs, strict=True):
            await ready(url, web, _START_SECONDS)

    async def stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in (*self._webs, *self._workers)))
        await self._call(self._redis.stop)
        await self._call(self._postgres.stop)
        self._thread.shutdown()

    async def make_tenant(self) -> Tenant:
        vault = Vault(self._settings.secret_keys)
        return await self.insist(lambda conn: make_tenant(conn, vault))

    @property
    def settings(self) -> Settings:
        return self._settings

    # Processes.

    def _environment(self, port: int) -> dict[str, str]:
        return {
            **environment_for(self._settings.model_copy(update={"port": port})),
            "SLOTWIRE_WEBHOOK_NAMESERVERS": self._nameserver,
            "SLOTWIRE_POOL_SIZE": str(_POOL),
            "SLOTWIRE_LOG_LEVEL": "warning",
        }

    def _launch_web(self, number: int) -> Process:
        environment = self._environment(self._ports[number])
        return Process(["app.cli", "web"], environment, self._folder / f"web-{number}.log")

    def _launch_worker(self, number: int) -> Process:
        environment = self._environment(0) | {"SLOTWIRE_LOG_LEVEL": "info"}
        return Process(["workers.main"], environment, self._folder / f"worker-{number}.log")

    def check(self) -> None:
        """Whatever was not killed by us must be running."""
        for process in (*self._webs, *self._workers):
            assert process.popen.poll() is None, f"a process ended by itself: {process.log.read_text()[-4000:]}"

    # What is done to them.

    async def kill_worker(self, number: int) -> None:
        """Another one starts at once, and is given the time to start: without its database it would end again, and a
        supervisor would have to start it once more."""
        worker = self._workers[number]
        await worker.kill()
        starts = worker.log.read_text().count(_STARTED)
        self._workers[number] = worker = self._launch_worker(number)
        for _ in range(int(_START_SECONDS / _PAUSE_SECONDS)):
            self.check()
            if worker.log.read_text().count(_STARTED) > starts:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"the worker did not start: {worker.log.read_text()[-4000:]}")

    async def kill_web(self, number: int) -> None:
        await self._webs[number].kill()
        self._webs[number] = self._launch_web(number)
        await ready(self.urls[number], self._webs[number], _START_SECONDS)

    async def kill_redis(self) -> None:
        """It comes back with nothing of what it knew."""
        self._redis.kill()
        await self._gone(self._redis)
        shutil.rmtree(self._redis.directory)
        await self._call(self._redis.start)

    async def kill_postgres(self) -> None:
        """An immediate shutdown: no checkpoint, no farewell to sessions; the next start recovers from the log."""
        self._postgres.kill()
        await self._gone(self._postgres)
        await self._call(self._postgres.start)

    @staticmethod
    async def _gone(server: Postgres | Redis) -> None:
        for _ in range(int(_PATIENCE_SECONDS / _PAUSE_SECONDS)):
            if not server.alive:
                return
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"{server.label} did not end")

    # The database, asked past the service.

    async def insist(self, work: Callable[[db.Connection], Awaitable[Result]]) -> Result:
        """Do it on a connection, as soon as the database is there again. In no transaction: it may be done twice."""
        for _ in range(int(_PATIENCE_SECONDS / _PAUSE_SECONDS)):
            try:
                async with db.acquire(self.pool) as conn:
                    return await work(conn)
            except (*db.AWAY, Unavailable):
                await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"the database was away for {_PATIENCE_SECONDS:.0f} s")

    async def fetch(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        return await self.insist(lambda conn: conn.fetch(statement, *values))

    # What they leave behind.

    def complaints(self) -> list[str]:
        """Tracebacks and errors of ours, and deadlocks; that a database or Redis is away are warnings."""
        found = []
        for number in range(2):
            for name in (f"web-{number}.log", f"worker-{number}.log"):
                found += [f"{name}: {line}" for line in complaints(self._folder / name)]
        postgres = self._postgres.log_path.read_text(errors="replace").splitlines()
        return found + [f"postgres.log: {line}" for line in postgres if _DEADLOCK in line]


def complaints(log: Path) -> list[str]:
    """The lines of a process's log that nobody expects, however often it was killed."""
    return [line[:2000] for line in log.read_text(errors="replace").splitlines() if _is_bad(line)]


def _is_bad(line: str) -> bool:
    return _DEADLOCK in line or any(mark in line for mark in _LEFT_BEHIND)


@asynccontextmanager
async def open_stage(folder: Path, nameserver: str) -> AsyncIterator[Stage]:
    """Two webs and two workers with an organization of their own. nameserver: whom workers ask for names."""
    stage = Stage(folder, nameserver)
    try:
        await stage.start()
        async with db.open_pool(stage.settings.database_url, size=4, name="chaos") as stage.pool:
            stage.tenant = await stage.make_tenant()
            yield stage
    finally:
        await stage.stop()
