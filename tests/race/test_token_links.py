"""Races through links in mails, on two processes: whatever is pressed at once, one thing happens."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from app.core import db
from app.core.vault import Vault
from tests.race.callers import allocations, count, offer, post, rush, tally
from tests.support import Tenant
from tests.visitors import address, confirm_token, visit_body

HOUR = timedelta(hours=1)
MOVED_OR_NOT = {(200, None), (409, "invalid_transition"), (409, "slot_taken"), (409, "conflict")}


async def visited(http: aiohttp.ClientSession, event_type: Any, start: datetime) -> Any:
    status, booking = await post(http, address(event_type), visit_body(start), Authorization="")
    assert status == 201, booking
    return booking


async def press(http: aiohttp.ClientSession, path: str, body: Any = None) -> tuple[int, str | None]:
    status, answer = await post(http, path, body or {}, Authorization="")
    return status, answer.get("code") if status >= 400 else None


async def test_confirm_decline_and_cancel_at_once(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    event_type = await offer(http, requires_confirmation=True)
    for number in range(3):
        booking = await visited(http, event_type, soon + number * HOUR)
        token = await confirm_token(conn, vault, tenant, booking["id"])
        paths = [f"/v1/bookings/{token}/confirm", f"/v1/bookings/{token}/decline"]
        paths.append(f"/v1/cancel/{booking['cancel_token']}/confirm")
        answers = await asyncio.gather(*(press(http, path) for path in paths * 8))
        assert set(answers) <= {(200, None), (409, "invalid_transition")}
    decided = "select count(*) from events where org_id = $1 and type in ('booking.confirmed', 'booking.declined')"
    assert await count(conn, decided, tenant) <= 3
    ended = "select count(*) from bookings where org_id = $1 and status = 'CANCELLED'"
    assert await count(conn, ended, tenant) == 3, "a cancel follows even a confirmation"
    assert await allocations(conn, tenant) == 0


async def test_move_and_cancel_at_once(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Either it is moved, and the old one's cancel is a repeat, or it is cancelled and cannot be moved."""
    event_type = await offer(http)
    mine = [await visited(http, event_type, soon + n * HOUR) for n in range(6)]
    pressed = []
    for number, booking in enumerate(mine):
        there = {"start_time": (soon + (10 + number) * HOUR).isoformat()}
        pressed += [press(http, f"/v1/reschedule/{booking['reschedule_token']}", there) for _ in range(5)]
        pressed += [press(http, f"/v1/cancel/{booking['cancel_token']}/confirm") for _ in range(5)]
    answers, beside = await asyncio.gather(
        asyncio.gather(*pressed), rush(http, event_type, [soon + (10 + n) * HOUR for n in range(6)])
    )
    assert set(answers) <= MOVED_OR_NOT
    moves = [answers[n * 10 : n * 10 + 5].count((200, None)) for n in range(6)]
    assert set(moves) <= {0, 1}
    assert all(status == 200 for n in range(6) for status, _ in answers[n * 10 + 5 : n * 10 + 10])
    won = tally(beside)[201, None]
    assert await allocations(conn, tenant) == sum(moves) + won
    moved = "select count(*) from events where org_id = $1 and type = 'booking.rescheduled'"
    assert await count(conn, moved, tenant) == sum(moves)
