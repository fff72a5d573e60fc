"""The web server's processes and their supervisor, with a small application in the place of ours."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import ConfigurationError
from app.serve import open_sockets
from app.supervise import QUICK_DEATHS, Signals, Supervisor

SERVE = (
    "import sys; from app.core.settings import load_settings; from app.serve import run_web; "
    "sys.exit(run_web(load_settings()))"
)

# Every process finds this before the real app.main.
STUB = """
    import asyncio, os, sys, types
    from pathlib import Path

    def build_app(settings):
        from aiohttp import web
        from app.core.settings import ConfigurationError

        async def pid(request):
            return web.Response(text=f"{os.getpid()} {settings.port}")

        async def slow(request):
            await asyncio.sleep(1.0)
            return web.Response(text="done")

        async def base(app):
            if os.environ.get("STUB_REFUSES"):
                raise ConfigurationError("no database")
            yield

        app = web.Application()
        app.add_routes([web.get("/pid", pid), web.get("/slow", slow)])
        app.cleanup_ctx.append(base)
        return app

    stub = types.ModuleType("app.main")
    stub.build_app = build_app
    sys.modules["app.main"] = stub
"""


@dataclass
class Served:
    """A running master, and where it answers."""

    process: subprocess.Popen[str]
    port: int

    def get(self, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def pids(self, count: int, *, without: int = 0, seconds: float = 15.0) -> set[int]:
        """Ask until `count` different processes have answered."""
        seen: set[int] = set()
        deadline = time.monotonic() + seconds
        while len(seen - {without}) < count:
            assert time.monotonic() < deadline, f"only {seen} answered"
            pid, port = self.get("/pid").split()
            assert int(port) == self.port
            seen.add(int(pid))
        return seen - {without}


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(STUB))
    started: list[subprocess.Popen[str]] = []

    def start(processes: int, **environment: str) -> Served:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLOTWIRE_")},
            "SLOTWIRE_ENV": "development",
            "SLOTWIRE_HOST": "127.0.0.1",
            "SLOTWIRE_PORT": "0",
            "SLOTWIRE_PROCESSES": str(processes),
            "SLOTWIRE_DRAIN_SECONDS": "5",
            "PYTHONPATH": str(tmp_path),
            "TMPDIR": str(tmp_path),
            **environment,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stderr is not None
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert found
        served = Served(process, int(found[1]))
        if not environment:
            wait_for(lambda: accepts(served.port))
        return served

    yield start
    for process in started:
        process.kill()
        process.communicate()


def accepts(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def alive(pid: int) -> bool:
    """Whether the process does anything: one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_request_that_is_being_answered_is_finished_before_the_end(serve: Serve, processes: int) -> None:
    served = serve(processes)
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n")
        time.sleep(0.3)
        served.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not accepts(served.port), seconds=0.6)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"done")
    assert served.process.wait(5) == 0


def test_two_processes_share_a_port_and_a_killed_one_comes_back(serve: Serve, tmp_path: Path) -> None:
    served = serve(2)
    both = served.pids(2)
    assert served.process.pid not in both
    assert len(list(tmp_path.glob("slotwire-metrics-*"))) == 1
    victim = min(both)
    os.kill(victim, signal.SIGKILL)
    after = served.pids(2, without=victim)
    assert len(after & both) == 1
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(10) == 0
    assert not any(alive(pid) for pid in after)
    assert not list(tmp_path.glob("slotwire-metrics-*"))
    assert served.process.stderr is not None
    assert served.process.stderr.read().count("died (SIGKILL), next start in 0.5 s") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_nothing_survives_a_killed_master(serve: Serve) -> None:
    served = serve(2)
    both = served.pids(2)
    served.process.kill()
    wait_for(lambda: not any(alive(pid) for pid in both), seconds=3)
    assert not accepts(served.port)


def test_a_wrong_configuration_is_told_once_and_ends_all(serve: Serve) -> None:
    served = serve(2, STUB_REFUSES="1")
    assert served.process.wait(15) == 2
    assert served.process.stderr is not None
    assert served.process.stderr.read() == "slotwire: no database\n"


def test_a_port_in_use_is_named_even_if_its_owner_would_share_it() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"^127\.0\.0\.1:{port} is in use by another program$"):
            open_sockets("127.0.0.1", port, 2)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "is not an address of this machine"), ("no.such.invalid", "no address to listen")],
)
def test_a_host_that_is_not_ours_is_named(host: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        open_sockets(host, 8000, 1)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.supervise.FIRST_DELAY_SECONDS", 0.01)


def run_until_code(supervisor: Supervisor, seconds: float = 15.0) -> int:
    codes: list[Any] = []
    with Signals(hurry=supervisor.kill) as signals:
        deadline = time.monotonic() + seconds
        while not codes and time.monotonic() < deadline:
            signals.wait(supervisor.next_check_seconds())
            codes = [code for code in [supervisor.check()] if code is not None]
    supervisor.stop(1)
    return int(codes[0])


@pytest.mark.usefixtures("quick")
def test_a_child_that_cannot_start_is_given_up(tmp_path: Path) -> None:
    lines: list[str] = []
    supervisor = Supervisor(report=lines.append)
    log = tmp_path / "log"
    supervisor.spawn("oven", ["/bin/sh", "-c", "echo cold; exit 3"], os.environ, log_path=log)
    assert run_until_code(supervisor) == 1
    assert log.read_text() == "cold\n" * QUICK_DEATHS
    assert lines[-1] == f"oven died {QUICK_DEATHS} times at its start (exit code 3), giving up; see {log}"


def test_a_child_that_does_not_listen_is_killed_with_what_it_started(tmp_path: Path) -> None:
    lines: list[str] = []
    supervisor = Supervisor(report=lines.append)
    script = "trap '' TERM; sleep 60 & echo $!; sleep 60"
    child = supervisor.spawn("stone", ["/bin/sh", "-c", script], os.environ, log_path=tmp_path / "log")
    wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().endswith("\n"))
    assert child.process is not None
    grandchild = int((tmp_path / "log").read_text())
    supervisor.stop(0.2)
    assert child.process.returncode == -signal.SIGKILL
    wait_for(lambda: not alive(grandchild), seconds=3)
    assert lines == ["stone did not end within 0.2 s, killing it"]
