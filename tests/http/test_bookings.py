"""Bookings over HTTP: made, read, cancelled, and refused for a reason that the caller can act on."""

from datetime import datetime, timedelta

import pytest

from app.core import db
from app.core.ids import new_id
from tests.support import Api, Tenant, booking_body


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
    assert read == {**made, "calendar_events": []}


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


async def closed_now(api: Api, event_type: str, start: datetime) -> None:
    assert (await api.book(event_type, start)).ok(409)["code"] == "slot_unavailable"


async def test_what_was_edited_a_moment_ago_counts_at_once(api: Api, soon: datetime) -> None:
    """A process remembers what it decided by; every edit, and whoever made it, must be seen by the next booking."""
    schedule = (await api.get("/v1/schedules")).ok()["schedules"][0]
    code = (await api.event_type(code="call", booking_window_days=None))["code"]
    half = [soon + timedelta(hours=9, minutes=30 * n) for n in range(16)]
    (await api.book(code, half[0])).ok(201)
    path = f"/v1/schedules/{schedule['id']}"
    (await api.call("PATCH", path, {"overrides": [{"date": soon.date().isoformat(), "windows": []}]})).ok()
    await closed_now(api, code, half[1])
    (await api.call("PATCH", path, {"overrides": []})).ok()
    (await api.book(code, half[1])).ok(201)
    night = await api.always_open()
    (await api.call("PATCH", f"/v1/event-types/{code}", {"schedule_id": night["id"]})).ok()
    (await api.book(code, soon + timedelta(hours=3))).ok(201)
    (await api.call("PATCH", f"/v1/event-types/{code}", {"schedule_id": None})).ok()
    await closed_now(api, code, soon + timedelta(hours=4))
    (await api.call("PATCH", f"/v1/schedules/{night['id']}", {"is_default": True})).ok()
    (await api.book(code, soon + timedelta(hours=4))).ok(201)
    (await api.call("PATCH", f"/v1/event-types/{code}", {"buffer_before_minutes": 60})).ok()
    assert (await api.book(code, half[2])).ok(409)["code"] == "slot_taken"
    (await api.call("PATCH", f"/v1/event-types/{code}", {"active": False})).ok()
    await closed_now(api, code, half[8])
    (await api.call("PATCH", f"/v1/event-types/{code}", {"active": True, "durations": [30, 60]})).ok()
    long = booking_body(code, half[8], duration=60)
    (await api.post("/v1/bookings", long)).ok(201)
    assert (await api.call("DELETE", f"/v1/event-types/{code}")).status == 204
    assert (await api.book(code, half[12])).ok(404)["code"] == "event_type_not_found"
    again = await api.event_type(code="call", slug="call-again", booking_window_days=None)
    booked = (await api.book(code, half[14])).ok(201)["booking"]
    assert booked["event_type_id"] == again["id"]


async def test_a_host_who_left_is_not_booked(api: Api, soon: datetime, conn: db.Connection, tenant: Tenant) -> None:
    code = (await api.event_type(code="call", booking_window_days=None))["code"]
    (await api.book(code, soon + timedelta(hours=9))).ok(201)
    other = await conn.fetchval("select id from users where org_id = $1", tenant.org_id)
    await conn.execute("update users set disabled_at = now() where id = $1", other)
    assert (await api.book(code, soon + timedelta(hours=10))).status == 401, "this key is the host's own"
    count = await conn.fetchval("select count(*) from bookings where org_id = $1", tenant.org_id)
    assert count == 1


async def test_a_busy_calendar_is_taken(api: Api, soon: datetime, conn: db.Connection, tenant: Tenant) -> None:
    """Listed ⇔ bookable holds for what a calendar says, too."""
    code = (await api.event_type(code="call", booking_window_days=None))["code"]
    (await api.book(code, soon + timedelta(hours=9))).ok(201)
    await conn.execute(
        """
        with connection as (
            insert into calendar_connections (org_id, id, user_id, provider, account, credentials_sealed, status,
                                              created_at, updated_at)
            values ($1, $2, $3, 'caldav', 'x', '', 'active', now(), now()) returning org_id, id, user_id
        ), calendar as (
            insert into calendars
                (org_id, id, connection_id, user_id, remote_id, name, fresh_until, known_until, created_at, updated_at)
            select org_id, id, id, user_id, 'x', 'x', 'infinity', 'infinity', now(), now() from connection
        )
        insert into busy_blocks (org_id, calendar_id, generation, remote_id, subject_no, during)
        select org_id, $2, 0, 'x', subject_no, tstzrange($4, $5) from users where org_id = $1 and id = $3
        """,
        *(tenant.org_id, new_id(), tenant.user_id, soon + timedelta(hours=10), soon + timedelta(hours=11)),
    )
    day = soon.date().isoformat()
    listed = (await api.get(f"/v1/slots?event_type={code}&start={day}&end={day}&timezone=UTC")).ok()["slots"][day]
    starts = {slot["start"] for slot in listed}
    for minutes in range(9 * 60, 12 * 60, 30):
        start = soon + timedelta(minutes=minutes)
        bookable = start.strftime("%Y-%m-%dT%H:%M:%SZ") in starts
        assert (await api.book(code, start)).status == (201 if bookable else 409)
    assert len(starts) == 16 - 1 - 2
