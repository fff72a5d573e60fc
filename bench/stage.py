"""Everything that a run needs to be running: PostgreSQL and Redis as `slotwire up` runs them (durable, with the
defaults), our processes and the references, all in a temporary directory and on 127.0.0.1.

The one rule: whatever is started is started under the supervisor or as a `Server`, so it dies with us, however we end.
"""

import asyncio
import base64
import copy
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import asyncpg
import orjson

from app.core import db
from app.core.migrate import migrate
from app.core.settings import Settings, load_settings
from app.core.vault import Vault
from app.domain.identity.models import Principal
from app.embedded import Postgres, Redis
from app.supervise import Child, Supervisor
from app.up import LOOPBACK
from bench import dataset
from bench.client import HOST, BenchError, Figures, ask, load, request
from bench.dataset import Tenant
from bench.references import TENANT_VARIABLE

_READY_SECONDS = 30.0
_STOP_SECONDS = 10.0
_OTHER_POOL = 4
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Served:
    """A process; port 0 when it serves nothing."""

    name: str
    pid: int
    port: int

    async def load(
        self, requests: Iterator[bytes], *, expect: int, connections: int, seconds: float
    ) -> tuple[Figures, float]:
        """A load on this process, and the microseconds of CPU that an answer cost it."""
        before = self.cpu_seconds
        figures = await load(self.port, requests, expect=expect, connections=connections, seconds=seconds)
        return figures, (self.cpu_seconds - before) / figures.count * 1e6

    @property
    def cpu_seconds(self) -> float:
        """What it has computed so far, in user and kernel mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> tuple[float, float]:
        """(RSS, PSS): resident, and with shared pages divided among those who share them."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return _kib(status, "VmRSS:") / 1024, _kib(rollup, "Pss:") / 1024


def _kib(text: str, name: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))


