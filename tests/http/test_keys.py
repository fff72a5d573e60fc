"""API keys by session: made, shown once, narrowed, over in time, revoked; and the audit log of all that."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.domain.identity.scopes import SCOPES, TOOLS
from tests.browsers import PASSWORD, Browser, Browsers, colleague
from tests.support import Api, Tenant


async def make(owner: Browser, **fields: Any) -> Any:
    key = {"name": "Integration", "scopes": ["bookings:read"], **fields}
    return (await owner.post("/api/keys", {"key": key})).ok(201)["data"]


async def test_a_key_is_shown_once_and_works_at_once(api: Api, owner: Browser, conn: db.Connection) -> None:
    made = await make(owner, name="Zapier", scopes=["bookings:read", "webhooks:write", "bookings:read"])
    secret = made.pop("secret")
    assert secret.startswith(made["key_start"])
    assert made["scopes"] == ["bookings:read", "webhooks:write"]
    assert (made["tools"], made["expires_at"], made["last_used_at"]) == (None, None, None)
    theirs = Api(api.client, secret)
    me = (await theirs.get("/v1/users/me")).ok()
    assert me["key"] == {"id": made["id"], "name": "Zapier", "scopes": ["bookings:read", "webhooks:write"]}
    assert (await theirs.get("/v1/bookings")).status == 200
    assert (await theirs.get("/v1/users")).status == 403
    listed = (await owner.get("/api/keys")).ok()["data"]
    (shown,) = [each for each in listed if each["id"] == made["id"]]
    assert "secret" not in shown
    assert shown["last_used_at"] is not None
    stored = await conn.fetch("select row_to_json(k)::text as row from api_keys k")
    assert not [row for row in stored if secret in row["row"]]


async def test_a_revoked_key_stops_at_once(api: Api, owner: Browser) -> None:
    made = await make(owner)
    theirs = Api(api.client, made["secret"])
    assert (await theirs.get("/v1/bookings")).status == 200
    assert (await owner.delete(f"/api/keys/{made['id']}")).status == 204
    assert (await theirs.get("/v1/bookings")).status == 401
    assert (await owner.delete(f"/api/keys/{made['id']}")).status == 404
    assert (await owner.get(f"/api/keys/{made['id']}")).status == 404


async def test_a_key_may_end_by_itself(api: Api, owner: Browser, conn: db.Connection) -> None:
    soon = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    made = await make(owner, expires_at=soon.isoformat())
    assert made["expires_at"] == soon.strftime("%Y-%m-%dT%H:%M:%SZ")
    theirs = Api(api.client, made["secret"])
    assert (await theirs.get("/v1/bookings")).status == 200
    over = datetime.now(UTC) - timedelta(seconds=1)
    await conn.execute("update api_keys set expires_at = $2 where key_start = $1", made["key_start"], over)
    assert (await theirs.get("/v1/bookings")).ok(401)["code"] == "unauthorized"
    assert (await owner.get(f"/api/keys/{made['id']}")).status == 200, "it is still listed, as what it was"


async def test_a_key_for_agents_is_narrowed_to_tools(api: Api, owner: Browser) -> None:
    """And to nothing else: `mcp` covers no call outside the MCP server then."""
    made = await make(owner, scopes=["mcp"], tools=["list_slots", "get_booking", "list_slots"])
    assert made["tools"] == ["list_slots", "get_booking"]
    narrow = Api(api.client, made["secret"])
    await api.event_type(code="call")
    assert (await narrow.get("/v1/users/me")).ok()["key"]["scopes"] == ["mcp"]
    assert (await narrow.get("/v1/slots?event_type=call&start=2031-01-01&end=2031-01-01")).status == 403
    assert (await narrow.get("/v1/bookings")).status == 403
    assert (await narrow.post("/v1/bookings", {})).ok(403)["code"] == "insufficient_scope"
    wide = Api(api.client, (await make(owner, scopes=["mcp"]))["secret"])
    assert (await wide.post("/v1/bookings", {})).status == 400, "seed 004: it covers writing everywhere"
    both = Api(api.client, (await make(owner, scopes=["mcp", "bookings:write"], tools=["list_slots"]))["secret"])
    assert (await both.post("/v1/bookings", {})).status == 400, "what was given by name was not narrowed"
    assert set(TOOLS[:7]) == {
        "list_event_types",
        "list_slots",
        "create_booking",
        "cancel_booking",
        "reschedule_booking",
        "list_bookings",
        "get_booking",
    }, "seed 004"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scopes": []}, "key.scopes"),
        ({"scopes": ["keys:write"]}, "key.scopes.0"),
        ({"scopes": ["everything"]}, "key.scopes.0"),
        ({"name": ""}, "key.name"),
        ({"tools": ["list_slots"]}, "key.tools"),
        ({"scopes": ["mcp"], "tools": ["rm"]}, "key.tools.0"),
        ({"scopes": ["mcp"], "tools": []}, "key.tools"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "key.expires_at"),
        ({"expires_at": "tomorrow"}, "key.expires_at"),
        ({"secret": "mine"}, "key.secret"),
    ],
)
async def test_bad_keys_name_the_field(owner: Browser, fields: dict[str, Any], field: str) -> None:
    key = {"name": "x", "scopes": ["bookings:read"], **fields}
    answer = (await owner.post("/api/keys", {"key": key})).ok(400)
    assert answer["errors"][0]["field"] == field


async def test_every_scope_can_be_given(owner: Browser) -> None:
    assert (await make(owner, scopes=list(SCOPES)))["scopes"] == sorted(SCOPES)


async def test_a_repeat_shows_the_same_key(owner: Browser) -> None:
    body = {"key": {"name": "x", "scopes": ["mcp"]}}
    first, again = [await owner.post("/api/keys", body, **{"Idempotency-Key": "once"}) for _ in range(2)]
    assert (first.status, again.status) == (201, 200)
    assert again.json["data"] == first.json["data"]
    assert len((await owner.get("/api/keys")).ok()["data"]) == 2, "the tenant's own, and this one"


async def test_who_leaves_takes_their_keys_along(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection
) -> None:
    person, admin = await colleague(api, conn, browsers, "admin")
    theirs = Api(api.client, (await make(admin))["secret"])
    assert (await theirs.get("/v1/bookings")).status == 200
    assert (await owner.delete(f"/api/members/{person['id']}")).status == 204
    assert (await theirs.get("/v1/bookings")).status == 401


async def audit(owner: Browser, **query: str) -> list[Any]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    found: list[Any] = (await owner.get(f"/api/audit?{asked}")).ok()["data"]
    return found


async def test_the_audit_log_tells_who_did_what(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, tenant: Tenant
) -> None:
    me = (await owner.get("/api/session")).ok()["data"]["id"]
    person, _ = await colleague(api, conn, browsers, "admin")
    key = await make(owner)
    (await owner.delete(f"/api/keys/{key['id']}"))
    hook = (await api.post("/v1/webhooks", {"url": "https://hooks.example.com/secret-path"})).ok(201)["webhook"]
    (await api.post(f"/v1/webhooks/{hook['id']}/replay", {"since": "2026-01-01T00:00:00Z"})).ok(202)
    (await api.post(f"/v1/webhooks/{hook['id']}/rotate-secret")).ok()
    (await api.call("DELETE", f"/v1/webhooks/{hook['id']}"))
    (await owner.patch("/api/organization", {"organization": {"name": "New name"}})).ok()
    (await owner.patch(f"/api/members/{person['id']}", {"member": {"role": "member"}})).ok()
    (await owner.delete(f"/api/members/{person['id']}"))
    team = (await owner.post("/api/teams", {"team": {"slug": f"team-{tenant.username}", "name": "T"}})).ok(201)["data"]
    (await owner.delete(f"/api/teams/{team['id']}"))
    await api.event_type(code="door")
    door = (await owner.post("/api/event-types/door/links")).ok(201)["data"]
    (await owner.delete(f"/api/event-links/{door['link_code']}"))
    await browsers().log_in(f"{tenant.username}@example.com", "wrong")
    change = {"password": {"current_password": PASSWORD, "new_password": "battery staple"}}
    (await owner.patch("/api/password", change)).ok()
    told = await audit(owner)
    assert [each["action"] for each in reversed(told)] == [
        "organization.created",
        "key.created",
        "session.created",
        "member.invited",
        "session.created",
        "key.created",
        "key.revoked",
        "webhook.created",
        "webhook.replayed",
        "webhook.secret_rotated",
        "webhook.deleted",
        "organization.changed",
        "member.changed",
        "member.removed",
        "team.created",
        "team.deleted",
        "link.created",
        "link.revoked",
        "session.refused",
        "password.changed",
    ]
    assert (told[-1]["actor_kind"], told[-1]["actor"]) == ("system", None), "by `slotwire bootstrap`"
    by_action = {each["action"]: each for each in told[:-2]}
    created = by_action["key.created"]
    assert (created["actor_kind"], created["actor"], created["target"]) == ("user", me, key["id"])
    assert (created["address"], created["details"]) == (
        "127.0.0.1",
        {"name": "Integration", "scopes": ["bookings:read"]},
    )
    assert by_action["webhook.created"]["actor_kind"] == "api_key"
    assert by_action["webhook.created"]["details"] == {"host": "hooks.example.com"}, "not what stands behind it"
    assert by_action["member.changed"]["details"] == {"fields": ["role"], "role": "member"}
    assert by_action["session.refused"]["actor"] is None
    text = str(told)
    assert not [
        each for each in (key["secret"], hook["secret"], door["link_code"], PASSWORD, "battery") if each in text
    ]


async def test_the_audit_log_can_be_narrowed_and_paged(owner: Browser) -> None:
    me = (await owner.get("/api/session")).ok()["data"]["id"]
    keys = [await make(owner, name=f"key {number}") for number in range(5)]
    assert len(await audit(owner, action="key")) == 6, "with the tenant's own"
    assert len(await audit(owner, action="key.revoked")) == 0
    assert [each["target"] for each in await audit(owner, target=keys[2]["id"])] == [keys[2]["id"]]
    assert len(await audit(owner, user_id=me, action="key.created")) == 5
    second = (await owner.get("/api/audit?action=key&limit=2&page=2")).ok()
    assert [each["target"] for each in second["data"]] == [keys[2]["id"], keys[1]["id"]]
    assert second["pagination"] == {"page": 2, "limit": 2, "total": 6, "has_more": True}
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await audit(owner, since=tomorrow) == []
    for wrong in ["action=Key!", "user_id=key_x", "since=now", "page=0", "colour=blue"]:
        assert (await owner.get(f"/api/audit?{wrong}")).status == 400
