"""`slotwire up`: everything on this machine in the foreground, from nothing to a booking in seconds.

The one rule: what it starts, it stops, in the opposite order, and nothing survives it: not an error, not Ctrl-C,
not `kill -9` (see supervise.py and embedded.py). It chooses only what the environment leaves open.
"""

import asyncio
import base64
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import redis

from app.core.migrate import migrate
from app.core.settings import ConfigurationError, Settings, load_settings
from app.embedded import Postgres, Redis
from app.serve import open_sockets
from app.supervise import EXIT_CONFIGURATION, Signals, StopRequested, Supervisor

READY_SECONDS = 60.0
# What `web` itself takes at most beyond its requests' time before it kills its own children.
CLOSING_SECONDS = 10.0
REDIS_SECONDS = 5.0
LOOPBACK = "127.0.0.0/8,::1/128"
# 130 is what shells report for Ctrl-C: asked twice, we did not finish in order.
EXIT_HURRIED = 130


def run_up(*, port: int | None, host: str, data_dir: Path | None, demo: bool, processes: int) -> int:
    """Start everything, stay until SIGINT or SIGTERM, stop everything; returns the exit code.

    `port` 0 means a free one and None what SLOTWIRE_PORT says; `data_dir` None likewise; `processes` 0 means one
    per core. What is wrong with the configuration is told in one line on standard error, with exit code 2.
    """
    os.environ.setdefault("SLOTWIRE_ENV", "development")
    try:
        settings = load_settings()
        up = Up(settings, host, settings.port if port is None else port, data_dir or settings.data_dir, demo, processes)
        return up.run()
    except ConfigurationError as error:
        _warn(str(error))
        return EXIT_CONFIGURATION


class GaveUpError(Exception):
    """A child that does not come up; the line says why, `code` is what we exit with."""

    def __init__(self, line: str, code: int) -> None:
        super().__init__(line)
        self.code = code


