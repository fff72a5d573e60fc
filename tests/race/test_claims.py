"""Races for everything that a booking can need besides one host's time: caps, seats, units, whole groups of hosts."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from app.core import db
from app.core.ids import Kind, decode
from tests.race.callers import CALLERS, allocations, count, made, offer, post, rush, tally, won
from tests.support import Tenant, booking_body

HOUR = timedelta(hours=1)


async def test_a_cap_is_exact(http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    """Callers for many starts of one day, of which five may be booked."""
    event_type = await offer(http, duration_minutes=5, max_bookings={"day": 5, "week": 6})
    starts = [soon + timedelta(minutes=5) * n for n in range(CALLERS)]
    answers = await rush(http, event_type, starts)
    assert tally(answers) == {(201, None): 5, (409, "slot_unavailable"): CALLERS - 5}
    assert await allocations(conn, tenant) == 5
    answers = await rush(http, event_type, [start + timedelta(days=1) for start in starts[:40]])
    assert tally(answers)[201, None] == 1, "the week's"
    taken = await conn.fetch(
        "select period, taken from booking_counters where org_id = $1 order by period, period_start", tenant.org_id
    )
    assert [(row["period"], row["taken"]) for row in taken] == [("day", 5), ("day", 1), ("week", 6)]


async def test_seats_are_exact(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    event_type = await offer(http, seats=10, max_bookings={"day": 3})
    answers = await rush(http, event_type, [soon] * CALLERS)
    assert tally(answers) == {(201, None): 10, (409, "slot_taken"): CALLERS - 10}
    assert await allocations(conn, tenant) == 1
    assert await count(conn, "select taken from sittings where org_id = $1", tenant) == 10
    assert await count(conn, "select taken from booking_counters where org_id = $1", tenant) == 1
    cancels = [post(http, f"/v1/bookings/{booking['id']}/cancel", {}) for booking in won(answers)]
    assert {status for status, _ in await asyncio.gather(*cancels)} == {200}
    assert await allocations(conn, tenant) == 0
    assert await count(conn, "select taken from booking_counters where org_id = $1", tenant) == 0


async def test_seats_come_and_go(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Cancels and creates of one session at once: whatever is left is counted right and held once."""
    event_type = await offer(http, people=2, assignment="round_robin", seats=4, max_bookings={"day": 2})
    mine = won(await rush(http, event_type, [soon] * 4))
    for _ in range(3):
        cancels = [post(http, f"/v1/bookings/{booking['id']}/cancel", {}) for booking in mine]
        answers, ended = await asyncio.gather(rush(http, event_type, [soon] * 30), asyncio.gather(*cancels))
        assert {status for status, _ in ended} == {200}
        assert set(tally(answers)) <= {(201, None), (409, "slot_taken")}
        mine = won(answers)
        row = await conn.fetchrow("select taken, counters from sittings where org_id = $1", tenant.org_id)
        assert row is not None
        assert row["taken"] == len(mine) <= 4
        assert await allocations(conn, tenant) == min(1, len(mine))
        assert await count(conn, "select coalesce(sum(taken), 0) from booking_counters where org_id = $1", tenant) == (
            1 if mine else 0
        )
        if not mine:
            mine = won(await rush(http, event_type, [soon] * 4))


