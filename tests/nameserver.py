"""A name server that is real: it answers A and AAAA over UDP from a table that a test changes as it goes.

The one rule: what is not in the table does not exist (NXDOMAIN).
"""

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

A, AAAA = 1, 28
SERVFAIL, NXDOMAIN = 2, 3
_CLASS_IN = 1
# a response (QR) to a query that wanted recursion (RD), which there is (RA); authoritative (AA)
_FLAGS = 0x8580
# the name of the question, which stands right behind the twelve bytes of the header
_SAME_NAME = b"\xc0\x0c"


@dataclass
class _Entry:
    """rounds: the addresses of the first question, of the second, …; the last ones stay. code: an error instead."""

    rounds: Sequence[Sequence[str]] = ((),)
    ttl: int = 0
    delay_seconds: float = 0.0
    code: int = 0
    silent: bool = False
    asked: dict[int, int] = field(default_factory=dict)

    def addresses(self, kind: int) -> list[bytes]:
        """A and AAAA are asked for side by side, and each has its own rounds."""
        number = self.asked.get(kind, 0)
        self.asked[kind] = number + 1
        found = map(ipaddress.ip_address, self.rounds[min(number, len(self.rounds) - 1)])
        return [each.packed for each in found if each.version == (4 if kind == A else 6)]


class Nameserver(asyncio.DatagramProtocol):
    """`address` is what SLOTWIRE_WEBHOOK_NAMESERVERS takes. `questions` are all that came, in order."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, int]] = []
        self._table: dict[str, _Entry] = {}
        self._transport: asyncio.DatagramTransport
        self._lost = asyncio.Event()

    def answer(self, name: str, *addresses: str, ttl: int = 0, delay_seconds: float = 0.0) -> None:
        """From now on; without addresses, the name exists and has none."""
        self._table[name] = _Entry((addresses,), ttl, delay_seconds)

    def answer_in_turn(self, name: str, *rounds: Sequence[str]) -> None:
        """Each question another answer; the last one stays."""
        self._table[name] = _Entry(rounds)

    def fail(self, name: str, code: int = SERVFAIL) -> None:
        self._table[name] = _Entry(code=code)

    def be_silent(self, name: str) -> None:
        """Never answer."""
        self._table[name] = _Entry(silent=True)

    def asked(self, name: str) -> int:
        """How often for its IPv4 addresses."""
        return self.questions.count((name, A))

    @property
    def address(self) -> str:
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def close(self) -> None:
        self._transport.close()
        await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._lost.set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, kind, end = _question(data)
        self.questions.append((name, kind))
        entry = self._table.get(name, _Entry(code=NXDOMAIN))
        if entry.silent:
            return
        found = entry.addresses(kind) if kind in {A, AAAA} and not entry.code else []
        records = b"".join(
            _SAME_NAME + struct.pack("!HHIH", kind, _CLASS_IN, entry.ttl, len(each)) + each for each in found
        )
        header = data[:2] + struct.pack("!HHHHH", _FLAGS | entry.code, 1, len(found), 0, 0)
        asyncio.get_running_loop().call_later(entry.delay_seconds, self._send, header + data[12:end] + records, addr)

    def _send(self, message: bytes, addr: tuple[str, int]) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(message, addr)


def _question(data: bytes) -> tuple[str, int, int]:
    """The name in small letters, the type, and where the question ends (RFC 1035, section 4.1.2)."""
    labels, place = [], 12
    while length := data[place]:
        labels.append(data[place + 1 : place + 1 + length].decode().lower())
        place += 1 + length
    (kind,) = struct.unpack("!H", data[place + 1 : place + 3])
    return ".".join(labels), kind, place + 5


@asynccontextmanager
async def answering(host: str = "127.0.0.1") -> AsyncIterator[Nameserver]:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(Nameserver, local_addr=(host, 0))
    try:
        yield server
    finally:
        await server.close()
