"""Who hosts: fixed, round-robin, collective; questions and routing; the routing trace."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from tests.offers import ask, book, booked, listed, offer, refused, slots_of
from tests.support import Api, booking_body

HOUR = timedelta(hours=1)


def ids(event_type: Any) -> list[str]:
    return [host["user_id"] for host in event_type["hosts"]]


async def test_a_fixed_event_type_has_its_first_host(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2)
    booking = await booked(api, made, soon)
    assert booking["assigned_to_id"] == ids(made)[0]
    assert [host["user_id"] for host in booking["hosts"]] == ids(made)[:1]
    assert booking["routing_trace"] is None
    await refused(api, made, soon, "slot_taken")
    other = await booked(api, made, soon, host_id=ids(made)[1])
    assert other["assigned_to_id"] == ids(made)[1], "whom the caller asks for"


async def test_round_robin_takes_turns_and_says_why(api: Api, soon: datetime) -> None:
    made = await offer(api, people=3, assignment="round_robin")
    got = [(await booked(api, made, soon + n * HOUR))["assigned_to_id"] for n in range(6)]
    assert got == ids(made) * 2
    seventh = await booked(api, made, soon + 6 * HOUR)
    trace = (await api.get(f"/v1/bookings/{seventh['id']}")).ok()["booking"]["routing_trace"]
    assert trace == seventh["routing_trace"]
    assert (trace["assignment"], trace["reason"], trace["rule"]) == ("round_robin", "next_in_turn", None)
    assert [each["chosen"] for each in trace["candidates"]] == [True, False, False]
    assert [each["assigned_count"] for each in trace["candidates"]] == [2, 2, 2]
    assert all(each["last_assigned_at"] for each in trace["candidates"])


async def test_round_robin_fills_a_start_with_one_booking_per_host(api: Api, soon: datetime) -> None:
    made = await offer(api, people=3, assignment="round_robin")
    slot = slots_of(await ask(api, made, soon, 1))[0]
    assert slot["host_ids"] == ids(made)
    got = {(await booked(api, made, soon))["assigned_to_id"] for _ in range(3)}
    assert got == set(ids(made))
    await refused(api, made, soon, "slot_taken")
    assert await listed(api, made, soon, 2) == ["01:00"]


async def test_a_host_who_is_busy_is_passed_over(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    own = await offer(api)
    await booked(api, own, soon)
    slot = slots_of(await ask(api, made, soon, 1))[0]
    assert slot["host_ids"] == ids(made)[1:]
    booking = await booked(api, made, soon)
    assert booking["assigned_to_id"] == ids(made)[1]
    assert booking["routing_trace"]["reason"] == "first_free_in_turn"


async def test_weights_share_out_and_priority_breaks_ties(api: Api, soon: datetime) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    ben, cleo = [(await api.person())["id"] for _ in range(2)]
    hosts = [{"user_id": me}, {"user_id": ben, "weight": 3}, {"user_id": cleo, "priority": 5}]
    made = await offer(api, assignment="round_robin", hosts=hosts)
    got = [(await booked(api, made, soon + n * HOUR))["assigned_to_id"] for n in range(10)]
    assert got[0] == hosts[2]["user_id"], "nobody had any: priority decides"
    assert [got.count(host["user_id"]) for host in hosts] == [2, 6, 2]


async def test_whoever_joins_the_turn_has_no_debt(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    for n in range(6):
        await booked(api, made, soon + n * HOUR)
    new = (await api.person())["id"]
    path = f"/v1/event-types/{made['code']}"
    (await api.call("PATCH", path, {"hosts": [*made["hosts"], {"user_id": new}]})).ok()
    got = [(await booked(api, made, soon + n * HOUR))["assigned_to_id"] for n in range(6, 12)]
    assert got.count(new) == 2


async def test_collective_is_all_or_nothing(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, people=3, assignment="collective")
    booking = await booked(api, made, soon)
    assert [host["user_id"] for host in booking["hosts"]] == ids(made)
    alone = await offer(api, people=1)
    await refused(api, alone, soon, "slot_taken")
    await booked(api, alone, soon + HOUR)
    await refused(api, made, soon + HOUR, "slot_taken")
    held = "select count(*) from allocations where org_id = $1"
    assert await conn.fetchval(held, tenant.org_id) == 4, "nobody is held for what could not be had"
    assert await listed(api, made, soon, 3) == ["02:00"]
    (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    assert await conn.fetchval(held, tenant.org_id) == 1


async def test_nobody_left_to_host_is_no_slot_and_no_error(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    path = f"/v1/event-types/{made['code']}"
    (await api.call("PATCH", path, {"hosts": made["hosts"][1:]})).ok()
    assert (await api.call("DELETE", f"/v1/users/{ids(made)[1]}")).status == 204
    assert await listed(api, made, soon, 3) == []
    await refused(api, made, soon, "slot_unavailable")
    (await api.call("PATCH", path, {"title": "Still editable"})).ok()


QUESTIONS = [
    {"id": "country", "label": "Country", "type": "select", "options": ["DE", "FR", "XX"], "required": True},
    {"id": "size", "label": "Company size", "type": "number"},
]


async def routed(api: Api) -> tuple[Any, list[str]]:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    people = [me, (await api.person())["id"], (await api.person())["id"]]
    rules = [
        {"question_id": "country", "operator": "equals", "value": "xx", "action": "reject", "message": "Not there."},
        {"question_id": "country", "operator": "in", "value": ["FR"], "action": "assign", "host_ids": people[1:]},
        {"question_id": "country", "operator": "not_equals", "value": "DE", "action": "reject"},
    ]
    hosts = [{"user_id": each} for each in people]
    made = await offer(api, assignment="round_robin", hosts=hosts, questions=QUESTIONS, routing_rules=rules)
    assert made["routing_rules"][1]["host_ids"] == people[1:]
    return made, people


def answers(country: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"question_id": name, "answer": value} for name, value in {"country": country, **more}.items()]


async def test_rules_reject_with_their_message(api: Api, soon: datetime) -> None:
    made, _ = await routed(api)
    problem = (await book(api, made, soon, answers=answers("XX"))).ok(403)
    assert (problem["code"], problem["detail"], problem["rule"]) == ("routing_rejected", "Not there.", 0)
    query = {"answers": answers("XX")}
    explained = await ask(api, made, soon, 2, explain="true", **query)
    assert explained["slots"] == {}
    reasons = [reason for day in explained["refused"].values() for slot in day for reason in slot["reasons"]]
    assert {(reason["code"], reason["rule"]) for reason in reasons} == {("routing", 0)}


async def test_rules_assign_to_some_of_the_hosts(api: Api, soon: datetime) -> None:
    made, people = await routed(api)
    query = {"answers": answers("FR")}
    assert slots_of(await ask(api, made, soon, 1, **query))[0]["host_ids"] == people[1:]
    got = [await booked(api, made, soon, answers=answers("FR", size=3)) for _ in range(2)]
    assert {booking["assigned_to_id"] for booking in got} == set(people[1:])
    assert got[0]["routing_trace"]["rule"] == 1
    await refused(api, made, soon, "slot_taken", answers=answers("FR"))
    assert (await booked(api, made, soon, answers=answers("DE")))["assigned_to_id"] == people[0]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "answers.country"),
        (answers(""), "answers.country"),
        (answers("Mars"), "answers.0.answer"),
        (answers(["DE"]), "answers.0.answer"),
        (answers("DE", size="many"), "answers.1.answer"),
        (answers("DE", size=True), "answers.1.answer"),
        (answers("DE", shoes=43), "answers.1.question_id"),
        (answers("DE") * 2, "answers.1.question_id"),
    ],
)
async def test_answers_are_checked(api: Api, soon: datetime, given: Any, field: str) -> None:
    made, _ = await routed(api)
    problem = (await book(api, made, soon, answers=given)).ok(400)
    assert problem["code"] == "validation_failed"
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"assignment": "random"}, "assignment"),
        ({"seats": 0}, "seats"),
        ({"max_bookings": {"day": 0}}, "max_bookings.day"),
        ({"max_bookings": {"year": 1}}, "max_bookings.year"),
        ({"services": [{"name": "Cut", "duration_minutes": 0}]}, "services.0.duration_minutes"),
        ({"services": [{"id": "a", "name": "x", "duration_minutes": 5}] * 2}, "services"),
        ({"questions": [{"label": "Which?", "type": "select"}]}, "questions.0.options"),
        ({"requires": [{"kind": "room", "location_id": "loc_x"}]}, "requires.0.location_id"),
        (
            {"routing_rules": [{"question_id": "q", "operator": "equals", "value": "x", "action": "reject"}]},
            "routing_rules.0.question_id",
        ),
        (
            {"routing_rules": [{"question_id": "q", "operator": "in", "value": "x", "action": "reject"}]},
            "routing_rules.0.value",
        ),
        (
            {"routing_rules": [{"question_id": "q", "operator": "equals", "value": "x", "action": "assign"}]},
            "routing_rules.0.host_ids",
        ),
        ({"team_id": "team_01h2xcejqtf2nbrexx3vqjhp41"}, "team_id"),
    ],
)
async def test_an_event_type_that_makes_no_sense_is_refused(api: Api, fields: Any, field: str) -> None:
    problem = (await api.post("/v1/event-types", {"title": "x", **fields})).ok(400)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_every_field_comes_back_as_it_was_given(api: Api) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    team = (await api.post("/v1/teams", {"slug": f"team-{me[-8:]}", "name": "T", "user_ids": [me]})).ok(201)["team"]
    place = (await api.post("/v1/locations", {"name": "Here", "timezone": "UTC"})).ok(201)["location"]["id"]
    given: dict[str, Any] = {
        "durations": [15, 45],
        "duration_minutes": 45,
        "slot_interval_minutes": 10,
        "buffer_before_minutes": 5,
        "buffer_after_minutes": 10,
        "minimum_notice_minutes": 30,
        "booking_window_days": None,
        "max_bookings": {"day": 3, "week": 9, "month": 20},
        "seats": 4,
        "requires_confirmation": True,
        "auto_complete": False,
        "assignment": "collective",
        "team_id": team["id"],
        "questions": [{"id": "a", "label": "A", "type": "text", "options": [], "required": False}],
        "routing_rules": [
            {
                "question_id": "a",
                "operator": "contains",
                "value": "b",
                "action": "assign",
                "host_ids": [me],
                "message": None,
            }
        ],
        "services": [{"id": "cut", "name": "Cut", "duration_minutes": 90}],
        "requires": [{"kind": "room", "min_capacity": 6, "location_id": place}],
        "location": {"kind": "link", "value": "https://example.com"},
        "waitlist": True,
        "reminders_minutes_before": [60, 1440],
    }
    made = await api.event_type(**given)
    assert {name: made[name] for name in given} == given
    assert made["booking_url"].endswith(f"/{team['slug']}/{made['slug']}")
    path = f"/v1/event-types/{made['code']}"
    patched = (await api.call("PATCH", path, {"max_bookings": {"week": None}, "team_id": None})).ok()["event_type"]
    assert patched["max_bookings"] == {"day": 3, "week": None, "month": 20}
    assert patched["team_id"] is None
    assert {name: patched[name] for name in given if name not in {"max_bookings", "team_id"}} == {
        name: value for name, value in given.items() if name not in {"max_bookings", "team_id"}
    }
    assert (
        await api.post("/v1/bookings", booking_body(made["code"], datetime.fromisoformat("2030-01-07T10:00Z")))
    ).status in {201, 409}