async def test_units_are_exact_and_nobody_is_kept_for_nothing(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Eight hosts and five projectors, with a room each from a pool of six."""
    place = await made(http, "/v1/locations", "location", {"name": "Here", "timezone": "UTC"})
    for kind, units in [("projector", 5), ("room", 6)]:
        body = {"name": kind, "kind": kind, "location_id": place["id"], "units": units}
        await made(http, "/v1/resources", "resource", body)
    requires = [{"kind": "projector"}, {"kind": "room"}]
    event_type = await offer(http, people=8, assignment="round_robin", requires=requires)
    answers = await rush(http, event_type, [soon] * 60)
    assert tally(answers) == {(201, None): 5, (409, "slot_taken"): 55}
    got = Counter((unit["name"], unit["unit"]) for booking in won(answers) for unit in booking["resources"])
    assert len(got) == 10
    assert set(got.values()) == {1}
    assert await allocations(conn, tenant) == 15


@pytest.mark.parametrize("hosts", [3, 8])
async def test_round_robin_has_a_winner_per_host(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime, hosts: int
) -> None:
    event_type = await offer(http, people=hosts, assignment="round_robin")
    answers = await rush(http, event_type, [soon] * CALLERS)
    assert tally(answers) == {(201, None): hosts, (409, "slot_taken"): CALLERS - hosts}
    assert len({booking["assigned_to_id"] for booking in won(answers)}) == hosts
    assert await count(conn, "select sum(assigned_count) from event_type_hosts where org_id = $1", tenant) == hosts


async def test_collective_is_all_or_nothing(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Four hosts in groups of three, in every order: overlapping groups at overlapping times."""
    people = (await offer(http, people=4))["hosts"]
    fields: Any = {"assignment": "collective", "slot_interval_minutes": 30}
    groups = [await offer(http, hosts=(people * 2)[n : n + 3], **fields) for n in range(4)]
    starts = [soon + HOUR / 2 * n for n in range(6)]
    rushes = [rush(http, group, starts * 5) for group in groups]
    answers = [answer for answers in await asyncio.gather(*rushes) for answer in answers]
    assert set(tally(answers)) == {(201, None), (409, "slot_taken")}
    bookings = won(answers)
    assert await allocations(conn, tenant) == sum(len(booking["hosts"]) for booking in bookings)
    busy = sorted(
        (host["user_id"], booking["start_time"], booking["end_time"])
        for booking in bookings
        for host in booking["hosts"]
    )
    assert all(one[2] <= other[1] for one, other in pairwise(busy) if one[0] == other[0])


async def test_two_pending_requests_are_confirmed_once_each(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """A pending booking holds its slot, so that of two requests for one only one is ever pending; and of confirm and
    decline at once one is done and the other refused."""
    event_type = await offer(http, requires_confirmation=True)
    answers = await rush(http, event_type, [soon, soon, soon + HOUR, soon + HOUR])
    assert tally(answers) == {(201, None): 2, (409, "slot_taken"): 2}
    first, second = (f"/v1/bookings/{booking['id']}" for booking in won(answers))
    confirms = await asyncio.gather(*(post(http, f"{path}/confirm", {}) for path in [first, second] * 20))
    assert {status for status, _ in confirms} == {200}
    assert {answer["booking"]["status"] for _, answer in confirms} == {"SCHEDULED"}
    confirmed = "select count(*) from events where org_id = $1 and type = 'booking.confirmed'"
    assert await count(conn, confirmed, tenant) == 2
    third = won(await rush(http, event_type, [soon + 2 * HOUR]))[0]["id"]
    paths = [f"/v1/bookings/{third}/{action}" for action in ("confirm", "decline")] * 10
    decisions = await asyncio.gather(*(post(http, path, {}) for path in paths))
    assert set(tally(decisions)) == {(200, None), (409, "invalid_transition")}
    assert await count(conn, "select count(*) from booking_history where org_id = $1", tenant) == 6


async def test_moving_onto_a_slot_that_is_being_taken(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Twenty bookings move onto one slot while others book it, and some want each other's places."""
    event_type = await offer(http)
    mine = won(await rush(http, event_type, [soon + HOUR * n for n in range(20)]))
    target = soon + 30 * HOUR
    moves = [
        post(http, f"/v1/bookings/{booking['id']}/reschedule", {"start_time": target.isoformat()}) for booking in mine
    ]
    moved, booked = await asyncio.gather(asyncio.gather(*moves), rush(http, event_type, [target] * 40))
    assert set(tally([*moved, *booked])) <= {(200, None), (201, None), (409, "slot_taken")}
    assert sum(status < 300 for status, _ in [*moved, *booked]) == 1
    assert await allocations(conn, tenant) == 20 + len(won(booked))
    live = [booking for booking, (status, _) in zip(mine, moved, strict=True) if status == 409][:10]
    swaps = []
    for one, other in zip(live[::2], live[1::2], strict=True):
        for booking, place in [(one, other), (other, one)]:
            path = f"/v1/bookings/{booking['id']}/reschedule"
            swaps.append(post(http, path, {"start_time": place["start_time"]}))
    assert set(tally(await asyncio.gather(*swaps))) <= {(200, None), (409, "slot_taken")}
    assert await allocations(conn, tenant) == 20 + len(won(booked))


async def test_a_hold_that_is_over_has_one_heir(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    event_type = await offer(http, max_bookings={"day": 1})
    body = {**booking_body(event_type["code"], soon), "hold_seconds": 1}
    assert (await post(http, "/v1/bookings", body))[0] == 201
    assert tally(await rush(http, event_type, [soon] * 20))[201, None] == 0
    await asyncio.sleep(1.1)
    assert tally(await rush(http, event_type, [soon] * 50))[201, None] == 1
    assert await allocations(conn, tenant) == 1
    assert await count(conn, "select taken from booking_counters where org_id = $1", tenant) == 1


async def test_a_cap_that_comes_while_bookings_are_made(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """A cap is set in the middle of a rush: from then on it is exact, whatever was booked before."""
    event_type = await offer(http, duration_minutes=5)
    starts = [soon + timedelta(minutes=5) * n for n in range(100)]

    async def edit() -> int:
        await asyncio.sleep(0.05)
        async with http.patch(f"/v1/event-types/{event_type['code']}", json={"max_bookings": {"day": 30}}) as response:
            return response.status

    answers, status = await asyncio.gather(rush(http, event_type, starts), edit())
    assert status == 200
    counted = await count(conn, "select coalesce(max(taken), 0) from booking_counters where org_id = $1", tenant)
    assert counted == len(won(answers))
    more = await rush(http, event_type, [start + timedelta(minutes=500) for start in starts[:50]])
    assert len(won(more)) == max(0, 30 - len(won(answers)))


@pytest.mark.parametrize("seats", [1, 2])
async def test_a_cap_that_comes_while_bookings_are_cancelled(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime, seats: int
) -> None:
    """Whenever it comes: a cancel is either counted or takes back what was counted."""
    for hundredths in range(0, 16, 2):
        event_type = await offer(http, duration_minutes=5, seats=seats, max_bookings={"week": 90})
        starts = [soon + timedelta(minutes=5) * (n // seats) for n in range(60)]
        mine = won(await rush(http, event_type, starts))
        assert len(mine) == 60
        cancels = [post(http, f"/v1/bookings/{booking['id']}/cancel", {}) for booking in mine[:50]]

        async def edit(code: str, seconds: float) -> int:
            await asyncio.sleep(seconds)
            async with http.patch(f"/v1/event-types/{code}", json={"max_bookings": {"day": 40}}) as response:
                return response.status

        ended, status = await asyncio.gather(asyncio.gather(*cancels), edit(event_type["code"], hundredths / 100))
        assert {each for each, _ in ended} == {200} == {status}
        taken = """
            select array_agg(taken)::text from booking_counters where org_id = $1 and event_type_id = $2 and taken > 0
        """
        event_type_id = decode(Kind.EVENT_TYPE, event_type["id"])
        assert await conn.fetchval(taken, tenant.org_id, event_type_id) == f"{{{10 // seats},{10 // seats}}}"
