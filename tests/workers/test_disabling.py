"""When we give a webhook up, and who hears of it: an event, a mail, and a mark where people look."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.domain.webhooks.deliver import Outcome
from app.domain.webhooks.deliveries import record
from app.domain.webhooks.subscriptions import lock_webhook
from tests.browsers import Browser
from tests.offers import booked, offer
from tests.postbox import Postbox
from tests.queues import PLENTY, Queue
from tests.support import Api, Tenant, eventually
from tests.workers.mailing import at_rest, mailing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
URL = "http://127.0.0.1:9/hook?token=s3cret"


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


async def subscribe(api: Api, **fields: Any) -> Any:
    return (await api.post("/v1/webhooks", {"url": URL, **fields})).ok(201)["webhook"]


async def shown(api: Api, hook: Any) -> Any:
    return (await api.get(f"/v1/webhooks/{hook['id']}")).ok()["webhook"]


async def failing(conn: db.Connection, tenant: Tenant, now: datetime) -> None:
    """For six days, and an hour ago."""
    since = "update webhooks set failing_since = $2, failed_at = $3 where org_id = $1"
    await conn.execute(since, tenant.org_id, now - 6 * DAY, now - HOUR)


async def fails(queue: Queue, now: datetime, status: int = 500) -> None:
    """The oldest thing that is due fails."""
    claimed = await queue.claim(now)
    await queue.record(claimed[0], now, status)
    for each in claimed[1:]:
        await queue.conn.execute("update deliveries set leased_until = null where id = $1", each.delivery.id)


async def test_five_days_of_nothing_but_failures_end_it(api: Api, queue: Queue, owner: Browser, soon: datetime) -> None:
    hook, watcher = await subscribe(api), await subscribe(api, events=["webhook.disabled"])
    made = await offer(api)
    await booked(api, made, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    await fails(queue, now)
    assert (await shown(api, hook))["failing_since"] is not None
    # the waits between attempts, which make less than five days: then another event fails
    for hours in (1, 3, 8, 18, 33, 55, 80, 105):
        await fails(queue, now + hours * HOUR)
    await booked(api, made, soon + HOUR)
    await queue.fan_out(now + 118 * HOUR)
    await fails(queue, now + 119 * HOUR)
    assert (await shown(api, hook))["active"]
    await fails(queue, now + 5 * DAY)
    ended = await shown(api, hook)
    assert (ended["active"], ended["disabled_reason"]) == (False, "failing")
    marked = (await owner.get("/api/webhooks")).ok()["data"]
    assert [each["disabled_reason"] for each in marked] == ["failing", None]
    await queue.fan_out(now + 5 * DAY + HOUR)
    (claimed,) = await queue.claim(now + 5 * DAY + HOUR)
    assert claimed.delivery.webhook_id == decode(Kind.WEBHOOK, watcher["id"])
    body = orjson.loads(claimed.delivery.body)
    assert (body["type"], body["data"]["webhook"]["id"]) == ("webhook.disabled", hook["id"])
    assert body["data"]["webhook"]["disabled_reason"] == "failing"
    assert body["data"]["webhook"]["url"] == "http://127.0.0.1:9/", "what comes after the host may be a secret"
    assert "booking" not in body["data"]
    log = (await api.get("/v1/events?type=webhook.disabled")).ok()["events"]
    assert log == [body]


async def test_a_success_in_between_begins_the_five_days_anew(api: Api, queue: Queue, soon: datetime) -> None:
    hook = await subscribe(api)
    made = await offer(api)
    for hour in range(2):
        await booked(api, made, soon + hour * HOUR)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    first, second = await queue.claim(now)
    await queue.record(first, now, 500)
    await queue.record(second, now + 4 * DAY)
    assert (await shown(api, hook))["failing_since"] is None
    await fails(queue, now + 6 * DAY)
    assert (await shown(api, hook))["active"]


async def test_what_it_was_owed_waits_until_somebody_switches_it_on(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    hook = await subscribe(api)
    made = await offer(api)
    for hour in range(3):
        await booked(api, made, soon + hour * HOUR)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    await failing(conn, tenant, now)
    await fails(queue, now)
    assert not (await shown(api, hook))["active"]
    assert await queue.claim(now + HOUR) == []
    again = (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"active": True})).ok()["webhook"]
    assert (again["failing_since"], again["disabled_reason"]) == (None, None)
    assert len(await queue.claim(now + HOUR)) == 3
    # what happened meanwhile is sent on request: everything missed since
    body = {"since": (now - HOUR).isoformat(), "failed_only": True}
    assert (await api.post(f"/v1/webhooks/{hook['id']}/replay", body)).ok(202)["count"] == 3


async def test_gone_drops_what_it_was_owed_and_tells_the_others(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    hook, watcher = await subscribe(api), await subscribe(api, events=["webhook.disabled"])
    made = await offer(api)
    for hour in range(3):
        await booked(api, made, soon + hour * HOUR)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    await fails(queue, now, 410)
    assert (await shown(api, hook))["disabled_reason"] == "gone"
    rows = await conn.fetch(
        "select status, count(*)::int as n from deliveries where org_id = $1 group by 1", tenant.org_id
    )
    assert [tuple(row) for row in rows] == [("exhausted", 3)]
    await queue.fan_out(datetime.now(UTC) + HOUR)
    (claimed,) = await queue.claim(datetime.now(UTC) + HOUR)
    assert claimed.delivery.webhook_id == decode(Kind.WEBHOOK, watcher["id"])


async def test_it_ends_once_however_many_attempts_say_so(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await subscribe(api)
    made = await offer(api)
    for hour in range(3):
        await booked(api, made, soon + hour * HOUR)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    for each in await queue.claim(now):
        await queue.record(each, now, 410)
    for topic in ("event", "notice"):
        booked_ones = "select id from events where org_id = $1 and booking_id is not null"
        count = f"select count(*) from outbox where org_id = $1 and topic = $2 and ref_id not in ({booked_ones})"  # noqa: S608
        assert await conn.fetchval(count, tenant.org_id, topic) == 1


async def test_its_keepers_get_a_mail_that_says_why(
    api: Api, settings: Settings, box: Postbox, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await subscribe(api)
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    await failing(conn, tenant, now)
    await fails(queue, now)
    async with mailing(settings):
        await eventually(lambda: at_rest(conn, tenant))
    mails = [each for each in box.arrived if each.to == f"{tenant.username}@example.com"]
    (mail,) = [each for each in mails if "127.0.0.1:9" in each.text]
    assert "five days" in mail.text
    assert "s3cret" not in mail.text


async def test_a_silence_between_failures_is_no_failing(api: Api, queue: Queue, soon: datetime) -> None:
    """One event failed a month ago, all ten times; now the next one does."""
    hook = await subscribe(api)
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    await fails(queue, now)
    await fails(queue, now + 30 * DAY)
    found = await shown(api, hook)
    assert found["active"]
    assert found["failing_since"].startswith((now + 30 * DAY).strftime("%Y-%m-%dT%H:%M"))


async def test_what_an_old_address_answers_is_nothing_to_the_new_one(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Moved while a delivery was on its way: 410 is what a careful owner has the old address say."""
    hook = await subscribe(api)
    made = await offer(api)
    for hour in range(2):
        await booked(api, made, soon + hour * HOUR)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    first, second = await queue.claim(now)
    await failing(conn, tenant, now)
    moved = (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"url": "http://127.0.0.1:10/new"})).ok()["webhook"]
    assert moved["failing_since"] is None
    await queue.record(first, now, 410)
    await queue.record(second, now, 500)
    found = await shown(api, hook)
    assert (found["active"], found["disabled_reason"], found["failing_since"]) == (True, None, None)
    again = await queue.claim(now + HOUR)
    assert [each.delivery.url for each in again] == ["http://127.0.0.1:10/new"] * 2


