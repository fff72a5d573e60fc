"""Bookings over HTTP: made, read, cancelled, and refused for a reason that the caller can act on."""

from datetime import datetime, timedelta

import pytest

from tests.support import Api, booking_body


@pytest.fixture
async def call(api: Api) -> str:
    """An event type of half an hour with a host whose hours are Monday to Friday, nine to five UTC."""
    return str((await api.event_type(code="call", booking_window_days=None))["code"])


async def test_a_booking_is_made_and_read_back(api: Api, call: str, soon: datetime) -> None:
    start = soon + timedelta(hours=9)
    made = (await api.book(call, start)).ok(201)["booking"]
    assert made["status"] == "SCHEDULED"
    assert made["start_time"] == start.strftime("%Y-%m-%dT09:00:00Z")
    assert made["end_time"] == start.strftime("%Y-%m-%dT09:30:00Z")
    assert made["attendee"]["email"] == "jane@example.com"
    assert made["timezone"] == "America/New_York"
    assert made["event_type"] == "call"
    assert [(step["from"], step["to"], step["by"]) for step in made["history"]] == [("DRAFT", "SCHEDULED", "api")]
    assert len(made["cancel_token"]) >= 22
    assert made["cancel_token"] != made["reschedule_token"]
    read = (await api.get(f"/v1/bookings/{made['id']}")).ok()["booking"]
    assert read == made


async def test_the_same_start_again_is_taken_and_its_neighbours_touch(api: Api, call: str, soon: datetime) -> None:
    start = soon + timedelta(hours=10)
    (await api.book(call, start)).ok(201)
    again = (await api.book(call, start)).ok(409)
    assert again["code"] == "slot_taken"
    (await api.book(call, start - timedelta(minutes=30))).ok(201)
    (await api.book(call, start + timedelta(minutes=30))).ok(201)


async def test_a_start_outside_the_hours_is_unavailable_with_alternatives(api: Api, call: str, soon: datetime) -> None:
    refused = (await api.book(call, soon + timedelta(hours=8))).ok(409)
    assert refused["code"] == "slot_unavailable"
    assert refused["alternatives"] == [
        {
            "start": (soon + delta).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "end": (soon + delta + half).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        for half in [timedelta(minutes=30)]
        for delta in [timedelta(hours=9), timedelta(hours=9, minutes=30), timedelta(hours=10)]
    ]
    off_grid = (await api.book(call, soon + timedelta(hours=9, minutes=5))).ok(409)
    assert off_grid["code"] == "slot_unavailable"


async def test_a_cancelled_slot_can_be_booked_again(api: Api, call: str, soon: datetime) -> None:
    start = soon + timedelta(hours=11)
    first = (await api.book(call, start)).ok(201)["booking"]
    cancelled = (await api.post(f"/v1/bookings/{first['id']}/cancel", {"reason": "ill"})).ok()["booking"]
    assert cancelled["status"] == "CANCELLED"
    assert cancelled["cancellation"]["reason"] == "ill"
    assert cancelled["cancellation"]["by"] == "api"
    second = (await api.book(call, start)).ok(201)["booking"]
    assert second["id"] != first["id"]


async def test_cancelling_twice_is_a_repeat_without_a_side_effect(api: Api, call: str, soon: datetime) -> None:
    made = (await api.book(call, soon + timedelta(hours=12))).ok(201)["booking"]
    first = (await api.post(f"/v1/bookings/{made['id']}/cancel")).ok()["booking"]
    second = (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "again"})).ok()["booking"]
    third = (await api.call("DELETE", f"/v1/bookings/{made['id']}")).ok()["booking"]
    assert first == second == third
    assert len(third["history"]) == 2


async def test_buffers_hold_on_both_sides(api: Api, soon: datetime) -> None:
    buffered = await api.event_type(
        code="buffered", buffer_before_minutes=30, buffer_after_minutes=15, slot_interval_minutes=15
    )
    start = soon + timedelta(hours=12)
    (await api.book(buffered["code"], start)).ok(201)
    # the later one's before (30) and the earlier one's after (15): 45 minutes between end and start
    for minutes, status in [(30, 409), (60, 409), (75, 201), (-60, 409), (-75, 201)]:
        answer = await api.book(buffered["code"], start + timedelta(minutes=minutes))
        assert answer.status == status, minutes


async def test_duration_and_host_are_the_event_types_own(api: Api, soon: datetime) -> None:
    await api.event_type(code="both", durations=[30, 60])
    start = soon + timedelta(hours=9)
    long = (await api.post("/v1/bookings", booking_body("both", start, duration=60))).ok(201)["booking"]
    assert long["end_time"] == (start + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wrong = (await api.post("/v1/bookings", booking_body("both", start, duration=45))).ok(400)
    assert wrong["errors"][0]["field"] == "duration"
    stranger = booking_body("both", start, host_id="usr_01h2xcejqtf2nbrexx3vqjhp41")
    assert (await api.post("/v1/bookings", stranger)).ok(400)["errors"][0]["field"] == "host_id"
