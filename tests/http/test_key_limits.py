"""Keys with limits: how they are made and shown, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.core import db
from tests.browsers import Browser
from tests.budgets import make_key
from tests.offers import offer
from tests.support import Api, Tenant, make_tenant

NONE = {"bookings_per_day": None, "event_type_ids": None, "max_lead_days": None, "attendee_domains": None}


async def test_limits_are_shown_wherever_the_key_is(api: Api, owner: Browser) -> None:
    made = await offer(api)
    wanted = {
        "bookings_per_day": 5,
        "event_type_ids": [made["id"], made["id"]],
        "max_lead_days": 30,
        "attendee_domains": ["Example.COM", "example.com.", "xn--bcher-kva.test"],
    }
    shown = {**wanted, "event_type_ids": [made["id"]], "attendee_domains": ["example.com", "xn--bcher-kva.test"]}
    key = await make_key(owner, limits=wanted, requires_approval=True)
    assert (key["limits"], key["requires_approval"]) == (shown, True)
    read = (await owner.get(f"/api/keys/{key['id']}")).ok()["data"]
    assert (read["limits"], read["requires_approval"]) == (shown, True)
    (listed,) = [each for each in (await owner.get("/api/keys")).ok()["data"] if each["id"] == key["id"]]
    assert listed == read
    me = (await Api(api.client, key["secret"]).get("/v1/users/me")).ok()["key"]
    assert (me["limits"], me["requires_approval"]) == (shown, True)
    (entry,) = (await owner.get(f"/api/audit?target={key['id']}")).ok()["data"]
    assert entry["details"] == {"name": "Agent", "scopes": key["scopes"], "limits": shown, "requires_approval": True}


@pytest.mark.parametrize("fields", [{}, {"limits": None}, {"limits": {}}, {"limits": NONE}])
async def test_a_key_without_limits_says_so(api: Api, owner: Browser, fields: Any) -> None:
    key = await make_key(owner, **fields)
    assert (key["limits"], key["requires_approval"]) == (NONE, False)
    me = (await Api(api.client, key["secret"]).get("/v1/users/me")).ok()["key"]
    assert me.keys() == {"id", "name", "scopes"}
    (entry,) = (await owner.get(f"/api/audit?target={key['id']}")).ok()["data"]
    assert entry["details"].keys() == {"name", "scopes"}


async def test_some_limits_leave_the_others_open(owner: Browser) -> None:
    key = await make_key(owner, limits={"max_lead_days": 730})
    assert key["limits"] == {**NONE, "max_lead_days": 730}
    assert (await make_key(owner, requires_approval=True))["limits"] == NONE


async def test_limits_stand_beside_a_number_of_requests(conn: db.Connection, tenant: Tenant, owner: Browser) -> None:
    key = await make_key(owner, limits={"bookings_per_day": 1})
    await conn.execute(
        """update api_keys set limits = limits || '{"requests": "600/m"}' where key_start = $1""", key["key_start"]
    )
    assert (await owner.get(f"/api/keys/{key['id']}")).ok()["data"]["limits"] == {**NONE, "bookings_per_day": 1}


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"bookings_per_day": 0}, "bookings_per_day"),
        ({"bookings_per_day": 10_001}, "bookings_per_day"),
        ({"bookings_per_day": "5"}, "bookings_per_day"),
        ({"bookings_per_day": True}, "bookings_per_day"),
        ({"bookings_per_day": 1.5}, "bookings_per_day"),
        ({"max_lead_days": 0}, "max_lead_days"),
        ({"max_lead_days": 731}, "max_lead_days"),
        ({"event_type_ids": []}, "event_type_ids"),
        ({"event_type_ids": ["call"]}, "event_type_ids.0"),
        ({"event_type_ids": ["usr_01kqj1y7w8f0g2h4j6k8m0n2p4"]}, "event_type_ids.0"),
        ({"event_type_ids": ["evt_01kqj1y7w8f0g2h4j6k8m0n2p4"] * 101}, "event_type_ids"),
        ({"attendee_domains": []}, "attendee_domains"),
        ({"attendee_domains": ["x.test"] * 101}, "attendee_domains"),
        ({"attendee_domains": "example.com"}, "attendee_domains"),
        ({"bookings_a_day": 5}, "bookings_a_day"),
        ({"requires_approval": True}, "requires_approval"),
    ],
)
async def test_bad_limits_name_the_field(owner: Browser, limits: Any, field: str) -> None:
    key = {"name": "x", "scopes": ["bookings:write"], "limits": limits}
    answer = (await owner.post("/api/keys", {"key": key})).ok(400)
    assert answer["code"] == "validation_failed"
    assert answer["errors"][0]["field"] == f"key.limits.{field}"


@pytest.mark.parametrize(
    "domain",
    [
        "",
        ".",
        "com",
        "jane@example.com",
        "@example.com",
        "*.example.com",
        "bücher.test",
        "example..com",
        "-a.test",
        "example.com/x",
        "exa mple.com",
        ".example.com",
        "example.com..",
        "https://example.com",
        f"{'a' * 64}.test",
    ],
)
async def test_what_is_no_domain_says_what_one_is(owner: Browser, domain: str) -> None:
    key = {"name": "x", "scopes": ["bookings:write"], "limits": {"attendee_domains": ["a.test", domain]}}
    (error,) = (await owner.post("/api/keys", {"key": key})).ok(400)["errors"]
    assert error["field"] == "key.limits.attendee_domains.1"
    assert "such as example.com" in error["message"]


async def test_limits_are_an_object(owner: Browser) -> None:
    wrong: list[tuple[str, Any]] = [("limits", []), ("limits", 5)]
    for name, value in [*wrong, ("requires_approval", "yes"), ("requires_approval", None)]:
        key = {"name": "x", "scopes": ["bookings:write"], name: value}
        (error,) = (await owner.post("/api/keys", {"key": key})).ok(400)["errors"]
        assert error["field"] == f"key.{name}"


async def test_event_types_have_to_be_there(
    api: Api, owner: Browser, conn: db.Connection, vault: Any, tenant: Tenant
) -> None:
    ours, archived = (await offer(api))["id"], (await offer(api))["id"]
    (await api.call("DELETE", f"/v1/event-types/{archived}"))
    other = Api(api.client, (await make_tenant(conn, vault)).api_key)
    theirs = (await other.event_type())["id"]
    key = {"name": "x", "scopes": ["bookings:write"], "limits": {"event_type_ids": [theirs, ours, archived]}}
    answer = (await owner.post("/api/keys", {"key": key})).ok(400)
    assert answer["code"] == "validation_failed"
    assert answer["detail"] == "key.limits.event_type_ids.0: no such event type in this organization"
    assert [(each["field"], each["code"]) for each in answer["errors"]] == [
        ("key.limits.event_type_ids.0", "unknown_id"),
        ("key.limits.event_type_ids.2", "unknown_id"),
    ]
    assert len((await owner.get("/api/keys")).ok()["data"]) == 1, "the tenant's own"


async def test_a_revoked_key_is_told_that_and_not_its_limits(api: Api, owner: Browser) -> None:
    """Also where the process remembers whose it is."""
    made, key = await offer(api), await make_key(owner, limits={"max_lead_days": 1})
    agent, far = Api(api.client, key["secret"]), datetime(2031, 1, 1, tzinfo=UTC)
    assert (await agent.book(made["code"], far)).ok(403)["code"] == "budget_exceeded"
    assert (await agent.book(made["code"], far)).ok(403)["code"] == "budget_exceeded"
    (await owner.delete(f"/api/keys/{key['id']}"))
    assert (await agent.book(made["code"], far)).ok(401)["code"] == "unauthorized"
