"""`slotwire up` as an operator meets it: real processes, real signals, and nothing left behind."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app import launch

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

# The fresh start includes making a database cluster; the rest is for a busy machine.
START_SECONDS = 45.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SLOTWIRE_")}
    # Whatever a coverage or warning flag of the test run does, it is not what the operator has.
    plain.pop("PYTHONWARNINGS", None)
    return {**plain, **more}


def command(data_dir: Path, port: int, *arguments: str) -> list[str]:
    up = [sys.executable, "-m", "app.cli", "up", "--data-dir", str(data_dir), "--port", str(port)]
    return [*up, *arguments]


@dataclass
class Up:
    """A running `slotwire up` and everything below it."""

    process: subprocess.Popen[str]
    data_dir: Path
    port: int
    lines: list[str] = field(default_factory=list)

    def wait_until_it_says(self, text: str) -> None:
        """Read on until a line contains `text`; pytest's own time limit is the alarm below."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return
        raise AssertionError(f"it ended with {self.process.wait()} after saying:\n{''.join(self.lines)}")

    def ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def family(self) -> dict[int, str]:
        """Every process below it, with its start time, which tells it from a later one of the same number."""
        parents = {pid: parent for pid in processes() for parent in [fact(pid, 1)]}
        found: dict[int, str] = {}
        level = {self.process.pid}
        while level:
            found |= {pid: fact(pid, 19) for pid in level}
            level = {pid for pid, parent in parents.items() if parent.isdigit() and int(parent) in level}
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=30)
        self.lines.append(output)
        return self.process.returncode


def processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def fact(pid: int, number: int) -> str:
    """A field of /proc/PID/stat after the name: 0 the state, 1 the parent, 19 the start time; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[number]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def left_over(family: dict[int, str], seconds: float) -> list[str]:
    """Who of the family still runs after `seconds` at most; one that waits to be reaped does not run."""
    deadline = time.monotonic() + seconds
    while True:
        left = [pid for pid, born in family.items() if fact(pid, 19) == born and fact(pid, 0) != "Z"]
        if not left or time.monotonic() > deadline:
            return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in left if fact(pid, 0)]
        time.sleep(0.05)


Start = Callable[..., Up]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Up] = []

    def begin(name: str = "data", *arguments: str, wrap: Callable[[Sequence[str]], list[str]] = list, **env: str) -> Up:
        port = free_port()
        argv = wrap(command(tmp_path / name, port, "--processes", "1", *arguments))
        process = subprocess.Popen(
            argv,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(Up(process, tmp_path / name, port))
        return running[-1]

    def alarm(_number: int, _frame: object) -> None:
        raise TimeoutError(
            f"not done after {START_SECONDS} s:\n" + "".join(line for up in running for line in up.lines)
        )

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, START_SECONDS)
    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    for up in running:
        up.process.kill()
        up.process.communicate()


def refused(argv: Sequence[str], **env: str) -> str:
    """Run an `up` that cannot start; returns the one line that it leaves on standard error."""
    result = subprocess.run(
        argv, env=environment(**env), capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("slotwire: ")
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.strip()


@LINUX
def test_from_nothing_to_a_booking_and_back_to_nothing(start: Start) -> None:
    up = start()
    up.wait_until_it_says("Ctrl-C stops everything")
    said = "".join(up.lines)
    assert up.ready()
    assert re.search(rf"^Slotwire is up: http://127\.0\.0\.1:{up.port}$", said, re.MULTILINE)
    (curl,) = re.findall(r"^\s*(curl .*http://127\.0\.0\.1:\d+/.*)$", said, re.MULTILINE)
    program = shutil.which("curl")
    if program:
        booked = subprocess.run(shlex.split(curl), capture_output=True, text=True, timeout=10, check=True)
        assert json.loads(booked.stdout)["booking"]["status"] == "SCHEDULED"
        (mails,) = re.findall(r"^\s*mail\s+(\S+)$", said, re.MULTILINE)
        listed = b""
        while b"jane@example.com" not in listed:
            # the worker tells whoever booked; the alarm ends a wait for nothing
            time.sleep(0.1)
            listed = subprocess.run([program, "-sS", mails], capture_output=True, timeout=10, check=True).stdout
        assert (up.data_dir / "mail").stat().st_mode & 0o777 == 0o700
    assert "making" in said or "makes" in said, "a first start says what takes so long"

    run_file = up.data_dir / "run.json"
    facts = json.loads(run_file.read_text())
    assert (facts["pid"], facts["port"], facts["base_url"]) == (up.process.pid, up.port, f"http://127.0.0.1:{up.port}")
    assert facts["host"] == "127.0.0.1"
    assert facts["database_url"].startswith("postgresql://")
    assert facts["redis_url"].startswith("unix://")
    assert {path.stat().st_mode & 0o777 for path in (run_file, up.data_dir / "secret_keys")} == {0o600}
    assert up.data_dir.stat().st_mode & 0o777 == 0o700

    line = refused(command(up.data_dir, free_port()))
    assert f"(process {up.process.pid}) already runs on {up.data_dir}" in line

    family = up.family()
    assert len(family) >= 6, "up, web, worker, redis, postgres and its helpers"
    assert up.stop(signal.SIGINT) == 0
    assert left_over(family, seconds=0.5) == []
    assert not run_file.exists()


@LINUX
def test_two_at_once_and_what_a_kill_leaves_does_not_hinder_the_next(start: Start) -> None:
    first, second = start("one", "--no-demo"), start("two", "--no-demo")
    for up in (first, second):
        up.wait_until_it_says("Ctrl-C stops everything")
    assert first.ready()
    secret = (first.data_dir / "secret_keys").read_text()
    family = first.family()
    first.process.kill()
    again = start("one", "--no-demo")
    again.wait_until_it_says("Ctrl-C stops everything")
    assert left_over(family, seconds=5) == []
    assert again.ready()
    assert second.ready()
    assert (again.data_dir / "secret_keys").read_text() == secret

    family = again.family() | second.family()
    assert (again.stop(), second.stop()) == (0, 0)
    assert left_over(family, seconds=0.5) == []


@LINUX
def test_what_dies_is_started_again(start: Start) -> None:
    up = start("data", "--no-demo")
    up.wait_until_it_says("Ctrl-C stops everything")
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in up.family()}
    (worker,) = [
        pid for pid, line in lines.items() if "workers.main" in line or line.rstrip().endswith("app.cli worker")
    ]
    (redis,) = [pid for pid, line in lines.items() if "valkey-server" in line]
    for pid, what in ((worker, "worker (process"), (redis, "Redis (Valkey) died, starting it again")):
        os.kill(pid, signal.SIGKILL)
        up.wait_until_it_says(what)
    assert up.ready()
    assert up.stop() == 0


@LINUX
def test_a_stop_while_it_is_still_starting_leaves_nothing(start: Start) -> None:
    up = start("data", "--no-demo")
    up.wait_until_it_says("starting PostgreSQL")
    time.sleep(0.2)
    family = up.family()
    assert up.stop() == 0
    assert left_over(family, seconds=2) == []


@LINUX
def test_an_ordinary_user_can_run_it(start: Start) -> None:
    """Root runs it as an ordinary user of a namespace: the same to the kernel, and the interpreter stays in reach."""
    identity = launch.SAME_USER if os.geteuid() else "namespace:1000"
    allowed = subprocess.run(launch.probe(identity, [sys.executable]), check=False).returncode
    if allowed == launch.REFUSED:
        pytest.skip("this system lets root make no user namespace; run the tests as an ordinary user too")
    assert allowed == launch.GRANTED

    def as_ordinary(argv: Sequence[str]) -> list[str]:
        return launch.wrap(argv, death_signal=signal.SIGKILL, identity=identity)

    up = start("data", "--no-demo", wrap=as_ordinary)
    up.wait_until_it_says("Ctrl-C stops everything")
    if identity != launch.SAME_USER:
        uid_map = Path(f"/proc/{up.process.pid}/uid_map").read_text().split()
        assert uid_map[0] == "1000", "it was not root"
    assert up.ready()
    assert up.stop() == 0


def test_a_port_in_use_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(command(tmp_path, port))
    assert f"127.0.0.1:{port} is in use" in line
    assert "--port" in line
    assert not (tmp_path / "postgres").exists()


def test_files_of_another_postgres_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    assert "was made by PostgreSQL 16" in refused(command(tmp_path, free_port()))


def test_a_database_or_redis_out_of_reach_is_told_without_its_password(tmp_path: Path) -> None:
    away = free_port()
    database = f"postgresql://booker:hunter2@127.0.0.1:{away}/slots"
    line = refused(command(tmp_path, free_port()), SLOTWIRE_DATABASE_URL=database, SLOTWIRE_REDIS_URL="")
    assert f"127.0.0.1:{away}/slots" in line
    assert "hunter2" not in line
    redis = f"redis://:hunter2@127.0.0.1:{away}/0"
    line = refused(command(tmp_path, free_port()), SLOTWIRE_DATABASE_URL=database, SLOTWIRE_REDIS_URL=redis)
    assert f"Redis at 127.0.0.1:{away}" in line
    assert "hunter2" not in line
