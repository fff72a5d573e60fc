"""Streams through our bridge: each piece leaves when it is there, and nobody who leaves early does any harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from app.core.settings import Settings
from app.faces.mcp.engine import ENGINE, Engine
from app.main import build_app
from tests.agents import ACCEPT, MODERN, REVISIONS, Agent
from tests.conformance.fixture import make_manager
from tests.conftest import AiohttpClient
from tests.support import Servers, Tenant, settings_for

Client = TestClient[web.Request, web.Application]
PAGE = "https://agents.example"


@pytest.fixture
async def fixture(aiohttp_client: AiohttpClient, migrated: Servers) -> Client:
    """Our door, bridge and engine, and the fixture's tools behind them."""
    app = build_app(settings_for(migrated, cors_origins=(PAGE,), limit_key="100000/m"))
    app[ENGINE] = Engine(make_manager)
    return await aiohttp_client(app)


@pytest.fixture(params=REVISIONS)
def agent(fixture: Client, tenant: Tenant, request: pytest.FixtureRequest) -> Agent:
    return Agent(fixture, tenant.api_key, request.param)


@asynccontextmanager
async def streaming(agent: Agent, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer to a call that tells of its progress three times."""
    params = agent.params({"name": "test_tool_with_progress", "arguments": {}})
    params["_meta"] = {**params.get("_meta", {}), "progressToken": "p"}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    sent = {
        **agent.routing("tools/call", params),
        "Authorization": f"Bearer {agent.key}",
        "Content-Type": "application/json",
        "Accept": ACCEPT,
        **headers,
    }
    async with agent.client.post("/mcp", data=orjson.dumps(message), headers=sent) as response:
        yield response


def messages(raw: bytes) -> list[Any]:
    return [orjson.loads(line[5:]) for line in raw.splitlines() if line.startswith(b"data:") and line[5:].strip()]


async def test_each_piece_leaves_when_it_is_there(agent: Agent) -> None:
    async with streaming(agent) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        first = b""
        while not messages(first):
            first += await asyncio.wait_for(response.content.readany(), timeout=5)
        assert not any("result" in each for each in messages(first)), "all of it came at once"
        said = messages(first + await response.read())
    assert [each["params"]["progress"] for each in said[:-1]] == [0, 50, 100]
    assert said[-1]["id"] == 7
    assert said[-1]["result"]["content"] == [{"type": "text", "text": "done"}]


async def test_a_stream_has_the_headers_of_every_answer(agent: Agent) -> None:
    async with streaming(agent, **{"Origin": PAGE, "X-Request-Id": "mine-1"}) as response:
        await response.read()
    assert response.headers["X-Request-Id"] == "mine-1"
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert "RateLimit" in response.headers
    for name in ("Content-Type", "X-Request-Id", "Access-Control-Allow-Origin"):
        assert len(response.headers.getall(name)) == 1, name


async def test_whoever_leaves_early_does_no_harm(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        async with streaming(agent) as response:
            await response.content.readany()
            response.close()
    async with asyncio.timeout(10), streaming(agent) as response:
        assert "result" in messages(await response.read())[-1]
    said = capsys.readouterr().out
    assert '"unexpected"' not in said
    assert "Unhandled" not in said


async def test_streams_do_not_wait_for_each_other(agent: Agent) -> None:
    async def whole() -> Any:
        async with streaming(agent) as response:
            return messages(await response.read())[-1]["result"]["content"][0]["text"]

    began = asyncio.get_running_loop().time()
    assert await asyncio.gather(*(whole() for _ in range(40))) == ["done"] * 40
    one = 0.06
    assert asyncio.get_running_loop().time() - began < 40 * one


async def test_the_server_ends_while_somebody_listens(aiohttp_client: AiohttpClient, settings: Settings) -> None:
    """An engine that nobody used, and one that is used, both end at once."""
    for used in (False, True):
        app = build_app(settings)
        app[ENGINE] = Engine(make_manager)
        client = await aiohttp_client(app)
        if used:
            assert (await Agent(client, "slw_live_wrong").send("tools/list")).status == 401
        async with asyncio.timeout(10):
            await client.close()


@pytest.mark.parametrize("accept", ["application/json", "text/html", "text/event-stream"])
async def test_a_refusal_says_what_to_send(fixture: Client, tenant: Tenant, accept: str) -> None:
    """Streams may be the answer here, so both kinds have to be welcome."""
    told = await Agent(fixture, tenant.api_key, MODERN).send("tools/list", headers={"Accept": accept})
    assert (told.status, told.error["code"]) == (406, -32600)
    assert told.error["message"] == "Send 'Accept: application/json, text/event-stream': the answer is one of both."
