"""Races through a link: it is used exactly as often as it may be, and a use that came to nothing is given back."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.core import db
from tests.race.callers import allocations, count, offer, post, rush, tally, won
from tests.support import Tenant, booking_body
from tests.visitors import visit_body

FIVE = timedelta(minutes=5)
CALLERS = 50
USED = "select count(*) from bookings where org_id = $1 and event_link_id is not null"


async def link_to(http: aiohttp.ClientSession, event_type: Any, **fields: Any) -> str:
    status, answer = await post(http, f"/v1/event-types/{event_type['code']}/links", fields)
    assert status == 201, answer
    return str(answer["link"]["link_code"])


@pytest.mark.parametrize("uses", [1, 5])
@pytest.mark.parametrize("public", [True, False], ids=["public", "with a key"])
async def test_a_link_is_used_so_often_and_no_oftener(
    http: aiohttp.ClientSession,
    conn: db.Connection,
    tenant: Tenant,
    soon: datetime,
    uses: int,
    public: bool,
    tmp_path: Path,
) -> None:
    """Fifty callers for fifty slots, all of them open."""
    event_type = await offer(http, duration_minutes=5)
    code = await link_to(http, event_type, max_uses=uses)
    starts = [soon + FIVE * n for n in range(CALLERS)]
    if public:
        answers = await asyncio.gather(
            *(post(http, f"/v1/book/link/{code}", visit_body(start), Authorization="") for start in starts)
        )
    else:
        answers = await rush(http, event_type, starts, link_code=code)
    assert Counter(status for status, _ in answers) == {201: uses, 410: CALLERS - uses}
    assert {answer["code"] for status, answer in answers if status == 410} == {"link_expired"}
    assert await count(conn, USED, tenant) == await allocations(conn, tenant) == uses
    assert await count(conn, "select count(*) from events where org_id = $1", tenant) == uses
    log = (tmp_path / "web.log").read_text()
    assert "/v1/bo" in log
    assert code not in log, "who reads the log could book by it"


async def test_fifty_callers_for_one_slot(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Whoever loses the slot loses no use, so that the rest of the uses is there afterwards."""
    event_type = await offer(http)
    code = await link_to(http, event_type, max_uses=3)
    answers = await rush(http, event_type, [soon] * CALLERS, link_code=code)
    assert tally(answers) == {(201, None): 1, (409, "slot_taken"): CALLERS - 1}
    answers = await rush(http, event_type, [soon + timedelta(hours=n) for n in range(1, 20)], link_code=code)
    assert tally(answers) == {(201, None): 2, (410, "link_expired"): 17}
    assert await count(conn, USED, tenant) == 3


async def test_links_beside_edits_moves_and_other_callers(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Whatever else takes locks of the same event type: caps, seats, two hosts, moves, a revocation in the middle."""
    event_type = await offer(http, people=2, assignment="round_robin", duration_minutes=5, max_bookings={"day": 500})
    codes = [await link_to(http, event_type, max_uses=4) for _ in range(3)]
    mine = won(await rush(http, event_type, [soon + FIVE * n for n in range(20)]))
    moves = [
        post(http, f"/v1/bookings/{booking['id']}/reschedule", {"start_time": (soon + FIVE * (100 + n)).isoformat()})
        for n, booking in enumerate(mine)
    ]

    async def edit() -> set[int]:
        found = set()
        for number in range(6):
            await asyncio.sleep(0.03)
            body = {"max_bookings": {"day": 500 + number}}
            async with http.patch(f"/v1/event-types/{event_type['code']}", json=body) as response:
                found.add(response.status)
        return found

    async def revoke() -> int:
        await asyncio.sleep(0.05)
        async with http.delete(f"/v1/event-links/{codes[2]}") as response:
            return response.status

    through = [
        post(http, "/v1/bookings", booking_body(event_type["code"], soon + FIVE * (30 + n), link_code=codes[n % 3]))
        for n in range(60)
    ]
    moved, booked, edited, revoked, beside = await asyncio.gather(
        asyncio.gather(*moves),
        asyncio.gather(*through),
        edit(),
        revoke(),
        rush(http, event_type, [soon + FIVE * (30 + n) for n in range(40)]),
    )
    assert (edited, revoked) == ({200}, 204)
    assert set(tally(moved)) <= {(200, None), (409, "slot_taken"), (409, "conflict")}
    assert set(tally(beside)) <= {(201, None), (409, "slot_taken"), (409, "conflict")}
    assert set(tally(booked)) <= {(201, None), (409, "slot_taken"), (409, "conflict"), (410, "link_expired")}
    uses = await conn.fetch(
        "select count(*) as n from bookings where org_id = $1 and event_link_id is not null group by event_link_id",
        tenant.org_id,
    )
    assert all(row["n"] <= 4 for row in uses)
    assert sum(row["n"] for row in uses) == len(won(booked))
