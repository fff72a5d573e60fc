"""Two web processes on one database serve one agent alternately: whatever one of them began, the other goes on with."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.core import db
from app.core.vault import Vault
from app.domain.identity.keys import create_key, revoke_key
from tests.agents import MODERN, REVISIONS, Agent
from tests.conformance.clients import KINDS, Kind, newer
from tests.conformance.gate import gate
from tests.conformance.story import asked, use_every_tool
from tests.offers import offer
from tests.processes import free_port, ready, running
from tests.support import Api, Servers, Tenant, environment_for, make_tenant, settings_for


@pytest.fixture
async def both(migrated: Servers, tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The addresses of two `slotwire web`, of one process each."""
    async with AsyncExitStack() as stack:
        addresses, logs = [], []
        for name in ("a", "b"):
            settings = settings_for(migrated, port=free_port(), processes=1)
            logs.append(tmp_path / f"{name}.log")
            process = await stack.enter_async_context(running(["app.cli", "web"], environment_for(settings), logs[-1]))
            addresses.append(f"http://127.0.0.1:{settings.port}")
            await ready(addresses[-1], process)
        yield addresses[0], addresses[1]
    for log in logs:
        assert '"unexpected"' not in log.read_text()


class Balanced:
    """The same agent at both processes, who goes to the other one with each message."""

    def __init__(self, agents: list[Agent]) -> None:
        self.agents = agents
        self._turns = itertools.cycle(agents)

    async def ok(self, tool: str, **arguments: Any) -> Any:
        return await next(self._turns).ok(tool, **arguments)

    async def refused(self, tool: str, code: str, **arguments: Any) -> Any:
        return await next(self._turns).refused(tool, code, **arguments)


@pytest.fixture
async def sessions(both: tuple[str, str]) -> AsyncIterator[list[Any]]:
    async with aiohttp.ClientSession(both[0]) as first, aiohttp.ClientSession(both[1]) as second:
        yield [first, second]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_two_processes_serve_one_agent(
    sessions: list[Any], api: Api, conn: db.Connection, tenant: Tenant, revision: str
) -> None:
    now = datetime.now(UTC)
    key_id, key = await create_key(conn, tenant.org_id, tenant.user_id, name="a", scopes=("mcp",), now=now)
    agent = Balanced([Agent(session, key, revision) for session in sessions])
    made = await offer(api)
    day = (now + timedelta(days=3)).date().isoformat()
    page = await agent.ok("list_slots", event_type=made["code"], start=day, end=day)
    first, second = (slot["start"] for slot in page["slots"][day][:2])
    held = await agent.ok("create_booking", **asked(made["code"], first, hold=True))
    # a finish is a write like any other: a lost answer is asked for again, from the other process
    finish = asked(made["code"], first, finish=held["booking"]["id"], idempotency_key="finish")
    done = await agent.ok("create_booking", **finish)
    assert await agent.ok("create_booking", **finish) == {"idempotent_replay": True, **done}
    wanted = asked(made["code"], second, idempotency_key="second")
    created = await agent.ok("create_booking", **wanted)
    assert await agent.ok("create_booking", **wanted) == {"idempotent_replay": True, **created}
    for each in agent.agents:
        await each.refused("create_booking", "slot_taken", **asked(made["code"], first))
    assert (await agent.ok("get_booking", booking=created["booking"]["id"]))["booking"] == created["booking"]
    ended = await agent.ok("cancel_booking", booking=done["booking"]["code"])
    assert ended["booking"]["status"] == "CANCELLED"
    assert (await agent.ok("get_booking", booking=done["booking"]["id"]))["booking"] == ended["booking"]
    assert len((await api.get("/v1/bookings")).ok()["bookings"]) == 2
    await revoke_key(conn, tenant.org_id, key_id, datetime.now(UTC))
    for each in agent.agents:
        assert (await each.send("tools/list")).status == 401
        assert (await each.send("tools/call", {"name": "list_event_types", "arguments": {}})).status == 401


async def test_retries_that_meet_in_two_processes_are_one_booking(
    sessions: list[Any], api: Api, tenant: Tenant
) -> None:
    agents = [Agent(session, tenant.api_key, revision) for session in sessions for revision in REVISIONS]
    made = await offer(api, seats=50)
    start = (datetime.now(UTC) + timedelta(days=3)).date().isoformat() + "T10:00:00Z"
    wanted = asked(made["code"], start, idempotency_key="meet")
    results = await asyncio.gather(*(each.call("create_booking", **wanted) for each in agents * 8))
    refused = {each["structuredContent"]["code"] for each in results if each["isError"]}
    assert refused <= {"idempotency_in_progress"}
    ids = {each["structuredContent"]["booking"]["id"] for each in results if not each["isError"]}
    assert len(ids) == 1
    assert [each["id"] for each in (await api.get("/v1/bookings")).ok()["bookings"]] == list(ids)


async def test_a_slot_is_given_once_by_two_processes(sessions: list[Any], api: Api, tenant: Tenant) -> None:
    agents = [Agent(session, tenant.api_key, revision) for session in sessions for revision in REVISIONS]
    made = await offer(api)
    start = (datetime.now(UTC) + timedelta(days=3)).date().isoformat() + "T10:00:00Z"
    results = await asyncio.gather(*(each.call("create_booking", **asked(made["code"], start)) for each in agents * 8))
    codes = [each["structuredContent"].get("code") for each in results if each["isError"]]
    assert codes == ["slot_taken"] * (len(results) - 1)


async def test_every_client_stands_being_balanced(
    both: tuple[str, str], api: Api, conn: db.Connection, vault: Vault
) -> None:
    """The handshake at one process and the calls at both: there is no session to be lost."""
    addresses = [f"{each}/mcp" for each in both]
    # of a client that is set to a revision, not even the first message asks which
    pinned = Kind("python-2-pinned", MODERN, lambda url, key: newer(url, key, MODERN))
    # the others were through all of it with one process
    for kind in (next(kind for kind in KINDS if kind.name == "python-1"), pinned):
        theirs = await make_tenant(conn, vault)
        async with gate(theirs.api_key, *addresses) as url, kind.connect(url, "the gate has it") as client:
            assert client.revision == kind.revision, kind.name
            await use_every_tool(Api(api.client, theirs.api_key), client)
