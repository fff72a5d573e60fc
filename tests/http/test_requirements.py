"""Event types that need things as well as people: all of it in one transaction, or nothing."""

from datetime import datetime, timedelta
from typing import Any

from app.core import db
from tests.offers import ask, booked, listed, offer, refused, refused_of, slots_of
from tests.rooms import hours_of, location, room
from tests.support import Api

HOUR = timedelta(hours=1)


async def meeting(api: Api, place: str, **fields: Any) -> Any:
    """Ana or Bo, a room for six there, and a projector."""
    requires = [{"kind": "room", "min_capacity": 6, "location_id": place}, {"kind": "projector"}]
    return await offer(api, people=2, assignment="round_robin", **{"requires": requires} | fields)


async def test_people_and_things_are_claimed_together(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    place, elsewhere = await location(api), await location(api)
    small, large = await room(api, place, capacity=4), await room(api, place, capacity=8)
    await room(api, elsewhere, capacity=20)
    beamer = await room(api, elsewhere, kind="projector", units=2)
    made = await meeting(api, place)
    booking = await booked(api, made, soon)
    got = [(each["resource_id"], each["name"]) for each in booking["resources"]]
    assert got == [(large["id"], "Room"), (beamer["id"], "Room")]
    held = "select count(*) from allocations where org_id = $1"
    assert await conn.fetchval(held, tenant.org_id) == 3
    problem = await refused(api, made, soon, "slot_taken")
    assert problem["reasons"] == ["resource_busy"]
    assert await conn.fetchval(held, tenant.org_id) == 3, "the free host and projector were not kept"
    assert small["id"] not in str(booking)
    path = f"/v1/resources/availability?starts_at={soon:%Y-%m-%dT%H:%M:%SZ}&ends_at={soon + HOUR:%Y-%m-%dT%H:%M:%SZ}"
    free = {each["id"]: each["units_free"] for each in (await api.get(path)).ok()["resources"]}
    assert (free[large["id"]], free[beamer["id"]], free[small["id"]]) == (0, 1, 1)
    (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    assert await conn.fetchval(held, tenant.org_id) == 0
    await booked(api, made, soon)


async def test_slots_know_the_rooms_hours_and_what_holds_them(api: Api, soon: datetime) -> None:
    place = await location(api, "UTC")
    only = await room(api, place, capacity=6)
    await hours_of(api, only["id"], "UTC", [("MO", "09:00", "12:00")])
    made = await offer(api, people=2, assignment="round_robin", requires=[{"kind": "room", "min_capacity": 2}])
    assert await listed(api, made, soon, 48) == ["09:00", "10:00", "11:00"]
    await booked(api, made, soon + 10 * HOUR)
    assert await listed(api, made, soon, 24) == ["09:00", "11:00"]
    explained = refused_of(await ask(api, made, soon + 9 * HOUR, 4, explain="true"))
    (reason,) = explained[f"{soon:%Y-%m-%d}T10:00:00Z"][-1:]
    assert (reason["code"], reason["kind"], reason["resource_ids"]) == ("resource_busy", "room", [only["id"]])
    assert len(reason["booking_ids"]) == 1
    (closed,) = explained[f"{soon:%Y-%m-%d}T12:00:00Z"]
    assert (closed["code"], closed["booking_ids"]) == ("resource_busy", [])
    await refused(api, made, soon + 12 * HOUR, "slot_unavailable")


async def test_two_requirements_of_one_kind_get_two_units(api: Api, soon: datetime) -> None:
    place = await location(api)
    await room(api, place, capacity=2)
    made = await offer(api, requires=[{"kind": "room"}, {"kind": "room", "min_capacity": 5}])
    assert await listed(api, made, soon, 2) == []
    await room(api, place, capacity=6)
    assert await listed(api, made, soon, 2) == ["00:00", "01:00"]
    booking = await booked(api, made, soon)
    assert len({each["resource_id"] for each in booking["resources"]}) == 2


async def test_without_such_a_thing_nothing_is_open(api: Api, soon: datetime) -> None:
    made = await offer(api, requires=[{"kind": "spaceship"}])
    answer = await ask(api, made, soon, 2, explain="true")
    assert slots_of(answer) == []
    assert {reason["code"] for reasons in refused_of(answer).values() for reason in reasons} == {"resource_busy"}


async def test_a_session_has_its_room_once(api: Api, soon: datetime) -> None:
    place = await location(api)
    await room(api, place, units=1)
    made = await offer(api, seats=3, requires=[{"kind": "room"}])
    rooms = [(await booked(api, made, soon))["resources"] for _ in range(3)]
    assert rooms[0] == rooms[1] == rooms[2] != []


async def test_a_retired_or_inactive_thing_is_not_offered(api: Api, soon: datetime) -> None:
    place = await location(api)
    only = await room(api, place, units=2)
    made = await offer(api, people=2, assignment="round_robin", requires=[{"kind": "room"}])
    (await api.call("PATCH", f"/v1/resources/{only['id']}", {"units": 1})).ok()
    await booked(api, made, soon)
    await refused(api, made, soon, "slot_taken")
    (await api.call("PATCH", f"/v1/resources/{only['id']}", {"active": False})).ok()
    assert await listed(api, made, soon, 4) == []
