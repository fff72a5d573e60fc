"""A copy of an event type: everything but its code, its slug, and that nobody can book it yet."""

from datetime import datetime
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from tests.offers import booked, offer, refused
from tests.support import Api

OWN = {"id", "code", "slug", "active", "booking_url", "created_at", "updated_at"}

RICH = {
    "title": "Project review",
    "slug": "review",
    "description": "All of it",
    "durations": [30, 60],
    "buffer_after_minutes": 5,
    "max_bookings": {"day": 3, "week": None, "month": None},
    "questions": [{"id": "budget", "label": "Budget", "type": "select", "options": ["a", "b"], "required": True}],
    "routing_rules": [{"question_id": "budget", "operator": "equals", "value": "b", "action": "reject"}],
    "services": [{"id": "long", "name": "Long", "duration_minutes": 90}],
    "location": {"kind": "phone", "value": "+49 30 1"},
    "reminders_minutes_before": [60],
}


async def duplicate(api: Api, made: Any, body: Any = None, **headers: str) -> Any:
    return await api.post(f"/v1/event-types/{made['code']}/duplicate", body, **headers)


def shared(event_type: Any) -> dict[str, Any]:
    return {name: value for name, value in event_type.items() if name not in OWN}


async def test_a_copy_is_the_same_under_another_name(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin", **RICH)
    copy = (await duplicate(api, made)).ok(201)["event_type"]
    assert shared(copy) == shared(made)
    assert copy["slug"] == "review-2"
    assert copy["code"] != made["code"]
    assert copy["active"] is False
    answers = [{"question_id": "budget", "answer": "a"}]
    await refused(api, copy, soon, "slot_unavailable", answers=answers)
    await api.call("PATCH", f"/v1/event-types/{copy['code']}", {"active": True})
    await booked(api, copy, soon, answers=answers)
    again = (await api.post(f"/v1/event-types/{made['id']}/duplicate", {})).ok(201)["event_type"]
    assert again["slug"] == "review-3"


async def test_a_copy_may_be_named_and_switched_on(api: Api, soon: datetime) -> None:
    made = await offer(api)
    body = {"active": True, "code": "mine", "slug": "my-copy", "title": "Mine"}
    copy = (await duplicate(api, made, body)).ok(201)["event_type"]
    assert {name: copy[name] for name in body} == body
    await booked(api, copy, soon)
    assert (await duplicate(api, made, {"code": "mine"})).ok(409)["code"] == "conflict"
    assert (await duplicate(api, made, {"slug": "my-copy"})).ok(409)["code"] == "conflict"


async def test_a_retry_makes_one_copy(api: Api) -> None:
    made = await offer(api)
    first = await duplicate(api, made, Idempotency_Key="k")
    second = await duplicate(api, made, Idempotency_Key="k")
    assert (first.status, second.status) == (201, 200)
    assert first.json["event_type"] == second.json["event_type"]
    assert len((await api.get("/v1/event-types")).ok()["event_types"]) == 2


async def test_whoever_has_left_may_stay_on_the_copy_and_is_never_offered(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    gone = made["hosts"][1]["user_id"]
    assert (await api.call("DELETE", f"/v1/users/{gone}")).status == 204
    copy = (await duplicate(api, made, {"active": True})).ok(201)["event_type"]
    booking = await booked(api, copy, soon)
    assert booking["assigned_to_id"] != gone


async def test_what_it_does_not_take_over(api: Api, conn: db.Connection, soon: datetime) -> None:
    """Bookings, the round-robin's memory, links."""
    made = await offer(api)
    await booked(api, made, soon)
    copy = (await duplicate(api, made)).ok(201)["event_type"]
    found = (await api.get(f"/v1/bookings?event_type_id={copy['id']}")).ok()["bookings"]
    assert found == []
    counted = "select sum(assigned_count) from event_type_hosts where event_type_id = $1"
    assert await conn.fetchval(counted, decode(Kind.EVENT_TYPE, copy["id"])) == 0


@pytest.mark.parametrize("body", [{"hosts": []}, {"active": None}, {"code": ""}, {"slug": "A B"}, [], {"title": ""}])
async def test_what_cannot_be_asked_for(api: Api, body: Any) -> None:
    made = await offer(api)
    assert (await duplicate(api, made, body)).status == 400


async def test_nothing_to_copy(api: Api) -> None:
    assert (await api.post("/v1/event-types/nowhere/duplicate")).ok(404)["code"] == "event_type_not_found"
