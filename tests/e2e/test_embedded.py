"""The embedded servers as real processes: they start from nothing, belong to one owner, and die with it."""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app import embedded, launch
from app.core.settings import ConfigurationError
from app.embedded import Postgres, Redis
from app.embedded_server import SOCKET_PATH_BYTES

SMALL: dict[str, str | int] = {"shared_buffers": "16MB", "max_connections": 20}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")

OWNER = """
import sys, time
from pathlib import Path
from app.embedded import Postgres, Redis
servers = [kind(Path(sys.argv[1]), durable=False) for kind in (Postgres, Redis)]
print(*[server.start() for server in servers], *[server.pid for server in servers], flush=True)
time.sleep(60)
"""


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "data", durable=False, settings=SMALL)
    yield server
    server.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "data")
    yield server
    server.stop()


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether the process ends in time; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def fetchval(dsn: str, query: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_postgres_starts_from_nothing_and_keeps_its_rows(postgres: Postgres) -> None:
    dsn = postgres.start()
    assert fetchval(dsn, "SELECT current_database()") == "slotwire"
    assert fetchval(dsn, "SHOW listen_addresses") == ""
    assert (postgres.data_dir.stat().st_mode & 0o777, postgres.directory.stat().st_mode & 0o777) == (0o700, 0o700)
    fetchval(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert postgres.start() == dsn, "a server that runs is left alone"
    postgres.stop()
    postgres.stop()
    assert not postgres.alive
    assert fetchval(postgres.start(), "SELECT answer FROM kept") == 42


def test_redis_keeps_its_keys_without_a_tcp_port(redis: Redis) -> None:
    from redis import Redis as Client

    with Client.from_url(redis.start()) as client:
        client.set("kept", "yes")
        assert client.config_get("port") == {"port": "0"}
    redis.stop()
    with Client.from_url(redis.start()) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_second_owner_is_told_who_has_it(kind: type[Postgres | Redis], tmp_path: Path) -> None:
    first, second = kind(tmp_path, durable=False), kind(tmp_path, durable=False)
    first.start()
    try:
        with pytest.raises(ConfigurationError, match=rf"in use by another Slotwire \(process {os.getpid()}\)"):
            second.start()
        assert first.alive
    finally:
        first.stop()


@LINUX
def test_killing_the_owner_ends_the_servers_and_the_next_start_waits_for_that(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    with owner, owner.stdout:
        answer = owner.stdout.readline().split()
        owner.kill()
    started = [Postgres(tmp_path, durable=False), Redis(tmp_path, durable=False)]
    try:
        assert [server.start() for server in started] == answer[:2]
        assert all(gone(int(pid)) for pid in answer[2:])
    finally:
        for server in started:
            server.stop()


def test_a_pid_file_that_names_a_stranger_does_not_hinder(postgres: Postgres) -> None:
    postgres.start()
    postgres.stop()
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (postgres.directory / name).write_text(
            f"{os.getpid()}\n{postgres.directory}\n1\n5432\n{postgres.directory}\n\n"
        )
    assert fetchval(postgres.start(), "SELECT 1") == 1


def test_a_first_start_that_was_killed_halfway_is_repeated(postgres: Postgres) -> None:
    half = postgres.data_dir / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert not half.exists()


def test_files_of_another_major_version_are_refused(postgres: Postgres) -> None:
    postgres.directory.mkdir(parents=True)
    (postgres.directory / "PG_VERSION").write_text("16\n")
    with pytest.raises(
        ConfigurationError, match=r"was made by PostgreSQL 16 and this is PostgreSQL \d+: choose"
    ) as told:
        postgres.start()
    assert "\n" not in str(told.value)


def test_somebody_elses_directory_is_left_alone(postgres: Postgres) -> None:
    postgres.directory.mkdir(parents=True)
    (postgres.directory / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="is not a PostgreSQL directory"):
        postgres.start()
    assert (postgres.directory / "thesis.txt").read_text() == "years of work"


def test_a_server_that_dies_at_its_start_says_why_in_one_line(tmp_path: Path) -> None:
    server = Postgres(tmp_path, durable=False, settings={"shared_buffers": "plenty"})
    with pytest.raises(ConfigurationError, match=r'did not start: .*FATAL.*"plenty"') as told:
        server.start()
    assert "\n" not in str(told.value)
    assert not server.alive


def test_a_path_too_long_or_odd_for_a_socket_puts_it_elsewhere(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "a, b" / ("deep" * 30), durable=False, settings=SMALL)
    dsn = server.start()
    elsewhere = server.socket_dir
    try:
        assert len(os.fsencode(elsewhere / server.socket_name)) <= SOCKET_PATH_BYTES
        assert elsewhere.stat().st_mode & 0o777 == 0o700
        assert fetchval(dsn, "SELECT 1") == 1
        server.kill()
        deadline = time.monotonic() + 10
        while server.alive:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert server.start() == dsn, "clients of a server that is started again know its old address"
    finally:
        server.stop()
    assert not elsewhere.exists()


@pytest.fixture
def no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the system look like one that refuses unshare, as containers do."""
    real = embedded._obstacle  # noqa: SLF001

    def refuse(identity: str, *paths: Path) -> str | None:
        return "a change of user" if identity.startswith("namespace") else real(identity, *paths)

    monkeypatch.setattr(embedded, "_obstacle", refuse)


@AS_ROOT
@pytest.mark.usefixtures("no_namespaces")
def test_root_without_namespaces_becomes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        server = Postgres(Path(base) / "data", durable=False, settings=SMALL)
        program = server.binaries / "postgres"
        reachable = subprocess.run(launch.probe(f"user:{nobody.pw_uid}:{nobody.pw_gid}", [str(program)]), check=False)
        if reachable.returncode != launch.GRANTED:
            with pytest.raises(ConfigurationError, match=f"nobody cannot reach {program}"):
                server.start()
            return
        try:
            assert fetchval(server.start(), "SELECT 1") == 1
            assert Path(f"/proc/{server.pid}").stat().st_uid == nobody.pw_uid
            server.stop()
            # What belongs to nobody is served by nobody also where namespaces are back.
            monkeypatch.undo()
            server.start()
            assert Path(f"/proc/{server.pid}").stat().st_uid == nobody.pw_uid
        finally:
            server.stop()


@AS_ROOT
@pytest.mark.usefixtures("no_namespaces")
def test_root_without_namespaces_below_a_private_directory_says_so(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match=r"does not run as root, and the user nobody cannot reach /") as told:
        Postgres(private / "data").start()
    assert "\n" not in str(told.value)


@LINUX
@pytest.mark.parametrize("identity", [launch.SAME_USER, pytest.param("namespace:1000", marks=AS_ROOT)])
def test_a_launched_program_dies_with_its_parent(identity: str) -> None:
    """The signal must survive the change of rights, after which the kernel forgets it."""
    parent = (
        "import subprocess, sys, time, signal; from app import launch; "
        f"argv = launch.wrap(['/bin/sleep', '60'], death_signal=signal.SIGINT, identity={identity!r}); "
        "print(subprocess.Popen(argv).pid, flush=True); time.sleep(60)"
    )
    running = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    with running, running.stdout:
        pid = int(running.stdout.readline())
        deadline = time.monotonic() + 5
        while b"sleep" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert gone(pid)
