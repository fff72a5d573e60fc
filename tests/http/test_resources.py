"""Resources over HTTP: defaults as the contract shows them, and units that are never fewer than what is held."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from tests.rooms import hold, location, room, units
from tests.support import Api, Tenant, make_tenant

UNKNOWN = "01h2xcejqtf2nbrexx3vqjhp41"


async def test_what_is_not_given_gets_the_default_shown(api: Api) -> None:
    here = await location(api)
    made = await room(api, here)
    expected = {"name": "Room", "kind": "room", "location_id": here, "capacity": 1, "units": 1, "attributes": {},
                "schedule_id": None, "active": True}  # fmt: skip
    assert made == {**expected, "id": made["id"], "created_at": made["created_at"], "updated_at": made["created_at"]}
    assert made["id"].startswith("res_")
    assert (await api.get(f"/v1/resources/{made['id']}")).ok() == {"success": True, "resource": made}


async def test_what_is_shown_is_accepted(api: Api) -> None:
    schedule = (await api.always_open())["id"]
    attributes = {"screen": True, "sizes": [1, 2.5, {"deep": None}], "": "ünï", " screen": " x "}
    shown = await room(
        api, await location(api), capacity=12, units=3, attributes=attributes, schedule_id=schedule, active=False
    )
    assert shown["attributes"] == attributes
    own = {"id", "created_at", "updated_at"}
    again = {name: value for name, value in shown.items() if name not in own}
    copy = (await api.post("/v1/resources", again)).ok(201)["resource"]
    assert {name: value for name, value in copy.items() if name not in own} == again
    patched = (await api.call("PATCH", f"/v1/resources/{copy['id']}", again)).ok()["resource"]
    assert {name: value for name, value in patched.items() if name not in own} == again


async def test_a_patch_merges(api: Api) -> None:
    schedule = (await api.always_open())["id"]
    made = await room(api, await location(api), capacity=4, schedule_id=schedule)
    path = f"/v1/resources/{made['id']}"
    there = await location(api)
    patches: list[dict[str, Any]] = [
        {"name": "New"}, {"location_id": there, "kind": "desk"}, {"schedule_id": None}, {"active": False},
    ]  # fmt: skip
    for changes in patches:
        patched = (await api.call("PATCH", path, changes)).ok()["resource"]
        assert patched == {**made, **changes, "updated_at": patched["updated_at"]}
        made = patched
    assert (await api.call("PATCH", path, {})).status == 200


async def test_filters_and_pages(api: Api) -> None:
    here, there = await location(api), await location(api)
    small = [(await room(api, here, capacity=2))["id"] for _ in range(3)]
    large = (await room(api, here, capacity=20))["id"]
    desk = (await room(api, here, kind="desk"))["id"]
    far = (await room(api, there, capacity=8, active=False))["id"]
    expected = {
        "": [*small, large, desk, far],
        f"location_id={here}&kind=room": [*small, large],
        "min_capacity=3": [large, far],
        "min_capacity=0&kind=desk": [desk],
        f"location_id={there}": [far],
        "kind=boat": [],
        f"location_id=loc_{UNKNOWN}": [],
    }
    for query, ids in expected.items():
        found = (await api.get(f"/v1/resources?{query}")).ok()
        assert [each["id"] for each in found["resources"]] == ids, query
        assert found["pagination"] == {"next_cursor": None, "has_more": False}
    query = f"/v1/resources?location_id={here}&kind=room&limit=3"
    first = (await api.get(query)).ok()
    assert [each["id"] for each in first["resources"]] == small
    last = (await api.get(f"{query}&cursor={first['pagination']['next_cursor']}")).ok()
    assert [each["id"] for each in last["resources"]] == [large]
    for wrong in ["kind=ROOM", "kind=", "location_id=x", "min_capacity=x", "min_capacity=-1", "cursor=x", "x=1"]:
        assert (await api.get(f"/v1/resources?{wrong}")).ok(400)["errors"][0]["field"] == wrong.split("=", maxsplit=1)[
            0
        ]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no name": ({"name": None}, "name"),
    "blank name": ({"name": " "}, "name"),
    "kind with capitals": ({"kind": "Room"}, "kind"),
    "kind of two words": ({"kind": "meeting room"}, "kind"),
    "kind that begins with a digit": ({"kind": "3d-printer"}, "kind"),
    "a line too many": ({"kind": "room\nx"}, "kind"),
    "endless kind": ({"kind": "x" * 41}, "kind"),
    "unknown location": ({"location_id": f"loc_{UNKNOWN}"}, "location_id"),
    "location of another kind": ({"location_id": f"res_{UNKNOWN}"}, "location_id"),
    "unknown schedule": ({"schedule_id": f"sch_{UNKNOWN}"}, "schedule_id"),
    "no capacity": ({"capacity": 0}, "capacity"),
    "huge capacity": ({"capacity": 10**12}, "capacity"),
    "no unit": ({"units": 0}, "units"),
    "a thousand and one": ({"units": 1001}, "units"),
    "half a unit": ({"units": 1.5}, "units"),
    "units as text": ({"units": "2"}, "units"),
    "attributes as a list": ({"attributes": []}, "attributes"),
    "NUL in attributes": ({"attributes": {"a": ["\0"]}}, "attributes.a.0"),
    "active as text": ({"active": "yes"}, "active"),
    "unknown field": ({"colour": "red"}, "colour"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_resource_names_its_field_and_changes_nothing(api: Api, case: str) -> None:
    change, field = WRONG[case]
    made = await room(api, await location(api))
    body = {"name": "x", "kind": "room", "location_id": made["location_id"], **change}
    path = f"/v1/resources/{made['id']}"
    for answer in [await api.post("/v1/resources", body), await api.call("PATCH", path, {"name": "y", **change})]:
        assert answer.ok(400)["code"] == "validation_failed"
        assert field in [error["field"] for error in answer.json["errors"]]
    assert (await api.get("/v1/resources")).ok()["resources"] == [made]


async def test_another_organizations_ids_in_a_body_are_unknown(api: Api, conn: db.Connection, vault: Vault) -> None:
    theirs = {"location_id": await location(api), "schedule_id": (await api.always_open())["id"]}
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    mine = await room(stranger, await location(stranger))
    for name, value in theirs.items():
        body = {"name": "x", "kind": "room", "location_id": mine["location_id"], name: value}
        for answer in [
            await stranger.post("/v1/resources", body),
            await stranger.call("PATCH", f"/v1/resources/{mine['id']}", {name: value}),
        ]:
            assert answer.ok(400)["errors"][0] == {
                "field": name, "code": "unknown_id", "message": answer.json["errors"][0]["message"],
            }  # fmt: skip
    assert len((await stranger.get("/v1/resources")).ok()["resources"]) == 1


@pytest.mark.parametrize("wrong", [f"res_{UNKNOWN}", f"loc_{UNKNOWN}", "101", "res_", "availability2", "%00"])
async def test_unknown_ids_are_not_found(api: Api, wrong: str) -> None:
    methods: list[tuple[str, Any]] = [("GET", None), ("PATCH", {}), ("DELETE", None)]
    for method, body in methods:
        assert (await api.call(method, f"/v1/resources/{wrong}", body)).ok(404)["code"] == "not_found"


async def test_a_retry_makes_no_second_one(api: Api) -> None:
    body = {"name": "x", "kind": "room", "location_id": await location(api), "units": 2}
    first, again = [await api.post("/v1/resources", body, Idempotency_Key="once") for _ in range(2)]
    assert (first.status, again.status) == (201, 200)
    assert again.json["resource"] == first.json["resource"]
    assert len((await api.get("/v1/resources")).ok()["resources"]) == 1


async def test_units_come_and_go_by_the_highest_number(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    made = await room(api, await location(api), units=3)
    path = f"/v1/resources/{made['id']}"
    subjects = await units(conn, tenant, made["id"])
    assert list(subjects) == [1, 2, 3]
    for wanted in [5, 2, 1, 4, 6]:
        assert (await api.call("PATCH", path, {"units": wanted})).ok()["resource"]["units"] == wanted
        now = await units(conn, tenant, made["id"])
        assert list(now) == list(range(1, wanted + 1))
        assert subjects.items() <= {**subjects, **now}.items(), "a unit that comes back is the one that went"
        subjects |= now
    assert len(set(subjects.values())) == 6
    assert (await api.call("PATCH", path, {"units": 1000})).ok()["resource"]["units"] == 1000
    kinds = "select count(*) from subjects where org_id = $1 and kind = 'resource_unit'"
    assert await conn.fetchval(kinds, tenant.org_id) == 1000


async def test_a_held_unit_is_not_retired(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    made = await room(api, await location(api), units=4)
    path = f"/v1/resources/{made['id']}"
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    await hold(conn, tenant, made["id"], 4, now - 2 * hour, now - hour)
    await hold(conn, tenant, made["id"], 4, now + hour, now + 2 * hour, expires_at=now - hour)
    await hold(conn, tenant, made["id"], 3, now - hour, now + hour)
    await hold(conn, tenant, made["id"], 1, now + 90 * hour, now + 91 * hour, expires_at=now + hour)
    refused = (await api.call("PATCH", path, {"units": 2, "name": "New"})).ok(409)
    assert refused["code"] == "conflict"
    assert "Unit 3" in refused["detail"]
    assert (await api.get(path)).ok()["resource"] == made, "nothing of the patch was kept"
    assert (await api.call("PATCH", path, {"units": 3})).status == 200, "what is over, or expired, holds nothing"
    assert (await api.call("DELETE", path)).ok(409)["code"] == "conflict"
    await conn.execute("delete from allocations where org_id = $1 and lower(during) < $2", tenant.org_id, now)
    assert (await api.call("PATCH", path, {"units": 1})).status == 200
    assert (await api.call("DELETE", path)).status == 409
    await conn.execute("delete from allocations where org_id = $1", tenant.org_id)
    assert (await api.call("DELETE", path)).status == 204


async def test_an_archived_resource_is_gone(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    schedule = (await api.always_open())["id"]
    made = await room(api, await location(api), schedule_id=schedule, units=2)
    now = datetime.now(UTC)
    await hold(conn, tenant, made["id"], 1, now - timedelta(hours=2), now - timedelta(hours=1))
    path = f"/v1/resources/{made['id']}"
    assert (await api.call("DELETE", f"/v1/schedules/{schedule}")).status == 409
    answer = await api.call("DELETE", path)
    assert (answer.status, answer.raw) == (204, b"")
    for method, body in [("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)]:
        assert (await api.call(method, path, body)).ok(404)["code"] == "not_found"
    assert (await api.get("/v1/resources")).ok()["resources"] == []
    assert await units(conn, tenant, made["id"]) == {}
    assert await conn.fetchval("select active from resources where org_id = $1", tenant.org_id) is False
    assert (await api.call("DELETE", f"/v1/schedules/{schedule}")).status == 204, "archived ones do not count"


async def test_patches_of_units_at_once(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    """Whichever comes last counts, and the active units are as many as it said."""
    made = await room(api, await location(api), units=2)
    path = f"/v1/resources/{made['id']}"
    for _ in range(3):
        answers = await asyncio.gather(*(api.call("PATCH", path, {"units": n}) for n in [1, 5, 3, 8, 2, 8, 4, 7] * 3))
        assert {answer.status for answer in answers} == {200}
        assert {answer.json["resource"]["units"] for answer in answers} == {1, 2, 3, 4, 5, 7, 8}
        shown = (await api.get(path)).ok()["resource"]["units"]
        assert list(await units(conn, tenant, made["id"])) == list(range(1, shown + 1))
    every = "select count(*), count(distinct subject_no) from resource_units where org_id = $1"
    assert tuple(await conn.fetchrow(every, tenant.org_id) or ()) == (8, 8)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_claim_that_still_runs_is_waited_for(
    api: Api, conn: db.Connection, tenant: Tenant, method: str
) -> None:
    """A claim holds the unit's row while it takes the unit; who retires that meanwhile is refused, not too early."""
    made = await room(api, await location(api), units=2)
    path = f"/v1/resources/{made['id']}"
    now = datetime.now(UTC)
    async with conn.transaction():
        row = "select from resource_units where org_id = $1 and unit_no = 2 and retired_at is null for share"
        assert await conn.fetchrow(row, tenant.org_id) is not None
        retiring = asyncio.create_task(api.call(method, path, {"units": 1} if method == "PATCH" else None))
        await asyncio.sleep(0.3)
        assert not retiring.done()
        await hold(conn, tenant, made["id"], 2, now + timedelta(hours=1), now + timedelta(hours=2))
    assert (await retiring).status == 409
    assert list(await units(conn, tenant, made["id"])) == [1, 2]


