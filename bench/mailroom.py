"""A mail server as a process: takes every mail, and tells when asked how many came, to how many people, and until when.

The one rule: it does as little as a mail server can. `GET /state` answers beside it.
"""

import argparse
import asyncio
import time
from typing import Any

import orjson
import uvloop
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope

from bench.client import HOST
from bench.receiver import serve


class Mailroom:
    """Mails, and the people that they came to; last: seconds since 1970."""

    def __init__(self) -> None:
        self._count = 0
        self._people: set[str] = set()
        self._last = 0.0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 -- the library's
        self._count += 1
        self._people.update(envelope.rcpt_tos)
        self._last = time.time()
        return "250 OK"

    async def state(self, _request: web.Request) -> web.Response:
        state = {"count": self._count, "people": len(self._people), "last": self._last}
        return web.Response(body=orjson.dumps(state))


async def _run(port: int, smtp_port: int) -> None:
    room = Mailroom()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(room, hostname="mail.bench", loop=loop), HOST, smtp_port)
    app = web.Application()
    app.router.add_get("/state", room.state)
    await serve(app, port)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mailroom")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(_run(options.port, options.smtp_port))


if __name__ == "__main__":
    main()
