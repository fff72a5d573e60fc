"""`/mcp`: the way in, both revisions, and which tools a key sees."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestClient

from app.core import db
from app.domain.identity.keys import create_key, revoke_key
from app.domain.identity.scopes import SCOPES, TOOLS
from app.main import build_app
from tests.agents import HANDSHAKE, MODERN, REVISIONS, Agent
from tests.conftest import AiohttpClient
from tests.support import Api, Servers, Tenant, settings_for

SEVEN = list(TOOLS[:7])
CLIENT_INFO = {"name": "test", "version": "1"}


async def key_for(conn: db.Connection, tenant: Tenant, *scopes: str, **fields: Any) -> str:
    now = datetime.now(UTC)
    about: dict[str, Any] = {"name": "agent", "scopes": scopes, "now": now, **fields}
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, **about)
    return key


async def test_last_years_clients_begin_with_a_handshake(api: Api) -> None:
    agent = Agent(api.client, api.key, HANDSHAKE)
    asked = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": CLIENT_INFO}
    told = await agent.send("initialize", asked)
    assert told.result["protocolVersion"] == HANDSHAKE
    assert told.result["serverInfo"]["name"] == "slotwire"
    assert "idempotency_key" in told.result["instructions"]
    assert list(told.result["capabilities"]) == ["tools"]
    assert "Mcp-Session-Id" not in told.headers, "any process answers any message"
    noted = await agent.post(orjson.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    assert (noted.status, noted.body) == (202, b"")


async def test_this_years_clients_discover(api: Api) -> None:
    told = await Agent(api.client, api.key).send("server/discover")
    assert told.result["supportedVersions"] == [MODERN]
    assert told.result["resultType"] == "complete"
    assert list(told.result["capabilities"]) == ["tools"]
    assert "strangers" in told.result["instructions"]


async def test_a_list_of_tools_may_be_kept_by_its_owner(api: Api) -> None:
    told = (await Agent(api.client, api.key).send("tools/list")).result
    assert (told["cacheScope"], told["ttlMs"]) == ("private", 300_000)
    assert "nextCursor" not in told


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"MCP-Protocol-Version": "2031-01-01"}, -32020),
        ({"Mcp-Method": "tools/list"}, -32020),
        ({"Mcp-Name": "get_booking"}, -32020),
    ],
)
async def test_headers_that_contradict_the_body_are_refused(api: Api, headers: dict[str, str], code: int) -> None:
    agent = Agent(api.client, api.key)
    told = await agent.send("tools/call", {"name": "list_event_types", "arguments": {}}, headers)
    assert (told.status, told.error["code"]) == (400, code)


async def test_a_missing_header_is_refused(api: Api) -> None:
    agent = Agent(api.client, api.key)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": agent.params({})}
    told = await agent.post(orjson.dumps(message), {"MCP-Protocol-Version": MODERN})
    assert (told.status, told.error["code"]) == (400, -32020)


async def test_a_revision_of_the_future_is_told_which_there_are(api: Api) -> None:
    agent = Agent(api.client, api.key)
    meta = {**agent.params({})["_meta"], "io.modelcontextprotocol/protocolVersion": "2031-01-01"}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {**agent.routing("tools/list", {}), "MCP-Protocol-Version": "2031-01-01"}
    told = await agent.post(orjson.dumps(message), headers)
    assert (told.status, told.error["code"]) == (400, -32022)
    assert told.error["data"]["supported"] == [MODERN]


async def test_an_unknown_method_is_told(agent: Agent) -> None:
    told = await agent.send("resources/list")
    assert told.error["code"] == -32601
    assert told.status == (404 if agent.revision == MODERN else 200)


async def test_nobody_without_a_key(api: Api) -> None:
    told = await Agent(api.client, None).send("tools/list")
    assert told.status == 401
    assert told.headers["WWW-Authenticate"] == 'Bearer realm="slotwire"'
    assert told.body["code"] == "unauthorized"
    wrong = await Agent(api.client, "slw_live_wrong").send("tools/list")
    assert wrong.status == 401
    assert wrong.headers["WWW-Authenticate"] == 'Bearer realm="slotwire", error="invalid_token"'
    assert (await api.client.get("/.well-known/oauth-protected-resource/mcp")).status == 404, "nobody issues tokens"


async def test_a_key_without_mcp_sees_nothing(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    rest = [scope for scope in SCOPES if scope != "mcp"]
    for method in ("tools/list", "server/discover"):
        told = await Agent(api.client, await key_for(conn, tenant, *rest)).send(method)
        assert (told.status, told.body["code"]) == (403, "insufficient_scope")
    told = await Agent(api.client, await key_for(conn, tenant, "slots:read")).send(
        "tools/call", {"name": "list_slots", "arguments": {}}
    )
    assert told.status == 403


async def test_tools_follow_scopes_in_a_fixed_order(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    for revision in REVISIONS:
        plain = Agent(api.client, await key_for(conn, tenant, "mcp"), revision)
        assert await plain.tools() == SEVEN
        assert await Agent(api.client, api.key, revision).tools() == list(TOOLS)
        reading = await key_for(conn, tenant, "resources:read", "mcp")
        assert await Agent(api.client, reading, revision).tools() == list(TOOLS)


async def test_a_narrowed_key_sees_and_calls_its_tools_only(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    key = await key_for(conn, tenant, "mcp", "resources:read", tools=("get_resource", "list_slots"))
    for revision in REVISIONS:
        agent = Agent(api.client, key, revision)
        assert await agent.tools() == ["list_slots", "get_resource"]
        for tool in set(TOOLS) - {"list_slots", "get_resource"}:
            told = await agent.send("tools/call", {"name": tool, "arguments": {}})
            assert told.error["code"] == -32602
            assert told.error["message"].startswith(f"Unknown tool: {tool}")
    places = await key_for(conn, tenant, "mcp", tools=("list_locations", "get_booking"))
    assert await Agent(api.client, places).tools() == ["get_booking"], "a tool grants no scope"


async def test_a_revoked_key_ends_at_once(agent: Agent, conn: db.Connection, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    key_id, key = await create_key(conn, tenant.org_id, tenant.user_id, name="a", scopes=("mcp",), now=now)
    theirs = Agent(agent.client, key, agent.revision)
    assert await theirs.tools() == SEVEN
    await revoke_key(conn, tenant.org_id, key_id, now)
    assert (await theirs.send("tools/list")).status == 401


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_is_no_stream_and_no_session(api: Api, method: str) -> None:
    response = await api.client.request(method, "/mcp", headers={"Authorization": f"Bearer {api.key}"})
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://[", "https://localhost.evil.example"])
async def test_pages_of_other_sites_are_refused(api: Api, origin: str) -> None:
    port = api.client.port
    for headers in ({"Origin": origin}, {"Origin": origin, "Host": origin.removeprefix("https://")}):
        told = await Agent(api.client, api.key).send("tools/list", headers=headers)
        assert told.status == 403, headers
        assert "SLOTWIRE_CORS_ORIGINS" in told.body["detail"]
    assert (
        await Agent(api.client, api.key).send("tools/list", headers={"Origin": f"http://localhost:{port}"})
    ).status == 200


async def test_an_operator_lets_other_sites_in(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant
) -> None:
    settings = settings_for(migrated, cors_origins=("https://agents.example",), env="production")
    client: TestClient[Any, Any] = await aiohttp_client(build_app(settings))
    theirs = await Agent(client, tenant.api_key).send("tools/list", headers={"Origin": "https://agents.example"})
    assert theirs.status == 200
    assert theirs.headers["Access-Control-Allow-Origin"] == "https://agents.example"
    local = await Agent(client, tenant.api_key).send("tools/list", headers={"Origin": "http://localhost:3000"})
    assert local.status == 403, "in production a page of this machine is a page like any other"
    asked = await client.options(
        "/mcp", headers={"Origin": "https://agents.example", "Access-Control-Request-Method": "POST"}
    )
    assert asked.status == 204
    allowed = asked.headers["Access-Control-Allow-Headers"]
    assert all(name in allowed for name in ("Authorization", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version"))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b'"\xff"', b"[1]", b'"\\ud800"', b'{"a":' * 99, b'{"id":1}', b'{"jsonrpc":"2.0","id":1}'),
        b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
        b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    ],
)
async def test_what_is_no_message_is_refused_in_its_own_terms(agent: Agent, body: bytes) -> None:
    told = await agent.post(body, agent.routing("tools/list", {}))
    assert told.status == 400
    assert told.error["code"] in {-32700, -32600}, told.body


async def test_whoever_sends_something_else_is_told_what_to_send(agent: Agent) -> None:
    for wrong in ("text/plain", "application/x-www-form-urlencoded", "application/vnd.api+json"):
        told = await agent.send("tools/list", headers={"Content-Type": wrong})
        assert (told.status, told.body["code"]) == (415, "unsupported_media_type")
    assert (await agent.send("tools/list", headers={"Accept": "text/html"})).status == 406
    assert (await agent.send("tools/list", headers={"Accept": "*/*"})).status == 200


async def test_whoever_names_no_type_gets_json(agent: Agent) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": agent.params({})}
    headers = {"Authorization": f"Bearer {agent.key}", **agent.routing("tools/list", {})}
    skip = ("Accept", "User-Agent")
    async with agent.client.request("POST", "/mcp", json=message, headers=headers, skip_auto_headers=skip) as response:
        assert response.status == 200, await response.text()


async def test_what_the_database_cannot_hold_is_refused(agent: Agent) -> None:
    told = await agent.send("tools/call", {"name": "get_booking", "arguments": {"booking": "a\0b"}})
    assert (told.status, told.error["code"]) == (400, -32700)


async def test_too_much_is_too_much(agent: Agent) -> None:
    told = await agent.send("tools/call", {"name": "get_booking", "arguments": {"booking": "b" * 300_000}})
    assert (told.status, told.body["code"]) == (413, "body_too_large")


async def test_an_agent_is_counted_like_every_key(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant
) -> None:
    client = await aiohttp_client(build_app(settings_for(migrated, limit_key="3/m")))
    told = [await Agent(client, tenant.api_key).send("tools/list") for _ in range(4)]
    assert [each.status for each in told] == [200, 200, 200, 429]
    assert int(told[-1].headers["Retry-After"]) > 0
    assert "RateLimit" in told[0].headers


async def test_many_agents_begin_at_once(aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant) -> None:
    """The library is brought in by the first message; the others wait for it, and it is there once."""
    client = await aiohttp_client(build_app(settings_for(migrated)))
    agents = [Agent(client, tenant.api_key, revision) for revision in REVISIONS * 10]
    assert all(tools == list(TOOLS) for tools in await asyncio.gather(*(each.tools() for each in agents)))


async def test_each_answer_says_whose_it_is(agent: Agent) -> None:
    told = await agent.send("tools/list", headers={"X-Request-Id": "mine-1"})
    assert told.headers["X-Request-Id"] == "mine-1"
