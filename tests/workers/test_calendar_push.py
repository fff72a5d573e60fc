"""Pushes, from the provider's server to ours, and a worker that runs by itself: seconds, not polls."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer

from app.core import db
from app.core.settings import Settings
from app.main import build_app
from tests.calendaring import ACCOUNT, HOUR, Room, connect, working
from tests.fakes.google import FakeGoogle
from tests.fakes.microsoft import FakeMicrosoft
from tests.processes import free_port
from tests.support import Api, Servers, Tenant, eventually, settings_for
from workers.calendars import Calendars


@pytest.fixture
async def outlook() -> AsyncIterator[FakeMicrosoft]:
    fake = FakeMicrosoft([ACCOUNT])
    await fake.start()
    yield fake
    await fake.stop()
    assert fake.violations == []


@pytest.fixture
def settings(migrated: Servers, fake: FakeGoogle, outlook: FakeMicrosoft) -> Settings:
    port = free_port()
    return settings_for(
        migrated,
        google_client_id=fake.oauth.client_id,
        google_client_secret=fake.oauth.client_secret,
        google_base_url=fake.base_url,
        google_oauth_base_url=fake.base_url,
        microsoft_client_id=outlook.oauth.client_id,
        microsoft_client_secret=outlook.oauth.client_secret,
        microsoft_base_url=outlook.base_url,
        microsoft_oauth_base_url=outlook.base_url,
        port=port,
        base_url=f"http://127.0.0.1:{port}",
        calendar_poll_seconds=3600,
    )


@pytest.fixture
async def api(settings: Settings, tenant: Tenant) -> AsyncIterator[Api]:
    """At the address that is given to providers."""
    client = TestClient(TestServer(build_app(settings), host="127.0.0.1", port=settings.port))
    async with client:
        yield Api(client, tenant.api_key)


@pytest.fixture
async def running(room: Room, settings: Settings) -> AsyncIterator[None]:
    """A worker, by itself."""
    calendars = Calendars(room.worker.pool, room.worker.roads.vault, settings)
    task = asyncio.create_task(calendars.run())
    yield
    calendars.stop()
    await asyncio.wait_for(task, timeout=10)


async def test_what_changes_there_is_known_here_at_once(room: Room, running: None, soon: datetime) -> None:
    room.fake.duplicate_pushes = True
    booking = await room.book(soon + 10 * HOUR)

    async def entered() -> bool:
        return len(room.events()) == 1 and await settled()

    async def settled() -> bool:
        row = await room.row("select due_at from calendar_events where org_id = $1")
        return row is not None and row["due_at"] is None

    await eventually(entered, seconds=5)
    room.fake.add_event(ACCOUNT, soon + 17 * HOUR, soon + 18 * HOUR)

    async def closed() -> bool:
        return "17:00" not in await room.slots(soon)

    await eventually(closed, seconds=5)
    room.drag(room.event(), soon + 15 * HOUR)

    async def moved() -> bool:
        start: str = (await room.latest(booking))["start_time"]
        return start == (soon + 15 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")

    await eventually(moved, seconds=5)
    await room.fake.settled()
    assert {push.status for push in room.fake.pushes} <= {204, 404}
    assert [each for each in room.fake.pushes if each.status == 204]
    room.fake.remove(ACCOUNT, room.event()["id"])

    async def cancelled() -> bool:
        status: str = (await room.latest(booking))["status"]
        return status == "CANCELLED"

    await eventually(cancelled, seconds=5)
    assert await room.happened() == ["booking.created", "booking.rescheduled", "booking.cancelled"]


async def test_a_channel_is_renewed_before_it_ends(room: Room) -> None:
    (first,) = room.fake.channels
    await room.worker.later(days=5.9)
    assert list(room.fake.channels) == [first]
    await room.worker.later(hours=3)
    (second,) = room.fake.channels
    assert second != first
    # one that ended unnoticed does no harm: calendars are looked at all the same
    room.fake.expire_channels()
    room.fake.add_event(ACCOUNT, room.worker.now() + timedelta(days=2), room.worker.now() + timedelta(days=3))
    await room.worker.later(hours=13)
    row = await room.row("select count(*) as count from busy_blocks where org_id = $1")
    assert row["count"] == 1


async def test_without_a_channel_it_is_tried_again_later_and_later(room: Room) -> None:
    async with db.acquire(room.worker.pool) as conn:
        without = "update calendars set channel = null, channel_due_at = null where org_id = $1"
        await conn.execute(without, room.tenant.org_id)
    room.fake.fail_next("POST .*/watch", 400, 3, {}, {"error": {"errors": [{"reason": "push.webhookUrlNotHttps"}]}})
    tries = []
    for _ in range(8):
        before = len(room.fake.calls_of("/watch"))
        await room.push()
        await room.worker.later(seconds=61)
        tries.append(len(room.fake.calls_of("/watch")) - before)
    assert tries[0] == 1
    assert sum(tries) == 4
    row = await room.row("select channel, error from calendars where org_id = $1")
    assert (row["channel"] is not None, row["error"]) == (True, None)


async def test_microsofts_subscriptions(api: Api, tenant: Tenant, settings: Settings, outlook: FakeMicrosoft) -> None:
    """The handshake, a change, and all that may happen to a subscription."""
    async with working(settings) as worker:
        await connect(worker, tenant, outlook, provider="microsoft")
        await worker.tend()
        ((first, subscription),) = outlook.subscriptions.items()
        assert not await worker.read()
        outlook.tell_life(first, "missed")
        await outlook.settled()
        assert await worker.read() == 1
        outlook.add_event(outlook.primary(ACCOUNT), worker.now(), worker.now() + HOUR)
        await outlook.settled()
        assert await worker.read() == 1
        outlook.tell_life(first, "reauthorizationRequired")
        await outlook.settled()
        renewals = len(outlook.calls_of("PATCH .*/subscriptions"))
        await worker.later(seconds=1)
        assert len(outlook.calls_of("PATCH .*/subscriptions")) == renewals + 1
        assert list(outlook.subscriptions) == [first]
        outlook.tell_life(first, "subscriptionRemoved")
        await outlook.settled()
        await worker.later(seconds=1)
        (second,) = outlook.subscriptions
        assert second != first
        assert subscription.id == first
