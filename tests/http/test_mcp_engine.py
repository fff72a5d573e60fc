"""The MCP library beside the application: what keeps it from running is told, and tried again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from app.faces.mcp.calling import Agent as Caller
from app.faces.mcp.engine import ENGINE, Engine
from app.faces.mcp.server import make_manager
from app.main import build_app
from tests.agents import Agent
from tests.conftest import AiohttpClient
from tests.support import Servers, Tenant, settings_for


class Moody(StreamableHTTPSessionManager):
    """before: what happens before it runs."""

    before: Callable[[], Any]

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        await self.before()
        async with super().run():
            yield


@pytest.fixture
def made() -> list[StreamableHTTPSessionManager]:
    return []


class Counting(Engine):
    """Knows how many messages have come."""

    def __init__(self, make: Callable[[], StreamableHTTPSessionManager]) -> None:
        super().__init__(make)
        self._count = 0
        self._another = asyncio.Condition()

    async def answer(self, request: web.Request, raw: bytes, agent: Caller) -> web.StreamResponse:
        async with self._another:
            self._count += 1
            self._another.notify_all()
        return await super().answer(request, raw, agent)

    async def came(self, count: int) -> None:
        async with self._another:
            await asyncio.wait_for(self._another.wait_for(lambda: self._count >= count), 10)


def engine_of(made: list[StreamableHTTPSessionManager], before: Callable[[int], Any]) -> Counting:
    """Each of its managers waits for what `before` gives for its number."""

    def make() -> StreamableHTTPSessionManager:
        like, number = make_manager(), len(made)
        manager = Moody(like.app, json_response=True, stateless=True, security_settings=like.security_settings)
        manager.before = lambda: before(number)
        made.append(manager)
        return manager

    return Counting(make)


async def test_a_library_that_cannot_start_is_told_and_tried_again(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, made: list[StreamableHTTPSessionManager]
) -> None:
    async def before(number: int) -> None:
        if number == 0:
            await engine.came(5)
            raise RuntimeError("not today")

    engine = engine_of(made, before)
    app = build_app(settings_for(migrated))
    app[ENGINE] = engine
    client = await aiohttp_client(app)
    agents = [Agent(client, tenant.api_key) for _ in range(5)]
    told = await asyncio.wait_for(asyncio.gather(*(agent.send("tools/list") for agent in agents)), 5)
    assert {each.status for each in told} == {500}
    assert {each.body["code"] for each in told} == {"internal_error"}
    assert (await agents[0].send("tools/list")).status == 200
    assert len(made) == 2


async def test_whoever_leaves_first_takes_nobody_along(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, made: list[StreamableHTTPSessionManager]
) -> None:
    goes_on = asyncio.Event()

    async def before(_number: int) -> None:
        await goes_on.wait()

    engine = engine_of(made, before)
    app = build_app(settings_for(migrated))
    app[ENGINE] = engine
    client = await aiohttp_client(app)
    first = asyncio.create_task(Agent(client, tenant.api_key).send("tools/list"))
    await engine.came(1)
    others = [asyncio.create_task(Agent(client, tenant.api_key).send("tools/list")) for _ in range(3)]
    await engine.came(4)
    first.cancel()
    goes_on.set()
    assert {each.status for each in await asyncio.wait_for(asyncio.gather(*others), 5)} == {200}
    assert len(made) == 1


async def test_closing_waits_for_nobody_who_never_came(made: list[StreamableHTTPSessionManager]) -> None:
    async def before(_number: int) -> None: ...

    engine = engine_of(made, before)
    await asyncio.wait_for(engine.close(), 1)
    assert not made