async def test_schedules_of_resources(api: Api) -> None:
    made = await room(api, await location(api))
    body = {"name": "Opening hours", "timezone": "Europe/Berlin", "owner": {"resource_id": made["id"]}}
    first = (await api.post("/v1/schedules", body)).ok(201)["schedule"]
    assert (first["owner"], first["is_default"]) == ({"resource_id": made["id"]}, False)
    assert (await api.get(f"/v1/schedules/{first['id']}")).ok()["schedule"] == first
    shown = (await api.get(f"/v1/resources/{made['id']}")).ok()["resource"]
    assert shown == {**made, "schedule_id": first["id"], "updated_at": shown["updated_at"]}
    second = (await api.post("/v1/schedules", body)).ok(201)["schedule"]
    assert (await api.get(f"/v1/resources/{made['id']}")).ok()["resource"] == shown, "it has one already"
    assert (await api.call("DELETE", f"/v1/schedules/{first['id']}")).ok(409)["code"] == "conflict"
    patch = {"schedule_id": second["id"]}
    assert (await api.call("PATCH", f"/v1/resources/{made['id']}", patch)).ok()["resource"]["schedule_id"] == second[
        "id"
    ]
    assert (await api.call("DELETE", f"/v1/schedules/{first['id']}")).status == 204
    path = f"/v1/schedules/{second['id']}"
    patched = (await api.call("PATCH", path, {"name": "Winter", "is_default": False})).ok()["schedule"]
    assert patched == {**second, "name": "Winter", "updated_at": patched["updated_at"]}
    assert (await api.call("PATCH", path, {"is_default": True})).ok(400)["errors"][0]["field"] == "is_default"


