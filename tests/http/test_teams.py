"""Teams over HTTP: people under one address, which no person has."""

import asyncio
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from tests.support import Api, Tenant, make_tenant, unique_name


async def team(api: Api, **fields: Any) -> Any:
    return (await api.post("/v1/teams", {"slug": unique_name(), "name": "Sales", **fields})).ok(201)["team"]


async def test_a_team_is_made_read_and_listed(api: Api) -> None:
    ben, eve = await api.person(), await api.person()
    slug = unique_name()
    made = await team(api, slug=slug, name="Sales", user_ids=[eve["id"], ben["id"]])
    assert set(made) == {"id", "slug", "name", "user_ids", "created_at", "updated_at"}
    assert made["id"].startswith("team_")
    assert (made["slug"], made["name"]) == (slug, "Sales")
    assert made["user_ids"] == [ben["id"], eve["id"]], "the oldest person first"
    empty = await team(api)
    assert empty["user_ids"] == []
    assert (await api.get(f"/v1/teams/{made['id']}")).ok()["team"] == made
    listed = (await api.get("/v1/teams?limit=1")).ok()
    assert listed["teams"] == [made]
    rest = (await api.get(f"/v1/teams?cursor={listed['pagination']['next_cursor']}")).ok()
    assert rest["teams"] == [empty]
    assert rest["pagination"] == {"next_cursor": None, "has_more": False}


async def test_a_patch_merges(api: Api) -> None:
    ben, eve = await api.person(), await api.person()
    made = await team(api, user_ids=[ben["id"]])
    patches: list[dict[str, Any]] = [
        {"name": "Care"},
        {"slug": unique_name()},
        {"user_ids": [eve["id"]]},
        {"user_ids": []},
        {},
    ]
    for changes in patches:
        patched = (await api.call("PATCH", f"/v1/teams/{made['id']}", changes)).ok()["team"]
        made = {**made, **changes, "updated_at": patched["updated_at"]}
        assert patched == made
    for name in ["slug", "name", "user_ids"]:
        answer = await api.call("PATCH", f"/v1/teams/{made['id']}", {name: None})
        assert [error["field"] for error in answer.ok(400)["errors"]] == [name]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Not A Handle"),
        ("slug", "x" * 64),
        ("slug", "admin"),
        ("name", " "),
        ("user_ids", "usr_x"),
        ("colour", "red"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, field: str, value: Any) -> None:
    answer = await api.post("/v1/teams", {"slug": unique_name(), "name": "Sales", field: value})
    assert [error["field"] for error in answer.ok(400)["errors"]] == [field]
    patched = await api.call("PATCH", f"/v1/teams/{(await team(api))['id']}", {field: value})
    assert [error["field"] for error in patched.ok(400)["errors"]] == [field]


async def test_people_who_are_not_there_are_named(api: Api, conn: db.Connection, vault: Vault) -> None:
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    foreign = (await stranger.get("/v1/users/me")).ok()["user"]["id"]
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    gone = (await api.person())["id"]
    assert (await api.call("DELETE", f"/v1/users/{gone}")).status == 204
    made = await team(api)
    for wrong in [foreign, gone, made["id"], "usr_x", 7]:
        for answer in [
            await api.post("/v1/teams", {"slug": unique_name(), "name": "Sales", "user_ids": [me, wrong]}),
            await api.call("PATCH", f"/v1/teams/{made['id']}", {"user_ids": [me, wrong]}),
        ]:
            problem = answer.ok(400)
            assert problem["code"] == "validation_failed"
            assert [error["field"] for error in problem["errors"]] == ["user_ids.1"]
    twice = await api.post("/v1/teams", {"slug": unique_name(), "name": "Sales", "user_ids": [me, me]})
    assert [error["field"] for error in twice.ok(400)["errors"]] == ["user_ids"]
    assert (await api.get("/v1/teams")).ok()["teams"] == [made]


async def test_slugs_and_usernames_share_one_namespace(api: Api, tenant: Tenant) -> None:
    one, two = await team(api), await team(api)
    for taken in [tenant.username, one["slug"]]:
        answer = await api.post("/v1/teams", {"slug": taken, "name": "Sales"})
        assert answer.ok(409)["code"] == "conflict"
        assert (await api.call("PATCH", f"/v1/teams/{two['id']}", {"slug": taken})).status == 409
    assert (await api.get(f"/v1/teams/{two['id']}")).ok()["team"] == two
    assert (await api.call("DELETE", f"/v1/teams/{one['id']}")).status == 204
    assert (await api.get(f"/v1/teams/{one['id']}")).status == 404
    assert (await api.call("DELETE", f"/v1/teams/{one['id']}")).status == 404
    assert (await api.call("PATCH", f"/v1/teams/{one['id']}", {})).status == 404
    assert (await team(api, slug=one["slug"]))["slug"] == one["slug"], "a deleted team's slug is free"


async def test_a_team_with_event_types_stays(api: Api, conn: db.Connection) -> None:
    made, event_type = await team(api), await api.event_type()
    await conn.execute(
        "update event_types set owner_user_id = null, owner_team_id = $2 where id = $1",
        *(decode(Kind.EVENT_TYPE, event_type["id"]), decode(Kind.TEAM, made["id"])),
    )
    assert (await api.call("DELETE", f"/v1/teams/{made['id']}")).ok(409)["code"] == "conflict"
    assert (await api.call("DELETE", f"/v1/event-types/{event_type['code']}")).status == 204
    assert (await api.call("DELETE", f"/v1/teams/{made['id']}")).status == 409, "archived ones count"
    assert (await api.get(f"/v1/teams/{made['id']}")).ok()["team"] == made


async def test_nobody_joins_a_team_while_leaving_all_of_them(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    made = await team(api)
    path = f"/v1/teams/{made['id']}"
    for _ in range(5):
        ben = await api.person()
        joined, left = await asyncio.gather(
            api.call("PATCH", path, {"user_ids": [ben["id"]]}), api.call("DELETE", f"/v1/users/{ben['id']}")
        )
        assert left.status == 204
        assert joined.status in {200, 400}
        assert (await api.get(path)).ok()["team"]["user_ids"] == []
    assert await conn.fetchval("select count(*) from team_members where org_id = $1", tenant.org_id) == 0


async def test_ten_teams_at_once_want_one_slug(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    body = {"slug": unique_name(), "name": "Sales"}
    answers = await asyncio.gather(*(api.post("/v1/teams", body) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    assert await conn.fetchval("select count(*) from teams where org_id = $1", tenant.org_id) == 1


async def test_an_idempotency_key_makes_one_team(api: Api) -> None:
    body = {"slug": unique_name(), "name": "Sales"}
    first = (await api.post("/v1/teams", body, Idempotency_Key="one")).ok(201)
    again = await api.post("/v1/teams", body, Idempotency_Key="one")
    assert again.ok(200) == {"idempotent_replay": True, **first}
