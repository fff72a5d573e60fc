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
from tests.support import Api
from tests.waiting import HOUR, awaited, cancel, joined, states, tend


@asynccontextmanager
async def slow_worker(monkeypatch: pytest.MonkeyPatch, settings: Settings, event_type: Any) -> AsyncIterator[None]:
    """One that has looked at the list, and made its offer, and has not committed until the block ends."""
    looked, go, really = asyncio.Event(), asyncio.Event(), vars(offers)["_tend"]

    async def slowly(conn: db.Connection, held: Any, now: datetime) -> Any:
        next_check = await really(conn, held, now)
        if held.event_type_id == decode(Kind.EVENT_TYPE, event_type["id"]) and not looked.is_set():
            looked.set()
            await go.wait()
        return next_check

    monkeypatch.setattr(offers, "_tend", slowly)
    async with db.open_pool(settings.database_url, size=1, name="slow") as pool, db.acquire(pool) as own:
        slow = asyncio.create_task(tend(own, settings))
        await looked.wait()
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
        prompted = asyncio.create_task(tend(conn, settings))
        await asyncio.sleep(0.2)
        assert not prompted.done()
    await prompted
    assert await states(api, entry) == ["offered"]


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
