"""What is refused to a bot names what there is, so that the bot can correct itself without asking its person."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.bots import PATH, ask_day, create, created, open_on, wanted
from tests.offers import book, offer
from tests.support import Api

HOUR = timedelta(hours=1)
NOTHING = "01h2xcejqtf2nbrexx3vqjhp41"
SIZE = {"id": "size", "label": "Team size", "type": "select", "options": ["small", "large"], "required": True}


def only_error(problem: Any) -> tuple[str, str]:
    (error,) = problem["errors"]
    assert error["message"] in problem["detail"], "whoever reads only the detail knows as much"
    return error["field"], error["message"]


@pytest.mark.parametrize("name", ["booking_link_id", "slug"])
async def test_an_unknown_link_names_the_slugs(api: Api, soon: datetime, name: str) -> None:
    for slug in ("intro", "review"):
        await offer(api, slug=slug)
    await offer(api, slug="asleep", active=False)
    body = {**wanted({"id": None}, soon), name: "nowhere"}
    by_list = [await api.get(f"{PATH}?booking_link_id=nowhere")] if name == "booking_link_id" else []
    for answer in (await api.post(PATH, body), await ask_day(api, soon.date(), **{name: "nowhere"}), *by_list):
        problem = answer.ok(404)
        assert problem["code"] == "booking_link_not_found"
        assert "intro, review." in problem["detail"]
        assert "asleep" not in problem["detail"], "what cannot be booked is no choice"
        assert "nowhere" not in problem["detail"]


@pytest.mark.parametrize("text", ["evt_x", "link_abc123", "usr_01h2xcejqtf2nbrexx3vqjhp41", "", "x" * 100, "Ü"])
async def test_whatever_is_no_link_is_not_found(api: Api, soon: datetime, text: str) -> None:
    problem = (await api.post(PATH, {**wanted({"id": None}, soon), "booking_link_id": text})).ok(404)
    assert problem["code"] == "booking_link_not_found"
    assert "make an event type" in problem["detail"], "there is none yet"


async def test_many_slugs_are_not_all_named(api: Api, soon: datetime) -> None:
    for number in range(23):
        await api.event_type(slug=f"s{number:02}")
    detail = (await ask_day(api, soon.date(), slug="nowhere")).ok(404)["detail"]
    assert "s00, " in detail
    assert detail.endswith("s19, and 3 more.")


async def test_a_slug_of_several_people_names_their_links(api: Api, soon: datetime) -> None:
    """It is unique on one page only."""
    mine = await offer(api, slug="intro", title="Mine")
    ben = await api.person()
    bens = await offer(api, slug="intro", title="Ben's", hosts=[{"user_id": ben["id"]}])
    slug = {"booking_link_id": None, "slug": "intro"}
    for answer in (await create(api, mine, soon, **slug), await ask_day(api, soon.date(), slug="intro")):
        problem = answer.ok(400)
        assert problem["code"] == "validation_failed"
        field, message = only_error(problem)
        assert field == "slug"
        for link in (mine, bens):
            assert f"{link['id']} ({link['title']}, on the page of " in message
        assert ben["username"] in message
    (await api.call("PATCH", f"/v1/event-types/{mine['code']}", {"active": False})).ok()
    made = await created(api, mine, soon, **slug)
    assert made["booking_link_id"] == bens["id"], "the one that can be booked"
    (await api.call("PATCH", f"/v1/event-types/{bens['code']}", {"active": False})).ok()
    assert (await create(api, mine, soon + HOUR, **slug)).ok(400)["errors"][0]["field"] == "slug"
    await api.call("DELETE", f"/v1/event-types/{bens['code']}")
    assert (await create(api, mine, soon + HOUR, **slug)).ok(409)["reasons"] == ["inactive"]


async def test_one_page_of_hundreds_of_one_slug_names_some(api: Api, soon: datetime) -> None:
    for _ in range(22):
        await offer(api, slug="intro", hosts=[{"user_id": (await api.person())["id"]}])
    message = only_error((await ask_day(api, soon.date(), slug="intro")).ok(400))[1]
    assert message.count("evt_") == 20
    assert message.endswith("and 2 more")


async def test_an_unknown_question_names_the_questions(api: Api, soon: datetime) -> None:
    link = await offer(api, questions=[{**SIZE, "required": False}, {"id": "why", "label": "Why?", "type": "text"}])
    for question_id in ("Team size", "sise", ""):
        answers = [{"question_id": question_id, "answer": "small"}]
        problem = (await create(api, link, soon, answers=answers)).ok(400)
        assert problem["code"] == "validation_failed"
        assert only_error(problem) == ("answers.0.question_id", "there are: size ('Team size'), why ('Why?')")
    asked = await ask_day(api, soon.date(), booking_link_id=link["id"], answers=answers)
    assert only_error(asked.ok(400))[0] == "answers.0.question_id"


async def test_an_unanswered_question_names_its_label_and_options(api: Api, soon: datetime) -> None:
    terms = {"id": "terms", "label": "I agree", "type": "checkbox", "required": True}
    link = await offer(api, questions=[SIZE, terms])
    problem = (await create(api, link, soon)).ok(400)
    assert problem["code"] == "validation_failed"
    assert [(each["field"], each["message"]) for each in problem["errors"]] == [
        ("answers.size", "'Team size' has to be answered; choose from: small, large"),
        ("answers.terms", "'I agree' has to be ticked: true"),
    ]
    assert problem["detail"] == f"answers.size: {problem['errors'][0]['message']} (and 1 more)"
    wrong = [{"question_id": "size", "answer": "huge"}, {"question_id": "terms", "answer": True}]
    assert only_error((await create(api, link, soon, answers=wrong)).ok(400)) == (
        "answers.0.answer",
        "choose from: small, large",
    )


@pytest.mark.parametrize(
    "staff", ["Sarah", "usr_01h2xcejqtf2nbrexx3vqjhp41", "usr_x", "evt_01h2xcejqtf2nbrexx3vqjhp41"]
)
async def test_unknown_staff_names_the_staff(api: Api, soon: datetime, staff: str) -> None:
    link = await offer(api, people=2, assignment="round_robin")
    me = (await api.get("/v1/users/me")).ok()["user"]
    answers = [
        await create(api, link, soon, staff_id=staff),
        await ask_day(api, soon.date(), booking_link_id=link["id"], staff_id=staff),
    ]
    for answer in answers:
        problem = answer.ok(400)
        assert problem["code"] == "validation_failed"
        field, message = only_error(problem)
        ids = [host["user_id"] for host in link["hosts"]]
        assert field == "staff_id"
        assert message == f"does not host this event type; there are: {ids[0]} ({me['name']}), {ids[1]} (Ben)"
        assert problem["detail"].startswith("staff_id: ")


@pytest.mark.parametrize("service", ["Long one", "longer", ""])
async def test_an_unknown_service_names_the_services(api: Api, soon: datetime, service: str) -> None:
    services = [{"id": each, "name": each.title(), "duration_minutes": 60} for each in ("long", "short")]
    link = await offer(api, services=services)
    answers = [
        await create(api, link, soon, service_id=service),
        await ask_day(api, soon.date(), booking_link_id=link["id"], service_id=service),
    ]
    for answer in answers:
        assert only_error(answer.ok(400)) == ("service_id", "there are: long (Long), short (Short)")
    assert only_error((await create(api, await offer(api), soon, service_id="x")).ok(400))[1] == "there are: none"


@pytest.mark.parametrize("status", ["SCHEDULED", "Confirmed", "booked", "confirmed,pending"])
async def test_an_unknown_status_names_the_words(api: Api, status: str) -> None:
    problem = (await api.get(f"{PATH}?status={status}")).ok(400)
    assert problem["code"] == "validation_failed"
    for word in ("pending", "confirmed", "cancelled", "completed", "no_show", "draft"):
        assert f"'{word}'" in problem["detail"]


async def test_all_that_is_missing_is_named_at_once(api: Api, soon: datetime) -> None:
    link = await offer(api)
    needed = ["booking_link_id", "contact_name", "contact_email", "start_time"]
    for body in ({}, dict.fromkeys(needed), {"notes": "x", "slug": None}):
        problem = (await api.post(PATH, body)).ok(400)
        assert problem["code"] == "missing_field"
        assert [each["field"] for each in problem["errors"]] == needed
    for query in ("", "timezone=UTC"):
        problem = (await api.get(f"/api/v1/availability?{query}")).ok(400)
        assert (problem["code"], [each["field"] for each in problem["errors"]]) == (
            "missing_field",
            ["booking_link_id", "date"],
        )
    both = (await create(api, link, soon, slug=link["slug"])).ok(400)
    assert (both["code"], only_error(both)) == (
        "validation_failed",
        ("slug", "give either booking_link_id or slug"),
    )
    assert (await ask_day(api, soon.date(), booking_link_id=link["id"], slug="x")).ok(400)["errors"][0][
        "field"
    ] == "slug"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contact_email", "alice"),
        ("contact_email", "[email protected]"),
        ("contact_name", ""),
        ("contact_name", "A\nB"),
        ("contact_name", 7),
        ("contact_phone", "1"),
        ("notes", "x" * 5001),
        ("answers", {"size": "small"}),
        ("answers", [{"question_id": "size"}]),
        ("staff_id", 7),
        ("slug_", "x"),
        ("timezone", "UTC"),
        ("duration", 30),
    ],
)
async def test_a_wrong_field_is_named(api: Api, soon: datetime, name: str, value: Any) -> None:
    problem = (await create(api, await offer(api), soon, **{name: value})).ok(400)
    assert problem["errors"][0]["field"].split(".")[0] == name
    assert "success" not in problem


@pytest.mark.parametrize(
    "day", ["2026-13-01", "2026-02-30", "tomorrow", "0001-01-01", "9999-12-31", "2026-05-01T00:00:00Z"]
)
async def test_a_wrong_date_is_named(api: Api, day: str) -> None:
    link = await offer(api)
    problem = (await ask_day(api, day, booking_link_id=link["id"])).ok(400)
    assert only_error(problem)[0] == "date"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "Mars/Base"),
        ("duration", "45"),
        ("duration", "0"),
        ("answers", "small"),
        ("answers", '{"size": 1}'),
    ],
)
async def test_a_wrong_parameter_is_named(api: Api, soon: datetime, name: str, value: str) -> None:
    link = await offer(api)
    problem = (await ask_day(api, soon.date(), booking_link_id=link["id"], **{name: value})).ok(400)
    assert problem["errors"][0]["field"].split(".")[0] == name
    assert await open_on(api, link, soon.date())


async def test_the_other_faces_are_told_the_same(api: Api, soon: datetime) -> None:
    link = await offer(api, questions=[SIZE], services=[{"id": "long", "name": "Long", "duration_minutes": 60}])
    refused = [
        await book(api, link, soon),
        await book(api, link, soon, answers=[{"question_id": "Team size", "answer": "small"}]),
        await book(api, link, soon, service_id="Long", answers=[{"question_id": "size", "answer": "small"}]),
    ]
    messages = [answer.ok(400)["errors"][0]["message"] for answer in refused]
    assert messages[0].endswith("choose from: small, large")
    assert messages[1:] == ["there are: size ('Team size')", "there are: long (Long)"]
