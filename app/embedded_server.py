"""A server that belongs to exactly one process of ours: its directory, locks, process, log, and the way down.

The one rule: it dies with its owner (see launch.py), and two locks say whose it is: `NAME.lock` is held by us
alone, `NAME.running` is inherited by every process of the server. So a start can tell "somebody else uses
this directory" (fail at once) from "the server of somebody who was killed is still shutting down" (wait), and
a leftover pid file proves nothing.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, ClassVar

from app import launch
from app.core.settings import ConfigurationError

# The address of a unix socket holds 107 bytes and a zero.
SOCKET_PATH_BYTES = 107
PREDECESSOR_SECONDS = 15.0
START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02


class Server(ABC):
    """What both servers share: the directory, the locks, the process, the log, and the way down."""

    name: ClassVar[str]
    label: ClassVar[str]
    socket_name: ClassVar[str]
    # What the kernel sends to the server when we die, and what we send to stop it.
    stop_signal: ClassVar[signal.Signals]
    kill_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        """`data_dir` gets NAME/ (the server's files), NAME.log and the locks; not durable is for tests."""
        self.data_dir = data_dir.expanduser().resolve()
        self.directory = self.data_dir / self.name
        self.log_path = self.data_dir / f"{self.name}.log"
        self.durable = durable
        self.identity = launch.SAME_USER
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: BinaryIO | None = None
        self._running: BinaryIO | None = None
        self._socket_dir: Path | None = None
        self._log_start = 0

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The server's process number while it runs."""
        return self._process.pid if self._process is not None and self.alive else None

    def start(self) -> str:
        """Start, wait until it answers, and return its address; a server that runs already just answers.

        Call it from a thread that lives as long as the server should (see `launch.wrap`).
        Raises ConfigurationError with one line when it cannot start.
        """
        if self.alive:
            return self._address()
        # After a death the socket stays where it was: our clients know it.
        self._release()
        try:
            self._check()
            self._claim()
            self._prepare()
            self._choose_socket()
            self._process = self._launch(self._argv(), self.stop_signal)
            self._wait(self._answers, START_SECONDS)
            self._finish()
        except BaseException:
            self.stop()
            raise
        return self._address()

    def stop(self) -> None:
        """Stop in order and wait for it; whatever does not end within 30 seconds is killed. Idempotent."""
        self._release()
        if self._socket_dir not in (None, self.directory):
            shutil.rmtree(str(self._socket_dir), ignore_errors=True)
        self._socket_dir = None

    def _release(self) -> None:
        """End the process if there is one, and give up the locks."""
        process, self._process = self._process, None
        if process is not None:
            _end(process, self.stop_signal)
        for lock in (self._owner, self._running):
            if lock is not None:
                lock.close()
        self._owner = self._running = None

    def kill(self) -> None:
        """End the server now, without waiting; what it has promised to keep survives. Safe in a signal handler."""
        if self.alive and self._process is not None:
            os.killpg(self._process.pid, self.kill_signal)

    # What a server fills in.

    def _check(self) -> None:  # noqa: B027 -- not every server has something to refuse
        """Refuse a directory that this version cannot serve."""

    def _prepare(self) -> None:  # noqa: B027 -- nor to prepare
        """Make `directory` ready for the start; the locks are ours."""

    @abstractmethod
    def _argv(self) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it takes connections."""

    def _finish(self) -> None:  # noqa: B027 -- nor to finish
        """What is left to do once it answers."""

    @abstractmethod
    def _address(self) -> str:
        """The URL to reach it at."""

    # The shared parts.

    @property
    def socket_dir(self) -> Path:
        if self._socket_dir is None:
            raise RuntimeError(f"{self.label} has not been started")
        return self._socket_dir

    def _claim(self) -> None:
        """Take both locks. Raises ConfigurationError when another instance lives, or its server does not end."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owner = _lock(self.data_dir / f"{self.name}.lock")
            if self._owner is None:
                holder = _holder(self.data_dir / f"{self.name}.lock")
                raise ConfigurationError(
                    f"{self.label} in {self.data_dir} is in use by another Slotwire{holder}; "
                    "stop that one or choose another data directory"
                )
            deadline = time.monotonic() + PREDECESSOR_SECONDS
            while (running := _lock(self.data_dir / f"{self.name}.running")) is None:
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"{self.label} of an earlier, killed run still works in {self.data_dir} "
                        f"after {PREDECESSOR_SECONDS:.0f} seconds; see {self.log_path}"
                    )
                time.sleep(POLL_SECONDS)
            self._running = running
        except OSError as error:
            raise ConfigurationError(f"the data directory {self.data_dir} cannot be used: {error.strerror}") from None

    def _choose_socket(self) -> None:
        """Put the socket beside the data, or where its path is short and plain enough for an address."""
        if self._socket_dir is not None and self._socket_dir.is_dir():
            return
        if _is_plain(self.directory / self.socket_name):
            self._socket_dir = self.directory
            return
        for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 -- mkdtemp makes a directory of our own in it
            directory = Path(tempfile.mkdtemp(prefix="slotwire-", dir=base))
            if _is_plain(directory / self.socket_name):
                give_to(directory, self.identity)
                self._socket_dir = directory
                return
            directory.rmdir()
        raise ConfigurationError(f"no directory is short enough for the socket of {self.label}: set TMPDIR")

    def _launch(self, argv: list[str], death_signal: signal.Signals) -> subprocess.Popen[bytes]:
        """Start a program of the server: log to our file, holding the second lock, deaf to the terminal's Ctrl-C."""
        assert self._running is not None  # noqa: S101 -- `start` claims before it launches
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._log_start = os.fstat(descriptor).st_size
            return subprocess.Popen(
                launch.wrap(argv, death_signal=death_signal, identity=self.identity),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                cwd="/",
                env=environment(),
                pass_fds=(self._running.fileno(),),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if not self.alive:
                raise ConfigurationError(f"{self.label} did not start: {self._last_words()} (see {self.log_path})")
            if time.monotonic() > deadline:
                raise ConfigurationError(
                    f"{self.label} did not answer within {seconds:.0f} seconds; see {self.log_path}"
                )
            time.sleep(POLL_SECONDS)

    def _last_words(self) -> str:
        """The line of this start's log that says most: the last one that calls itself fatal or an error."""
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if re.search(r"fatal|panic|error", line, re.IGNORECASE)] or lines
        return telling[-1] if telling else "it left no message"


def _end(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lock(path: Path) -> BinaryIO | None:
    """Lock the file until it is closed by everyone who inherited it; None when somebody else has it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def _holder(path: Path) -> str:
    pid = path.read_text().strip()
    return f" (process {pid})" if pid.isdigit() else ""


def _is_plain(path: Path) -> bool:
    """Whether the path fits a socket's address and needs no quoting in any of the places that name it."""
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES and re.fullmatch(r"[\w./+@=-]+", str(path), re.ASCII) is not None


def environment() -> dict[str, str]:
    """Our environment without what PostgreSQL's programs would take for options."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def give_to(directory: Path, identity: str) -> None:
    kind, _, rest = identity.partition(":")
    if kind != "user":
        return
    uid, gid = (int(part) for part in rest.split(":"))
    for path in (directory, *directory.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)
