"""Child processes: started, watched, started again when they die, and all stopped when we stop.

The one rule: nothing is left behind. Every child has its own session, so that the terminal's Ctrl-C reaches us
only and we stop them in order; and the kernel kills it when we are killed (see launch.py). The same holds
for the children of our children, because they are started in the same way.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from app import launch

# A child that says "my configuration is wrong" ends with this; starting it again would not help.
EXIT_CONFIGURATION = 2
STABLE_SECONDS = 10.0
QUICK_DEATHS = 5
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.02


@dataclass
class Child:
    """One process and how it has fared so far; instants are of the monotonic clock, in seconds."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log_path: Path | None
    pass_fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float = 0.0
    quick_deaths: int = 0
    proven: bool = False

    def start(self) -> None:
        log = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if self.log_path else None
        try:
            self.process = subprocess.Popen(
                launch.wrap(self.argv, death_signal=signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.env),
                pass_fds=self.pass_fds,
                start_new_session=True,
            )
        finally:
            if log is not None:
                os.close(log)
        self.started_at = time.monotonic()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Signal the process, or with SIGKILL its whole group; one that has ended is left alone."""
        if self.process is None or (number is not signal.SIGKILL and not self.alive):
            return
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)


@dataclass
class Supervisor:
    """Keeps children running. `report` gets one line for whoever watches; `on_exit` the pid of a dead child."""

    report: Callable[[str], None]
    on_exit: Callable[[int], None] = lambda _pid: None
    children: list[Child] = field(default_factory=list)
    # The child that `check` returned an exit code for.
    failed: Child | None = None

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        log_path: Path | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> Child:
        """Start a child; its output goes to the end of `log_path`, or where ours goes.

        Call it from a thread that lives as long as the child should (see `launch.wrap`).
        """
        child = Child(name, argv, env, log_path, pass_fds)
        child.start()
        self.children.append(child)
        return child

    def check(self) -> int | None:
        """Start again what has died and waited long enough; returns our exit code when there is no point in going on.

        That is EXIT_CONFIGURATION when a child says so before it has ever run for STABLE_SECONDS, and 1
        when it dies QUICK_DEATHS times at the start. A child that has run well once is retried for ever.
        """
        now = time.monotonic()
        for child in self.children:
            if child.restart_at:
                if now >= child.restart_at:
                    child.restart_at = 0.0
                    child.start()
            elif not child.alive:
                code = self._bury(child, now)
                if code is not None:
                    self.failed = child
                    return code
            elif now - child.started_at > STABLE_SECONDS:
                child.proven, child.quick_deaths = True, 0
        return None

    def _bury(self, child: Child, now: float) -> int | None:
        """Note a death and when to start again; returns an exit code when that would be in vain."""
        if child.process is None:
            return None
        code = child.process.returncode
        # Whatever it has started goes with it.
        child.signal(signal.SIGKILL)
        self.on_exit(child.process.pid)
        child.proven = child.proven or now - child.started_at > STABLE_SECONDS
        child.quick_deaths += 1
        if code == EXIT_CONFIGURATION and not child.proven:
            return EXIT_CONFIGURATION
        where = f"; see {child.log_path}" if child.log_path else ""
        if child.quick_deaths >= QUICK_DEATHS and not child.proven:
            self.report(
                f"{child.name} died {child.quick_deaths} times at its start ({describe(code)}), giving up{where}"
            )
            return 1
        delay = min(FIRST_DELAY_SECONDS * 2 ** (child.quick_deaths - 1), LONGEST_DELAY_SECONDS)
        self.report(
            f"{child.name} (process {child.process.pid}) died ({describe(code)}), next start in {delay:g} s{where}"
        )
        child.restart_at = now + delay
        return None

    def next_check_seconds(self) -> float:
        """How long nothing needs to be done unless a child dies (which SIGCHLD tells)."""
        due = [child.restart_at for child in self.children if child.restart_at]
        return min(1.0, max(0.0, min(due) - time.monotonic())) if due else 1.0

    def stop(self, seconds: float) -> None:
        """Ask all to end, wait up to `seconds` for them to finish their work, then kill what is left."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        self._wait(seconds)
        for child in self.children:
            if child.alive:
                self.report(f"{child.name} did not end within {seconds:g} s, killing it")
        self.kill()
        self._wait(KILL_SECONDS)
        self.children.clear()

    def kill(self) -> None:
        """Kill all and their process groups, without waiting. Safe in a signal handler."""
        for child in self.children:
            child.signal(signal.SIGKILL)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(child.alive for child in self.children) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


# `make` and terminals pass a signal on to a process that has got it already: what comes so soon is no second request.
ECHO_SECONDS = 0.5


class Signals:
    """Within it, SIGINT, SIGTERM and SIGHUP are a request instead of an end, and SIGCHLD wakes `wait`.

    The first request is only noted, unless `interrupt` is set: then it raises `StopRequested` wherever we are.
    The second one calls `hurry`. A SIGHUP that was ignored at our start (nohup) stays ignored.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self.requests = 0
        self.interrupt = False
        self._hurry = hurry
        self._before: dict[
            signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None
        ] = {}
        self._pipe = (-1, -1)
        self._wakeup_before = -1
        self._asked_at = 0.0

    def __enter__(self) -> "Signals":
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN or number is not signal.SIGHUP:
                self._before[number] = signal.signal(number, self._request)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        for end in self._pipe:
            os.close(end)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        moment = time.monotonic()
        if self.requests and moment - self._asked_at < ECHO_SECONDS:
            return
        self.requests += 1
        self._asked_at = moment
        if self.requests > 1:
            self._hurry()
        elif self.interrupt:
            raise StopRequested

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes, at most `seconds`."""
        select.select([self._pipe[0]], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._pipe[0], 512):
                pass


class StopRequested(BaseException):
    """Somebody wants us to stop while we are still starting."""


def describe(code: int) -> str:
    """How a process ended, from its return code: `exit code 3` or `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
