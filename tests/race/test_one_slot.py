"""Races through real processes on committed data: many callers, one slot, one winner, clean refusals."""

import asyncio
import itertools
import re
from datetime import datetime, timedelta

import aiohttp

from app.core import db
from tests.race.callers import CALLERS, count, post
from tests.support import Tenant, booking_body


async def test_two_hundred_callers_one_slot(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await post(http, "/v1/event-types", {"title": "Call", "code": "call", "booking_window_days": None})
    body = booking_body("call", soon + timedelta(hours=9))
    answers = await asyncio.gather(*(post(http, "/v1/bookings", body) for _ in range(CALLERS)))
    statuses = [status for status, _ in answers]
    assert statuses.count(201) == 1
    assert statuses.count(409) == CALLERS - 1
    assert {answer["code"] for status, answer in answers if status == 409} == {"slot_taken"}
    assert await count(conn, "select count(*) from events where org_id = $1", tenant) == 1
    assert await count(conn, "select count(*) from bookings where org_id = $1", tenant) == 1
    assert await count(conn, "select count(*) from allocations where org_id = $1", tenant) == 1
    assert await count(conn, "select count(*) from booking_history where org_id = $1", tenant) == 1


async def test_both_processes_answer(two_processes: str, http: aiohttp.ClientSession) -> None:
    """Otherwise the race above would be one within a single event loop."""
    await asyncio.gather(*(post(http, "/v1/bookings", {}) for _ in range(60)))
    async with http.get("/metrics") as response:
        text = await response.text()
    found = re.search(r'slotwire_http_requests_total\{.*route="/v1/bookings",status="400"\} (\d+)', text)
    assert found is not None
    assert int(found[1]) >= 60, "the counters of both processes are added up"


async def test_overlapping_event_types_of_one_host(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Two event types, thirty and sixty minutes, buffers: every pair of the winners keeps its distance."""
    common = {"slot_interval_minutes": 15, "booking_window_days": None, "buffer_after_minutes": 15}
    for code, minutes in [("short", 30), ("long", 60)]:
        fields = {"title": code, "code": code, "duration_minutes": minutes, **common}
        assert (await post(http, "/v1/event-types", fields))[0] == 201
    bodies = [
        booking_body(code, soon + timedelta(hours=9, minutes=15 * n))
        for n in range(24)
        for code in ("short", "long")
        for _ in range(4)
    ]
    answers = await asyncio.gather(*(post(http, "/v1/bookings", body) for body in bodies))
    assert {status for status, _ in answers} == {201, 409}
    booked = sorted(
        (datetime.fromisoformat(answer["booking"]["start_time"]), datetime.fromisoformat(answer["booking"]["end_time"]))
        for status, answer in answers
        if status == 201
    )
    for (_, end), (start, _) in itertools.pairwise(booked):
        assert start >= end + timedelta(minutes=15)
    assert await count(conn, "select count(*) from allocations where org_id = $1", tenant) == len(booked)


async def test_cancel_and_create_at_once(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """However they interleave, the slot is held by at most one, and every cancel is one event."""
    await post(http, "/v1/event-types", {"title": "Call", "code": "call", "booking_window_days": None})
    body = booking_body("call", soon + timedelta(hours=9))
    status, answer = await post(http, "/v1/bookings", body)
    assert status == 201
    path = f"/v1/bookings/{answer['booking']['id']}/cancel"
    results = await asyncio.gather(
        *(post(http, path, {}) for _ in range(20)), *(post(http, "/v1/bookings", body) for _ in range(60))
    )
    assert {status for status, _ in results[:20]} == {200}
    created = [status for status, _ in results[20:]].count(201)
    assert created <= 1
    assert {status for status, _ in results[20:]} <= {201, 409}
    cancelled = "select count(*) from events where org_id = $1 and type = 'booking.cancelled'"
    assert await count(conn, cancelled, tenant) == 1
    assert await count(conn, "select count(*) from allocations where org_id = $1", tenant) == created


async def test_one_idempotency_key_through_two_processes(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await post(http, "/v1/event-types", {"title": "Call", "code": "call", "booking_window_days": None})
    body = booking_body("call", soon + timedelta(hours=9))
    key = {"Idempotency-Key": "once"}
    answers = await asyncio.gather(*(post(http, "/v1/bookings", body, **key) for _ in range(50)))
    statuses = [status for status, _ in answers]
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert {answer["code"] for status, answer in answers if status == 409} <= {"idempotency_in_progress"}
    assert await count(conn, "select count(*) from events where org_id = $1", tenant) == 1
