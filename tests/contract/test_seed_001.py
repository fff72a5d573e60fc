"""Seed 001, sent as it stands: the lifecycle, creating, listing, changing the attendee, idempotency."""

from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from app.domain.bookings.lifecycle import Status
from tests.contract.examples import half_hours, later, seed
from tests.support import Answer, Api, make_tenant

SEED = seed("001")


def wanted(event_type: Any) -> dict[str, Any]:
    body = SEED["POST /v1/bookings"]
    return {**body, "event_type_id": event_type["id"], "requested_time": later(body["requested_time"])}


async def create(api: Api, event_type: Any, **headers: str) -> Answer:
    return await api.post("/v1/bookings", wanted(event_type), **headers)


def test_the_statuses_are_those_of_the_table() -> None:
    assert {status.value for status in Status} == set(SEED["statuses"])


async def test_create_answers_201_with_what_was_sent(api: Api) -> None:
    made = await half_hours(api)
    answer = (await create(api, made)).ok(201)
    assert answer["success"] is True
    booking, sent = answer["booking"], wanted(made)
    assert booking["status"] == "SCHEDULED"
    assert booking["start_time"] == sent["requested_time"]
    for name in ("event_type_id", "attendee", "custom_fields", "metadata"):
        assert booking[name] == sent[name]
    read = (await api.get(f"/v1/bookings/{booking['id']}")).ok()
    assert read["booking"].pop("calendar_events") == []
    assert read == answer


async def test_a_duplicate_call_gets_the_original_bytes(api: Api) -> None:
    made, key = await half_hours(api), SEED["Idempotency-Key"]
    first, again = [await create(api, made, Idempotency_Key=key) for _ in range(2)]
    assert (first.status, again.status) == (201, 200)
    assert again.json["idempotent_replay"] is True
    assert again.raw.replace(b'"idempotent_replay":true,', b"", 1) == first.raw
    assert len((await api.get("/v1/bookings")).ok()["bookings"]) == 1


async def test_keys_are_scoped_per_team(api: Api, conn: db.Connection, vault: Vault) -> None:
    other = Api(api.client, (await make_tenant(conn, vault)).api_key)
    for each in (api, other):
        assert (await create(each, await half_hours(each), Idempotency_Key=SEED["Idempotency-Key"])).status == 201


async def test_the_list_and_its_parameters(api: Api) -> None:
    told = SEED["GET /v1/bookings"]
    made = await half_hours(api, seats=99)
    one = (await create(api, made)).ok(201)["booking"]
    query = told["query"].replace("2026-05-01T00:00:00Z", later("2026-05-01T00:00:00Z"))
    page = (await api.get(f"/v1/bookings?{query}")).ok()
    assert page["bookings"] == [one]
    assert page["pagination"] == {"next_cursor": None, "has_more": False}
    for _ in range(told["default_limit"]):
        await create(api, made)
    page = (await api.get("/v1/bookings")).ok()
    assert len(page["bookings"]) == told["default_limit"]
    assert page["pagination"].keys() == told["pagination"].keys()
    assert page["pagination"]["has_more"] is True
    assert page["pagination"]["next_cursor"].startswith("bkg_")
    rest = (await api.get(f"/v1/bookings?cursor={page['pagination']['next_cursor']}")).ok()
    assert len(rest["bookings"]) == 1
    examples = {
        "status": "SCHEDULED",
        "event_type_id": made["id"],
        "assigned_to_id": one["assigned_to_id"],
        "attendee_email": "jane@example.com",
        "start_date": later("2026-05-01T00:00:00Z"),
        "end_date": later("2026-05-02T00:00:00Z"),
        "limit": "1",
        "cursor": one["id"],
    }
    assert examples.keys() == told["parameters"].keys()
    for name, value in examples.items():
        assert (await api.get(f"/v1/bookings?{name}={value}")).ok()["bookings"], name


async def test_the_attendee_is_patched_and_nothing_else(api: Api) -> None:
    booking = (await create(api, await half_hours(api))).ok(201)["booking"]
    path = f"/v1/bookings/{booking['id']}"
    changed = (await api.call("PATCH", path, SEED["PATCH /v1/bookings/{id}"])).ok()["booking"]
    assert changed["attendee"] == {**booking["attendee"], "email": "new@example.com"}
    values = {"name": "Janet", "email": "j@example.com", "phone": "+1-555-0199", "timezone": "Europe/Paris"}
    assert sorted(values) == sorted(SEED["patchable"])
    for name, value in values.items():
        patched = (await api.call("PATCH", path, {"attendee": {name: value}})).ok()["booking"]
        assert patched["attendee"][name] == value
    for name in ("start_time", "status", "assigned_to_id"):
        assert (await api.call("PATCH", path, {name: booking[name]})).status == 400


@pytest.mark.parametrize("action", ["confirm", "complete", "no-show", "cancel"])
async def test_transitions_repeat_without_side_effects(api: Api, conn: db.Connection, tenant: Any, action: str) -> None:
    made = await half_hours(api, requires_confirmation=action == "confirm")
    booking = (await create(api, made)).ok(201)["booking"]
    if action in {"complete", "no-show"}:
        begun = "update bookings set starts_at = starts_at - interval '60 days' where org_id = $1"
        await conn.execute(begun, tenant.org_id)
    first = (await api.post(f"/v1/bookings/{booking['id']}/{action}")).ok()["booking"]
    for _ in range(2):
        assert (await api.post(f"/v1/bookings/{booking['id']}/{action}")).ok()["booking"] == first
    events = await conn.fetchval("select count(*) from events where org_id = $1", tenant.org_id)
    assert events == 2, "created, and the step"
