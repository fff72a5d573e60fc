"""Waiting lists: who may wait for what, the places in line, and offers as whoever waits sees them."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from tests.offers import book, booked, iso, listed, offer, refused
from tests.rooms import location, room
from tests.support import Api, Tenant, make_tenant
from tests.visitors import Anybody, address
from tests.waiting import (
    HOUR,
    QUESTION,
    awaited,
    cancel,
    entry_of,
    join,
    joined,
    run_out,
    states,
    tend,
    waiting_body,
)


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


async def test_waiting_for_a_start_that_is_taken(api: Api, soon: datetime) -> None:
    made = await awaited(api)
    await booked(api, made, soon)
    more: Any = {"notes": "Hi", "metadata": {"a": 1}, "custom_fields": {"b": 2}}
    entry = await joined(api, made, soon, **more)
    assert entry["id"].startswith("wtl_")
    assert (entry["status"], entry["start_time"], entry["date"]) == ("waiting", iso(soon), None)
    assert (entry["event_type_id"], entry["event_type"]) == (made["id"], made["code"])
    assert entry["attendee"] == {"name": "Wendy", "email": "wendy@example.com", "phone": None, "timezone": "UTC"}
    assert (entry["booking_id"], entry["offered_at"], entry["ended_at"]) == (None, None, None)
    assert {name: entry[name] for name in more} == more
    assert await entry_of(api, entry) == entry
    body = waiting_body(made, soon, "ben")
    del body["event_type"]
    other = (await api.post("/v1/waitlist", {**body, "event_type_id": made["id"]})).ok(201)["waitlist_entry"]
    assert other["id"] != entry["id"]


@pytest.mark.parametrize("way", ["seats", "day cap", "collective", "round robin", "room", "buffer", "hold"])
async def test_whatever_bookings_close_can_be_waited_for(api: Api, soon: datetime, way: str) -> None:
    if way == "room":
        place = await location(api, "UTC")
        await room(api, place)
    fields: Any = {
        "seats": {"seats": 2},
        "day cap": {"max_bookings": {"day": 1}},
        "collective": {"people": 2, "assignment": "collective"},
        "round robin": {"people": 2, "assignment": "round_robin"},
        "room": {"requires": [{"kind": "room"}]},
        "buffer": {"buffer_after_minutes": 60},
        "hold": {},
    }
    made = await awaited(api, **fields[way])
    for _ in range(2 if way in {"seats", "round robin"} else 1):
        await booked(api, made, soon, **({"hold_seconds": 60} if way == "hold" else {}))
    start = soon + HOUR if way in {"day cap", "buffer"} else soon
    assert (await joined(api, made, start))["status"] == "waiting"


async def test_what_is_open_is_booked_and_not_waited_for(api: Api, soon: datetime) -> None:
    made = await awaited(api, seats=2)
    await booked(api, made, soon)
    problem = (await join(api, made, soon)).ok(409)
    assert (problem["code"], "Book it" in problem["detail"]) == ("conflict", True)
    assert (await join(api, made, None, date=str(soon.date()))).ok(409)["code"] == "conflict"


async def test_an_event_type_without_a_list(api: Api, soon: datetime) -> None:
    made = await offer(api)
    await booked(api, made, soon)
    assert (await join(api, made, soon)).ok(409)["code"] == "waitlist_closed"
    assert (await join(api, {"code": "nowhere"}, soon)).ok(404)["code"] == "event_type_not_found"
    assert (await api.call("DELETE", f"/v1/event-types/{made['code']}")).status == 204
    assert (await join(api, made, soon)).ok(404)["code"] == "event_type_not_found"


async def test_what_waiting_cannot_help(api: Api, soon: datetime) -> None:
    """Hours, notice, window, the grid, and an event type that is switched off."""
    hours = {
        "name": "H",
        "timezone": "UTC",
        "weekly": [{"day": "MO", "start": "09:00", "end": "11:00"}],
    }
    schedule = (await api.post("/v1/schedules", hours)).ok(201)["schedule"]["id"]
    made = await awaited(api, schedule_id=schedule, minimum_notice_minutes=60, booking_window_days=30)
    taken = soon + 9 * HOUR
    await booked(api, made, taken)
    for start, reason in [
        (soon, "outside_schedule"),
        (taken + HOUR / 2, "outside_schedule"),
        (taken + timedelta(days=70), "window"),
        (taken - timedelta(days=70), "notice"),
        (taken + timedelta(milliseconds=1), "outside_schedule"),
    ]:
        body = waiting_body(made, None, start_time=start.isoformat())
        problem = (await api.post("/v1/waitlist", body)).ok(409)
        assert problem["code"] == "slot_unavailable", problem
        assert reason in problem["reasons"]
        assert "alternatives" in problem
        assert problem["detail"].startswith("Waiting would not help.")
    for day, reason in [(soon + timedelta(days=1), "outside_schedule"), (soon - timedelta(days=70), "notice")]:
        problem = (await join(api, made, None, date=str(day.date()))).ok(409)
        assert (problem["code"], reason in problem["reasons"]) == ("slot_unavailable", True), problem
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"active": False})).ok()
    assert (await join(api, made, taken)).ok(409)["reasons"][0] == "inactive"


async def test_a_day_on_which_nothing_is_left(api: Api, soon: datetime) -> None:
    """In the zone of whoever waits: there another day has open slots."""
    made = await awaited(api, max_bookings={"day": 1})
    await booked(api, made, soon)
    day = str(soon.date())
    entry = await joined(api, made, None, date=day)
    assert (entry["start_time"], entry["date"], entry["timezone"]) == (None, day, "UTC")
    tokyo = {"name": "T", "email": "t@example.com", "timezone": "Asia/Tokyo"}
    assert (await join(api, made, None, date=day, attendee=tokyo)).ok(409)["code"] == "conflict"


async def test_the_same_attendee_has_one_place(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    made = await awaited(api, max_bookings={"day": 1})
    await booked(api, made, soon)
    first = await joined(api, made, soon)
    shouting = {"name": "Other", "email": "WENDY@Example.com", "timezone": "Asia/Tokyo"}
    assert (await joined(api, made, soon, attendee=shouting, notes="again"))["id"] == first["id"]
    assert await entry_of(api, first) == first, "a repeat changes nothing"
    day = str(soon.date())
    by_day = await joined(api, made, None, date=day)
    assert by_day["id"] != first["id"]
    assert await joined(api, made, None, date=day) == by_day
    assert (await joined(api, made, soon + HOUR))["id"] != first["id"]
    answers = await asyncio.gather(*(join(api, made, soon, "ben") for _ in range(10)))
    assert len({each.ok(201)["waitlist_entry"]["id"] for each in answers}) == 1
    assert await conn.fetchval("select count(*) from waitlist_entries where org_id = $1", tenant.org_id) == 4
    assert (await api.call("DELETE", f"/v1/waitlist/{first['id']}")).status == 204
    assert (await joined(api, made, soon))["id"] != first["id"], "who has left may come back, at the end of the line"


async def test_questions_and_rules_are_asked_at_once(api: Api, soon: datetime) -> None:
    rule = {"question_id": "q", "operator": "equals", "value": "no", "action": "reject", "message": "Not us."}
    made = await awaited(api, questions=[QUESTION], routing_rules=[rule])
    given: Any = {"answers": [{"question_id": "q", "answer": "a"}]}
    await booked(api, made, soon, **given)
    assert (await join(api, made, soon)).ok(400)["errors"][0]["field"] == "answers.q"
    no: Any = {"answers": [{"question_id": "q", "answer": "no"}]}
    assert (await join(api, made, soon, **no)).ok(403)["code"] == "routing_rejected"
    assert (await joined(api, made, soon, **given))["answers"] == given["answers"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start_time": None}, "start_time"),
        ({"date": "2030-01-01"}, "date"),
        ({"start_time": "2030-01-01T10:00:00"}, "start_time"),
        ({"duration": 31}, "duration"),
        ({"service_id": "x"}, "service_id"),
        ({"host_id": "usr_x"}, "host_id"),
        ({"attendee": {"name": "x", "email": "no", "timezone": "UTC"}}, "attendee.email"),
        ({"attendee": {"name": "x", "email": "a@example.com", "timezone": "Mars"}}, "attendee.timezone"),
        ({"event_type_id": "x"}, "event_type"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_wrong_body_names_its_field(api: Api, soon: datetime, change: Any, field: str) -> None:
    made = await awaited(api)
    await booked(api, made, soon)
    problem = (await api.post("/v1/waitlist", {**waiting_body(made, soon), **change})).ok(400)
    assert [each["field"] for each in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("when", "field"),
    [({}, "start_time"), ({"date": "2030-02-30"}, "date"), ({"date": "1960-01-01"}, "date"), ({"date": 1}, "date")],
)
async def test_a_wrong_day_names_its_field(api: Api, when: Any, field: str) -> None:
    body = waiting_body(await awaited(api), None, **when)
    assert [each["field"] for each in (await api.post("/v1/waitlist", body)).ok(400)["errors"]] == [field]


async def test_a_list_is_paged_and_narrowed(api: Api, soon: datetime) -> None:
    made, other = await awaited(api), await awaited(api)
    for each, start in ((made, soon), (other, soon + HOUR)):
        await booked(api, each, start)
    mine = [(await joined(api, made, soon, f"w{n}"))["id"] for n in range(5)]
    theirs = (await joined(api, other, soon + HOUR))["id"]
    assert (await api.call("DELETE", f"/v1/waitlist/{mine[2]}")).status == 204
    assert await api.walk("/v1/waitlist", "waitlist_entries", 2) == [*mine, theirs]
    assert await api.walk("/v1/waitlist", "waitlist_entries", 2, event_type_id=made["id"]) == mine
    assert await api.walk("/v1/waitlist", "waitlist_entries", 2, status="left") == [mine[2]]
    both = await api.walk("/v1/waitlist", "waitlist_entries", 2, status=["left", "waiting"], event_type_id=made["id"])
    assert both == mine
    for query in ("status=gone", "event_type_id=x", "cursor=bkg_x", "limit=0", "page=1"):
        assert (await api.get(f"/v1/waitlist?{query}")).status == 400


async def test_another_organization_sees_and_ends_nothing(
    api: Api, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    made = await awaited(api)
    await booked(api, made, soon)
    entry = await joined(api, made, soon)
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    for method in ("GET", "DELETE"):
        assert (await stranger.call(method, f"/v1/waitlist/{entry['id']}")).ok(404)["code"] == "not_found"
    assert (await stranger.get("/v1/waitlist")).ok()["waitlist_entries"] == []
    assert (await stranger.get(f"/v1/waitlist?event_type_id={made['id']}")).ok()["waitlist_entries"] == []
    assert (await join(stranger, made, soon)).status == 404
    assert await states(api, entry) == ["waiting"]
    for wrong in ("bkg_x", "wtl_x", "x"):
        assert (await api.get(f"/v1/waitlist/{wrong}")).status == 404


async def test_a_cancel_offers_the_place_to_the_first_in_line(
    api: Api, conn: db.Connection, settings: Settings, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    more: Any = {"notes": "Hi", "metadata": {"a": 1}, "custom_fields": {"b": 2}}
    first, second = await joined(api, made, soon, "ann", **more), await joined(api, made, soon, "ben")
    await tend(conn, settings)
    assert await states(api, first, second) == ["waiting", "waiting"]
    await cancel(api, taken)
    await tend(conn, settings)
    assert await states(api, first, second) == ["offered", "waiting"]
    shown = await entry_of(api, first)
    booking = (await api.get(f"/v1/bookings/{shown['booking_id']}")).ok()["booking"]
    assert booking.pop("calendar_events") == []
    assert (booking["status"], booking["start_time"]) == ("DRAFT", iso(soon))
    assert booking["attendee"] == first["attendee"]
    assert {name: booking[name] for name in more} == more
    assert booking["hold_expires_at"] == shown["offer_expires_at"]
    lasts = datetime.fromisoformat(shown["offer_expires_at"]) - datetime.fromisoformat(shown["offered_at"])
    assert lasts == timedelta(minutes=60)
    await refused(api, made, soon, "slot_taken")
    assert await listed(api, made, soon, 1) == []
    event = (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"][0]
    assert (event["type"], event["sequence"]) == ("waitlist.offered", 1)
    assert event["data"]["waitlist_entry"] == shown
    assert event["data"]["booking"] == {**booking, "cancel_token": None, "reschedule_token": None}
    done = (await api.post(f"/v1/bookings/{booking['id']}/finish")).ok()["booking"]
    assert done["status"] == "SCHEDULED"
    assert await states(api, first, second) == ["booked", "waiting"]
    assert (await entry_of(api, first))["ended_at"] is not None
    types = [each["type"] for each in (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"]]
    assert types == ["waitlist.offered", "booking.created"]


async def test_an_offer_that_runs_out_goes_to_the_next(
    api: Api, conn: db.Connection, tenant: Tenant, settings: Settings, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    line = [await joined(api, made, soon, name) for name in ("ann", "ben", "eve")]
    await cancel(api, taken)
    await tend(conn, settings)
    await run_out(conn, tenant, settings)
    assert await states(api, *line) == ["expired", "offered", "waiting"]
    ben = await entry_of(api, line[1])
    assert (await api.call("DELETE", f"/v1/waitlist/{ben['id']}")).status == 204
    await tend(conn, settings)
    assert await states(api, *line) == ["expired", "left", "offered"]
    eve = await entry_of(api, line[2])
    await cancel(api, {"id": eve["booking_id"]})
    await tend(conn, settings)
    assert await states(api, *line) == ["expired", "left", "left"]
    assert await listed(api, made, soon, 1) == ["00:00"], "nobody waits, and it is open for everybody"
    assert (await join(api, made, soon)).ok(409)["code"] == "conflict"


async def test_leaving_twice_and_leaving_what_was_taken(
    api: Api, conn: db.Connection, settings: Settings, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    first, second = await joined(api, made, soon, "ann"), await joined(api, made, soon, "ben")
    for _ in range(2):
        assert (await api.call("DELETE", f"/v1/waitlist/{first['id']}")).status == 204
    await cancel(api, taken)
    await tend(conn, settings)
    assert await states(api, first, second) == ["left", "offered"]
    booking_id = (await entry_of(api, second))["booking_id"]
    (await api.post(f"/v1/bookings/{booking_id}/finish")).ok()
    problem = (await api.call("DELETE", f"/v1/waitlist/{second['id']}")).ok(409)
    assert (problem["code"], "cancel the booking" in problem["detail"]) == ("invalid_transition", True)
    await cancel(api, {"id": booking_id})
    assert (await api.call("DELETE", f"/v1/waitlist/{second['id']}")).status == 204
    assert await states(api, second) == ["booked"], "what they waited for was theirs"


async def test_anybody_joins_on_a_public_page(
    api: Api, anybody: Anybody, conn: db.Connection, tenant: Tenant, settings: Settings, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    path = f"{address(made)}/waitlist"
    body = {
        "attendee_name": "Jason",
        "attendee_email": "jason@example.com",
        "start_time": iso(soon),
        "timezone": "America/Chicago",
    }
    first = await anybody.post(path, {**body, "notes": "secret"})
    assert first.ok(201) == {**body, "date": None, "status": "waiting"}
    again = await anybody.post(path, {**body, "attendee_name": "Nosy", "attendee_email": "JASON@example.com"})
    assert again.ok(201) == {
        **first.json,
        "attendee_name": "Nosy",
        "attendee_email": "JASON@example.com",
    }, "as if they were the first to ask"
    (entry,) = (await api.get("/v1/waitlist")).ok()["waitlist_entries"]
    assert (entry["attendee"]["name"], entry["notes"]) == ("Jason", "secret")
    await cancel(api, taken)
    await tend(conn, settings)
    assert (await entry_of(api, entry))["status"] == "offered"
    assert (await anybody.post(path, body)).ok(201) == first.json


async def test_public_refusals(api: Api, anybody: Anybody, soon: datetime) -> None:
    made, closed = await awaited(api), await offer(api)
    body = {"attendee_name": "J", "attendee_email": "j@example.com", "timezone": "UTC", "start_time": iso(soon)}
    assert (await anybody.post(f"{address(made)}/waitlist", body)).ok(409)["code"] == "conflict"
    await booked(api, closed, soon)
    assert (await anybody.post(f"{address(closed)}/waitlist", body)).ok(409)["code"] == "waitlist_closed"
    assert (await anybody.post("/v1/book/nobody/nothing/waitlist", body)).ok(404)["code"] == "event_type_not_found"
    wrong: list[tuple[Any, str]] = [
        ({"start_time": None}, "start_time"),
        ({"date": "2030-01-01"}, "date"),
        ({"x": 1}, "x"),
    ]
    for change, field in wrong:
        problem = (await anybody.post(f"{address(made)}/waitlist", {**body, **change})).ok(400)
        assert [each["field"] for each in problem["errors"]] == [field]
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"active": False})).ok()
    assert (await anybody.post(f"{address(made)}/waitlist", body)).status == 404
    assert (await anybody.call("GET", f"{address(made)}/waitlist")).status == 405


async def test_a_list_that_is_switched_off(api: Api, soon: datetime) -> None:
    """An event type whose list is switched off keeps whoever waits already, and takes nobody new."""
    made = await awaited(api)
    await booked(api, made, soon)
    entry = await joined(api, made, soon)
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"waitlist": False})).ok()
    assert (await join(api, made, soon, "ben")).ok(409)["code"] == "waitlist_closed"
    assert await states(api, entry) == ["waiting"]
    assert (await book(api, made, soon)).status == 409
