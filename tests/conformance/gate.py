"""A proxy before one server or several: it has the key, for the suite has no way to send one, and it gives each request
to the next server, as a balancer that knows nothing of sessions does."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import hdrs, web
from aiohttp.test_utils import TestServer

# of one connection, and not of the message; and what the gate has itself
_OWN = {"connection", "keep-alive", "transfer-encoding", "content-length", "authorization"}


@asynccontextmanager
async def gate(key: str, *targets: str) -> AsyncIterator[str]:
    """targets: addresses of `/mcp`. The gate's own, at which everything but the credential passes as it is."""
    turns = itertools.cycle(targets)
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OWN]
            sent = [*headers, (hdrs.AUTHORIZATION, f"Bearer {key}")]
            body = await request.read()
            async with session.request(request.method, next(turns), headers=sent, data=body or None) as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OWN]
                response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response

        app = web.Application()
        app.router.add_route("*", "/mcp", forward)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        try:
            yield str(server.make_url("/mcp"))
        finally:
            await server.close()
