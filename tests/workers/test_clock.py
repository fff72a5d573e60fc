"""What happens by the clock alone: requests that nobody answered end, meetings complete, once each."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.domain.bookings.due import take_due_steps
from tests.offers import booked, offer
from tests.support import Api, Tenant, eventually
from workers.clock import clean_idempotency_keys, keep_clean, tend_bookings

HOUR = timedelta(hours=1)


async def status_of(api: Api, booking: Any) -> Any:
    return (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]


async def types(api: Api, booking: Any) -> list[str]:
    return [each["type"] for each in (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"]]


async def test_a_meeting_completes_after_its_end(api: Api, conn: db.Connection, soon: datetime) -> None:
    booking = await booked(api, await offer(api), soon)
    manual = await booked(api, await offer(api, auto_complete=False), soon + 2 * HOUR)
    await take_due_steps(conn, 100_000, soon + HOUR - timedelta(seconds=1))
    assert (await status_of(api, booking))["status"] == "SCHEDULED"
    await take_due_steps(conn, 100_000, soon + 9 * HOUR)
    done = await status_of(api, booking)
    assert done["status"] == "COMPLETED"
    assert done["history"][-1]["by"] == "system"
    assert await types(api, booking) == ["booking.created", "booking.completed"]
    assert (await status_of(api, manual))["status"] == "SCHEDULED"
    await take_due_steps(conn, 100_000, soon + 9 * HOUR)
    assert await types(api, booking) == ["booking.created", "booking.completed"]


async def test_a_moved_meeting_completes_too(api: Api, conn: db.Connection, soon: datetime) -> None:
    first = await booked(api, await offer(api), soon)
    moved = (await api.post(f"/v1/bookings/{first['id']}/reschedule", {"start_time": str(soon + HOUR)})).ok()["booking"]
    await take_due_steps(conn, 100_000, soon + 2 * HOUR)
    assert (await status_of(api, moved))["status"] == "COMPLETED"
    assert (await status_of(api, first))["cancellation"]["reason"] == "rescheduled"


@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=30), timedelta(days=3)])
async def test_a_request_that_nobody_answered_ends_when_its_time_comes(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime, late: timedelta
) -> None:
    """However late the worker comes: the meeting may be over by then."""
    asked = await booked(api, await offer(api, requires_confirmation=True), soon)
    await take_due_steps(conn, 100_000, soon - timedelta(seconds=1))
    assert (await status_of(api, asked))["status"] == "PENDING_CONFIRMATION"
    await take_due_steps(conn, 100_000, soon + late)
    ended = await status_of(api, asked)
    assert ended["status"] == "CANCELLED"
    assert (ended["cancellation"]["by"], ended["cancellation"]["reason"]) == ("system", "unanswered")
    assert await types(api, asked) == ["booking.created", "booking.cancelled"]
    assert await conn.fetchval("select count(*) from allocations where org_id = $1", tenant.org_id) == 0


async def test_two_workers_take_each_step_once(
    api: Api, settings: Settings, tenant: Tenant, conn: db.Connection, soon: datetime
) -> None:
    made, asking = await offer(api), await offer(api, requires_confirmation=True)
    for hour in range(8):
        await booked(api, made if hour % 2 else asking, soon + hour * HOUR)
    async with db.open_pool(settings.database_url, size=4, name="clocks") as pool:

        async def tick() -> None:
            async with db.acquire(pool) as own:
                await take_due_steps(own, 100_000, soon + 20 * HOUR)

        await asyncio.gather(*(tick() for _ in range(4)))
    rows = await conn.fetch(
        "select type, count(*) from events where org_id = $1 group by type order by type", tenant.org_id
    )
    assert [tuple(row) for row in rows] == [("booking.cancelled", 4), ("booking.completed", 4), ("booking.created", 8)]


async def test_one_that_cannot_be_taken_keeps_no_other(api: Api, conn: db.Connection, soon: datetime) -> None:
    made = await offer(api)
    stuck, other = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    await conn.execute(
        """
        create function pg_temp.refuse() returns trigger language plpgsql as $$
        begin raise exception 'stuck' using errcode = 'XX000'; end $$
        """
    )
    name = stuck["code"].replace("-", "")
    await conn.execute(
        f"""
        create trigger stuck_{name} before update on bookings for each row
        when (old.code = '{stuck["code"]}') execute function pg_temp.refuse()
        """
    )
    try:
        await take_due_steps(conn, 100_000, soon + 9 * HOUR)
    finally:
        await conn.execute(f"drop trigger stuck_{name} on bookings")
    assert (await status_of(api, stuck))["status"] == "SCHEDULED"
    assert (await status_of(api, other))["status"] == "COMPLETED"


async def test_the_worker_does_it_without_redis(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    await conn.execute(
        "update bookings set starts_at = starts_at - interval '60 days', ends_at = ends_at - interval '60 days' "
        "where org_id = $1",
        tenant.org_id,
    )
    async with db.open_pool(settings.database_url, size=1, name="clock") as pool:
        clock = asyncio.create_task(tend_bookings(pool))

        async def done() -> bool:
            return bool((await status_of(api, booking))["status"] == "COMPLETED")

        try:
            await eventually(done)
        finally:
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)


async def _spoil(conn: db.Connection, booking: Any) -> None:
    """A row that our own code stumbles over, as one written by a newer version might be during a deployment."""
    booking_id = decode(Kind.BOOKING, booking["id"])
    await conn.execute("""update bookings set units = '[{"x": 1}]' where id = $1""", booking_id)


async def test_a_fault_of_ours_in_one_booking_keeps_no_other_from_its_step(
    api: Api, conn: db.Connection, soon: datetime
) -> None:
    """The neighbour of `test_one_that_cannot_be_taken_keeps_no_other`, for what is no error of the database's."""
    made = await offer(api)
    spoiled, other = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    await _spoil(conn, spoiled)
    try:
        await take_due_steps(conn, 100_000, soon + 9 * HOUR)
        shown = (await api.get(f"/v1/bookings/{other['id']}")).ok()["booking"]
        assert shown["status"] == "COMPLETED"
    finally:
        await conn.execute("update bookings set units = '[]' where id = $1", decode(Kind.BOOKING, spoiled["id"]))


