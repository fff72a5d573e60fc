"""Agents that leave in the middle, and servers that do: what was begun is finished, and found again by its key.

By a server as `app.serve` makes it: aiohttp's own one for tests ends what nobody waits for any more.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.serve import BACKLOG, make_runner, open_sockets
from tests.agents import ACCEPT, REVISIONS, Agent
from tests.http.test_mcp_tools import asked
from tests.offers import offer
from tests.support import Api, Tenant, eventually


@pytest.fixture(params=REVISIONS)
def agent(api: Api, request: pytest.FixtureRequest) -> Agent:
    """By another process: any of them answers for what was begun elsewhere."""
    return Agent(api.client, api.key, request.param)


@pytest.fixture
def start() -> datetime:
    return (datetime.now(UTC) + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[web.AppRunner, int]]:
    """The server of one process, and its port."""
    (bound,) = open_sockets("127.0.0.1", 0, 1)
    runner = make_runner(settings)
    try:
        await runner.setup()
        await web.SockSite(runner, bound, backlog=BACKLOG).start()
        yield runner, bound.getsockname()[1]
    finally:
        await runner.cleanup()


def message(agent: Agent, tool: str, arguments: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    params = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": agent.params(params)}
    headers = {"Authorization": f"Bearer {agent.key}", "Content-Type": "application/json", "Accept": ACCEPT}
    return {**headers, **agent.routing("tools/call", params)}, orjson.dumps(body)


async def send(agent: Agent, port: int, tool: str, arguments: dict[str, Any]) -> asyncio.StreamWriter:
    """All of a call, to whose answer nobody listens."""
    headers, body = message(agent, tool, arguments)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)
    await writer.drain()
    return writer


@asynccontextmanager
async def in_the_way(conn: db.Connection, tenant: Tenant, event_type: Any) -> AsyncIterator[None]:
    """Nothing of the event type is booked until the block ends."""
    async with conn.transaction():
        where = (tenant.org_id, decode(Kind.EVENT_TYPE, event_type["id"]))
        await conn.execute("select from event_types where org_id = $1 and id = $2 for update", *where)
        yield


async def begun(conn: db.Connection, count: int = 1) -> None:
    """So many bookings are being made, and wait for what is in their way."""

    async def waits() -> bool:
        return bool(await conn.fetchval("select count(*) >= $1 from pg_locks where not granted", count))

    await eventually(waits)


async def kept(conn: db.Connection, tenant: Tenant) -> int:
    count: int = await conn.fetchval("select count(*) from bookings where org_id = $1", tenant.org_id)
    return count


@pytest.mark.parametrize("rudely", [False, True])
async def test_what_was_begun_is_finished_though_nobody_waits(
    agent: Agent,
    api: Api,
    conn: db.Connection,
    tenant: Tenant,
    settings: Settings,
    start: datetime,
    *,
    rudely: bool,
) -> None:
    event_type = await offer(api, seats=9)
    wanted = asked(event_type, start, idempotency_key="mine")

    async def is_there() -> bool:
        return await kept(conn, tenant) == 1

    async with serving(settings) as (_, port):
        async with in_the_way(conn, tenant, event_type):
            writer = await send(agent, port, "create_booking", wanted)
            await begun(conn)
            if rudely:
                writer.transport.abort()
            else:
                writer.close()
            # time enough for the server to notice
            await asyncio.sleep(0.2)
            problem = await agent.refused("create_booking", "idempotency_in_progress", **wanted)
            assert "repeat it" in problem["detail"]
        await eventually(is_there)
    again = await agent.ok("create_booking", **wanted)
    assert again["idempotent_replay"] is True
    (listed,) = (await agent.ok("list_bookings"))["bookings"]
    assert listed["id"] == again["booking"]["id"]
    assert await is_there()


async def test_whoever_sends_and_leaves_at_once_has_booked_once(
    agent: Agent, api: Api, conn: db.Connection, tenant: Tenant, settings: Settings, start: datetime
) -> None:
    """Ten of them, each for a time of its own; and the retries, as soon as they can be, are the same ten."""
    event_type = await offer(api)
    calls = [
        asked(event_type, start + number * timedelta(hours=1), idempotency_key=f"call-{number}") for number in range(10)
    ]

    async def are_there() -> bool:
        return await kept(conn, tenant) == len(calls)

    async with serving(settings) as (_, port):
        for each in calls:
            (await send(agent, port, "create_booking", each)).close()
        await eventually(are_there)
    for each in calls:
        assert (await agent.ok("create_booking", **each))["idempotent_replay"] is True
    assert await are_there()


async def test_a_server_that_stops_answers_what_it_has_begun(
    agent: Agent, api: Api, conn: db.Connection, tenant: Tenant, settings: Settings, start: datetime
) -> None:
    event_type = await offer(api)
    calls = [message(agent, "create_booking", asked(event_type, start + n * timedelta(hours=1))) for n in range(5)]
    async with aiohttp.ClientSession() as session, serving(settings) as (runner, port):

        async def post(headers: dict[str, str], body: bytes) -> Any:
            async with session.post(f"http://127.0.0.1:{port}/mcp", data=body, headers=headers) as response:
                return response.status, await response.json()

        async with in_the_way(conn, tenant, event_type):
            asking = [asyncio.create_task(post(*call)) for call in calls]
            await begun(conn, len(calls))
            stopping = asyncio.create_task(runner.cleanup())
            await asyncio.sleep(0.2)
            assert not stopping.done()
            with pytest.raises(aiohttp.ClientConnectorError):
                await post(*calls[0])
        for status, answer in await asyncio.gather(*asking):
            assert status == 200
            assert answer["result"]["structuredContent"]["booking"]["status"] == "SCHEDULED"
        await stopping
    assert await kept(conn, tenant) == len(calls)


async def test_a_server_that_has_waited_long_enough_stops_all_the_same(
    api: Api, conn: db.Connection, tenant: Tenant, settings: Settings, start: datetime
) -> None:
    """What it had to leave has never been: it is booked by a retry."""
    agent, event_type = Agent(api.client, api.key), await offer(api)
    wanted = asked(event_type, start, idempotency_key="mine")
    async with serving(settings.model_copy(update={"drain_seconds": 1})) as (runner, port):
        async with in_the_way(conn, tenant, event_type):
            writer = await send(agent, port, "create_booking", wanted)
            await begun(conn)
            await asyncio.wait_for(runner.cleanup(), timeout=9)
        writer.close()
    assert await kept(conn, tenant) == 0
    assert "idempotent_replay" not in await agent.ok("create_booking", **wanted)
