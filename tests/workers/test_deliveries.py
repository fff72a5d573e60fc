"""From commit to receipt: what a receiver gets, and what no crash may lose. Each test runs a worker as its own
process against real servers."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import stripe
from aiohttp import web

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from app.embedded import Redis
from tests.processes import Process, free_port, running
from tests.support import Answer, Api, Receiver, Servers, environment_for, eventually, make_tenant, settings_for

WORKER = ["workers.main"]


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated, webhook_timeout_seconds=1.0)


@pytest.fixture
async def call(api: Api) -> str:
    return str((await api.event_type(code="call", booking_window_days=None))["code"])


async def subscribe(api: Api, receiver: Receiver, **fields: Any) -> Any:
    url = await receiver.start()
    return (await api.post("/v1/webhooks", {"url": url, **fields})).ok(201)["webhook"]


@asynccontextmanager
async def worker(settings: Settings, tmp_path: Path) -> AsyncIterator[Process]:
    """A worker that must not have died by the end, nor left a traceback."""
    log = tmp_path / "worker.log"
    async with running(WORKER, environment_for(settings), log) as process:
        yield process
        assert process.popen.poll() in {None, 0}, log.read_text()
    assert "Traceback" not in log.read_text()


async def deliveries(conn: db.Connection, api: Api) -> dict[str, tuple[str, int]]:
    """(status, attempts) by the webhook's URL."""
    me = (await api.get("/v1/users/me")).ok()
    org_id = decode(Kind.ORGANIZATION, me["organization"]["id"])
    rows = await conn.fetch(
        """
        select w.url, d.status, d.attempts from deliveries d join webhooks w on w.id = d.webhook_id where d.org_id = $1
        """,
        org_id,
    )
    return {row["url"]: (row["status"], row["attempts"]) for row in rows}


