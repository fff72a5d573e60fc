"""Locations over HTTP: defaults as the contract shows them, merging patches, archives that leave nothing standing."""

import asyncio
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from tests.support import Api, Tenant, make_tenant

BERLIN = {"name": "Berlin office", "timezone": "Europe/Berlin"}


async def place(api: Api, **changes: Any) -> Any:
    return (await api.post("/v1/locations", {**BERLIN, **changes})).ok(201)["location"]


async def test_what_is_not_given_gets_the_default_shown(api: Api) -> None:
    made = await place(api)
    assert made["id"].startswith("loc_")
    assert made == {**BERLIN, "id": made["id"], "address": None, "created_at": made["created_at"],
                    "updated_at": made["created_at"]}  # fmt: skip
    assert (await api.get(f"/v1/locations/{made['id']}")).ok() == {"success": True, "location": made}


async def test_a_patch_merges(api: Api) -> None:
    made = await place(api, address="Unter den Linden 1")
    path = f"/v1/locations/{made['id']}"
    patched = (await api.call("PATCH", path, {"name": "Headquarters"})).ok()["location"]
    assert patched == {**made, "name": "Headquarters", "updated_at": patched["updated_at"]}
    patched = (await api.call("PATCH", path, {"address": None, "timezone": "UTC"})).ok()["location"]
    assert (patched["name"], patched["address"], patched["timezone"]) == ("Headquarters", None, "UTC")


async def test_patches_at_once_keep_each_others_fields(api: Api) -> None:
    path = f"/v1/locations/{(await place(api))['id']}"
    patches = [{"name": "New"}, {"address": "There"}, {"timezone": "Asia/Tokyo"}] * 5
    answers = await asyncio.gather(*(api.call("PATCH", path, patch) for patch in patches))
    assert {answer.status for answer in answers} == {200}
    shown = (await api.get(path)).ok()["location"]
    assert (shown["name"], shown["address"], shown["timezone"]) == ("New", "There", "Asia/Tokyo")


async def test_pages(api: Api) -> None:
    made = [(await place(api, name=str(n)))["id"] for n in range(5)]
    first = (await api.get("/v1/locations?limit=3")).ok()
    assert [each["id"] for each in first["locations"]] == made[:3]
    rest = (await api.get(f"/v1/locations?limit=3&cursor={first['pagination']['next_cursor']}")).ok()
    assert [each["id"] for each in rest["locations"]] == made[3:]
    assert rest["pagination"] == {"next_cursor": None, "has_more": False}
    assert (await api.get(f"/v1/locations?cursor={made[0].replace('loc', 'res')}")).status == 400


async def test_an_archived_location_is_gone(api: Api) -> None:
    kept, gone = await place(api), await place(api)
    path = f"/v1/locations/{gone['id']}"
    answer = await api.call("DELETE", path)
    assert (answer.status, answer.raw) == (204, b"")
    assert (await api.get("/v1/locations")).ok()["locations"] == [kept]
    for method, body in [("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)]:
        assert (await api.call(method, path, body)).ok(404)["code"] == "not_found"
    answer = await api.post("/v1/resources", {"name": "x", "kind": "room", "location_id": gone["id"]})
    assert answer.ok(400)["errors"][0]["field"] == "location_id"


async def test_a_location_goes_after_what_stands_there(api: Api) -> None:
    here, there = await place(api), await place(api)
    body = {"name": "x", "kind": "room", "location_id": here["id"]}
    moved, archived = [(await api.post("/v1/resources", body)).ok(201)["resource"]["id"] for _ in range(2)]
    path = f"/v1/locations/{here['id']}"
    assert (await api.call("DELETE", path)).ok(409)["code"] == "conflict"
    await api.call("PATCH", f"/v1/resources/{moved}", {"location_id": there["id"]})
    assert (await api.call("DELETE", path)).status == 409
    assert (await api.call("DELETE", f"/v1/resources/{archived}")).status == 204
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.call("DELETE", f"/v1/locations/{there['id']}")).status == 409


async def test_nothing_is_put_up_at_a_place_that_is_being_archived(
    api: Api, conn: db.Connection, tenant: Tenant
) -> None:
    for _ in range(5):
        location = (await place(api))["id"]
        body = {"name": "x", "kind": "room", "location_id": location}
        posts = [api.post("/v1/resources", body) for _ in range(4)]
        *made, archived = await asyncio.gather(*posts, api.call("DELETE", f"/v1/locations/{location}"))
        assert {answer.status for answer in made} <= {201, 400}
        assert archived.status == (409 if 201 in {answer.status for answer in made} else 204)
    stray = """
        select count(*) from resources r join locations l on l.org_id = r.org_id and l.id = r.location_id
        where r.org_id = $1 and r.archived_at is null and l.archived_at is not null
    """
    assert await conn.fetchval(stray, tenant.org_id) == 0


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": None}, "name"),
    "blank name": ({"name": " "}, "name"),
    "long name": ({"name": "x" * 201}, "name"),
    "unknown zone": ({"timezone": "Mars/Olympus"}, "timezone"),
    "zone null": ({"timezone": None}, "timezone"),
    "address as a number": ({"address": 7}, "address"),
    "unknown field": ({"colour": "red"}, "colour"),
    "an id of one's own": ({"id": "loc_01h2xcejqtf2nbrexx3vqjhp41"}, "id"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_location_names_its_field(api: Api, case: str) -> None:
    change, field = WRONG[case]
    path = f"/v1/locations/{(await place(api))['id']}"
    for answer in [await api.post("/v1/locations", {**BERLIN, **change}), await api.call("PATCH", path, change)]:
        assert answer.ok(400)["code"] == "validation_failed"
        assert field in [error["field"] for error in answer.json["errors"]]


async def test_name_and_zone_are_required(api: Api) -> None:
    answer = (await api.post("/v1/locations", {})).ok(400)
    assert answer["code"] == "missing_field"
    assert {error["field"] for error in answer["errors"]} == {"name", "timezone"}


@pytest.mark.parametrize(
    "wrong", ["loc_01h2xcejqtf2nbrexx3vqjhp41", "res_01h2xcejqtf2nbrexx3vqjhp41", "101", "loc_", "%00"]
)
async def test_unknown_ids_are_not_found(api: Api, wrong: str) -> None:
    methods: list[tuple[str, Any]] = [("GET", None), ("PATCH", {}), ("DELETE", None)]
    for method, body in methods:
        assert (await api.call(method, f"/v1/locations/{wrong}", body)).ok(404)["code"] == "not_found"


async def test_a_retry_makes_no_second_one(api: Api) -> None:
    first = await api.post("/v1/locations", BERLIN, Idempotency_Key="once")
    again = await api.post("/v1/locations", BERLIN, Idempotency_Key="once")
    assert (first.status, again.status) == (201, 200)
    assert again.json["location"] == first.json["location"]
    assert len((await api.get("/v1/locations")).ok()["locations"]) == 1


async def test_others_see_nothing_of_it(api: Api, conn: db.Connection, vault: Vault) -> None:
    await place(api)
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert (await stranger.get("/v1/locations")).ok()["locations"] == []
