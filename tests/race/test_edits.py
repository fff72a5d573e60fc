"""Edits of an event type while it is booked and moved: nothing deadlocks, and the counters are right.

That nothing deadlocks is checked by the fixture, in the database's own count.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from app.core import db
from tests.race.callers import count, offer, post, rush, tally, won
from tests.support import Tenant

EDITS = 8
FIVE = timedelta(minutes=5)


async def edits(http: aiohttp.ClientSession, event_type: Any, bodies: list[Any]) -> list[int]:
    """One edit after the other, all the while."""
    found = []
    for number in range(EDITS):
        await asyncio.sleep(0.03)
        path = f"/v1/event-types/{event_type['code']}"
        async with http.patch(path, json=bodies[number % len(bodies)]) as response:
            found.append(response.status)
    return found


@pytest.mark.parametrize("changed", ["hosts", "max_bookings", "seats"])
async def test_creates_go_on(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime, changed: str
) -> None:
    fields: Any = {"duration_minutes": 5, "assignment": "round_robin", "max_bookings": {"day": 1000}}
    if changed == "seats":
        fields = {"duration_minutes": 5, "seats": 3}
    event_type = await offer(http, people=4, **fields)
    hosts = event_type["hosts"]
    bodies: dict[str, list[Any]] = {
        "hosts": [{"hosts": hosts[:2]}, {"hosts": hosts[::-1]}],
        "max_bookings": [{"max_bookings": {"week": 5000}}, {"max_bookings": {"week": None}}],
        "seats": [{"seats": 4}, {"seats": 3}],
    }
    starts = [soon + FIVE * (n // 2) for n in range(200)]
    answers, statuses = await asyncio.gather(rush(http, event_type, starts), edits(http, event_type, bodies[changed]))
    assert set(statuses) == {200}
    assert set(tally(answers)) <= {(201, None), (409, "slot_taken"), (409, "conflict")}
    assert len(won(answers)) >= 100
    if changed == "max_bookings":
        by_day = "select sum(taken) from booking_counters where org_id = $1 and period = 'day'"
        assert await count(conn, by_day, tenant) == len(won(answers))


async def test_moves_go_on(http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    """Against edits, and against creates of the same capped event type."""
    event_type = await offer(http, duration_minutes=5, max_bookings={"day": 500})
    mine = won(await rush(http, event_type, [soon + FIVE * n for n in range(40)]))
    moves = [
        post(http, f"/v1/bookings/{booking['id']}/reschedule", {"start_time": (soon + FIVE * (50 + n)).isoformat()})
        for n, booking in enumerate(mine)
    ]
    caps = [{"max_bookings": {"day": 400}}, {"max_bookings": {"day": 500}}]
    moved, booked, statuses = await asyncio.gather(
        asyncio.gather(*moves),
        rush(http, event_type, [soon + FIVE * (45 + n) for n in range(60)]),
        edits(http, event_type, caps),
    )
    assert set(statuses) == {200}
    assert set(tally(moved)) <= {(200, None), (409, "slot_taken"), (409, "conflict")}
    live = len(won(booked)) + 40
    assert await count(conn, "select count(*) from allocations where org_id = $1", tenant) == live
    assert await count(conn, "select sum(taken) from booking_counters where org_id = $1", tenant) == live
