"""A webhook receiver as a process: takes what is posted, notes when it had arrived, and tells when asked.

The one rule: it does as little as a receiver can, so that what is measured at it is the sender.

`POST /hook` receives, `POST /hang` gets no answer until a reset. `GET /state` tells how many and when the first and the
last came, `GET /received` when each booking's event came, `POST /reset` forgets. Instants are seconds of the monotonic
clock, which all processes share.
"""

import argparse
import asyncio
import time

import orjson
import uvloop
from aiohttp import web

from bench.client import HOST


class Receiver:
    """What has arrived since the last reset: (instant, body)."""

    def __init__(self) -> None:
        self._received: list[tuple[float, bytes]] = []
        self._let_go = asyncio.Event()

    async def hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        self._received.append((time.monotonic(), body))
        return web.Response()

    async def hang(self, request: web.Request) -> web.Response:
        await request.read()
        await self._let_go.wait()
        return web.Response(status=503)

    async def state(self, _request: web.Request) -> web.Response:
        first, last = (self._received[0][0], self._received[-1][0]) if self._received else (0.0, 0.0)
        return web.Response(body=orjson.dumps({"count": len(self._received), "first": first, "last": last}))

    async def received(self, _request: web.Request) -> web.Response:
        pairs = [(orjson.loads(body)["data"]["booking"]["id"], at) for at, body in self._received]
        return web.Response(body=orjson.dumps(pairs))

    async def reset(self, _request: web.Request) -> web.Response:
        self._received.clear()
        self._let_go.set()
        self._let_go = asyncio.Event()
        return web.Response()


def routes(receiver: Receiver) -> list[web.RouteDef]:
    return [
        web.post("/hook", receiver.hook),
        web.post("/hang", receiver.hang),
        web.get("/state", receiver.state),
        web.get("/received", receiver.received),
        web.post("/reset", receiver.reset),
    ]


async def serve(app: web.Application, port: int) -> None:
    """Serve as `app.serve` does, until somebody ends the process."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, backlog=1024).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.receiver")
    parser.add_argument("--port", type=int, required=True)
    app = web.Application()
    app.add_routes(routes(Receiver()))
    uvloop.run(serve(app, parser.parse_args().port))


if __name__ == "__main__":
    main()
