"""Seed 002, sent as it stands: availability of a day, booking for a contact, listing, reading and cancelling."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from app.core import db
from app.core.vault import Vault
from app.domain.identity.keys import create_key
from app.faces.bots.routes import ROUTES
from app.web.catalog import CATALOG
from tests.contract.examples import half_hours, later, seed, served
from tests.support import Answer, Api, Tenant, make_tenant

SEED = seed("002")
CREATE, LIST = SEED["POST /api/v1/bookings"], SEED["GET /api/v1/bookings"]
CANCEL = SEED["PATCH /api/v1/bookings/{id}/cancel"]
PATH = "/api/v1/bookings"


async def link(api: Api, **fields: Any) -> Any:
    return await half_hours(api, **{"title": "Discovery", "slug": "30min-discovery", **fields})


def wanted(made: Any, **changes: Any) -> dict[str, Any]:
    body = {**CREATE["body"], "booking_link_id": made["id"], "start_time": later(CREATE["body"]["start_time"])}
    return {**body, **changes}


async def create(api: Api, made: Any, **changes: Any) -> Answer:
    return await api.post(PATH, wanted(made, **changes))


def test_every_endpoint_is_there() -> None:
    assert set(SEED["endpoints"]) == set().union(*SEED["scopes"].values()) <= served(ROUTES)


@pytest.mark.parametrize("scope", SEED["scopes"])
async def test_each_endpoint_needs_one_of_the_two_scopes(
    api: Api, conn: db.Connection, tenant: Tenant, scope: str
) -> None:
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, name="bot", scopes=(scope,), now=datetime.now(UTC))
    bot = Api(api.client, key)
    for endpoint in SEED["endpoints"]:
        method, path = endpoint.split()
        status = (await bot.call(method, path.replace("{id}", "bkg_x"))).status
        assert (status == 403) == (endpoint not in SEED["scopes"][scope]), endpoint


async def test_the_flow_of_a_bot(api: Api) -> None:
    """Find a free slot, book it, and cancel it later."""
    made = await link(api)
    told, date = SEED["GET /api/v1/availability"]["answer"], later("2026-05-01T09:00:00Z")[:10]
    found = (await api.get(f"/api/v1/availability?booking_link_id={made['id']}&date={date}")).ok()
    assert found.keys() == {"data"}
    assert found["data"].keys() == told.keys()
    assert {**found["data"], "slots": []} == {**told, "booking_link_id": made["id"], "date": date, "slots": []}
    slots = found["data"]["slots"]
    assert {name: later(value) for name, value in told["slots"][0].items()} in slots
    by_slug = f"/api/v1/availability?slug={made['slug']}&date={date}"
    assert (await api.get(by_slug)).ok() == found
    booked = (await create(api, made, start_time=slots[0]["start"])).ok(201)["data"]
    assert (booked["start_time"], booked["end_time"]) == (slots[0]["start"], slots[0]["end"])
    assert slots[0] not in (await api.get(by_slug)).ok()["data"]["slots"]
    cancelled = (await api.call("PATCH", f"{PATH}/{booked['id']}/cancel", CANCEL["body"])).ok()
    assert cancelled == {"data": {"id": booked["id"], "status": "cancelled", "reason": CANCEL["body"]["reason"]}}
    assert list(cancelled["data"]) == CANCEL["answer"]
    assert (await api.get(by_slug)).ok() == found


async def test_create_answers_201_with_the_booking(api: Api) -> None:
    made = await link(api)
    answer = (await create(api, made)).ok(201)
    assert answer.keys() == {"data"}
    booking, sent = answer["data"], wanted(made)
    assert {name: booking[name] for name in sent} == sent
    assert booking["status"] == "confirmed"
    assert (await api.get(f"{PATH}/{booking['id']}")).ok() == answer


@pytest.mark.parametrize("name", CREATE["required"])
async def test_what_is_required(api: Api, name: str) -> None:
    made = await link(api)
    problem = (await api.post(PATH, {key: value for key, value in wanted(made).items() if key != name})).ok(400)
    assert (problem["code"], [each["field"] for each in problem["errors"]]) == ("missing_field", [name])
    assert name in problem["detail"]
    assert "success" not in problem


async def test_what_is_optional(api: Api) -> None:
    question = {"id": "size", "label": "Team size", "type": "number"}
    made = await link(api, questions=[question], services=[{"id": "long", "name": "Long", "duration_minutes": 60}])
    optional = {
        "contact_phone": "+44 20 7946 0000",
        "notes": "First-time client",
        "service_id": "long",
        "staff_id": made["hosts"][0]["user_id"],
        "client_timezone": "Europe/London",
        "answers": [{"question_id": "size", "answer": 12}],
    }
    assert sorted(optional) == sorted(CREATE["optional"])
    booking = (await create(api, made, **optional)).ok(201)["data"]
    assert {name: booking[name] for name in optional} == optional


async def test_the_errors_of_creating(api: Api) -> None:
    question = {"id": "size", "label": "Team size", "type": "select", "options": ["small", "large"], "required": True}
    rule = {"question_id": "size", "operator": "equals", "value": "small", "action": "reject", "message": "Too small."}
    plain = await link(api)
    picky = await link(api, slug="picky", questions=[question], routing_rules=[rule])
    (await create(api, plain)).ok(201)
    small = [{"question_id": "size", "answer": "small"}]
    answers = {
        "booking_link_not_found": await create(api, plain, booking_link_id=CREATE["body"]["booking_link_id"]),
        "missing_field": await create(api, plain, contact_name=None),
        "slot_taken": await create(api, plain),
        "routing_rejected": await create(api, picky, answers=small),
        "validation_failed": await create(api, picky),
    }
    assert answers.keys() == CREATE["errors"].keys()
    for code, answer in answers.items():
        assert answer.ok(CREATE["errors"][code])["code"] == code
    assert answers["routing_rejected"].json["detail"] == "Too small."


async def test_the_list_and_its_parameters(api: Api) -> None:
    made = await link(api, seats=99)
    one = (await create(api, made)).ok(201)["data"]
    page = (await api.get(PATH)).ok()
    assert page == {"data": [one], "pagination": {"page": 1, "limit": 50, "total": 1, "hasMore": False}}
    assert list(page["pagination"]) == LIST["pagination"]
    assert (page["pagination"]["page"], page["pagination"]["limit"]) == (LIST["page"], LIST["limit"])
    examples = {
        "booking_link_id": made["id"],
        "status": "confirmed",
        "from": later("2026-05-01T00:00:00Z"),
        "to": later("2026-05-02T00:00:00Z"),
        "page": "1",
        "limit": str(LIST["most"]),
    }
    assert list(examples) == LIST["parameters"]
    for name, value in examples.items():
        assert (await api.get(f"{PATH}?{urlencode({name: value})}")).ok()["data"] == [one], name
    assert (await api.get(f"{PATH}?limit={LIST['most'] + 1}")).status == 400
    for status in LIST["statuses"]:
        listed = (await api.get(f"{PATH}?status={status}")).ok()["data"]
        assert bool(listed) == (status == one["status"])


async def test_one_booking_has_its_link_joined_in(api: Api) -> None:
    made = await link(api)
    booking = (await create(api, made)).ok(201)["data"]
    read = (await api.get(f"{PATH}/{booking['id']}")).ok()["data"]
    joined = [read[name] for name in SEED["GET /api/v1/bookings/{id}"]["joined"]]
    assert joined == [made["title"], made["duration_minutes"]]


async def test_the_errors_of_cancelling(api: Api, conn: db.Connection, vault: Vault) -> None:
    booking = (await create(api, await link(api))).ok(201)["data"]
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    path = f"{PATH}/{booking['id']}/cancel"
    assert (await stranger.call("PATCH", path)).ok(CANCEL["errors"]["not_found"])["code"] == "not_found"
    first = (await api.call("PATCH", path)).ok()
    assert first == {"data": {"id": booking["id"], "status": CANCEL["status"], "reason": None}}, "a reason is optional"
    again = (await api.call("PATCH", path, CANCEL["body"])).ok(CANCEL["errors"]["already_cancelled"])
    assert again["code"] == "already_cancelled"
    assert set(CREATE["errors"]) | set(CANCEL["errors"]) <= set(CATALOG)
