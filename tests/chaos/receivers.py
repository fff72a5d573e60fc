"""The receivers: some well, some ill for a while, some for good, each a server of its own in this process.

The one rule: whatever a receiver does to the sender, it first verifies what came and writes it down.
"""

import asyncio
import hashlib
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from app.core.times import parse_instant
from tests.chaos.books import LIBRARIES, Receipt, Verifier
from tests.processes import free_port

# A receiver that hangs lets go of its own accord some time after the sender did.
_LONGEST_HANG_SECONDS = 20.0
_THOROUGH_SECONDS = 0.15

Mood = Callable[[web.Request], Awaitable[web.Response]]


async def well(_request: web.Request) -> web.Response:
    return web.Response()


async def failing(_request: web.Request) -> web.Response:
    return web.Response(status=500, text="the disk is full")


async def hanging(request: web.Request) -> web.Response:
    """Takes everything and never answers; when the sender hangs up there is nobody to answer."""
    for _ in range(int(_LONGEST_HANG_SECONDS / 0.1)):
        if _hung_up(request):
            break
        await asyncio.sleep(0.1)
    return web.Response(status=503)


async def resetting(request: web.Request) -> web.Response:
    """The connection ends by a RST in the place of an answer."""
    if request.transport is not None:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=503)


async def gone(_request: web.Request) -> web.Response:
    return web.Response(status=410)


def redirecting(url: str) -> Mood:
    async def redirect(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": url})

    return redirect


def looking_up(is_committed: Callable[[str], Awaitable[bool]], early: list[str]) -> Mood:
    """Asks the database for the event before it answers, and takes its time, so that whoever is killed has something
    under way. early: the ids that were not there."""

    async def look(request: web.Request) -> web.Response:
        event_id = request.headers["X-Event-Id"]
        if not await is_committed(event_id):
            early.append(event_id)
        await asyncio.sleep(_THOROUGH_SECONDS)
        return web.Response()

    return look


def _hung_up(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


@dataclass
class Receiver:
    """One endpoint. host: the name under which it is subscribed. lives: whether it has to have everything in the end.
    left: whether it says that it is gone. in_order: whether each booking's events have to come in their order.

    signed, unsigned: what each library took and refused. faults: what no receiver should see. elsewhere: calls of its
    other path. replayed_at: when it was asked to be sent again what it had missed, in unix seconds.
    """

    name: str
    mood: Mood
    host: str = "127.0.0.1"
    lives: bool = True
    left: bool = False
    in_order: bool = True
    port: int = field(default_factory=free_port)
    webhook_id: str = ""
    verifier: Verifier | None = None
    receipts: list[Receipt] = field(default_factory=list)
    signed: Counter[str] = field(default_factory=Counter)
    unsigned: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    elsewhere: int = 0
    replayed_at: float = float("inf")
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook"

    @property
    def other_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/elsewhere"

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/hook", self._take), web.route("*", "/{elsewhere:.*}", self._stray)])
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def subscribed(self, webhook_id: str, secret: str) -> None:
        self.webhook_id, self.verifier = webhook_id, Verifier(secret)

    async def _take(self, request: web.Request) -> web.Response:
        at = time.time()
        body = await request.read()
        self._verify(body, request.headers)
        response = await self.mood(request)
        self.receipts.append(
            Receipt(
                event_id=request.headers["X-Event-Id"],
                delivery_id=request.headers["X-Delivery-Id"],
                digest=hashlib.sha256(body).digest(),
                happened_at=parse_instant(orjson.loads(body)["timestamp"]).timestamp(),
                at=at,
                accepted=200 <= response.status < 300,
            )
        )
        return response

    async def _stray(self, _request: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    def _verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        event_id = headers.get("X-Event-Id", "")
        if self.verifier is None:
            self.faults.append(f"{event_id} came before the subscription")
            return
        refusing = self.verifier.refusing(body, headers)
        self.signed.update(name for name in LIBRARIES if name not in refusing)
        self.unsigned.update(refusing)
        self.faults += [f"{event_id} is not signed, says {name}" for name in refusing]
        if headers.get("webhook-id") != event_id or f'"id":"{event_id}"' not in body[:80].decode():
            self.faults.append(f"{event_id} is {headers.get('webhook-id')} to webhook-id and {body[:60]!r} in its body")

    def arrived_after(self, moment: float) -> float | None:
        """When the first event arrived of those that happened after a moment, as far as that is known by now."""
        found = None
        for each in reversed(self.receipts):
            if each.at < moment:
                break
            if each.accepted and each.happened_at > moment:
                found = each.at
        return found
