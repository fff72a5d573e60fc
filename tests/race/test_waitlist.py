"""Races for what becomes free: cancels, joins, bookings, finishes, leaving and offers that run out, all at once, with
two web processes and two workers."""

import asyncio
import random
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from app.core import db
from app.core.settings import Settings
from tests.race.callers import offer, post
from tests.support import Tenant, booking_body, eventually
from tests.waiting import HOUR, tending, waiting_body

SHAPES: list[dict[str, Any]] = [
    {},
    {"seats": 3},
    {"people": 2, "assignment": "round_robin"},
    {"people": 2, "assignment": "collective"},
    {"max_bookings": {"day": 2}},
]
PLACES = [1, 3, 2, 1, 1]


async def book(http: aiohttp.ClientSession, event_type: Any, start: datetime) -> int:
    return (await post(http, "/v1/bookings", booking_body(event_type["code"], start)))[0]


async def wait_for(http: aiohttp.ClientSession, event_type: Any, start: datetime, name: str) -> int:
    return (await post(http, "/v1/waitlist", waiting_body(event_type, start, name)))[0]


async def step(http: aiohttp.ClientSession, booking_id: str, what: str) -> int:
    return (await post(http, f"/v1/bookings/{booking_id}/{what}", {}))[0]


async def leave(http: aiohttp.ClientSession, entry_id: str) -> int:
    async with http.delete(f"/v1/waitlist/{entry_id}") as response:
        return response.status


async def everything(http: aiohttp.ClientSession, path: str, nouns: str) -> list[Any]:
    async with http.get(path) as response:
        page = await response.json()
    assert page["pagination"]["has_more"] is False
    found: list[Any] = page[nouns]
    return found


async def run_some_out(conn: db.Connection, tenant: Tenant) -> None:
    """The time of about half of the offers is over."""
    rows = await conn.fetch(
        """
        update bookings set hold_expires_at = now() where org_id = $1 and status = 'DRAFT' and random() < 0.5
        returning id
        """,
        tenant.org_id,
    )
    await conn.execute(
        "update allocations set expires_at = now() where org_id = $1 and booking_id = any($2)",
        *(tenant.org_id, [row["id"] for row in rows]),
    )


async def rested(conn: db.Connection, tenant: Tenant) -> bool:
    """Nothing was freed, or is due, that no worker has looked at."""
    prompts = "exists (select from outbox where org_id = $1 and topic = 'vacancy')"
    due = "exists (select from waitlists where org_id = $1 and next_check_at <= now())"
    over = "exists (select from bookings where org_id = $1 and status = 'DRAFT' and hold_expires_at <= now())"
    return not await conn.fetchval(f"select {prompts} or {due} or {over}", tenant.org_id)


async def check(conn: db.Connection, tenant: Tenant) -> None:
    """Nobody sits beside the seats, and each offer is one person's."""
    assert await conn.fetchval("select count(*) from sittings where org_id = $1 and taken > seats", tenant.org_id) == 0
    seated = await conn.fetch(
        """
        select g.taken, (select count(*) from bookings b where b.org_id = g.org_id and b.sitting_id = g.id
                         and b.status in ('DRAFT', 'SCHEDULED')) as sit
        from sittings g where g.org_id = $1
        """,
        tenant.org_id,
    )
    assert [row for row in seated if row["taken"] != row["sit"]] == []
    overlapping = await conn.fetchval(
        """
        select count(*) from allocations a join allocations o
            on o.org_id = a.org_id and o.subject_no = a.subject_no and o.id > a.id and o.during && a.during
        where a.org_id = $1
        """,
        tenant.org_id,
    )
    assert overlapping == 0
    told = await conn.fetch(
        """
        select e.booking_id, e.attendee_email, b.status, e.status as entry, count(n.id) as events
        from waitlist_entries e
        join bookings b on b.org_id = e.org_id and b.id = e.booking_id
        left join events n on n.org_id = e.org_id and n.booking_id = e.booking_id and n.type = 'waitlist.offered'
        where e.org_id = $1 group by 1, 2, 3, 4
        """,
        tenant.org_id,
    )
    assert len({row["booking_id"] for row in told}) == len(told)
    assert {row["events"] for row in told} <= {1}
    for row in told:
        after = {"offered": {"DRAFT"}, "expired": {"CANCELLED"}, "left": {"CANCELLED"}}
        assert row["status"] in after.get(row["entry"], {"SCHEDULED", "CANCELLED"}), dict(row)
    offers = [row["attendee_email"] for row in told if row["entry"] == "offered"]
    assert len(set(offers)) == len(offers), "nobody has two at once"
    drafts = await conn.fetchval("select count(*) from bookings where org_id = $1 and status = 'DRAFT'", tenant.org_id)
    assert drafts == sum(row["entry"] == "offered" for row in told)


