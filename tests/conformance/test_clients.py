"""The official clients list every tool and call each of them, in one story; each checks by itself that what comes back
is as the tool's schema says."""

from datetime import UTC, datetime, timedelta
from traceback import format_exception
from typing import Any

import pytest

from app.core import db
from app.domain.identity.keys import create_key
from tests.agents import MODERN
from tests.conformance.clients import KINDS, OLDER, Kind
from tests.conformance.story import asked, use_every_tool
from tests.offers import offer
from tests.support import Api, Tenant


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


async def test_a_client_books_with_every_tool(api: Api, kind: Kind) -> None:
    async with kind.connect(str(api.client.make_url("/mcp")), api.key) as client:
        assert client.revision == kind.revision
        await use_every_tool(api, client)


async def test_a_client_sees_no_more_than_its_key(api: Api, conn: db.Connection, tenant: Tenant, kind: Kind) -> None:
    now = datetime.now(UTC)
    about: dict[str, Any] = {"name": "agent", "scopes": ("mcp",), "tools": ("list_slots",), "now": now}
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, **about)
    made = await offer(api)
    day = (now + timedelta(days=3)).date().isoformat()
    async with kind.connect(str(api.client.make_url("/mcp")), key) as client:
        assert [tool["name"] for tool in await client.tools()] == ["list_slots"]
        assert (await client.call("list_slots", event_type=made["code"], start=day, end=day)).structured["slots"]
        with pytest.raises(Exception, match="Unknown tool: create_booking"):
            await client.call("create_booking", **asked(made["code"], f"{day}T10:00:00Z"))
    assert (await api.get("/v1/bookings")).ok()["bookings"] == []


async def test_a_wrong_key_is_told_as_such(api: Api, kind: Kind) -> None:
    """None of them waits, tries again without end, or goes looking for somebody who gives out tokens."""
    with pytest.raises((AssertionError, ExceptionGroup)) as raised:
        async with kind.connect(str(api.client.make_url("/mcp")), "slw_live_wrong") as client:
            await client.tools()
    told = "".join(format_exception(raised.value))
    assert "401" in told or "Server returned an error response" in told


async def test_they_are_the_versions_that_they_are_meant_to_be(api: Api) -> None:
    libraries = {}
    for kind in KINDS:
        async with kind.connect(str(api.client.make_url("/mcp")), api.key) as client:
            libraries[kind.name] = client.library
    assert libraries["python-1"].startswith(str(OLDER))
    assert not libraries["python-2"].startswith(str(OLDER))
    assert [kind.name for kind in KINDS if kind.revision == MODERN] == ["python-2"]
