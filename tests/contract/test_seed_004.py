"""Seed 004: keys and scopes, the resources of the REST API, and how webhooks are signed."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.domain.identity.keys import create_key
from app.domain.identity.scopes import SCOPES, covers
from app.domain.webhooks.signing import x_signature
from app.faces.v1.routes import ROUTES
from tests.contract.examples import half_hours, seed, served
from tests.support import Api, Tenant, booking_body

SEED = seed("004")


async def with_scopes(api: Api, conn: db.Connection, tenant: Tenant, *scopes: str) -> Api:
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, name="seed", scopes=scopes, now=datetime.now(UTC))
    return Api(api.client, key)


def test_every_endpoint_and_scope_is_there() -> None:
    assert set(SEED["endpoints"]) <= served(ROUTES)
    assert set(SEED["scopes"]) <= set(SCOPES)
    assert [scope for scope in SCOPES if covers(frozenset({"mcp"}), scope) and scope != "mcp"] == SEED["covered by mcp"]


async def test_a_read_only_key_lists_and_never_creates_or_cancels(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await half_hours(api)
    booking = (await api.book(made["code"], soon)).ok(201)["booking"]
    reader = await with_scopes(api, conn, tenant, "bookings:read")
    assert len((await reader.get("/v1/bookings")).ok()["bookings"]) == 1
    for answer in (
        await reader.post("/v1/bookings", booking_body(made["code"], soon + timedelta(hours=2))),
        await reader.call("DELETE", f"/v1/bookings/{booking['id']}"),
        await reader.post(f"/v1/bookings/{booking['id']}/cancel"),
    ):
        assert answer.ok(403)["code"] == "insufficient_scope"


async def test_a_typical_flow_query_slots_then_book_one(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await half_hours(api)
    key = await with_scopes(api, conn, tenant, "slots:read", "bookings:write")
    slots = (await key.get(f"/v1/slots?event_type={made['code']}&start={soon.date()}&end={soon.date()}")).ok()
    start = slots["slots"][str(soon.date())][0]["start"]
    assert (await key.post("/v1/bookings", booking_body(made["code"], datetime.fromisoformat(start)))).status == 201


async def test_the_mcp_scope_books_over_rest_too(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    made = await half_hours(api)
    agent = await with_scopes(api, conn, tenant, "mcp")
    booking = (await agent.book(made["code"], soon)).ok(201)["booking"]
    assert (await agent.get(f"/v1/bookings/{booking['id']}")).status == 200
    assert (await agent.get("/v1/webhooks")).status == 403
    me = (await agent.get("/v1/users/me")).ok()
    assert me["key"]["scopes"] == ["mcp"]


async def test_the_default_events_are_exactly_the_four(api: Api) -> None:
    made = (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})).ok(201)["webhook"]
    assert made["events"] == SEED["events"]


def test_the_signature_is_that_of_the_seed() -> None:
    body, secret, at = b'{"id":"evn_1"}', "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCBrZXk=", 1_790_000_000
    header = x_signature((secret,), at, body)
    pattern = SEED["signature"].replace("<unix-epoch-seconds>", r"(\d+)").replace("<hmac-sha256>", "([0-9a-f]{64})")
    found = re.fullmatch(pattern, header)
    assert found is not None
    assert int(found[1]) == at
    assert found[2] == hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("path", ["/v1/event-types", "/v1/bookings", "/v1/bookings/stats", "/v1/webhooks"])
async def test_lists_answer_an_empty_organization(api: Api, path: str) -> None:
    answer: Any = (await api.get(path)).ok()
    assert answer["success"] is True
