"""The MCP library beside the web application: brought in by the first agent that comes, and ended with the process.

The one rule: who has no agents does not pay for them. The library and what it stands on are twenty megabytes and a
third of a second, so it is imported by the first message, in a thread, while other requests are answered.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from app.faces.mcp import bridge
from app.faces.mcp.calling import Agent

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

_SERVER = "app.faces.mcp.server"
# JSON-RPC 2.0, section 5.1
_INVALID_REQUEST = -32600
_WHAT_TO_SEND = {
    400: "Send the message with 'Content-Type: application/json'.",
    406: "Send 'Accept: application/json, text/event-stream': the answer is one of both.",
}


class Engine:
    """make: makes the library's manager of one server; without it, that of our tools."""

    def __init__(self, make: "Callable[[], StreamableHTTPSessionManager] | None" = None) -> None:
        self._make = make
        self._manager: StreamableHTTPSessionManager | None = None
        self._starting = asyncio.Lock()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def answer(self, request: web.Request, raw: bytes, agent: Agent) -> web.StreamResponse:
        manager = self._manager or await self._start()
        return _in_words(await bridge.serve(manager.handle_request, request, raw, agent))

    async def close(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _start(self) -> "StreamableHTTPSessionManager":
        async with self._starting:
            if self._manager is None:
                make = self._make or (await asyncio.to_thread(importlib.import_module, _SERVER)).make_manager
                manager: StreamableHTTPSessionManager = make()
                ready = asyncio.Event()
                self._task = asyncio.create_task(self._run(manager, ready))
                await ready.wait()
                self._manager = manager
            return self._manager

    async def _run(self, manager: "StreamableHTTPSessionManager", ready: asyncio.Event) -> None:
        """Entered and left by one task, as the library's task group wants it."""
        async with manager.run():
            ready.set()
            await self._stop.wait()


def _in_words(response: web.StreamResponse) -> web.StreamResponse:
    """A refusal that the library leaves empty, or writes as plain text, as a message that a client can show."""
    if response.status < 400 or response.content_type == "application/json":
        return response
    said = _WHAT_TO_SEND.get(response.status, "This is no message that /mcp takes; docs/agents.md shows one.")
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": _INVALID_REQUEST, "message": said}}
    return web.Response(body=orjson.dumps(error), status=response.status, content_type="application/json")


ENGINE = web.AppKey("mcp", Engine)


async def run(app: web.Application) -> AsyncIterator[None]:
    """For `cleanup_ctx`. Ended before the database is."""
    yield
    await app[ENGINE].close()
