"""The load client: HTTP/1.1 over keep-alive connections, written by hand on asyncio's protocols.

The one rule: it costs next to nothing, because it shares the machine with what it measures, and the same client asks
ours and the references, so that whatever it does cost is in both. Loads are bounded in time and in number.
"""

import asyncio
import re
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

HOST = "127.0.0.1"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", flags=re.IGNORECASE)
_END = b"\r\n\r\n"
_PATIENCE_SECONDS = 10.0


class BenchError(Exception):
    """Something failed to run; its text is the line that the caller reads."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`at`: when its last byte had arrived, in seconds of the monotonic clock, which all processes share."""

    status: int
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What a load came to. latencies: seconds, sorted; client_cpu: seconds that the client itself computed."""

    seconds: float
    latencies: Sequence[float]
    client_cpu: float

    @property
    def count(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.count / self.seconds

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies) * 1000


def request(method: str, path: str, *, key: str = "", body: bytes | None = None) -> bytes:
    """The bytes of a request. key: an API key to send along; body: JSON."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (body or b"")


class Connection(asyncio.Protocol):
    """One keep-alive connection: one request at a time, each answered with a Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._head = b""
        self._status = 0
        self._chunks: list[bytes] = []
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(BenchError(f"the connection ended before the answer: {exc}"))

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._chunks.append(data)
            self._missing -= len(data)
        else:
            data = self._head + data
            end = data.find(_END)
            if end < 0:
                self._head = data
                return
            self._head = b""
            self._status = int(data[9:12])
            length = _LENGTH.search(data, 0, end + 2)
            self._chunks = [data[end + 4 :]]
            self._missing = (int(length[1]) if length else 0) - len(self._chunks[0])
        if not self._missing and self._waiting is not None:
            body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            self._waiting.set_result(Answer(self._status, body, time.monotonic()))

    def ask(self, wanted: bytes) -> asyncio.Future[Answer]:
        """Send a request; the future is its answer."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(wanted)
        return self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def connect(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection


async def ask(port: int, wanted: bytes, *, expect: int = 200, patience: float = _PATIENCE_SECONDS) -> bytes:
    """One request over a connection of its own; the body of its answer. Raises BenchError for another status."""
    connection = await connect(port)
    try:
        return _expected(await asyncio.wait_for(connection.ask(wanted), patience), expect)
    finally:
        connection.close()


def _expected(answer: Answer, status: int) -> bytes:
    if answer.status != status:
        raise BenchError(f"expected {status}, got {answer.status}: {answer.body[:500].decode(errors='replace')}")
    return answer.body


async def load(
    port: int, requests: Iterator[bytes], *, expect: int, connections: int, seconds: float, most: int = 100_000
) -> Figures:
    """A closed loop: every connection asks again as soon as it is answered, until the time or the number is over."""
    opened = [await connect(port) for _ in range(connections)]
    latencies: list[float] = []
    used, began = _cpu(), time.monotonic()
    deadline = began + seconds

    async def repeat(connection: Connection) -> None:
        now = time.monotonic()
        while now < deadline and len(latencies) < most:
            answer = await connection.ask(next(requests))
            if answer.status != expect:
                _expected(answer, expect)
            latencies.append(answer.at - now)
            now = answer.at

    try:
        async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
            await asyncio.gather(*(repeat(connection) for connection in opened))
    except TimeoutError:
        raise BenchError(f"no answer for {_PATIENCE_SECONDS:.0f} s") from None
    finally:
        for connection in opened:
            connection.close()
    return Figures(time.monotonic() - began, sorted(latencies), _cpu() - used)


async def paced(port: int, requests: Sequence[bytes], *, expect: int, rate: float, connections: int) -> list[Answer]:
    """An open loop: `rate` requests a second, each at its time, whether or not the ones before are answered."""
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    opened = [await connect(port) for _ in range(connections)]
    for connection in opened:
        idle.put_nowait(connection)
    began = time.monotonic()

    async def one(number: int) -> Answer:
        await asyncio.sleep(began + number / rate - time.monotonic())
        connection = await idle.get()
        answer = await connection.ask(requests[number])
        idle.put_nowait(connection)
        _expected(answer, expect)
        return answer

    try:
        async with asyncio.timeout(len(requests) / rate + _PATIENCE_SECONDS):
            return await asyncio.gather(*(one(number) for number in range(len(requests))))
    except TimeoutError:
        raise BenchError(f"no answer for {_PATIENCE_SECONDS:.0f} s") from None
    finally:
        for connection in opened:
            connection.close()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
