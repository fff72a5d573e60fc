"""The web server's processes: one per core over one port.

The one rule: the master owns the sockets, so that a child that dies loses no connection but its own; each child
has a listening socket to itself (SO_REUSEPORT), which the kernel fills evenly, and keeps it over a restart.

`python -m app.serve --fd N` is a child: it is told its socket, and reads its settings from the environment.
"""

import argparse
import asyncio
import contextlib
import errno
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator

import uvloop
from aiohttp import web

from app.core.settings import ConfigurationError, Settings, load_settings
from app.supervise import EXIT_CONFIGURATION, Child, Signals, Supervisor

BACKLOG = 1024
# What a child needs beyond its requests' time to close its pool before it is killed.
CLOSING_SECONDS = 5.0


def run_web(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Raises ConfigurationError with one line when the port cannot be had, and, with one process, for whatever
    else keeps the application from starting.
    """
    processes = settings.processes or _cores()
    sockets = open_sockets(settings.host, settings.port, processes)
    try:
        port = sockets[0].getsockname()[1]
        if settings.port == 0:
            print(f"slotwire: listening on {settings.host}:{port}", file=sys.stderr, flush=True)
        if processes == 1:
            _run(settings.model_copy(update={"port": port}), sockets[0])
            return 0
        return _run_children(settings, port, sockets)
    finally:
        for opened in sockets:
            opened.close()


def _cores() -> int:
    """The cores that we may use, which in a container are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_sockets(host: str, port: int, count: int) -> list[socket.socket]:
    """Bind `count` sockets to one port (0: a free one). They do not listen yet: their servers do that when ready.

    Raises ConfigurationError when the port is taken: SO_REUSEPORT alone would quietly share it with another
    Slotwire of the same user, so a socket without it asks first.
    """
    family, address = _resolve(host, port)
    opened: list[socket.socket] = []
    try:
        if port:
            _bind(family, address, shared=False).close()
        for _ in range(count):
            opened.append(_bind(family, address, shared=count > 1))
            address = opened[0].getsockname()
    except OSError as error:
        for one in opened:
            one.close()
        raise ConfigurationError(_why_not(host, port, error)) from None
    return opened


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(f"SLOTWIRE_HOST: {host!r} is no address to listen on: {error.strerror}") from None
    # A name with both kinds of addresses, such as localhost, is served on the one that every client tries.
    family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    return family, (str(address[0]), port)


def _bind(family: socket.AddressFamily, address: tuple[str, int], *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of an earlier run that linger in TIME_WAIT do not count as "in use".
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def _why_not(host: str, port: int, error: OSError) -> str:
    reasons = {
        errno.EADDRINUSE: "is in use by another program",
        errno.EACCES: "needs rights that this user does not have (ports below 1024)",
        errno.EADDRNOTAVAIL: "is not an address of this machine",
    }
    return f"{host}:{port} {reasons.get(error.errno or 0, f'cannot be listened on: {error.strerror}')}"


def _run_children(settings: Settings, port: int, sockets: list[socket.socket]) -> int:
    """Start the first child alone: a wrong configuration is then told once and not once per core."""
    with _metrics_directory() as metrics:
        supervisor = Supervisor(report=_report, on_exit=_forget_metrics(metrics))
        environment = {
            **os.environ,
            "SLOTWIRE_ENV": settings.env,
            "SLOTWIRE_HOST": settings.host,
            "SLOTWIRE_PORT": str(port),
            "PROMETHEUS_MULTIPROC_DIR": metrics,
        }
        waiting = list(enumerate(sockets, start=1))
        code = None
        with Signals(hurry=supervisor.kill) as signals:
            try:
                while not signals.requests and code is None:
                    if waiting and (not supervisor.children or _listens(sockets[0])):
                        spawned = waiting if supervisor.children else waiting[:1]
                        for number, own in spawned:
                            _spawn(supervisor, number, own, environment)
                        waiting = waiting[len(spawned) :]
                    signals.wait(0.02 if waiting else supervisor.next_check_seconds())
                    code = supervisor.check()
            finally:
                # Ours would keep the port open, and callers waiting, while the children finish.
                for opened in sockets:
                    opened.close()
                supervisor.stop(settings.drain_seconds + CLOSING_SECONDS)
        return code or 0


def _spawn(supervisor: Supervisor, number: int, own: socket.socket, environment: dict[str, str]) -> Child:
    argv = [sys.executable, "-P", "-m", "app.serve", "--fd", str(own.fileno())]
    return supervisor.spawn(f"web {number}", argv, environment, pass_fds=(own.fileno(),))


def _listens(bound: socket.socket) -> bool:
    """Whether the child that shares this socket has got as far as serving."""
    return bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def _report(line: str) -> None:
    # A terminal that is gone is no reason to stop serving.
    with contextlib.suppress(OSError):
        print(f"slotwire: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _metrics_directory() -> Iterator[str]:
    """Where the processes put their counters for whichever of them answers /metrics."""
    if given := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        yield given
        return
    directory = tempfile.mkdtemp(prefix="slotwire-metrics-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _forget_metrics(directory: str) -> Callable[[int], None]:
    def forget(pid: int) -> None:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 -- reads the variable at import

        mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]

    return forget


def _run(settings: Settings, bound: socket.socket) -> None:
    uvloop.run(_serve(settings, bound))


def make_runner(settings: Settings) -> web.AppRunner:
    """The application as each process serves it."""
    from app.main import build_app  # noqa: PLC0415 -- the master needs none of it

    return web.AppRunner(
        build_app(settings),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=settings.drain_seconds,
        # packed bodies are refused; unpacking one that is broken would log an error and end the connection
        auto_decompress=False,
    )


async def _serve(settings: Settings, bound: socket.socket) -> None:
    """Serve on the socket until SIGTERM or SIGINT, then let the requests that are being answered finish."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_leave, stop)
    runner = make_runner(settings)
    # what exists by now stays for good: without it the collector walks all of it again and again
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 50)
    try:
        await runner.setup()
        await web.SockSite(runner, bound, backlog=BACKLOG).start()
        await stop.wait()
    finally:
        await runner.cleanup()


def _stop_or_leave(stop: asyncio.Event) -> None:
    """The first signal asks, the second one does not."""
    if stop.is_set():
        os._exit(130)
    stop.set()


def main() -> int:
    """One child of `run_web`."""
    parser = argparse.ArgumentParser(prog="python -m app.serve")
    parser.add_argument("--fd", type=int, required=True, help="the bound socket to serve on")
    arguments = parser.parse_args()
    try:
        with socket.socket(fileno=arguments.fd) as bound:
            _run(load_settings(), bound)
    except ConfigurationError as error:
        print(f"slotwire: {error}", file=sys.stderr, flush=True)
        return EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main())
