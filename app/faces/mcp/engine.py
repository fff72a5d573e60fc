"""The MCP library beside the web application: brought in by the first agent that comes, and ended with the process.

The one rule: who has no agents does not pay for them. The library and what it stands on are twenty megabytes and a
third of a second, so it is imported by the first message, in a thread, while other requests are answered.
"""

import asyncio
import gc
import importlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from app.core.logs import logger
from app.faces.mcp import bridge
from app.faces.mcp.calling import Agent

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

_SERVER = "app.faces.mcp.server"
# JSON-RPC 2.0, section 5.1
INVALID_REQUEST = -32600
_WHAT_TO_SEND = {406: "Send 'Accept: application/json, text/event-stream': the answer is one of both."}
_log = logger("mcp")


@dataclass(frozen=True)
class _Running:
    """ready: when the manager takes messages, or why it never will."""

    manager: "StreamableHTTPSessionManager"
    task: asyncio.Task[None]
    ready: asyncio.Future[None]


class Engine:
    """make: makes the library's manager of one server; without it, that of our tools."""

    def __init__(self, make: "Callable[[], StreamableHTTPSessionManager] | None" = None) -> None:
        self._make = make
        self._running: _Running | None = None
        self._starting = asyncio.Lock()
        self._stop = asyncio.Event()

    async def answer(self, request: web.Request, raw: bytes, agent: Agent) -> web.StreamResponse:
        """Raises what keeps the library from running; the next message tries anew."""
        running = self._running
        if running is None or running.task.done():
            running = await self._start()
        # whoever waits may leave; the others wait on
        await asyncio.shield(running.ready)
        return _in_words(await bridge.serve(running.manager.handle_request, request, raw, agent))

    async def close(self) -> None:
        self._stop.set()
        if self._running is not None:
            await asyncio.wait({self._running.task})

    async def _start(self) -> _Running:
        async with self._starting:
            if self._running is None or self._running.task.done():
                make = self._make
                if make is None:
                    make = await asyncio.to_thread(_bring_in)
                manager = make()
                ready = asyncio.get_running_loop().create_future()
                self._running = _Running(manager, asyncio.create_task(self._run(manager, ready)), ready)
            return self._running

    async def _run(self, manager: "StreamableHTTPSessionManager", ready: asyncio.Future[None]) -> None:
        """Entered and left by one task, as the library's task group wants it."""
        try:
            async with manager.run():
                ready.set_result(None)
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 -- told to whoever waits, and logged for the operator
            _log.error("mcp_ended", exc_info=error)
            if not ready.done():
                ready.set_exception(error)


def _bring_in() -> "Callable[[], StreamableHTTPSessionManager]":
    is_new = _SERVER not in sys.modules
    make: Callable[[], StreamableHTTPSessionManager] = importlib.import_module(_SERVER).make_manager
    if is_new and gc.get_freeze_count():
        # a server has put what stays for good out of the collector's sight; this stays, too
        gc.freeze()
    return make


def _in_words(response: web.StreamResponse) -> web.StreamResponse:
    """A refusal that the library leaves empty, or writes as plain text, as a message that a client can show."""
    if response.status < 400 or response.content_type == "application/json":
        return response
    said = _WHAT_TO_SEND.get(response.status, "This is no message that /mcp takes; docs/agents.md shows one.")
    return refusal(INVALID_REQUEST, said, response.status)


def refusal(code: int, message: str, status: int = 400) -> web.Response:
    """An error of JSON-RPC about a message whose id is not known."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return web.Response(body=orjson.dumps(error), status=status, content_type="application/json")


ENGINE = web.AppKey("mcp", Engine)


async def run(app: web.Application) -> AsyncIterator[None]:
    """For `cleanup_ctx`. Ended before the database is."""
    yield
    await app[ENGINE].close()
