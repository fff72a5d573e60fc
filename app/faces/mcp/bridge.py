"""An ASGI application behind an aiohttp handler: as much of ASGI as the MCP library needs.

The one rule: nothing spins and nothing waits for ever. The body is given once; whoever asks for more learns that the
caller is gone only after the answer is complete, so that what was begun is finished: a write that nobody waits for any
more is found again by its idempotency key.

Source: ASGI 3.0, "HTTP & WebSocket ASGI Message Format" (version 2.3).
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aiohttp import hdrs, web
from structlog.contextvars import get_contextvars

from app.web.call import HEADERS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


async def serve(application: Application, request: web.Request, raw: bytes, state: object) -> web.StreamResponse:
    """Answer with what the application sends. state: `scope["state"]["call"]`, for its handlers."""
    answer = _Answer(request)
    done = asyncio.Event()
    waiting = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await done.wait()
        return {"type": "http.disconnect"}

    try:
        await application(_scope(request, state), receive, answer.send)
    finally:
        done.set()
    return await answer.finished()


def _scope(request: web.Request, state: object) -> dict[str, Any]:
    headers = [(name.lower(), value) for name, value in request.raw_headers]
    if hdrs.ACCEPT not in request.headers:
        # who names no type takes any (RFC 9110, section 12.5.1)
        headers.append((b"accept", b"*/*"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.rel_url.raw_path.encode("ascii"),
        "query_string": request.rel_url.raw_query_string.encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
        "state": {"call": state},
    }


class _Answer:
    """A response in the making: whole where it comes whole, a stream where more follows."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._status = 500
        self._headers: list[tuple[str, str]] = []
        self._body: bytes | None = None
        self._stream: web.StreamResponse | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            # the length is counted here
            pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ()))
            self._headers = [pair for pair in pairs if pair[0].lower() not in {"content-length", "connection"}]
            return
        body = bytes(message.get("body", b""))
        if self._stream is None and not message.get("more_body", False):
            self._body = body
            return
        if self._stream is None:
            self._stream = web.StreamResponse(status=self._status, headers=self._all_headers())
            await self._stream.prepare(self._request)
        if body:
            await self._stream.write(body)

    async def finished(self) -> web.StreamResponse:
        if self._stream is not None:
            await self._stream.write_eof()
            return self._stream
        if self._body is None:
            raise RuntimeError("the application ended without an answer")
        return web.Response(body=self._body, status=self._status, headers=self._headers)

    def _all_headers(self) -> list[tuple[str, str]]:
        """A stream's headers leave before the middleware could add its own."""
        own = self._request[HEADERS] | {"X-Request-Id": get_contextvars()["request_id"]}
        return [*self._headers, *own.items()]