@pytest.mark.parametrize("fault", [KeyError, asyncpg.LockNotAvailableError, TimeoutError])
async def test_the_clock_goes_on_after_a_fault(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    """A task that ends says so to nobody: holds, requests and meetings would stay as they are."""
    ticks: list[datetime] = []

    async def stumble(_conn: db.Connection, _limit: int, now: datetime) -> int:
        ticks.append(now)
        raise fault

    monkeypatch.setattr("workers.clock.take_due_steps", stumble)
    monkeypatch.setattr("workers.clock._TEND_SECONDS", 0.01)
    async with db.open_pool(settings.database_url, size=1, name="clock") as pool:
        clock = asyncio.create_task(tend_bookings(pool))

        async def again() -> bool:
            assert not clock.done(), "the clock has stopped"
            return len(ticks) > 2

        try:
            await eventually(again)
        finally:
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)


async def test_old_idempotency_keys_go(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """By arq's cron, and where there is no Redis by the clock."""
    made = await offer(api)
    old = "update idempotency_keys set created_at = created_at - interval '25 hours' where org_id = $1 and key = $2"
    count = "select count(*) from idempotency_keys where org_id = $1"
    async with db.open_pool(settings.database_url, size=1, name="clean") as pool:
        for hour, way in enumerate(("cron", "clock")):
            for key in ("old", "young"):
                start = soon + (2 * hour + (key == "old")) * HOUR
                await booked_with_key(api, made, start, f"{way}-{key}")
            await conn.execute(old, tenant.org_id, f"{way}-old")
            before = await conn.fetchval(count, tenant.org_id)
            if way == "cron":
                assert await clean_idempotency_keys({"pool": pool}) >= 1
            else:
                cleaning = asyncio.create_task(keep_clean(pool))

                async def gone(before: int = before) -> bool:
                    return bool(await conn.fetchval(count, tenant.org_id) == before - 1)

                await eventually(gone)
                cleaning.cancel()
                await asyncio.gather(cleaning, return_exceptions=True)
            assert await conn.fetchval(count, tenant.org_id) == before - 1
    keys = await conn.fetch("select key from idempotency_keys where org_id = $1 order by key", tenant.org_id)
    assert [row["key"] for row in keys] == ["clock-young", "cron-young"]


async def booked_with_key(api: Api, event_type: Any, start: datetime, key: str) -> None:
    assert (await api.book(event_type["code"], start, Idempotency_Key=key)).status == 201
