"""Corners where two rules meet: each was wrong once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from tests.offers import ask, book, booked, iso, listed, offer, refused, slots_of
from tests.support import Api

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def begun(conn: db.Connection, tenant: Any, booking: Any) -> None:
    """Let a booking have begun ten minutes ago."""
    ago = datetime.now(UTC) - timedelta(minutes=10)
    await conn.execute(
        "update bookings set starts_at = $3, ends_at = $4 where org_id = $1 and code = $2",
        *(tenant.org_id, booking["code"], ago, ago + HOUR),
    )


@pytest.mark.parametrize("step", ["complete", "no-show"])
@pytest.mark.parametrize("seats", [1, 2])
async def test_whoever_came_or_did_not_gives_the_rest_of_the_time_back(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime, step: str, seats: int
) -> None:
    made = await offer(api, seats=seats, buffer_after_minutes=30, max_bookings={"day": 1})
    bookings = [await booked(api, made, soon) for _ in range(seats)]
    held = "select count(*) from allocations where org_id = $1"
    for booking in bookings:
        assert await conn.fetchval(held, tenant.org_id) == 1
        await begun(conn, tenant, booking)
        path = f"/v1/bookings/{booking['id']}/{step}"
        done = (await api.post(path)).ok()["booking"]
        assert done["status"] == {"complete": "COMPLETED", "no-show": "NO_SHOW"}[step]
        assert done["cancellation"] is None
        assert (await api.post(path)).ok()["booking"] == done
    assert await conn.fetchval(held, tenant.org_id) == 0
    problem = await refused(api, made, soon + 5 * HOUR, "slot_unavailable")
    assert problem["reasons"] == ["cap_day"], "it was used all the same"
    types = await conn.fetch("select type from events where org_id = $1 order by id desc limit 1", tenant.org_id)
    assert types[0]["type"] == {"complete": "booking.completed", "no-show": "booking.no_show"}[step]


async def test_before_the_start_nobody_has_come(api: Api, soon: datetime) -> None:
    made = await offer(api)
    booking = await booked(api, made, soon)
    for step in ("complete", "no-show"):
        assert (await api.post(f"/v1/bookings/{booking['id']}/{step}")).ok(409)["code"] == "invalid_transition"


async def test_a_slot_token_with_another_event_types_code(api: Api, soon: datetime) -> None:
    made, other = await offer(api), await offer(api)
    token = slots_of(await ask(api, made, soon, 1))[0]["token"]
    attendee = {"name": "J", "email": "j@example.com", "timezone": "UTC"}
    for code in (other["code"], "nonsense"):
        body = {"event_type": code, "slot_token": token, "attendee": attendee}
        assert (await api.post("/v1/bookings", body)).ok(400)["errors"][0]["field"] == "slot_token"
    body = {"event_type": made["code"], "slot_token": token, "attendee": attendee}
    (await api.post("/v1/bookings", body)).ok(201)


async def test_alternatives_are_found_however_far_off_the_wish(api: Api) -> None:
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    near = await offer(api, booking_window_days=20)
    assert len((await refused(api, near, today + 40 * DAY, "slot_unavailable"))["alternatives"]) == 3
    noticed = await offer(api, minimum_notice_minutes=14_400)
    problem = await refused(api, noticed, today + 2 * HOUR, "slot_unavailable")
    assert [each["start"] for each in problem["alternatives"]] == [iso(today + 10 * DAY + n * HOUR) for n in (1, 2, 3)]
    monthly = await offer(api, max_bookings={"month": 1})
    middle = (today.replace(day=1, hour=0) + 40 * DAY).replace(day=16)
    await booked(api, monthly, middle)
    found = (await refused(api, monthly, middle + HOUR, "slot_unavailable"))["alternatives"]
    assert {datetime.fromisoformat(each["start"]).month for each in found}.isdisjoint({middle.month})
    assert len(found) == 3


async def test_a_booking_longer_than_any_on_offer_moves_by_the_same_decision(api: Api, soon: datetime) -> None:
    made = await offer(api, durations=[60, 240], slot_interval_minutes=60)
    long = await booked(api, made, soon, duration=240)
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"durations": [60]})).ok()
    await booked(api, made, soon + 13 * HOUR)
    path = f"/v1/bookings/{long['id']}/reschedule"
    answer = (await api.post(path, {"start_time": iso(soon + 10 * HOUR)})).ok(409)
    assert answer["code"] == "slot_taken"
    assert (await api.post(path, {"start_time": iso(soon + 9 * HOUR)})).ok()["booking"]["end_time"] == iso(
        soon + 13 * HOUR
    )


async def test_a_move_is_no_turn_and_neither_is_a_hold_that_came_to_nothing(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    booking = await booked(api, made, soon)
    for n in range(1, 4):
        path = f"/v1/bookings/{booking['id']}/reschedule"
        booking = (await api.post(path, {"start_time": iso(soon + n * HOUR)})).ok()["booking"]
    body = {"event_type": made["code"], "requested_time": iso(soon), "hold_seconds": 60}
    draft = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    (await api.post(f"/v1/bookings/{draft['id']}/cancel")).ok()
    counts = "select array_agg(assigned_count order by position)::text from event_type_hosts where org_id = $1"
    assert await conn.fetchval(counts, tenant.org_id) == "{1,0}"


async def test_an_outdated_token_offers_its_own_length(api: Api, soon: datetime) -> None:
    made = await offer(api, durations=[60, 30])
    token = slots_of(await ask(api, made, soon, 1, duration=30))[0]["token"]
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"description": "Changed"})).ok()
    attendee = {"name": "J", "email": "j@example.com", "timezone": "UTC"}
    problem = (await api.post("/v1/bookings", {"slot_token": token, "attendee": attendee})).ok(409)
    assert problem["alternatives"][0] == {"start": iso(soon - HOUR / 2), "end": iso(soon)}


async def test_an_edit_that_changes_nothing_spares_the_tokens(api: Api, soon: datetime) -> None:
    made = await offer(api)
    token = slots_of(await ask(api, made, soon, 1))[0]["token"]
    path = f"/v1/event-types/{made['code']}"
    for body in ({}, {"title": made["title"], "seats": 1}):
        (await api.call("PATCH", path, body)).ok()
    attendee = {"name": "J", "email": "j@example.com", "timezone": "UTC"}
    (await api.post("/v1/bookings", {"slot_token": token, "attendee": attendee})).ok(201)


async def test_names_of_free_fields_are_kept_to_the_space(api: Api, soon: datetime) -> None:
    made = await offer(api)
    free = {" a": 1, "a ": 2, "a": 3}
    booking = await booked(api, made, soon, metadata=free, custom_fields=free)
    assert (booking["metadata"], booking["custom_fields"]) == (free, free)


async def test_a_reschedule_can_be_repeated_with_its_key(api: Api, soon: datetime) -> None:
    made = await offer(api)
    old = await booked(api, made, soon)
    path, body = f"/v1/bookings/{old['id']}/reschedule", {"start_time": iso(soon + HOUR)}
    first = await api.post(path, body, Idempotency_Key="move")
    again = await api.post(path, body, Idempotency_Key="move")
    assert (first.status, again.status) == (200, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["booking"] == first.json["booking"]


async def test_a_hold_of_an_archived_event_type_can_still_be_finished(api: Api, soon: datetime) -> None:
    made = await offer(api)
    body = {"event_type": made["code"], "requested_time": iso(soon), "hold_seconds": 60}
    draft = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    assert (await api.call("DELETE", f"/v1/event-types/{made['code']}")).status == 204
    path = f"/v1/bookings/{draft['id']}/finish"
    assert (await api.post(path, {})).ok(400)["code"] == "missing_field"
    attendee = {"name": "J", "email": "j@example.com", "timezone": "UTC"}
    assert (await api.post(path, {"attendee": attendee})).ok()["booking"]["status"] == "SCHEDULED"


async def test_more_slots_than_anybody_reads_are_refused(api: Api, soon: datetime) -> None:
    made = await offer(api, people=5, assignment="round_robin", slot_interval_minutes=1, durations=[60])
    base = f"/v1/slots?event_type={made['code']}&start={soon.date()}&timezone=UTC"
    for query in (f"&end={(soon + 61 * DAY).date()}", f"&end={(soon + 9 * DAY).date()}&explain=true"):
        assert (await api.get(base + query)).ok(400)["errors"][0]["field"] == "end"
    assert (await api.get(f"{base}&end={(soon + DAY).date()}")).status == 200


async def test_many_alike_are_shared_out_quickly(api: Api, soon: datetime) -> None:
    place = (await api.post("/v1/locations", {"name": "Here", "timezone": "UTC"})).ok(201)["location"]["id"]
    body = {"name": "Desk", "kind": "desk", "location_id": place, "units": 500}
    (await api.post("/v1/resources", body)).ok(201)
    made = await offer(api, requires=[{"kind": "desk"}] * 10)
    assert len(await listed(api, made, soon, 24)) == 24
    booking = await booked(api, made, soon)
    assert len({each["unit"] for each in booking["resources"]}) == 10
    assert (await book(api, made, soon)).status == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reminders_minutes_before": [10, 10]}, "reminders_minutes_before"),
        ({"questions": [{"label": "Q", "type": "select", "options": ["a", "a"]}]}, "questions.0.options"),
        (
            {"routing_rules": [{"question_id": "q", "operator": "equals", "value": {}, "action": "reject"}]},
            "routing_rules.0.value",
        ),
        (
            {"routing_rules": [{"question_id": "q", "operator": "equals", "value": None, "action": "reject"}]},
            "routing_rules.0.value",
        ),
    ],
)
async def test_fields_are_named_as_they_were_sent(api: Api, body: Any, field: str) -> None:
    problem = (await api.post("/v1/event-types", {"title": "x", **body})).ok(400)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert decode(Kind.EVENT_TYPE, "evt_x") is None