async def check_order(conn: db.Connection, tenant: Tenant, early: set[str]) -> None:
    """Of those who were in line from the beginning, nobody was passed over."""
    lines = defaultdict(list)
    for row in await conn.fetch(
        "select * from waitlist_entries where org_id = $1 order by created_at, id", tenant.org_id
    ):
        if row["attendee_email"] in early:
            lines[row["event_type_id"], row["starts_at"]].append(row)
    assert lines
    for line in lines.values():
        came = [row["offered_at"] for row in line if row["offered_at"] is not None]
        assert came == sorted(came)
        stand = [row["offered_at"] is None for row in line if row["status"] == "waiting" or row["offered_at"]]
        assert stand == sorted(stand), "somebody waits who stood before one with an offer"
    late = await conn.fetch(
        """
        select l.id from waitlist_entries l join waitlist_entries e
            on e.org_id = l.org_id and e.event_type_id = l.event_type_id and e.starts_at = l.starts_at
        where l.org_id = $1 and l.offered_at is not null and e.status = 'waiting'
          and not l.attendee_email = any($2) and e.attendee_email = any($2)
        """,
        tenant.org_id,
        list(early),
    )
    assert late == []


@pytest.mark.parametrize("shape", range(len(SHAPES)))
async def test_everything_at_once(
    http: aiohttp.ClientSession, conn: db.Connection, settings: Settings, tenant: Tenant, soon: datetime, shape: int
) -> None:
    fate = random.Random(shape)  # noqa: S311 -- a race, no secret
    event_type = await offer(http, waitlist=True, **SHAPES[shape])
    starts = [soon + timedelta(days=day) for day in range(2)]
    for start in starts:
        capped = "max_bookings" in SHAPES[shape]
        taken = [start + hour * HOUR for hour in range(2)] if capped else [start] * PLACES[shape]
        assert {await book(http, event_type, each) for each in taken} == {201}
    # who waits for two things has one offer at a time, so that there is no order to hold each of the lines to
    names = [f"w{number}-{day}" for number in range(10) for day in range(2)]
    for name in names:
        assert await wait_for(http, event_type, starts[int(name[-1])], name) == 201
    async with tending(settings, workers=2) as workers:
        for turn in range(4):
            bookings = await everything(http, "/v1/bookings?limit=100&status=SCHEDULED", "bookings")
            held = await everything(http, "/v1/bookings?limit=100&status=DRAFT", "bookings")
            waiting = await everything(http, "/v1/waitlist?limit=100&status=waiting&status=offered", "waitlist_entries")
            calls = [step(http, each["id"], "cancel") for each in bookings for _ in range(2)]
            calls += [step(http, each["id"], fate.choice(["finish", "cancel"])) for each in held for _ in range(2)]
            calls += [leave(http, each["id"]) for each in fate.sample(waiting, k=min(2, len(waiting)))]
            calls += [wait_for(http, event_type, start, f"late{turn}-{n}") for start in starts for n in range(4)]
            calls += [wait_for(http, event_type, start, "twice") for start in starts for _ in range(2)]
            calls += [book(http, event_type, start) for start in starts for _ in range(6)]
            fate.shuffle(calls)
            answers, _ = await asyncio.gather(asyncio.gather(*calls), run_some_out(conn, tenant))
            assert set(answers) <= {200, 201, 204, 409}
            for worker in workers:
                worker.wake()
            await asyncio.sleep(0.3)
            await check(conn, tenant)

        async def quiet() -> bool:
            return await rested(conn, tenant)

        await eventually(quiet, seconds=30)
        await check(conn, tenant)
        await check_order(conn, tenant, {f"{name}@example.com" for name in names})
        await nobody_waits_for_what_is_open(http, conn, tenant, event_type, starts)


async def nobody_waits_for_what_is_open(
    http: aiohttp.ClientSession, conn: db.Connection, tenant: Tenant, event_type: Any, starts: list[datetime]
) -> None:
    for start in starts:
        asked = {
            "event_type": event_type["code"],
            "start": start.isoformat(),
            "end": (start + HOUR / 2).isoformat(),
            "timezone": "UTC",
        }
        async with http.get("/v1/slots", params=asked) as response:
            is_open = bool((await response.json())["slots"])
        waiting = await conn.fetchval(
            """
            select count(*) from waitlist_entries e
            where e.org_id = $1 and e.starts_at = $2 and e.status = 'waiting' and not exists (
                select from waitlist_entries o
                where o.org_id = $1 and o.status = 'offered' and o.attendee_email = e.attendee_email
            )
            """,
            *(tenant.org_id, start),
        )
        assert not (is_open and waiting)
