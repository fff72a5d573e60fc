"""Events of a booking arrive in their order, as far as at-least-once allows; and nobody waits for another's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.webhooks.deliveries import Room
from tests.offers import booked, offer
from tests.queues import Queue
from tests.support import Api, Tenant

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def queue(conn: db.Connection, vault: Vault, tenant: Tenant) -> Queue:
    return Queue(conn, vault, tenant)


async def subscribe(api: Api, **fields: Any) -> Any:
    return (await api.post("/v1/webhooks", {"url": URL, **fields})).ok(201)["webhook"]


async def cancelled(api: Api, soon: datetime) -> Any:
    """A booking that was made and cancelled."""
    made = await booked(api, await offer(api), soon)
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    return made


async def test_a_cancel_waits_until_the_creation_was_delivered(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    assert created.delivery.event_type == "booking.created"
    assert await queue.types(now) == [], "under way"
    await queue.record(created, now)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_what_is_fanned_out_together_is_leased_first_events_first(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    leased = await queue.fan_out(now, Room(1000, 1000, {}))
    assert [each.delivery.event_type for each in leased] == ["booking.created"]
    assert await queue.types(now) == []


async def test_a_cancel_waits_with_a_creation_that_failed(api: Api, queue: Queue, soon: datetime) -> None:
    hook = await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 500)
    (_, first), (_, second) = await queue.due(hook)
    assert first == second, "it is not looked at before"
    assert first is not None
    assert first > now + 4 * SECOND
    assert await queue.types(first - SECOND) == []
    (again,) = await queue.claim(first)
    assert again.delivery.event_type == "booking.created"
    await queue.record(again, first)
    assert await queue.types(first) == ["booking.cancelled"]


async def test_a_cancel_that_comes_while_the_creation_waits_for_its_retry_waits_too(
    api: Api, queue: Queue, soon: datetime
) -> None:
    hook = await subscribe(api)
    made = await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 500)
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    await queue.fan_out(datetime.now(UTC))
    (_, first), (_, second) = await queue.due(hook)
    assert first == second


async def test_after_three_attempts_it_is_overtaken(api: Api, queue: Queue, soon: datetime) -> None:
    """A receiver that cannot digest one event must not miss for three days that the meeting is off."""
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    for _ in range(3):
        (created,) = await queue.claim(now)
        assert created.delivery.event_type == "booking.created"
        await queue.record(created, now, 500)
        now += timedelta(minutes=6)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_other_bookings_do_not_wait(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    made = await offer(api)
    await booked(api, made, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    assert len(await queue.claim(now)) == 1
    await booked(api, made, soon + HOUR)
    now = datetime.now(UTC)
    assert len(await queue.fan_out(now, Room(1000, 1000, {}))) == 1


async def test_other_webhooks_do_not_wait(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    only_cancels = await subscribe(api, events=["booking.cancelled"])
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    claimed = await queue.claim(now)
    found = {(each.delivery.webhook_id, each.delivery.event_type) for each in claimed}
    assert (decode(Kind.WEBHOOK, only_cancels["id"]), "booking.cancelled") in found
    assert len(found) == 2


async def test_a_webhook_that_came_later_waits_for_nothing(api: Api, queue: Queue, soon: datetime) -> None:
    made = await booked(api, await offer(api), soon)
    await queue.fan_out(datetime.now(UTC))
    await subscribe(api)
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    now = datetime.now(UTC)
    await queue.fan_out(now)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_an_event_that_another_worker_fans_out_just_now_is_waited_for(
    api: Api, queue: Queue, tenant: Tenant, soon: datetime
) -> None:
    """Its delivery is not to be seen yet; a while later it will never come."""
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    first = "select ref_id from outbox where org_id = $1 and topic = 'event' order by no limit 1"
    await queue.conn.execute(f"delete from outbox where org_id = $1 and ref_id = ({first})", tenant.org_id)  # noqa: S608
    await queue.fan_out(now)
    assert await queue.types(now) == []
    assert await queue.types(now + 6 * SECOND) == ["booking.cancelled"]


async def test_a_given_up_creation_lets_the_cancel_go(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await conn.execute(
        "update deliveries set status = 'exhausted', next_attempt_at = null where org_id = $1 and id = $2",
        *(tenant.org_id, created.delivery.id),
    )
    assert await queue.types(now) == ["booking.cancelled"]


async def test_a_replay_keeps_the_order(api: Api, queue: Queue, soon: datetime) -> None:
    hook = await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    for _ in range(2):
        (each,) = await queue.claim(now)
        await queue.record(each, now)
    body = {"since": (now - HOUR).isoformat()}
    assert (await api.post(f"/v1/webhooks/{hook['id']}/replay", body)).ok(202)["count"] == 2
    now = datetime.now(UTC)
    (created,) = await queue.claim(now)
    assert created.delivery.event_type == "booking.created"
    await queue.record(created, now)
    assert await queue.types(now) == ["booking.cancelled"]
