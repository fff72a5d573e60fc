"""A server between a client and another one, which does something of its own at the right moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

_HOP = frozenset({"host", "connection", "content-length", "transfer-encoding", "content-encoding", "keep-alive"})


@dataclass(frozen=True)
class Said:
    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Between:
    """before: what happens, once for each, before a request of this method is handed on. lost: methods whose answers do
    not come back, once for each. answers: by method and path, instead of the other server's."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.before: list[tuple[str, Callable[[], object]]] = []
        self.lost: list[str] = []
        self.answers: dict[tuple[str, str], Said] = {}
        self.calls: list[tuple[str, str]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=50_000_000)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._session = aiohttp.ClientSession()

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        assert self._session is not None
        self.calls.append((request.method, request.path))
        for each in self.before:
            if each[0] == request.method:
                self.before.remove(each)
                each[1]()
                break
        said = self.answers.get((request.method, request.path))
        if said is None:
            answer = await self._handed_on(self._session, request)
        else:
            answer = web.Response(status=said.status, text=said.text, headers=said.headers)
        if request.method in self.lost:
            self.lost.remove(request.method)
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def _handed_on(self, session: aiohttp.ClientSession, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with session.request(
            request.method, self._target + request.raw_path, data=await request.read(), headers=headers
        ) as response:
            kept = {name: value for name, value in response.headers.items() if name.lower() not in _HOP}
            return web.Response(body=await response.read(), status=response.status, headers=kept)
