"""Event types and schedules over HTTP: defaults as the contract shows them, merging patches, archives."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support import Api


async def test_what_is_not_given_gets_the_default_shown(api: Api, tenant: Any) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    made = await api.event_type(title="Intro call")
    expected = {
        "slug": "intro-call", "title": "Intro call", "description": None, "duration_minutes": 30, "durations": [30],
        "slot_interval_minutes": None, "buffer_before_minutes": 0, "buffer_after_minutes": 0,
        "minimum_notice_minutes": 0, "booking_window_days": 60,
        "max_bookings": {"day": None, "week": None, "month": None}, "seats": 1,
        "requires_confirmation": False, "auto_complete": True, "assignment": "fixed",
        "hosts": [{"user_id": me, "weight": 1, "priority": 0}], "schedule_id": None, "questions": [],
        "routing_rules": [], "services": [], "location": None, "waitlist": False, "reminders_minutes_before": [1440],
        "active": True,
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    assert made["booking_url"].endswith(f"/{tenant.username}/intro-call")
    assert (await api.get(f"/v1/event-types/{made['code']}")).ok()["event_type"] == made
    assert (await api.get(f"/v1/event-types/{made['id']}")).ok()["event_type"] == made


async def test_a_patch_merges(api: Api) -> None:
    made = await api.event_type(buffer_after_minutes=10, description="old")
    path = f"/v1/event-types/{made['code']}"
    patched = (await api.call("PATCH", path, {"title": "New", "description": None})).ok()["event_type"]
    assert patched == {**made, "title": "New", "description": None, "updated_at": patched["updated_at"]}
    question = {"label": "Topic", "type": "select", "options": ["a", "b"], "required": True}
    patched = (await api.call("PATCH", path, {"questions": [question, {**question, "id": "own"}]})).ok()["event_type"]
    assert [each["id"] for each in patched["questions"]] == ["q_1", "own"]
    assert (await api.call("PATCH", path, {})).status == 200


@pytest.mark.parametrize(
    ("given", "patch", "usual", "offered"),
    [
        ({}, {"duration_minutes": 45}, 45, [45]),
        ({"durations": [30, 60]}, {"duration_minutes": 60}, 60, [30, 60]),
        ({"durations": [30, 60]}, {"duration_minutes": 45}, 45, [45, 60]),
        ({"durations": [30, 60]}, {"durations": [60, 90]}, 60, [60, 90]),
        ({"durations": [15, 60], "duration_minutes": 60}, {"durations": [60, 90]}, 60, [60, 90]),
    ],
)
async def test_the_usual_duration_is_always_on_offer(
    api: Api, given: dict[str, Any], patch: dict[str, Any], usual: int, offered: list[int]
) -> None:
    made = await api.event_type(**given)
    patched = (await api.call("PATCH", f"/v1/event-types/{made['code']}", patch)).ok()["event_type"]
    assert (patched["duration_minutes"], patched["durations"]) == (usual, offered)


async def test_taken_codes_and_slugs_conflict_and_archived_ones_are_free(api: Api) -> None:
    await api.event_type(code="one", slug="one")
    for clash in [{"code": "one", "slug": "other"}, {"code": "other", "slug": "one"}]:
        answer = await api.post("/v1/event-types", {"title": "x", **clash})
        assert answer.ok(409)["code"] == "conflict"
    assert (await api.event_type(title="One"))["slug"] == "one-2", "a slug that nobody asked for makes way"
    assert (await api.call("DELETE", "/v1/event-types/one")).status == 204
    assert (await api.get("/v1/event-types/one")).status == 404
    await api.event_type(code="one", slug="one")


async def test_an_archived_event_types_bookings_stay(api: Api, soon: datetime) -> None:
    await api.event_type(code="gone", booking_window_days=None)
    booking = (await api.book("gone", soon + timedelta(hours=9))).ok(201)["booking"]
    await api.call("DELETE", "/v1/event-types/gone")
    assert (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]["event_type"] == "gone"
    assert (await api.book("gone", soon + timedelta(hours=10))).status == 404


async def test_an_inactive_event_type_offers_and_books_nothing(api: Api, soon: datetime) -> None:
    await api.event_type(code="off", active=False, booking_window_days=None)
    day = soon.date().isoformat()
    assert (await api.get(f"/v1/slots?event_type=off&start={day}&end={day}")).ok()["slots"] == {}
    assert (await api.book("off", soon + timedelta(hours=9))).ok(409)["code"] == "slot_unavailable"


async def test_patches_at_once_never_break_a_rule(api: Api) -> None:
    """Each sees the outcome of the one before: the usual duration stays one that is offered, and nobody gets a 500."""
    code = (await api.event_type(durations=[30, 60]))["code"]
    patches = [{"duration_minutes": 45}, {"durations": [30]}, {"duration_minutes": 30}, {"durations": [60, 90]}] * 10
    answers = await asyncio.gather(*(api.call("PATCH", f"/v1/event-types/{code}", patch) for patch in patches))
    assert {answer.status for answer in answers} == {200}
    shown = (await api.get(f"/v1/event-types/{code}")).ok()["event_type"]
    assert shown["duration_minutes"] in shown["durations"]


async def test_one_title_many_times_at_once(api: Api) -> None:
    answers = await asyncio.gather(*(api.post("/v1/event-types", {"title": "Same title"}) for _ in range(12)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["event_type"]["slug"] for answer in answers}) == 12


async def test_what_is_shown_is_accepted(api: Api) -> None:
    """Writes take the same names as reads."""
    shown = await api.event_type(title="One", description="x")
    own = {"id", "created_at", "updated_at", "booking_url", "code", "slug"}
    again = {name: value for name, value in shown.items() if name not in own}
    copy = (await api.post("/v1/event-types", again)).ok(201)["event_type"]
    assert {name: value for name, value in copy.items() if name not in own} == again
    patched = (await api.call("PATCH", f"/v1/event-types/{copy['code']}", again)).ok()["event_type"]
    assert {name: value for name, value in patched.items() if name not in own} == again


async def test_schedules(api: Api) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    body = {
        "name": "Summer",
        "timezone": "Europe/Berlin",
        "weekly": [{"day": "MO", "start": "09:00", "end": "12:00"}, {"day": "MO", "start": "13:00", "end": "24:00"}],
        "overrides": [{"date": "2026-12-24", "windows": []}],
        "valid_until": "2027-01-31",
    }
    made = (await api.post("/v1/schedules", body)).ok(201)["schedule"]
    assert {name: made[name] for name in body} == body
    assert made["owner"] == {"user_id": me}
    assert (made["is_default"], made["valid_from"]) == (False, None)
    path = f"/v1/schedules/{made['id']}"
    patched = (await api.call("PATCH", path, {"name": "Winter", "overrides": []})).ok()["schedule"]
    assert patched == {**made, "name": "Winter", "overrides": [], "updated_at": patched["updated_at"]}
    assert (await api.call("PATCH", path, {"valid_from": "2027-02-01"})).status == 400
    assert (await api.call("PATCH", path, {"owner": {"user_id": me}})).status == 400


async def test_there_is_always_one_default_schedule(api: Api) -> None:
    first = (await api.get("/v1/schedules")).ok()["schedules"][0]
    assert first["is_default"] is True
    assert (await api.call("DELETE", f"/v1/schedules/{first['id']}")).status == 409
    assert (await api.call("PATCH", f"/v1/schedules/{first['id']}", {"is_default": False})).status == 409
    second = await api.always_open()
    assert (await api.call("PATCH", f"/v1/schedules/{second['id']}", {"is_default": True})).status == 200
    assert (await api.get(f"/v1/schedules/{first['id']}")).ok()["schedule"]["is_default"] is False
    assert (await api.call("DELETE", f"/v1/schedules/{first['id']}")).status == 204


async def test_a_schedule_in_use_is_not_deleted(api: Api) -> None:
    schedule = await api.always_open()
    event_type = await api.event_type(schedule_id=schedule["id"])
    assert (await api.call("DELETE", f"/v1/schedules/{schedule['id']}")).ok(409)["code"] == "conflict"
    await api.call("DELETE", f"/v1/event-types/{event_type['code']}")
    assert (await api.call("DELETE", f"/v1/schedules/{schedule['id']}")).status == 204, "archived ones do not count"


async def test_a_webhooks_secret_is_shown_once(api: Api) -> None:
    made = (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})).ok(201)["webhook"]
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["booking.created", "booking.cancelled", "booking.rescheduled", "booking.no_show"]
    shown = (await api.get(f"/v1/webhooks/{made['id']}")).ok()["webhook"]
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (await api.get("/v1/webhooks")).ok()["webhooks"] == [shown]
    assert (await api.call("DELETE", f"/v1/webhooks/{made['id']}")).status == 204
    assert (await api.get(f"/v1/webhooks/{made['id']}")).status == 404
    assert (await api.call("DELETE", f"/v1/webhooks/{made['id']}")).status == 404