class Stage:
    """Enter it from the main thread, then use the coroutines in one event loop."""

    pool: asyncpg.Pool
    settings: Settings

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="slotwire-bench-"))
        self.postgres = Postgres(self.directory)
        self._redis = Redis(self.directory)
        self._supervisor = Supervisor(report=lambda line: print(f"bench: {line}", file=sys.stderr))
        self._served: dict[str, Served] = {}
        self._web = "web"

    def __enter__(self) -> "Stage":
        try:
            for name in [name for name in os.environ if name.startswith("SLOTWIRE_")]:
                del os.environ[name]
            os.environ.update(self._environment(self.postgres.start(), self._redis.start()))
            self.settings = load_settings()
            asyncio.run(migrate(self.settings.database_url))
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _environment(self, database_url: str, redis_url: str) -> dict[str, str]:
        """What `slotwire up` sets; the log level, the pool and the rest stay at their defaults."""
        return {
            "SLOTWIRE_ENV": "development",
            "SLOTWIRE_DATABASE_URL": database_url,
            "SLOTWIRE_REDIS_URL": redis_url,
            "SLOTWIRE_HOST": HOST,
            "SLOTWIRE_PORT": str(free_port()),
            "SLOTWIRE_PROCESSES": "1",
            "SLOTWIRE_LIMIT_KEY": "off",
            "SLOTWIRE_DATA_DIR": str(self.directory),
            "SLOTWIRE_SECRET_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "SLOTWIRE_WEBHOOK_ALLOW_NETWORKS": LOOPBACK,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(_ROOT),
        }

    def _stop(self) -> None:
        self._supervisor.stop(_STOP_SECONDS)
        self._redis.stop()
        self.postgres.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @asynccontextmanager
    async def beside(self, database: str) -> AsyncIterator["Stage"]:
        """The same stage with an empty database of its own, and so a web process of its own. What it has stays until
        the end of the run, idle."""
        other = copy.copy(self)
        url = self.settings.database_url.replace("/slotwire?", f"/{database}?")
        async with db.acquire(self.pool) as conn:
            await conn.execute(f"create database {database}")
        await migrate(url)
        other.settings = self.settings.model_copy(update={"database_url": url, "port": free_port()})
        other._web, other._served = f"web-{database}", {}  # noqa: SLF001 -- it is one of us
        async with db.open_pool(url, size=_OTHER_POOL, name="bench") as other.pool:
            yield other

    # Processes, each started when it is first asked for.

    @property
    def running(self) -> tuple[Served, ...]:
        return tuple(self._served.values())

    async def web(self, **environment: str) -> Served:
        settings = self.settings
        own = {"SLOTWIRE_DATABASE_URL": settings.database_url, "SLOTWIRE_PORT": str(settings.port), **environment}
        program = ["-P", "-m", "app.cli", "web"]
        return await self._serve(self._web, program, settings.port, ready="/readyz", environment=own)

    async def worker(self, name: str = "worker", **environment: str) -> Served:
        """It serves nothing, so that it works shows in the first delivery."""
        own = {"SLOTWIRE_DATABASE_URL": self.settings.database_url, **environment}
        return await self._serve(name, ["-P", "-m", "workers.main"], environment=own)

    async def mailroom(self, smtp_port: int) -> Served:
        port = free_port()
        arguments = ["-m", "bench.mailroom", "--port", str(port), "--smtp-port", str(smtp_port)]
        return await self._serve("mailroom", arguments, port, ready="/state")

    async def receiver(self, name: str = "receiver") -> Served:
        port = free_port()
        return await self._serve(name, ["-m", "bench.receiver", "--port", str(port)], port, ready="/state")

    async def references(self, tenant: Tenant) -> Served:
        """They write bookings of the first tenant that they are asked for."""
        port = free_port()
        given = {"org_id": str(tenant.org_id), "api_key": tenant.api_key, "codes": tenant.codes}
        return await self._serve(
            "references",
            ["-m", "bench.references", "--port", str(port)],
            port,
            ready="/point",
            environment={TENANT_VARIABLE: orjson.dumps(given).decode()},
        )

    async def _serve(
        self,
        name: str,
        arguments: list[str],
        port: int = 0,
        *,
        ready: str = "",
        environment: dict[str, str] | None = None,
    ) -> Served:
        if name not in self._served:
            child = self._supervisor.spawn(
                name,
                [sys.executable, *arguments],
                {**os.environ, **(environment or {})},
                log_path=self.directory / f"{name}.log",
            )
            assert child.process is not None
            self._served[name] = Served(name, child.process.pid, port)
            if ready:
                await self._wait_until_ready(child, port, ready)
        return self._served[name]

    async def _wait_until_ready(self, child: Child, port: int, path: str) -> None:
        async with asyncio.timeout(_READY_SECONDS):
            while child.alive:
                try:
                    await ask(port, request("GET", path))
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    return
        self.check()

    def check(self) -> None:
        """Raises BenchError when one of the processes has died."""
        for child in self._supervisor.children:
            if not child.alive and child.log_path is not None:
                lines = child.log_path.read_text(errors="replace").strip().splitlines()
                raise BenchError(f"{child.name} has ended: {lines[-1:]}")

    def kill(self, served: Served) -> None:
        """End a process as a crash would; nobody starts it again."""
        for child in list(self._supervisor.children):
            if child.process is not None and child.process.pid == served.pid:
                child.signal(signal.SIGKILL)
                child.process.wait()
                self._supervisor.children.remove(child)

    # Data.

    async def tenant(
        self, name: str, *, hosts: int, durations: Sequence[Sequence[int]] = ()
    ) -> tuple[Tenant, Principal]:
        """A tenant of its own for a measurement (see `dataset.make_tenant`), and who its key stands for."""
        vault = Vault(self.settings.secret_keys)
        async with db.acquire(self.pool) as conn:
            made = await dataset.make_tenant(conn, vault, name, hosts=hosts, durations=durations)
            return made, await dataset.principal_of(conn, vault, made)

    async def settle(self) -> None:
        """Give the planner what autovacuum gives it within a minute of any real load; call it before each round.

        Plans that were made for small tables walk through large ones until the next ANALYZE: foreign keys are checked
        along the wrong index, and batches are joined with whole tables.
        """
        async with db.acquire(self.pool) as conn:
            await conn.execute("vacuum analyze", timeout=60)

    async def subscribe(self, tenant: Tenant, url: str) -> None:
        async with db.acquire(self.pool) as conn:
            await dataset.subscribe(conn, Vault(self.settings.secret_keys), tenant, url)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        return int(bound.getsockname()[1])
