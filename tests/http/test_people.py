"""People over HTTP: made so that they can host, edited, removed; and always one owner."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.identity.keys import create_key
from tests.support import Api, Tenant, booking_body, make_tenant, unique_name


def mail() -> str:
    return f"{unique_name()}@example.com"


def patch_of(api: Api, person: Any) -> Any:
    return lambda changes: api.call("PATCH", f"/v1/users/{person['id']}", changes)


async def remove(api: Api, person: Any) -> int:
    return (await api.call("DELETE", f"/v1/users/{person['id']}")).status


async def myself(api: Api) -> Any:
    return (await api.get("/v1/users/me")).ok()["user"]


async def version(conn: db.Connection, event_type: Any) -> int:
    found: int = await conn.fetchval(
        "select config_version from event_types where id = $1", decode(Kind.EVENT_TYPE, event_type["id"])
    )
    return found


async def key_of(conn: db.Connection, tenant: Tenant, person: Any) -> str:
    user_id = decode(Kind.USER, person["id"])
    assert user_id is not None
    _, key = await create_key(
        conn, tenant.org_id, user_id, name="theirs", scopes=("users:read", "users:write"), now=datetime.now(UTC)
    )
    return key


async def test_what_is_not_given_gets_a_default(api: Api) -> None:
    email = mail()
    made = (await api.post("/v1/users", {"email": email, "name": "Ben"})).ok(201)["user"]
    expected = {"email": email, "name": "Ben", "username": email.split("@")[0], "timezone": "UTC", "role": "member"}
    expected["locale"] = "en"
    assert {name: made[name] for name in expected} == expected
    assert set(made) == {"id", "created_at", "updated_at", *expected}
    assert (await api.get(f"/v1/users/{made['id']}")).ok()["user"] == made
    assert (await api.get("/v1/users")).ok()["users"] == [await myself(api), made]


async def test_a_zone_that_is_not_given_is_the_callers(api: Api, conn: db.Connection, vault: Vault) -> None:
    theirs = Api(api.client, (await make_tenant(conn, vault, zone="Asia/Kathmandu")).api_key)
    assert (await theirs.person())["timezone"] == "Asia/Kathmandu"


async def test_a_new_person_is_invited_and_can_host_at_once(api: Api, conn: db.Connection, soon: datetime) -> None:
    ben = await api.person(name="Ben", timezone="Europe/Berlin")
    hours = (await api.get("/v1/schedules")).ok()["schedules"][-1]
    assert (hours["owner"], hours["timezone"], hours["is_default"]) == ({"user_id": ben["id"]}, "Europe/Berlin", True)
    row = await conn.fetchrow("select invited_at, password_hash from users where id = $1", decode(Kind.USER, ben["id"]))
    assert row is not None
    assert row["invited_at"] is not None
    assert row["password_hash"] is None
    await api.event_type(code="call", hosts=[{"user_id": ben["id"]}], booking_window_days=None)
    booking = (await api.book("call", soon + timedelta(hours=12))).ok(201)["booking"]
    assert booking["assigned_to_id"] == ben["id"]


async def test_usernames_that_nobody_asked_for_make_way(api: Api) -> None:
    name = unique_name()
    made = [await api.person(email=f"{name}@{domain}.example") for domain in ("one", "two", "three")]
    assert [each["username"] for each in made] == [name, f"{name}-2", f"{name}-3"]
    assert (await api.person(email=f"{name}@four.example", username=f"{name}-5"))["username"] == f"{name}-5"
    assert (await api.person(email=f"{name}@five.example"))["username"] == f"{name}-4"
    assert (await api.person(email=f"{name}@six.example"))["username"] == f"{name}-6"


async def test_a_reserved_name_is_no_username(api: Api) -> None:
    assert (await api.person(email=f"admin@{unique_name()}.example"))["username"].startswith("user-admin")
    for username in ["admin", "v1"]:
        answer = await api.post("/v1/users", {"email": mail(), "name": "x", "username": username})
        assert answer.ok(400)["errors"][0]["field"] == "username"


async def test_what_is_taken_conflicts(api: Api, tenant: Tenant) -> None:
    ben, eve = await api.person(), await api.person()
    team = (await api.post("/v1/teams", {"slug": unique_name(), "name": "Team"})).ok(201)["team"]
    for clash in [
        {"email": ben["email"].upper()},
        {"email": mail(), "username": ben["username"]},
        {"email": mail(), "username": tenant.username},
        {"email": mail(), "username": team["slug"]},
    ]:
        assert (await api.post("/v1/users", {"name": "x", **clash})).ok(409)["code"] == "conflict"
        assert (await patch_of(api, eve)(clash)).ok(409)["code"] == "conflict"
    assert (await api.get(f"/v1/users/{eve['id']}")).ok()["user"] == eve
    assert len((await api.get("/v1/users")).ok()["users"]) == 3, "a refused create leaves nobody behind"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", None),
        ("email", f"{'x' * 65}@example.com"),
        ("name", ""),
        ("name", None),
        ("username", "Not A Handle"),
        ("username", "-x"),
        ("username", "x" * 64),
        ("timezone", "Mars/Olympus"),
        ("locale", "tlh"),
        ("locale", ""),
        ("role", "king"),
        ("role", None),
        ("id", "usr_x"),
        ("password", "secret"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, field: str, value: Any) -> None:
    body = {"email": mail(), "name": "Ben", field: value}
    answer = await api.post("/v1/users", body)
    assert [error["field"] for error in answer.ok(400)["errors"]] == [field]
    patched = await patch_of(api, await api.person())({field: value})
    assert [error["field"] for error in patched.ok(400)["errors"]] == [field]


@pytest.mark.parametrize("field", ["username", "timezone", "locale"])
async def test_what_a_person_must_have_is_not_taken_away(api: Api, field: str) -> None:
    answer = await patch_of(api, await api.person())({field: None})
    assert [error["field"] for error in answer.ok(400)["errors"]] == [field]


async def test_a_patch_merges(api: Api) -> None:
    ben = await api.person()
    patch = patch_of(api, ben)
    changes = {"name": "Benjamin", "username": unique_name(), "timezone": "Asia/Tokyo", "email": mail()}
    changes["locale"] = "de"
    for name, value in changes.items():
        ben = {**ben, name: value}
        shown = (await patch({name: value})).ok()["user"]
        assert shown == {**ben, "updated_at": shown["updated_at"]}
    assert (await patch({})).ok()["user"]["email"] == changes["email"]
    assert (await patch({"email": str(changes["email"]).upper()})).status == 200, "its own address is not taken"
    for reserved in ["admin", "Not A Handle"]:
        assert (await patch({"username": reserved})).status == 400


async def test_a_renamed_persons_old_username_is_free(api: Api) -> None:
    ben = await api.person()
    event_type = await api.event_type(hosts=[{"user_id": ben["id"]}])
    name = unique_name()
    assert (await patch_of(api, ben)({"username": name})).status == 200
    shown = (await api.get(f"/v1/event-types/{event_type['code']}")).ok()["event_type"]
    assert shown["booking_url"].endswith(f"/{name}/{event_type['slug']}")
    assert (await api.person(username=ben["username"]))["username"] == ben["username"]


async def test_me_is_no_id(api: Api) -> None:
    assert (await api.get("/v1/users/me")).ok()["key"]
    assert (await api.call("DELETE", "/v1/users/me")).status == 405


async def test_whoever_is_removed_is_gone_and_keeps_their_email(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    ben = await api.person()
    body = {"slug": unique_name(), "name": "Team", "user_ids": [ben["id"]]}
    team = (await api.post("/v1/teams", body)).ok(201)["team"]
    theirs = Api(api.client, await key_of(conn, tenant, ben))
    assert (await theirs.get("/v1/users/me")).status == 200
    assert await remove(api, ben) == 204
    assert (await theirs.get("/v1/users/me")).status == 401
    assert await conn.fetchval(
        "select revoked_at from api_keys where user_id = $1", decode(Kind.USER, ben["id"])
    ) is not None  # fmt: skip
    assert (await api.get(f"/v1/users/{ben['id']}")).status == 404
    assert (await patch_of(api, ben)({"name": "x"})).status == 404
    assert await remove(api, ben) == 404
    assert (await api.get("/v1/users")).ok()["users"] == [await myself(api)]
    assert (await api.get(f"/v1/teams/{team['id']}")).ok()["team"]["user_ids"] == []
    assert (await api.post("/v1/users", {"email": ben["email"], "name": "Ben"})).status == 409


async def test_the_hours_of_whoever_left_are_not_listed(api: Api) -> None:
    before = (await api.get("/v1/schedules")).ok()["schedules"]
    person = await api.person()
    assert len((await api.get("/v1/schedules")).ok()["schedules"]) == len(before) + 1
    assert (await api.call("DELETE", f"/v1/users/{person['id']}")).status == 204
    assert (await api.get("/v1/schedules")).ok()["schedules"] == before


async def test_a_key_does_not_remove_its_own_person(api: Api) -> None:
    await api.person(role="owner")
    assert await remove(api, await myself(api)) == 409
    assert (await api.get("/v1/users/me")).status == 200


async def test_what_is_remembered_of_a_host_is_forgotten_when_it_changes(
    api: Api, conn: db.Connection, soon: datetime
) -> None:
    """Creates decide by remembered inputs: neither an old name nor a host who left may come from them."""
    ben = await api.person(name="Ben")
    mine = await api.event_type()
    call = await api.event_type(code="call", hosts=[{"user_id": ben["id"]}], booking_window_days=None)
    booked = (await api.book("call", soon + timedelta(hours=9))).ok(201)["booking"]
    assert booked["hosts"][0]["name"] == "Ben"
    assert (await patch_of(api, ben)({"name": "Benjamin"})).status == 200
    booked = (await api.book("call", soon + timedelta(hours=10))).ok(201)["booking"]
    assert booked["hosts"][0]["name"] == "Benjamin"
    before = await version(conn, call)
    assert (await patch_of(api, ben)({"timezone": "Asia/Tokyo", "name": "Benjamin"})).status == 200
    assert await version(conn, call) == before, "nothing that creates remember has changed"
    assert await remove(api, ben) == 204
    assert await version(conn, call) == before + 1
    answer = await api.post("/v1/bookings", booking_body("call", soon + timedelta(hours=11)))
    assert answer.ok(409)["code"] == "slot_unavailable"
    assert await version(conn, mine) == 1, "other hosts' event types have nothing to forget"


async def test_there_is_always_an_owner(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    me = await myself(api)
    assert me["role"] == "owner"
    for role in ["admin", "member"]:
        assert (await patch_of(api, me)({"role": role})).ok(409)["code"] == "conflict"
    assert (await patch_of(api, me)({"role": "owner", "name": "Still here"})).status == 200
    ben = await api.person(role="owner")
    bens = Api(api.client, await key_of(conn, tenant, ben))
    assert (await patch_of(api, me)({"role": "admin"})).status == 200
    assert (await patch_of(api, ben)({"role": "member"})).status == 403, "an owner is no business of an admin's"
    assert (await patch_of(bens, ben)({"role": "member"})).status == 409
    assert (await patch_of(bens, me)({"role": "owner"})).status == 200
    assert await remove(api, ben) == 204


async def test_a_removed_owner_does_not_count(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    ben = await api.person(role="owner")
    assert await remove(api, ben) == 204
    assert (await patch_of(api, await myself(api))({"role": "member"})).status == 409


@pytest.mark.parametrize("mine", ["demote", "remove"])
@pytest.mark.parametrize("his", ["demote", "remove"])
async def test_the_last_two_owners_leave_at_once_and_one_stays(
    api: Api, conn: db.Connection, tenant: Tenant, mine: str, his: str
) -> None:
    async def leave(key: Api, way: str, person: Any) -> int:
        answer = await patch_of(key, person)({"role": "member"}) if way == "demote" else None
        return answer.status if answer else await remove(key, person)

    me, ben = await myself(api), await api.person(role="owner")
    bens = Api(api.client, await key_of(conn, tenant, ben))
    statuses = await asyncio.gather(leave(bens, mine, me), leave(api, his, ben))
    # 401 and 403: whoever was removed or demoted first may find the door closed
    assert set(statuses) <= {200, 204, 401, 403, 409}
    assert [status in {200, 204} for status in statuses].count(True) == 1
    owners = "select count(*) from users where org_id = $1 and role = 'owner' and disabled_at is null"
    assert await conn.fetchval(owners, tenant.org_id) == 1


async def test_six_owners_step_down_at_once_and_one_stays(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    owners = [await myself(api)] + [await api.person(role="owner") for _ in range(5)]
    keys = [api] + [Api(api.client, await key_of(conn, tenant, owner)) for owner in owners[1:]]
    steps = (patch_of(key, owner)({"role": "member"}) for key, owner in zip(keys, owners, strict=True))
    answers = await asyncio.gather(*steps)
    assert sorted(answer.status for answer in answers) == [200] * 5 + [409]
    assert [each["role"] for each in (await api.get("/v1/users")).ok()["users"]].count("owner") == 1


async def test_two_people_who_want_each_others_username_both_keep_theirs(api: Api) -> None:
    ben, eve = await api.person(), await api.person()
    for _ in range(5):
        answers = await asyncio.gather(
            patch_of(api, ben)({"username": eve["username"]}), patch_of(api, eve)({"username": ben["username"]})
        )
        assert {answer.status for answer in answers} == {409}


async def test_ten_at_once_for_one_email(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    body = {"email": mail(), "name": "Ben"}
    answers = await asyncio.gather(*(api.post("/v1/users", body) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    for table in ["users", "subjects", "handles", "schedules"]:
        assert await conn.fetchval(f"select count(*) from {table} where org_id = $1", tenant.org_id) == 2  # noqa: S608


async def test_ten_at_once_of_one_name(api: Api) -> None:
    name = unique_name()
    bodies = [{"email": f"{name}@d{number}.example", "name": "Ben"} for number in range(10)]
    answers = await asyncio.gather(*(api.post("/v1/users", body) for body in bodies))
    made = {answer.ok(201)["user"]["username"] for answer in answers}
    assert made == {name, *(f"{name}-{number}" for number in range(2, 11))}


async def test_an_idempotency_key_makes_one_person(api: Api) -> None:
    body = {"email": mail(), "name": "Ben"}
    first = (await api.post("/v1/users", body, Idempotency_Key="one")).ok(201)
    again = await api.post("/v1/users", body, Idempotency_Key="one")
    assert again.ok(200) == {"idempotent_replay": True, **first}
    other = await api.post("/v1/users", {**body, "name": "Eve"}, Idempotency_Key="one")
    assert other.ok(422)["code"] == "idempotency_key_reused"


async def test_pages_skip_nobody(api: Api) -> None:
    made = [await myself(api)] + [await api.person() for _ in range(4)]
    await remove(api, made.pop(2))
    seen, query = [], "limit=2"
    while True:
        page = (await api.get(f"/v1/users?{query}")).ok()
        seen += page["users"]
        if not page["pagination"]["has_more"]:
            break
        query = f"limit=2&cursor={page['pagination']['next_cursor']}"
    assert seen == made