async def test_a_booking_arrives_signed_for_both_schemes(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    secret = (await subscribe(api, receiver))["secret"]
    async with worker(settings, tmp_path):
        booking = (await api.book(call, soon + timedelta(hours=9))).ok(201)["booking"]
        (received,) = await receiver.wait_for(1)
    event = received.json
    assert event["type"] == "booking.created"
    assert event["sequence"] == 1
    assert event["data"]["booking"] == {**booking, "cancel_token": None, "reschedule_token": None}
    assert received.headers["X-Event-Id"] == received.headers["webhook-id"] == event["id"]
    assert received.headers["X-Event-Type"] == "booking.created"
    assert received.headers["X-Delivery-Attempt"] == "1"
    assert received.headers["X-Delivery-Id"].startswith("dlv_")
    assert received.headers["Content-Type"] == "application/json"
    signature = received.headers["X-Signature"]
    assert stripe.WebhookSignature.verify_header(received.body.decode(), signature, secret, tolerance=300)
    verified = standardwebhooks.Webhook(secret).verify(received.body, received.headers)
    assert verified == event
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(received.body.decode() + " ", signature, secret, tolerance=300)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(secret).verify(received.body + b" ", received.headers)


async def test_a_cancel_is_one_event_and_a_repeat_none(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    await subscribe(api, receiver)
    async with worker(settings, tmp_path):
        booking = (await api.book(call, soon + timedelta(hours=10))).ok(201)["booking"]
        await receiver.wait_for(1)
        for _ in range(3):
            (await api.post(f"/v1/bookings/{booking['id']}/cancel", {"reason": "ill"})).ok()
        await receiver.wait_for(2)
        await asyncio.sleep(1.5)
    events = [each.json for each in receiver.received]
    assert [event["type"] for event in events] == ["booking.created", "booking.cancelled"]
    assert [event["sequence"] for event in events] == [1, 2]
    assert events[1]["data"]["booking"]["cancellation"]["reason"] == "ill"


async def test_only_subscribed_events_of_ones_own_organization_arrive(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    await subscribe(api, receiver, events=["booking.cancelled"])
    async with worker(settings, tmp_path):
        booking = (await api.book(call, soon + timedelta(hours=11))).ok(201)["booking"]
        (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
        (received,) = await receiver.wait_for(1)
    assert received.json["type"] == "booking.cancelled"


async def test_a_refusing_receiver_is_tried_again_with_the_same_event_and_a_fresh_signature(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    async def refuse_once(_request: web.Request) -> web.Response:
        return web.Response(status=500 if len(receiver.received) == 1 else 204)

    receiver.behaviour = refuse_once
    secret = (await subscribe(api, receiver))["secret"]
    async with worker(settings, tmp_path):
        (await api.book(call, soon + timedelta(hours=12))).ok(201)
        first, second = await receiver.wait_for(2)
    assert first.headers["X-Event-Id"] == second.headers["X-Event-Id"]
    assert first.headers["X-Delivery-Id"] == second.headers["X-Delivery-Id"]
    assert first.body == second.body
    assert second.headers["X-Delivery-Attempt"] == "2"
    assert second.headers["X-Signature"] != first.headers["X-Signature"]
    # the second try comes 5 s after the first, with up to 10 % of jitter
    assert timedelta(seconds=4.5) < second.at - first.at < timedelta(seconds=8)
    assert stripe.WebhookSignature.verify_header(second.body.decode(), second.headers["X-Signature"], secret)


async def test_a_worker_killed_between_claim_and_delivery_loses_nothing(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    async def hang_once(_request: web.Request) -> web.Response:
        if len(receiver.received) == 1:
            await asyncio.sleep(0.9)
        return web.Response()

    receiver.behaviour = hang_once
    await subscribe(api, receiver)
    log = tmp_path / "worker.log"
    first = Process(WORKER, environment_for(settings), log)
    try:
        (await api.book(call, soon + timedelta(hours=13))).ok(201)
        await receiver.wait_for(1)
        await first.kill()
    finally:
        await first.stop()
    async with running(WORKER, environment_for(settings), log):
        before, after = await receiver.wait_for(2)
    assert before.json["id"] == after.json["id"]
    assert before.body == after.body
    assert before.headers["X-Delivery-Id"] == after.headers["X-Delivery-Id"]


async def test_bookings_go_on_without_redis_and_events_go_out_once_it_is_back(
    api: Api,
    call: str,
    soon: datetime,
    settings: Settings,
    receiver: Receiver,
    tmp_path: Path,
    own_servers: tuple[Servers, Redis],
) -> None:
    await subscribe(api, receiver)
    redis = own_servers[1]
    async with worker(settings, tmp_path):
        redis.kill()
        redis.stop()
        try:
            began = time.monotonic()
            made = [(await api.book(call, soon + timedelta(hours=14, minutes=30 * n))).ok(201) for n in range(3)]
            assert time.monotonic() - began < 3
        finally:
            assert redis.start() == settings.redis_url
        received = await receiver.wait_for(3)
        booked = {each["booking"]["id"] for each in made}
        assert {each.json["data"]["booking"]["id"] for each in received} == booked
        # and wake-ups work again: events do not wait for the sweep of a second
        await asyncio.sleep(2.5)
        waited = []
        for n in range(6):
            (await api.book(call, soon + timedelta(days=1, hours=9, minutes=30 * n))).ok(201)
            committed = datetime.now(UTC)
            received = await receiver.wait_for(4 + n)
            waited.append((received[-1].at - committed).total_seconds())
        assert sorted(waited)[3] < 0.25, waited


async def test_a_redirect_is_a_failure_and_is_not_followed(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": str(request.url)})

    receiver.behaviour = redirect
    await subscribe(api, receiver)
    async with worker(settings, tmp_path):
        (await api.book(call, soon + timedelta(hours=16))).ok(201)
        await receiver.wait_for(1)
        await asyncio.sleep(1.0)
    assert len(receiver.received) == 1


async def test_receivers_that_give_no_answer_harm_nobody(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path, conn: db.Connection
) -> None:
    """A closed port, a hang, a name that is none, an address that is not allowed: each a failure of its own, written
    down, while the healthy receiver of the same batch gets the event once."""
    hanging = Receiver(behaviour=lambda _request: asyncio.sleep(60))  # type: ignore[arg-type, return-value]
    urls = [await hanging.start(), f"http://127.0.0.1:{free_port()}/", "http://no-such-name.invalid/"]
    webhook = await subscribe(api, receiver)
    for url in urls:
        (await api.post("/v1/webhooks", {"url": url})).ok(201)
    refused = (await api.post("/v1/webhooks", {"url": "http://example.com/"})).ok(201)["webhook"]
    await conn.execute(
        "update webhooks set url = 'http://10.0.0.1/' where id = $1", decode(Kind.WEBHOOK, refused["id"])
    )

    async def all_tried() -> bool:
        return all(attempts >= 1 for _, attempts in (await deliveries(conn, api)).values())

    async with worker(settings, tmp_path) as process:
        pid = process.pid
        (await api.book(call, soon + timedelta(hours=16))).ok(201)
        await receiver.wait_for(1)
        await eventually(all_tried)
        assert process.pid == pid
        assert process.popen.poll() is None
        found = await deliveries(conn, api)
    await hanging.stop()
    assert found.pop(webhook["url"]) == ("delivered", 1)
    assert {status for status, _ in found.values()} == {"failed"}
    assert len(found) == 4
    assert len(receiver.received) == 1


async def test_a_slow_receiver_does_not_delay_another(
    api: Api, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path, conn: db.Connection, vault: Vault
) -> None:
    """A hundred events wait for a receiver that hangs; another organization's event arrives at once."""
    slow = Receiver(behaviour=lambda _request: asyncio.sleep(60))  # type: ignore[arg-type, return-value]
    schedule = await api.always_open()
    fields = {"schedule_id": schedule["id"], "booking_window_days": None, "duration_minutes": 5}
    await api.event_type(code="always", **fields)
    await subscribe(api, slow)
    other = Api(api.client, (await make_tenant(conn, vault)).api_key)
    await other.event_type(code="call", booking_window_days=None)
    await subscribe(other, receiver)
    await asyncio.gather(*(api.book("always", soon + timedelta(minutes=5 * n)) for n in range(120)))
    async with worker(settings, tmp_path):
        # ten that nobody knew about, then one at a time to see whether it is well again
        await slow.wait_for(11)
        (await other.book("call", soon + timedelta(hours=9))).ok(201)
        committed = datetime.now(UTC)
        (received,) = await receiver.wait_for(1)
        # ten at a time would be twelve seconds
        assert (received.at - committed).total_seconds() < 4
    await slow.stop()


async def test_a_deleted_webhook_is_owed_nothing_more(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path, conn: db.Connection
) -> None:
    """Deleted while an attempt is under way: the attempt's failure does not bring it back."""

    async def slow_failure(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.7)
        return web.Response(status=500)

    receiver.behaviour = slow_failure
    webhook = await subscribe(api, receiver)

    async def settled() -> bool:
        return (await deliveries(conn, api))[webhook["url"]] == ("exhausted", 1)

    async with worker(settings, tmp_path):
        (await api.book(call, soon + timedelta(hours=16))).ok(201)
        await receiver.wait_for(1)
        assert (await api.call("DELETE", f"/v1/webhooks/{webhook['id']}")).status == 204
        await eventually(settled)
    rows = await conn.fetch(
        "select next_attempt_at from deliveries where webhook_id = $1", decode(Kind.WEBHOOK, webhook["id"])
    )
    assert [row["next_attempt_at"] for row in rows] == [None]


async def test_a_database_that_says_no_for_a_while_does_not_end_the_worker(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path, conn: db.Connection
) -> None:
    await subscribe(api, receiver)
    async with worker(settings, tmp_path):
        async with conn.transaction():
            await conn.execute("lock table deliveries in exclusive mode")
            (await api.book(call, soon + timedelta(hours=16))).ok(201)
            # longer than the lock timeout of 10 s
            await asyncio.sleep(11)
        await receiver.wait_for(1)


async def test_gone_means_gone(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    async def gone(_request: web.Request) -> web.Response:
        return web.Response(status=410)

    receiver.behaviour = gone
    webhook = await subscribe(api, receiver)

    async def disabled() -> bool:
        shown = (await api.get(f"/v1/webhooks/{webhook['id']}")).ok()["webhook"]
        return not shown["active"] and shown["disabled_reason"] == "gone"

    async with worker(settings, tmp_path):
        (await api.book(call, soon + timedelta(hours=16))).ok(201)
        await eventually(disabled)
        (await api.book(call, soon + timedelta(days=1, hours=10))).ok(201)
        await asyncio.sleep(1.5)
    assert len(receiver.received) == 1


async def test_sigterm_lets_the_worker_finish_what_it_sends(
    api: Api, call: str, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.6)
        return web.Response()

    receiver.behaviour = slow
    await subscribe(api, receiver)
    async with worker(settings, tmp_path) as process:
        (await api.book(call, soon + timedelta(hours=16, minutes=30))).ok(201)
        await receiver.wait_for(1)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    async with worker(settings, tmp_path):
        await asyncio.sleep(4)
    assert len(receiver.received) == 1, "it was delivered and written down before the worker left"


async def test_two_workers_share_the_work_without_doing_it_twice(
    api: Api, soon: datetime, settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    schedule = await api.always_open()
    fields = {"schedule_id": schedule["id"], "booking_window_days": None}
    await api.event_type(code="always", duration_minutes=5, **fields)
    await subscribe(api, receiver)
    async with worker(settings, tmp_path), worker(settings, tmp_path):
        answers: list[Answer] = await asyncio.gather(
            *(api.book("always", soon + timedelta(minutes=5 * n)) for n in range(200))
        )
        assert {answer.status for answer in answers} == {201}
        received = await receiver.wait_for(200)
        await asyncio.sleep(1.0)
    assert len(receiver.received) == 200
    assert len({json.loads(each.body)["id"] for each in received}) == 200