async def test_a_wrong_owner_of_a_schedule(api: Api, conn: db.Connection, vault: Vault) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    mine, gone = await room(api, await location(api)), await room(api, await location(api))
    assert (await api.call("DELETE", f"/v1/resources/{gone['id']}")).status == 204
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    theirs = await room(stranger, await location(stranger))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"owner": {"resource_id": f"res_{UNKNOWN}"}}, "owner.resource_id"),
        ({"owner": {"resource_id": theirs["id"]}}, "owner.resource_id"),
        ({"owner": {"resource_id": gone["id"]}}, "owner.resource_id"),
        ({"owner": {"resource_id": me}}, "owner.resource_id"),
        ({"owner": {"resource_id": mine["id"], "user_id": me}}, "owner.resource_id"),
        ({"owner": {}}, "owner.user_id"),
        ({"owner": {"resource_id": mine["id"]}, "is_default": True}, "is_default"),
    ]
    for change, field in wrong:
        answer = await api.post("/v1/schedules", {"name": "x", "timezone": "UTC", **change})
        assert answer.ok(400)["errors"][0]["field"] == field
    assert (await api.get(f"/v1/resources/{mine['id']}")).ok()["resource"] == mine
    both = {"owner": {"user_id": me, "resource_id": None}}
    assert (await api.post("/v1/schedules", {"name": "x", "timezone": "UTC", **both})).status == 201


async def test_one_schedule_many_times_at_once_is_adopted_once(api: Api) -> None:
    made = await room(api, await location(api))
    body = {"name": "x", "timezone": "UTC", "owner": {"resource_id": made["id"]}}
    answers = await asyncio.gather(*(api.post("/v1/schedules", body) for _ in range(8)))
    ids = {answer.ok(201)["schedule"]["id"] for answer in answers}
    assert (await api.get(f"/v1/resources/{made['id']}")).ok()["resource"]["schedule_id"] in ids


async def test_a_schedule_is_used_or_deleted_never_both(api: Api) -> None:
    made = await room(api, await location(api))
    path = f"/v1/resources/{made['id']}"
    for _ in range(8):
        schedule = (await api.always_open())["id"]
        used, deleted = await asyncio.gather(
            api.call("PATCH", path, {"schedule_id": schedule}), api.call("DELETE", f"/v1/schedules/{schedule}")
        )
        assert (used.status, deleted.status) in {(200, 409), (400, 204)}