async def test_our_own_faults_do_not_count_against_it(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    hook = await subscribe(api)
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    await failing(conn, tenant, now)
    (claimed,) = await queue.claim(now)
    outcome = Outcome(now, None, 0, "secret_unreadable", None, None)
    async with conn.transaction():
        await record(conn, [(claimed.delivery, outcome)], now)
    assert (await shown(api, hook))["active"]


async def test_what_happened_before_a_pause_is_owed_after_it(api: Api, queue: Queue, soon: datetime) -> None:
    """The worker was behind when it was paused."""
    hook = await subscribe(api)
    made = await offer(api)
    await booked(api, made, soon)
    (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"active": False})).ok()
    await booked(api, made, soon + HOUR)
    now = datetime.now(UTC)
    await queue.fan_out(now, PLENTY)
    assert await queue.claim(now) == []
    (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"active": True})).ok()
    assert len(await queue.claim(now)) == 1


async def test_outcomes_of_a_webhook_that_somebody_holds_wait_and_others_do_not(
    api: Api, queue: Queue, conn: db.Connection, settings: Settings, tenant: Tenant, soon: datetime
) -> None:
    """As a replay of a hundred thousand does."""
    held, other = await subscribe(api), await subscribe(api)
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    tried = [(each.delivery, Outcome(now, 200, 1, None, None, None)) for each in await queue.claim(now)]
    held_id = decode(Kind.WEBHOOK, held["id"])
    assert held_id is not None
    async with db.open_pool(settings.database_url, size=1, name="other") as pool, db.acquire(pool) as holder:
        async with holder.transaction():
            await lock_webhook(holder, tenant.org_id, held_id)
            async with asyncio.timeout(5):
                waiting = await record(conn, tried, now)
        assert [delivery.webhook_id for delivery, _ in waiting] == [held_id]
        assert await record(conn, waiting, now) == []
    for hook in (held, other):
        log = (await api.get(f"/v1/webhooks/{hook['id']}/deliveries")).ok()["deliveries"]
        assert [each["status"] for each in log] == ["delivered"]
