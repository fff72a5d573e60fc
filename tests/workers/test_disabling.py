"""When we give a webhook up, and who hears of it: an event, a mail, and a mark where people look."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from tests.browsers import Browser
from tests.offers import booked, offer
from tests.postbox import Postbox
from tests.queues import Queue
from tests.support import Api, Tenant, eventually
from tests.workers.mailing import at_rest, mailing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
URL = "http://127.0.0.1:9/hook?token=s3cret"


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


@pytest.fixture
def queue(conn: db.Connection, vault: Vault, tenant: Tenant) -> Queue:
    return Queue(conn, vault, tenant)


async def subscribe(api: Api, **fields: Any) -> Any:
    return (await api.post("/v1/webhooks", {"url": URL, **fields})).ok(201)["webhook"]


async def shown(api: Api, hook: Any) -> Any:
    return (await api.get(f"/v1/webhooks/{hook['id']}")).ok()["webhook"]


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
    await fails(queue, now + 5 * DAY - HOUR)
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
    await conn.execute("update webhooks set failing_since = $2 where org_id = $1", tenant.org_id, now - 6 * DAY)
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
    await conn.execute("update webhooks set failing_since = $2 where org_id = $1", tenant.org_id, now - 6 * DAY)
    await fails(queue, now)
    async with mailing(settings):
        await eventually(lambda: at_rest(conn, tenant))
    (mail,) = [each for each in box.arrived if "127.0.0.1:9" in each.text]
    assert mail.to == f"{tenant.username}@example.com"
    assert "five days" in mail.text
    assert "s3cret" not in mail.text