@dataclass
class Up:
    """One run: what it was asked for, and what it has started so far."""

    settings: Settings
    host: str
    port: int
    data_dir: Path
    demo: bool
    processes: int
    began: float = field(default_factory=time.monotonic)
    postgres: Postgres | None = None
    redis: Redis | None = None
    supervisor: Supervisor = field(default_factory=lambda: Supervisor(report=_warn))
    lock: BinaryIO | None = None
    stopping: bool = False

    def run(self) -> int:
        with Signals(hurry=self._hurry) as signals:
            try:
                signals.interrupt = True
                self._start(signals)
                signals.interrupt = False
                code = self._watch(signals)
            except StopRequested:
                code = 0
            except GaveUpError as error:
                _warn(str(error))
                code = error.code
            finally:
                signals.interrupt = False
                self._stop()
            return EXIT_HURRIED if signals.requests > 1 else code

    # Up.

    def _start(self, signals: Signals) -> None:
        self._take_data_dir()
        self._take_port()
        os.environ.update(self._choices())
        self._start_servers()
        self.settings = load_settings()
        self._step("bringing the database up to date")
        applied = asyncio.run(migrate(self.settings.database_url))
        self._step(f"database is up to date ({len(applied)} migrations ran)")
        self._write_run_file()
        self._step("starting web and worker")
        for name in ("web", "worker"):
            argv = [sys.executable, "-P", "-m", "app.cli", name]
            self.supervisor.spawn(name, argv, os.environ, log_path=self.data_dir / f"{name}.log")
        self._wait_until_ready(signals)
        self._step(f"answering on {self.settings.base_url}")
        self._introduce()

    def _take_data_dir(self) -> None:
        self.data_dir = self.data_dir.expanduser().resolve()
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"the data directory {self.data_dir} cannot be used: {error.strerror}") from None
        lock = os.fdopen(descriptor, "r+b")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = lock.read().decode(errors="replace")
            lock.close()
            raise ConfigurationError(
                f"`slotwire up` (process {pid}) already runs on {self.data_dir}; choose another one with --data-dir"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()).encode())
        lock.flush()
        self.lock = lock
        self._step(f"data is in {self.data_dir}")

    def _take_port(self) -> None:
        """Find out now, and not after ten seconds of other work, that the port cannot be had."""
        try:
            (bound,) = open_sockets(self.host, self.port, 1)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; choose another port with --port") from None
        self.port = bound.getsockname()[1]
        bound.close()

    def _choices(self) -> dict[str, str]:
        """The variables that the environment left to us; children and our own next look at it see the same."""
        given = self.settings.model_fields_set
        chosen = {
            "SLOTWIRE_HOST": self.host,
            "SLOTWIRE_PORT": str(self.port),
            "SLOTWIRE_PROCESSES": str(self.processes),
            "SLOTWIRE_DATA_DIR": str(self.data_dir),
            "SLOTWIRE_BASE_URL": self.settings.base_url or f"http://{_in_url(_reachable(self.host))}:{self.port}",
            # A log that is read while it is written.
            "PYTHONUNBUFFERED": "1",
        }
        if self.processes != 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            # Here and not in a temporary directory, so that a killed run leaves nothing that the next does not clear.
            metrics = self.data_dir / "metrics"
            shutil.rmtree(metrics, ignore_errors=True)
            metrics.mkdir(mode=0o700)
            chosen["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        if not self.settings.secret_keys:
            chosen["SLOTWIRE_SECRET_KEYS"] = _secret_keys(self.data_dir / "secret_keys")
        if self.settings.development and "webhook_allow_networks" not in given:
            chosen["SLOTWIRE_WEBHOOK_ALLOW_NETWORKS"] = LOOPBACK
        if not self.settings.smtp_url and self.settings.mail_dir is None:
            mails = self.data_dir / "mail"
            mails.mkdir(mode=0o700, exist_ok=True)
            chosen["SLOTWIRE_MAIL_DIR"] = str(mails)
        return chosen

    def _start_servers(self) -> None:
        if self.settings.database_url:
            self._step("using the database of SLOTWIRE_DATABASE_URL")
        else:
            self.postgres = Postgres(self.data_dir)
            first = not self.postgres.directory.exists()
            self._step("starting PostgreSQL" + (" (the first start makes its files)" if first else ""))
            os.environ["SLOTWIRE_DATABASE_URL"] = self.postgres.start()
        if self.settings.redis_url:
            self._step("using the Redis of SLOTWIRE_REDIS_URL")
            _check_redis(self.settings.redis_url)
        else:
            self._step("starting Redis (Valkey)")
            self.redis = Redis(self.data_dir)
            os.environ["SLOTWIRE_REDIS_URL"] = self.redis.start()

    def _write_run_file(self) -> None:
        """Tell `slotwire bootstrap` and `doctor` where everything is; private, because addresses hold passwords."""
        facts = {
            "pid": os.getpid(),
            "host": _reachable(self.host),
            "port": self.port,
            "base_url": self.settings.base_url,
            "database_url": self.settings.database_url,
            "redis_url": self.settings.redis_url,
        }
        _write_private(self.data_dir / "run.json", json.dumps(facts) + "\n")

    def _wait_until_ready(self, signals: Signals) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not _answers_ready(_reachable(self.host), self.port):
            signals.wait(0.1)
            self._check_children()
            if time.monotonic() > deadline:
                raise GaveUpError(f"web is not ready after {READY_SECONDS:.0f} s; see {self.data_dir / 'web.log'}", 1)

    def _introduce(self) -> None:
        """Say how to get in; with a demo organization, so that there is something to book."""
        base = self.settings.base_url
        lines = ["", f"Slotwire is up: {base}", f"  the API  {base}/docs", f"  agents   {base}/mcp"]
        if self.settings.development and not self.settings.smtp_url:
            lines.append(f"  mail     {base}/dev/mail")
        lines.append("")
        if self.demo:
            from app.demo import prepare_demo  # noqa: PLC0415 -- nobody else needs it

            self._step("preparing the demo organization")
            made = asyncio.run(prepare_demo(self.settings))
            self._step("demo organization is ready")
            lines += [f"  log in   {made.email}", f"           {made.password}", f"  API key  {made.api_key}", ""]
            lines += ["Book something:", "", made.curl, ""]
        lines += [f"Logs are in {self.data_dir}. Ctrl-C stops everything.", ""]
        _print("\n".join(lines))

    # While it runs.

    def _watch(self, signals: Signals) -> int:
        while not signals.requests:
            signals.wait(self.supervisor.next_check_seconds())
            if not signals.requests:
                self._revive_servers()
                self._check_children()
        return 0

    def _check_children(self) -> None:
        code = self.supervisor.check()
        if code is not None and self.supervisor.failed is not None:
            child = self.supervisor.failed
            raise GaveUpError(f"{child.name} does not start: {_last_words(child.log_path)}", code)

    def _revive_servers(self) -> None:
        for server in (self.postgres, self.redis):
            if server is not None and not server.alive:
                _warn(f"{server.label} died, starting it again; see {server.log_path}")
                server.start()

    # Down.

    def _hurry(self) -> None:
        self.supervisor.kill()
        for server in (self.redis, self.postgres):
            if server is not None:
                server.kill()

    def _stop(self) -> None:
        """Web and worker first, while they still have what they need to finish."""
        if self.supervisor.children:
            self._step("stopping web and worker")
            self.supervisor.stop(self.settings.drain_seconds + CLOSING_SECONDS)
        for server in (self.redis, self.postgres):
            if server is not None:
                server.stop()
        if self.lock is not None:
            (self.data_dir / "run.json").unlink(missing_ok=True)
            self.lock.close()
            self._step("stopped")

    def _step(self, line: str) -> None:
        _print(f"[{time.monotonic() - self.began:5.1f} s] {line}")


def _print(line: str, descriptor: int = 1) -> None:
    # A terminal or a pipe that is gone is no reason to stop, least of all while stopping.
    with contextlib.suppress(OSError):
        os.write(descriptor, f"{line}\n".encode())


def _warn(line: str) -> None:
    _print(f"slotwire: {line}", 2)


def _reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 -- compared, not bound


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _answers_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _secret_keys(path: Path) -> str:
    """The keys of this data directory; the first start makes one (32 random bytes: a Fernet key)."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        key = base64.urlsafe_b64encode(os.urandom(32)).decode()
        _write_private(path, key + "\n")
        return key
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _write_private(path: Path, text: str) -> None:
    """Write a whole file or none: a start that is killed meanwhile leaves no half of it."""
    half = path.with_name(f"{path.name}.new")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _check_redis(url: str) -> None:
    """Raises ConfigurationError, without the password that the address may hold, when nothing answers there."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=REDIS_SECONDS, socket_timeout=REDIS_SECONDS) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        where = urlsplit(url)
        place = where.netloc.rpartition("@")[2] or where.path
        raise ConfigurationError(f"SLOTWIRE_REDIS_URL: Redis at {place} does not answer: {error}") from None


def _last_words(log_path: Path | None) -> str:
    """What a child said last, best of all in a line meant for people."""
    if log_path is None:
        return "it left no message"
    with log_path.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    told = [line.removeprefix("slotwire: ") for line in lines if line.startswith("slotwire: ")]
    return f"{(told or lines or ['it left no message'])[-1]} (see {log_path})"
