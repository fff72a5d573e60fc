"""Many callers at once, and what they leave in the database."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

import aiohttp

from app.core import db
from tests.support import Tenant, booking_body, unique_name

CALLERS = 200
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


async def post(http: aiohttp.ClientSession, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    async with http.post(path, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def made(http: aiohttp.ClientSession, path: str, noun: str, body: Any) -> Any:
    status, answer = await post(http, path, body)
    assert status == 201, answer
    return answer[noun]


async def offer(http: aiohttp.ClientSession, people: int = 1, **fields: Any) -> Any:
    """An event type of an hour, open around the clock, with so many hosts of its own."""
    weekly = [{"day": day, "start": "00:00", "end": "24:00"} for day in _DAYS]
    schedule = await made(http, "/v1/schedules", "schedule", {"name": "A", "timezone": "UTC", "weekly": weekly})
    hosts = []
    for _ in range(people):
        body = {"email": f"{unique_name()}@example.com", "name": "Ben"}
        hosts.append({"user_id": (await made(http, "/v1/users", "user", body))["id"]})
    common = {"title": "Race", "duration_minutes": 60, "booking_window_days": None, "schedule_id": schedule["id"]}
    return await made(http, "/v1/event-types", "event_type", {**common, "hosts": hosts, **fields})


async def rush(
    http: aiohttp.ClientSession, event_type: Any, starts: list[datetime], **changes: Any
) -> list[tuple[int, Any]]:
    """One caller per start, all at once."""
    bodies = [booking_body(event_type["code"], start, **changes) for start in starts]
    return await asyncio.gather(*(post(http, "/v1/bookings", body) for body in bodies))


def won(answers: list[tuple[int, Any]]) -> list[Any]:
    return [answer["booking"] for status, answer in answers if status == 201]


def tally(answers: list[tuple[int, Any]]) -> Counter[Any]:
    """How often each status, and of refusals each code."""
    return Counter((status, answer.get("code")) for status, answer in answers)


async def count(conn: db.Connection, statement: str, tenant: Tenant) -> int:
    number: int = await conn.fetchval(statement, tenant.org_id)
    return number


async def allocations(conn: db.Connection, tenant: Tenant) -> int:
    return await count(conn, "select count(*) from allocations where org_id = $1", tenant)
