"""A list is held by whoever tends it, and what happens meanwhile is neither lost nor held up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings import offers
from tests.offers import booked
from tests.support import Api, Tenant, make_tenant
from tests.waiting import HOUR, awaited, cancel, joined, states, tend

A_MOMENT = timedelta(seconds=1)


@asynccontextmanager
async def slow_worker(monkeypatch: pytest.MonkeyPatch, settings: Settings, event_type: Any) -> AsyncIterator[None]:
    """One that has looked at the list, and made its offer, and has not committed until the block ends."""
    looked, go, really = asyncio.Event(), asyncio.Event(), vars(offers)["_tend"]

    async def slowly(conn: db.Connection, held: Any, *about: Any) -> Any:
        next_look = await really(conn, held, *about)
        if held.event_type_id == decode(Kind.EVENT_TYPE, event_type["id"]) and not looked.is_set():
            looked.set()
            await go.wait()
        return next_look

    monkeypatch.setattr(offers, "_tend", slowly)
    async with db.open_pool(settings.database_url, size=1, name="slow") as pool, db.acquire(pool) as own:
        slow = asyncio.create_task(tend(own, settings))
        await asyncio.wait_for(looked.wait(), timeout=15)
        try:
            yield
        finally:
            go.set()
            await slow


async def test_another_worker_passes_it_by(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await awaited(api, seats=2)
    taken = [await booked(api, made, soon) for _ in range(2)]
    line = [await joined(api, made, soon, name) for name in ("ann", "ben")]
    await cancel(api, taken[0])
    vault, minute = Vault(settings.secret_keys), timedelta(minutes=1)
    async with slow_worker(monkeypatch, settings, made):
        await asyncio.wait_for(
            db.run(conn, lambda conn: offers.tend_list(conn, vault, minute, datetime.now(UTC))), timeout=5
        )
        assert await states(api, *line) == ["waiting", "waiting"]
    assert await states(api, *line) == ["offered", "waiting"]


async def test_a_prompt_that_comes_when_it_has_been_looked_at_is_not_lost(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    async with slow_worker(monkeypatch, settings, made):
        await cancel(api, taken)
        now = datetime.now(UTC)
        await asyncio.wait_for(tend(conn, settings, now), timeout=5)
        assert await states(api, entry) == ["waiting"], "and nobody waits for whoever holds the list"
        await asyncio.wait_for(tend(conn, settings, now + A_MOMENT), timeout=5)
    await tend(conn, settings, now + 2 * A_MOMENT)
    assert await states(api, entry) == ["offered"]
    assert await conn.fetchval("select count(*) from outbox where topic = 'vacancy'") == 0


async def test_a_list_that_is_held_delays_no_other(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of another organization, nor of the same host."""
    stranger = Api(api.client, (await make_tenant(conn, Vault(settings.secret_keys))).api_key)
    lists = [(api, await awaited(api)), (api, await awaited(api)), (stranger, await awaited(stranger))]
    starts = [soon + hour * HOUR for hour in range(3)]
    taken = [await booked(*whose, start) for whose, start in zip(lists, starts, strict=True)]
    entries = [await joined(*whose, start) for whose, start in zip(lists, starts, strict=True)]
    async with slow_worker(monkeypatch, settings, lists[0][1]):
        for (whose, _), booking in zip(lists, taken, strict=True):
            await cancel(whose, booking)
        now = datetime.now(UTC)
        await asyncio.wait_for(tend(conn, settings, now), timeout=5)
        assert [await states(lists[n][0], entries[n]) for n in range(3)] == [["waiting"], ["offered"], ["offered"]]
    await tend(conn, settings, now + A_MOMENT)
    assert await states(api, *entries[:2]) == ["offered", "offered"]


async def test_what_cannot_be_told_yet_is_in_nobodys_way(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a worker takes at once is for a list that is held."""
    made, other = await awaited(api, seats=2), await awaited(api)
    taken = [await booked(api, other, soon + HOUR), *[await booked(api, made, soon) for _ in range(2)]]
    entries = [await joined(api, made, soon), await joined(api, other, soon + HOUR, "ben")]
    async with slow_worker(monkeypatch, settings, made):
        await conn.execute(
            """
            insert into outbox (org_id, topic, ref_id, due_at)
            select $1, 'vacancy', $2, now() - interval '1 minute' from generate_series(1, 500)
            """,
            *(tenant.org_id, decode(Kind.EVENT_TYPE, made["id"])),
        )
        await cancel(api, taken[0])
        now = datetime.now(UTC)
        await asyncio.wait_for(tend(conn, settings, now), timeout=5)
        assert await states(api, *entries) == ["waiting", "offered"]
        assert await conn.fetchval("select count(*) from outbox where topic = 'vacancy'") == 501, "one of a shared host"
    await tend(conn, settings, now + A_MOMENT)
    assert await conn.fetchval("select count(*) from outbox where topic = 'vacancy'") == 0


async def test_joining_while_it_is_looked_at_wakes_it_again(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else waits, so that the list is about to sleep."""
    made = await awaited(api)
    taken = [await booked(api, made, soon + hour * HOUR) for hour in range(2)]
    first = await joined(api, made, soon)
    assert (await api.call("DELETE", f"/v1/waitlist/{first['id']}")).status == 204
    async with slow_worker(monkeypatch, settings, made):
        joining = asyncio.create_task(joined(api, made, soon + HOUR, "ben"))
        await asyncio.sleep(0.2)
        assert not joining.done()
    entry = await joining
    await cancel(api, taken[1])
    await tend(conn, settings)
    assert await states(api, first, entry) == ["left", "offered"]


async def test_bookings_elsewhere_do_not_wait_for_it(
    api: Api, settings: Settings, conn: db.Connection, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await awaited(api)
    taken = [await booked(api, made, soon + hour * HOUR) for hour in range(2)]
    entry = await joined(api, made, soon)
    await cancel(api, taken[0])
    async with slow_worker(monkeypatch, settings, made):
        await asyncio.wait_for(cancel(api, taken[1]), timeout=5)
        await asyncio.wait_for(booked(api, made, soon + 2 * HOUR), timeout=5)
    assert await states(api, entry) == ["offered"]
