"""Seed 003, sent as it stands: booking on somebody's page, moving, and the links in mails."""

from typing import Any

import pytest

from app.domain.bookings.tokens import Purpose, mint
from app.faces.public.routes import ROUTES as PUBLIC_ROUTES
from app.faces.v1.routes import ROUTES
from tests.contract.examples import half_hours, later, seed, served
from tests.support import Answer, Api, Tenant

SEED = seed("003")
CREATE = SEED["POST /v1/book/{username}/{event_slug}"]


def wanted(**changes: Any) -> dict[str, Any]:
    body = CREATE["body"]
    return {**body, "start_time": later(body["start_time"]), **changes}


async def create(api: Api, tenant: Tenant, event_type: Any, body: Any = None) -> Answer:
    path = f"/v1/book/{tenant.username}/{event_type['slug']}"
    return await Api(api.client, "").call("POST", path, wanted() if body is None else body, Authorization="")


def test_every_endpoint_is_there() -> None:
    assert set(SEED["endpoints"]) <= served([*ROUTES, *PUBLIC_ROUTES])


async def test_a_booking_answers_with_the_seeds_members(api: Api, tenant: Tenant) -> None:
    answer = (await create(api, tenant, await half_hours(api))).ok(201)
    expected = {name: value for name, value in CREATE["answer"].items() if name not in {"id", "start_time", "end_time"}}
    for name, value in expected.items():
        assert name.endswith("_token") or answer[name] == value, name
    assert answer["start_time"] == later(CREATE["answer"]["start_time"])
    assert answer["end_time"] == later(CREATE["answer"]["end_time"])
    assert answer.keys() >= CREATE["answer"].keys()
    assert answer["id"].startswith("bkg_"), "ids are TypeIDs on every face"
    assert len(answer["cancel_token"]) >= 22
    assert answer.keys() >= set(SEED["schedkit:booked"])
    kept = (await api.get(f"/v1/bookings/{answer['id']}")).ok()["booking"]
    assert kept["notes"] == CREATE["body"]["notes"]
    assert kept["timezone"] == CREATE["body"]["timezone"]


async def test_a_request_is_pending_until_the_host_decides(api: Api, tenant: Tenant) -> None:
    answer = (await create(api, tenant, await half_hours(api, requires_confirmation=True))).ok(201)
    assert (answer["status"], answer["requires_confirmation"]) == ("pending", True)


@pytest.mark.parametrize("name", CREATE["required"])
async def test_required_fields(api: Api, tenant: Tenant, name: str) -> None:
    body = {key: value for key, value in wanted().items() if key != name}
    problem = (await create(api, tenant, await half_hours(api), body)).ok(400)
    assert problem["code"] == "missing_field"
    assert [each["field"] for each in problem["errors"]] == [name]


async def test_answers_to_questions(api: Api, tenant: Tenant) -> None:
    made = await half_hours(api, questions=[{"id": "size", "label": "Team size", "type": "number", "required": True}])
    assert (await create(api, tenant, made)).ok(400)["code"] == "validation_failed"
    body = wanted(answers=[{"question_id": "size", "answer": 12}])
    answer = (await create(api, tenant, made, body)).ok(201)
    kept = (await api.get(f"/v1/bookings/{answer['id']}")).ok()["booking"]
    assert kept["answers"] == body["answers"]


async def test_the_host_moves_it(api: Api, tenant: Tenant) -> None:
    booking = (await create(api, tenant, await half_hours(api))).ok(201)
    body = SEED["POST /v1/bookings/{id}/reschedule"]
    body = {**body, "start_time": later(body["start_time"])}
    moved = (await api.post(f"/v1/bookings/{booking['id']}/reschedule", body)).ok()["booking"]
    assert moved["start_time"] == body["start_time"]
    assert moved["status"] == "RESCHEDULED"
    assert moved["rescheduled_from_id"] == booking["id"]
    assert (await api.call("POST", f"/v1/bookings/{booking['id']}/reschedule", body, Authorization="")).status == 401


async def test_the_list_by_page(api: Api, tenant: Tenant) -> None:
    await create(api, tenant, await half_hours(api))
    told = SEED["GET /v1/bookings"]
    page = (await api.get(f"/v1/bookings?page={told['page']}")).ok()
    assert page["pagination"] == {"page": 1, "limit": told["limit"], "total": 1, "has_more": False}


@pytest.mark.parametrize(("action", "status"), [("confirm", "SCHEDULED"), ("decline", "CANCELLED")])
async def test_the_hosts_links(api: Api, conn: Any, vault: Any, tenant: Tenant, action: str, status: str) -> None:
    from app.core.ids import Kind, decode

    booking = (await create(api, tenant, await half_hours(api, requires_confirmation=True))).ok(201)
    sealed = await conn.fetchval("select secret_sealed from organizations where id = $1", tenant.org_id)
    booking_id = decode(Kind.BOOKING, booking["id"])
    assert booking_id is not None
    token = mint(vault.unseal(sealed), Purpose.CONFIRM, tenant.org_id, booking_id, 0)
    path = f"/v1/bookings/{token}/{action}"
    assert (await api.call("GET", path, Authorization="", Accept="application/json")).status == 200
    assert (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]["status"] == status


async def test_the_attendees_cancel_link(api: Api, tenant: Tenant) -> None:
    booking = (await create(api, tenant, await half_hours(api))).ok(201)
    answer = await api.call("POST", f"/v1/cancel/{booking['cancel_token']}/confirm", Authorization="")
    assert answer.ok()["status"] == "cancelled"
    kept = (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]
    assert (kept["status"], kept["cancellation"]["by"]) == ("CANCELLED", "attendee")
