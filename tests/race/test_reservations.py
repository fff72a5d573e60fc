"""Many people at one resource, by session, through two processes; and meetings that need the same units meanwhile."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from app.core import db
from tests.browsers import COOKIE, PASSWORD
from tests.race.callers import CALLERS, allocations, count, made, offer, post
from tests.support import Tenant, booking_body

UNITS = 5


@pytest.fixture
async def cookie(http: aiohttp.ClientSession, tenant: Tenant) -> dict[str, str]:
    """The header of a session of the tenant's owner."""
    body = {"session": {"email": f"{tenant.username}@example.com", "password": PASSWORD}}
    async with http.post("/api/session", json=body) as response:
        assert response.status == 201
        return {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}


async def desks(http: aiohttp.ClientSession) -> Any:
    place = await made(http, "/v1/locations", "location", {"name": "Here", "timezone": "UTC"})
    body = {"name": "Desks", "kind": "desk", "location_id": place["id"], "units": UNITS}
    return await made(http, "/v1/resources", "resource", body)


def reservation(resource: Any, start: datetime, minutes: int = 60) -> Any:
    end = start + timedelta(minutes=minutes)
    times = {"starts_at": start.isoformat(), "ends_at": end.isoformat()}
    return {"booking": {"bookable_id": resource["id"], **times}}


async def test_two_hundred_callers_five_units(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, cookie: dict[str, str], soon: datetime
) -> None:
    resource = await desks(http)
    body = reservation(resource, soon)
    answers = await asyncio.gather(*(post(http, "/api/bookings", body, **cookie) for _ in range(CALLERS)))
    assert Counter(status for status, _ in answers) == {201: UNITS, 409: CALLERS - UNITS}
    assert {answer["code"] for status, answer in answers if status == 409} == {"slot_taken"}
    assert await allocations(conn, tenant) == UNITS
    assert await count(conn, "select count(distinct subject_no) from allocations where org_id = $1", tenant) == UNITS
    assert await count(conn, "select count(*) from events where org_id = $1", tenant) == UNITS


async def test_reservations_and_meetings_share_the_units(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, cookie: dict[str, str], soon: datetime
) -> None:
    """An hour is reserved by itself, or held beside a host; either way no unit twice, and none is left over."""
    resource = await desks(http)
    meeting = await offer(http, 10, assignment="round_robin", requires=[{"kind": "desk"}])
    calls = [post(http, "/api/bookings", reservation(resource, soon), **cookie) for _ in range(60)]
    calls += [post(http, "/v1/bookings", booking_body(meeting["code"], soon)) for _ in range(60)]
    answers = await asyncio.gather(*calls)
    statuses = Counter(status for status, _ in answers)
    assert set(statuses) <= {201, 409}, statuses
    assert statuses[201] == UNITS
    units = (
        "select count(*) from allocations a join resource_units u on u.subject_no = a.subject_no where a.org_id = $1"
    )
    assert await count(conn, units, tenant) == UNITS


async def test_moves_cancels_edits_and_reservations_at_once(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, cookie: dict[str, str], soon: datetime
) -> None:
    """Whatever interleaves: what is active holds one unit each, what ended holds none, and nothing deadlocks."""
    resource = await desks(http)
    hours = [soon + timedelta(hours=hour) for hour in range(6)]
    first = [await made_by(http, cookie, reservation(resource, hours[n % 6])) for n in range(20)]
    calls = [
        post(http, f"/v1/bookings/{booking['id']}/reschedule", {"start_time": hours[n % 6].isoformat()})
        for n, booking in enumerate(first)
    ]
    calls += [post(http, f"/v1/bookings/{booking['id']}/cancel", {}) for booking in first[::3]]
    calls += [post(http, "/api/bookings", reservation(resource, hours[n % 6], 90), **cookie) for n in range(60)]
    calls += [edit(http, resource, units) for units in (6, 5, 7, 5)]
    answers = await asyncio.gather(*calls)
    assert {status for status, _ in answers} <= {200, 201, 409}, Counter(status for status, _ in answers)
    active = """
        select count(*) from bookings
        where org_id = $1 and status in ('SCHEDULED', 'RESCHEDULED')
    """
    assert await allocations(conn, tenant) == await count(conn, active, tenant)
    held = "select count(*) from allocations a join bookings b on b.org_id = a.org_id and b.id = a.booking_id "
    held += "where a.org_id = $1 and b.status in ('SCHEDULED', 'RESCHEDULED')"
    assert await count(conn, held, tenant) == await allocations(conn, tenant)


async def made_by(http: aiohttp.ClientSession, cookie: dict[str, str], body: Any) -> Any:
    status, answer = await post(http, "/api/bookings", body, **cookie)
    assert status == 201, answer
    return answer["data"]


async def edit(http: aiohttp.ClientSession, resource: Any, units: int) -> tuple[int, Any]:
    async with http.patch(f"/v1/resources/{resource['id']}", json={"units": units}) as response:
        return response.status, await response.json()
