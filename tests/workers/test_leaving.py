"""A worker that leaves in the middle of much work: asked to, it gives back what it has not sent; killed, its leases run
out. Either way every event arrives."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from app.core import db
from app.core.settings import Settings
from tests.processes import running
from tests.support import Api, Receiver, Servers, Tenant, environment_for, eventually, settings_for
from tests.workers.test_deliveries import WORKER, subscribe

EVENTS = 150


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    """An attempt may take its time: on a busy machine the receiver is slower than it means to be."""
    return settings_for(migrated, webhook_timeout_seconds=4.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Slow enough that most of the events wait in the worker's queue when it is told to leave."""

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.4)
        return web.Response()

    made = Receiver(behaviour=slow)
    yield made
    await made.stop()


async def book_many(api: Api, soon: datetime) -> None:
    schedule = await api.always_open()
    fields = {"schedule_id": schedule["id"], "booking_window_days": None, "duration_minutes": 5}
    await api.event_type(code="always", **fields)
    answers = await asyncio.gather(*(api.book("always", soon + timedelta(minutes=5 * n)) for n in range(EVENTS)))
    assert {answer.status for answer in answers} == {201}


async def all_delivered(conn: db.Connection, tenant: Tenant) -> bool:
    statement = "select count(*) from deliveries where org_id = $1 and status = 'delivered'"
    count: int = await conn.fetchval(statement, tenant.org_id)
    return count == EVENTS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_whatever_ends_a_worker_every_event_arrives(
    api: Api,
    soon: datetime,
    settings: Settings,
    receiver: Receiver,
    tmp_path: Path,
    conn: db.Connection,
    tenant: Tenant,
    number: signal.Signals,
) -> None:
    await book_many(api, soon)
    await subscribe(api, receiver)
    # subscribed after the events: nothing is owed for the past
    await conn.execute("delete from outbox where org_id = $1", tenant.org_id)
    again = "insert into outbox (org_id, topic, ref_id, due_at) select org_id, 'event', id, now() from events"
    await conn.execute(f"{again} where org_id = $1", tenant.org_id)
    log = tmp_path / "worker.log"
    async with running(WORKER, environment_for(settings), log) as first:
        await receiver.wait_for(5)
        first.signal(number)
        code = await first.ended()
        assert code == (0 if number == signal.SIGTERM else -number)
        received_by_first = len(receiver.received)
        assert received_by_first < EVENTS
    left = datetime.now(UTC)
    async with running(WORKER, environment_for(settings), log):
        await receiver.wait_for(received_by_first + 1)
        waited = (datetime.now(UTC) - left).total_seconds()
        await eventually(lambda: all_delivered(conn, tenant), seconds=40)
    ids = [each.json["id"] for each in receiver.received]
    assert len(set(ids)) == EVENTS
    if number == signal.SIGTERM:
        assert len(ids) == EVENTS, "what was being sent was finished and written down, the rest given back"
        assert waited < 2.5, "given back, not left to its lease"
    assert "Traceback" not in log.read_text()
