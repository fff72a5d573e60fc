"""Reserving a resource by session (seed 000): the two calls, what is refused, and what it makes of a unit's time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from tests.browsers import Browser
from tests.rooms import hours_of, location, room
from tests.support import Api, make_tenant

Browsers = Callable[[], Browser]


def body(resource: Any, start: datetime, hours: float = 8, **more: Any) -> dict[str, Any]:
    end = start + timedelta(hours=hours)
    times = {"starts_at": start.isoformat(), "ends_at": end.isoformat()}
    return {"booking": {"bookable_id": resource["id"], **times, **more}}


async def desk(api: Api, **fields: Any) -> Any:
    return await room(api, await location(api, "UTC"), kind="desk", name="Desk 7", **fields)


async def test_the_two_calls_of_seed_000(api: Api, owner: Browser, soon: datetime) -> None:
    resource, start = await desk(api), soon + timedelta(hours=9)
    made = (await owner.post("/api/bookings", body(resource, start))).ok(201)
    booking_id = made["data"].pop("id")
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    assert made == {
        "data": {
            "bookable_id": resource["id"],
            "starts_at": start.strftime(stamp),
            "ends_at": (start + timedelta(hours=8)).strftime(stamp),
            "status": "confirmed",
        }
    }
    ended = (await owner.delete(f"/api/bookings/{booking_id}")).ok()
    assert ended == {"data": {"id": booking_id, **made["data"], "status": "cancelled"}}
    assert (await owner.delete(f"/api/bookings/{booking_id}")).ok() == ended, "a repeat changes nothing"
    assert (await owner.post("/api/bookings", body(resource, start))).status == 201, "and its time is free again"


async def test_it_is_the_same_booking_on_v1(api: Api, owner: Browser, soon: datetime) -> None:
    resource = await desk(api)
    made = (await owner.post("/api/bookings", body(resource, soon, notes="by the window"))).ok(201)["data"]
    seen = (await api.get(f"/v1/bookings/{made['id']}")).ok()["booking"]
    assert seen.pop("calendar_events") == []
    assert (seen["status"], seen["resource_id"], seen["event_type_id"]) == ("SCHEDULED", resource["id"], None)
    assert (seen["notes"], seen["hosts"], seen["resources"][0]["unit"]) == ("by the window", [], 1)
    me = (await owner.get("/api/session")).ok()["data"]
    assert (seen["attendee"]["email"], seen["attendee"]["timezone"]) == (me["email"], me["timezone"])
    assert [(step["from"], step["to"], step["by"]) for step in seen["history"]] == [("DRAFT", "SCHEDULED", "host")]
    events = (await api.get(f"/v1/events?booking_id={made['id']}")).ok()["events"]
    assert [(each["type"], each["sequence"]) for each in events] == [("booking.created", 1)]
    assert events[0]["data"]["booking"] == {**seen, "cancel_token": None, "reschedule_token": None}
    (await api.call("DELETE", f"/v1/bookings/{made['id']}")).ok()
    assert (await owner.get(f"/api/bookings/{made['id']}")).ok()["data"]["status"] == "cancelled"


async def test_each_unit_once_and_back_to_back(api: Api, owner: Browser, soon: datetime) -> None:
    resource = await desk(api, units=2)
    for _ in range(2):
        (await owner.post("/api/bookings", body(resource, soon, 2))).ok(201)
    refused = (await owner.post("/api/bookings", body(resource, soon + timedelta(hours=1), 2))).ok(409)
    assert (refused["code"], refused["reasons"]) == ("slot_taken", ["resource_taken"])
    assert "Desk 7 is taken" in refused["detail"]
    assert refused["alternatives"][0]["start"] == (soon - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (await owner.post("/api/bookings", body(resource, soon + timedelta(hours=2), 2))).ok(201)
    (await owner.post("/api/bookings", body(resource, soon - timedelta(hours=2), 2))).ok(201)


async def test_outside_its_hours_and_in_the_past(api: Api, owner: Browser, soon: datetime) -> None:
    resource = await desk(api)
    await hours_of(api, resource["id"], "UTC", [("MO", "09:00", "17:00")])
    (await owner.post("/api/bookings", body(resource, soon + timedelta(hours=9)))).ok(201)
    for start, hours in [
        (soon + timedelta(hours=8), 2),
        (soon + timedelta(hours=16), 2),
        (soon - timedelta(days=1), 1),
    ]:
        refused = (await owner.post("/api/bookings", body(resource, start, hours))).ok(409)
        assert (refused["code"], refused["reasons"]) == ("slot_unavailable", ["outside_hours"])
    always = await desk(api)
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    refused = (await owner.post("/api/bookings", body(always, past, 4))).ok(409)
    assert (refused["code"], refused["reasons"]) == ("slot_unavailable", ["past"])
    just_now = datetime.now(UTC).replace(microsecond=0)
    assert (await owner.post("/api/bookings", body(always, just_now, 1))).status == 201, "from now on"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": "2031-02-03T09:00:00Z"}, "booking.ends_at"),
        ({"ends_at": "2031-06-03T09:00:00Z"}, "booking.ends_at"),
        ({"starts_at": "2031-02-03T09:00:00"}, "booking.starts_at"),
        ({"starts_at": "2031-02-03T09:00:00.5Z"}, "booking.starts_at"),
        ({"bookable_id": "res_01h2xcejqtf2nbrexx3vqjhp41"}, "booking.bookable_id"),
        ({"bookable_id": "evt_01h2xcejqtf2nbrexx3vqjhp41"}, "booking.bookable_id"),
        ({"bookable_id": None}, "booking.bookable_id"),
        ({"colour": "blue"}, "booking.colour"),
    ],
)
async def test_bad_reservations_name_the_field(api: Api, owner: Browser, changes: dict[str, Any], field: str) -> None:
    resource = await desk(api)
    given = {"bookable_id": resource["id"], "starts_at": "2031-02-03T09:00:00Z", "ends_at": "2031-02-03T17:00:00Z"}
    answer = (await owner.post("/api/bookings", {"booking": given | changes})).ok(400)
    assert answer["errors"][0]["field"] == field, answer
    assert "success" not in answer


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({}, "missing_field", "booking"),
        ({"booking": []}, "missing_field", "booking"),
        ({"booking": {}}, "missing_field", "booking.bookable_id"),
        ({"booking": {}, "more": 1}, "validation_failed", "more"),
        ([], "invalid_request", None),
    ],
)
async def test_bodies_stand_under_their_noun(owner: Browser, sent: Any, code: str, field: str | None) -> None:
    answer = (await owner.post("/api/bookings", sent)).ok(400)
    assert answer["code"] == code
    assert [each["field"] for each in answer["errors"]][:1] == ([field] if field else [])


async def test_another_organizations_desk_is_unknown(
    api: Api, owner: Browser, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    theirs = await desk(stranger)
    answer = (await owner.post("/api/bookings", body(theirs, soon))).ok(400)
    assert answer["errors"][0]["field"] == "booking.bookable_id"


async def test_what_cannot_be_booked_any_more(api: Api, owner: Browser, soon: datetime) -> None:
    resource = await desk(api)
    (await owner.patch(f"/api/resources/{resource['id']}", {"resource": {"active": False}})).ok()
    refused = (await owner.post("/api/bookings", body(resource, soon))).ok(409)
    assert refused["code"] == "slot_unavailable"
    assert (await owner.delete(f"/api/resources/{resource['id']}")).status == 204
    assert (await owner.post("/api/bookings", body(resource, soon))).status == 400


async def test_a_reservation_is_moved_and_never_lost(api: Api, owner: Browser, soon: datetime) -> None:
    resource = await desk(api)
    made = (await owner.post("/api/bookings", body(resource, soon, 2))).ok(201)["data"]
    other = (await owner.post("/api/bookings", body(resource, soon + timedelta(hours=4), 2))).ok(201)["data"]
    taken = {"booking": {"start_time": (soon + timedelta(hours=3)).isoformat()}}
    assert (await owner.post(f"/api/bookings/{made['id']}/reschedule", taken)).ok(409)["code"] == "slot_taken"
    assert (await owner.get(f"/api/bookings/{made['id']}")).ok()["data"]["status"] == "confirmed"
    onto_itself = {"start_time": (soon + timedelta(hours=1)).isoformat(), "reason": "later"}
    moved = (await api.post(f"/v1/bookings/{made['id']}/reschedule", onto_itself)).ok()["booking"]
    assert (moved["status"], moved["rescheduled_from_id"], moved["resource_id"]) == (
        "RESCHEDULED",
        made["id"],
        resource["id"],
    )
    before = (await owner.get(f"/api/bookings/{made['id']}")).ok()["data"]
    assert (before["status"], before["rescheduled_to_id"]) == ("cancelled", moved["id"])
    mine = (await owner.get("/api/bookings")).ok()["data"]
    assert {each["id"] for each in mine} == {made["id"], other["id"], moved["id"]}, "it stays whose it was"
    events = (await api.get("/v1/events")).ok()["events"]
    assert [each["type"] for each in events][-1] == "booking.rescheduled"


async def test_it_shares_units_with_event_types(api: Api, owner: Browser, soon: datetime) -> None:
    """A room that a meeting needs is not also reserved by itself, and the other way round."""
    here = await location(api, "UTC")
    only = await room(api, here)
    await api.event_type(code="meet", requires=[{"kind": "room", "location_id": here}], booking_window_days=None)
    (await owner.post("/api/bookings", body(only, soon + timedelta(hours=10), 1))).ok(201)
    assert (await api.book("meet", soon + timedelta(hours=10))).ok(409)["code"] == "slot_taken"
    (await api.book("meet", soon + timedelta(hours=11))).ok(201)
    assert (await owner.post("/api/bookings", body(only, soon + timedelta(hours=11), 1))).ok(409)[
        "code"
    ] == "slot_taken"


async def test_a_hold_that_is_over_is_in_nobodys_way(
    api: Api, owner: Browser, conn: db.Connection, soon: datetime
) -> None:
    here = await location(api, "UTC")
    only = await room(api, here)
    await api.event_type(code="meet", requires=[{"kind": "room", "location_id": here}], booking_window_days=None)
    wanted = {"event_type": "meet", "requested_time": (soon + timedelta(hours=10)).isoformat(), "hold_seconds": 60}
    held = (await api.post("/v1/bookings", wanted)).ok(201)["booking"]
    assert (await owner.post("/api/bookings", body(only, soon + timedelta(hours=10), 1))).status == 409
    over = datetime.now(UTC) - timedelta(seconds=1)
    await conn.execute("update bookings set hold_expires_at = $2 where code = $1", held["code"], over)
    await conn.execute("update allocations set expires_at = $1 where expires_at is not null", over)
    assert (await owner.post("/api/bookings", body(only, soon + timedelta(hours=10), 1))).status == 201
    assert (await api.get(f"/v1/bookings/{held['id']}")).ok()["booking"]["status"] == "CANCELLED"


async def test_bookables_tell_what_is_free(api: Api, owner: Browser, soon: datetime) -> None:
    here, there = await location(api, "UTC"), await location(api, "UTC")
    desks = [await room(api, here, kind="desk", name=f"Desk {n}", units=n) for n in (1, 2)]
    await room(api, there, kind="room", capacity=12)
    (await owner.post("/api/bookings", body(desks[0], soon, 4))).ok(201)
    (await owner.post("/api/bookings", body(desks[1], soon, 4))).ok(201)
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    at = [(soon + timedelta(hours=hour)).strftime(stamp) for hour in range(6)]
    period = f"starts_at={at[0]}&ends_at={at[1]}"
    found = (await owner.get(f"/api/bookables?location_id={here}&{period}")).ok()
    assert [(each["available"], each["units_free"]) for each in found["data"]] == [(False, 0), (True, 1)]
    assert found["pagination"] == {"page": 1, "limit": 50, "total": 2, "has_more": False}
    later = (
        f"starts_at={(soon + timedelta(hours=4)).strftime(stamp)}&ends_at={(soon + timedelta(hours=5)).strftime(stamp)}"
    )
    free = (await owner.get(f"/api/bookables?kind=desk&{later}")).ok()["data"]
    assert [each["units_free"] for each in free] == [1, 2]
    assert len((await owner.get("/api/bookables?min_capacity=10")).ok()["data"]) == 1, "without a period: right now"
    assert (await owner.get(f"/api/bookables?starts_at={at[0]}")).ok(400)["code"] == "missing_field"
    second = (await owner.get(f"/api/bookables?location_id={here}&limit=1&page=2&{period}")).ok()
    assert [each["id"] for each in second["data"]] == [desks[1]["id"]]
    assert second["pagination"] == {"page": 2, "limit": 1, "total": 2, "has_more": False}


async def test_two_hundred_at_one_desk_of_three_units(api: Api, owner: Browser, soon: datetime) -> None:
    resource = await desk(api, units=3)
    answers = await asyncio.gather(*(owner.post("/api/bookings", body(resource, soon)) for _ in range(200)))
    assert sorted(each.status for each in answers) == [201] * 3 + [409] * 197
    assert {each.json["code"] for each in answers if each.status == 409} == {"slot_taken"}


async def test_idempotency_keys_are_each_persons_own(
    api: Api, owner: Browser, browsers: Browsers, soon: datetime
) -> None:
    resource = await desk(api, units=2)
    sent = body(resource, soon)
    first = await owner.post("/api/bookings", sent, **{"Idempotency-Key": "k1"})
    again = await owner.post("/api/bookings", sent, **{"Idempotency-Key": "k1"})
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (201, 200, "true")
    assert again.json == {"idempotent_replay": True, **first.json}
    reused = await owner.post("/api/bookings", body(resource, soon, 1), **{"Idempotency-Key": "k1"})
    assert reused.ok(422)["code"] == "idempotency_key_reused"
    seen_by_key = await api.post("/v1/locations", {"name": "x", "timezone": "UTC"}, Idempotency_Key="k1")
    assert seen_by_key.status == 201, "nor do they meet those of the organization's keys"
