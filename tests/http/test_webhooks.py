"""Managing webhooks: change, pause, a new secret, a sample, what was sent, and sending it again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.webhooks.subscriptions import EVENTS
from tests.offers import booked, offer
from tests.queues import Queue
from tests.support import Api, Tenant, make_tenant

HOUR = timedelta(hours=1)
URL = "http://127.0.0.1:9/hook"


async def subscribe(api: Api, **fields: Any) -> Any:
    return (await api.post("/v1/webhooks", {"url": URL, **fields})).ok(201)["webhook"]


async def patch(api: Api, webhook: Any, **fields: Any) -> Any:
    return await api.call("PATCH", f"/v1/webhooks/{webhook['id']}", fields)


async def deliveries(api: Api, webhook: Any, query: str = "") -> list[Any]:
    return list((await api.get(f"/v1/webhooks/{webhook['id']}/deliveries?{query}")).ok()["deliveries"])


async def settle(conn: db.Connection, tenant: Tenant, status: str) -> None:
    """As if the worker had tried all of them."""
    await conn.execute(
        "update deliveries set status = $2, next_attempt_at = null, attempts = 1, retry_no = 1 where org_id = $1",
        tenant.org_id,
        status,
    )


async def three_delivered(api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime) -> Any:
    """A webhook that has heard of three bookings."""
    made, hook = await offer(api), await subscribe(api)
    for hour in range(3):
        await booked(api, made, soon + hour * HOUR)
    await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    await settle(conn, tenant, "delivered")
    return hook


async def test_changes_merge(api: Api) -> None:
    made = await subscribe(api, description="first")
    secretless = {name: value for name, value in made.items() if name != "secret"}
    assert (await patch(api, made)).ok()["webhook"] == secretless, "nothing changed, and nothing was written"
    changed = (await patch(api, made, events=["booking.completed"], description=None)).ok()["webhook"]
    assert changed["events"] == ["booking.completed"]
    assert changed["description"] is None
    assert changed["url"] == URL
    assert "secret" not in changed
    elsewhere = (await patch(api, made, url="http://127.0.0.1:10/other")).ok()["webhook"]
    assert elsewhere["url"] == "http://127.0.0.1:10/other"
    assert (await api.get(f"/v1/webhooks/{made['id']}")).ok()["webhook"] == elsewhere


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "ftp://example.com"}, "url"),
        ({"url": "http://10.0.0.1/hook"}, "url"),
        ({"url": None}, "url"),
        ({"events": []}, "events"),
        ({"events": ["booking.exploded"]}, "events.0"),
        ({"secret": "whsec_mine"}, "secret"),
        ({"active": "no"}, "active"),
    ],
)
async def test_wrong_changes_name_the_field(api: Api, body: Any, field: str) -> None:
    made = await subscribe(api)
    problem = (await patch(api, made, **body)).ok(400)
    assert [each["field"] for each in problem["errors"]] == [field]


async def test_switching_on_forgets_what_was_against_it(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    made = await subscribe(api)
    await conn.execute(
        "update webhooks set active = false, disabled_reason = 'gone', failing_since = now() where org_id = $1",
        tenant.org_id,
    )
    renamed = (await patch(api, made, description="x")).ok()["webhook"]
    assert (renamed["active"], renamed["disabled_reason"]) == (False, "gone")
    again = (await patch(api, made, active=True)).ok()["webhook"]
    assert (again["active"], again["disabled_reason"], again["failing_since"]) == (True, None, None)


async def test_a_paused_webhook_hears_nothing_of_what_happens_meanwhile(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    made, hook = await offer(api), await subscribe(api)
    await booked(api, made, soon)
    await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    await patch(api, hook, active=False)
    await booked(api, made, soon + HOUR)
    await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    assert len(await deliveries(api, hook)) == 1
    for action in ("test", "replay"):
        body = {"since": "2026-01-01T00:00:00Z"} if action == "replay" else None
        assert (await api.post(f"/v1/webhooks/{hook['id']}/{action}", body)).ok(409)["code"] == "conflict"
    first = (await deliveries(api, hook))[0]
    assert (await api.post(f"/v1/deliveries/{first['id']}/redeliver")).ok(409)["code"] == "conflict"


async def test_a_new_secret_is_shown_once_and_overlaps(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault
) -> None:
    made = await subscribe(api)
    rotated = (await api.post(f"/v1/webhooks/{made['id']}/rotate-secret")).ok()["webhook"]
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert "secret" not in (await api.get(f"/v1/webhooks/{made['id']}")).ok()["webhook"]
    row = await conn.fetchrow(
        """
        select secret_sealed, old_secrets_sealed[1] as old, old_secrets_until[1] - updated_at as overlap
        from webhooks where org_id = $1
        """,
        tenant.org_id,
    )
    assert row is not None
    assert vault.unseal(row["secret_sealed"]).decode() == rotated["secret"]
    assert vault.unseal(row["old"]).decode() == made["secret"]
    assert row["overlap"] == timedelta(hours=24)


async def test_deliveries_are_signed_with_both_for_a_day(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault
) -> None:
    hook = await subscribe(api)
    path = f"/v1/webhooks/{hook['id']}"
    second = (await api.post(f"{path}/rotate-secret")).ok()["webhook"]["secret"]
    await api.post(f"{path}/test")

    async def secrets(at: datetime) -> list[tuple[str, ...]]:
        await conn.execute("update deliveries set leased_until = null where org_id = $1", tenant.org_id)
        return [each.delivery.secrets for each in await Queue(conn, vault, tenant).claim(at)]

    now = datetime.now(UTC)
    assert await secrets(now + HOUR) == [(second, hook["secret"])]
    assert await secrets(now + 25 * HOUR) == [(second,)]
    # rotated again, perhaps because the first answer was lost: what receivers have stays good
    third = (await api.post(f"{path}/rotate-secret")).ok()["webhook"]["secret"]
    assert await secrets(now + HOUR) == [(third, hook["secret"], second)]
    assert await secrets(now + 25 * HOUR) == [(third,)]
    await conn.execute(
        "update webhooks set old_secrets_until[1] = now() - interval '1 second' where org_id = $1", tenant.org_id
    )
    fourth = (await api.post(f"{path}/rotate-secret")).ok()["webhook"]["secret"]
    assert await secrets(now) == [(fourth, second, third)]


async def test_a_retried_rotation_rotates_once(api: Api) -> None:
    made = await subscribe(api)
    path = f"/v1/webhooks/{made['id']}/rotate-secret"
    first = await api.post(path, Idempotency_Key="r")
    assert (await api.post(path, Idempotency_Key="r")).json["webhook"] == first.json["webhook"]


@pytest.mark.parametrize("event", EVENTS)
async def test_a_sample_has_the_shape_of_the_real_event(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime, event: str
) -> None:
    hook = await subscribe(api)
    await booked(api, await offer(api), soon)
    real = (await api.get("/v1/events")).ok()["events"][0]
    sent = (await api.post(f"/v1/webhooks/{hook['id']}/test", {"event": event})).ok()["delivery"]
    assert (sent["status"], sent["event_type"], sent["attempts"]) == ("pending", event, [])
    sample = (await api.get(f"/v1/events/{sent['event_id']}")).ok()["event"]
    assert (sample.keys(), sample["type"], sample["sequence"]) == (real.keys(), event, 0)
    if event.startswith(("booking", "waitlist")):
        assert sample["data"]["booking"].keys() == real["data"]["booking"].keys()
        assert sample["data"]["booking"]["metadata"] == {"test": True}
    assert ("previous" in sample["data"]) == (event in {"booking.updated", "booking.rescheduled"})
    log = (await api.get("/v1/events")).ok()["events"]
    assert [each["id"] for each in log] == [real["id"]], "it never happened"
    owed = "select count(*) from outbox where org_id = $1 and topic = 'event'"
    assert await conn.fetchval(owed, tenant.org_id) == 1


async def test_samples_of_what(api: Api) -> None:
    hook = await subscribe(api, events=["booking.no_show"])
    plain = (await api.post(f"/v1/webhooks/{hook['id']}/test")).ok()["delivery"]
    assert plain["event_type"] == "booking.no_show", "the first that it is subscribed to"
    problem = (await api.post(f"/v1/webhooks/{hook['id']}/test", {"event": "booking.exploded"})).ok(400)
    assert [each["field"] for each in problem["errors"]] == ["event"]


async def test_the_log_is_newest_first_page_by_page(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    made, hook, other = await offer(api), await subscribe(api), await subscribe(api)
    for hour in range(5):
        await booked(api, made, soon + hour * HOUR)
        await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    every = await deliveries(api, hook)
    assert len(every) == 5
    assert [each["created_at"] for each in every] == sorted((each["created_at"] for each in every), reverse=True)
    seen = await api.walk(f"/v1/webhooks/{hook['id']}/deliveries", "deliveries", 2)
    assert seen == [each["id"] for each in every]
    await settle(conn, tenant, "delivered")
    assert await deliveries(api, hook, "status=pending") == []
    assert len(await deliveries(api, hook, "status=pending&status=delivered")) == 5
    foreign = (await deliveries(api, other))[0]["id"]
    for wrong in (f"cursor={foreign}", "cursor=x", "status=lost", "page=1"):
        assert (await api.get(f"/v1/webhooks/{hook['id']}/deliveries?{wrong}")).status == 400


async def test_sending_again_keeps_the_ids(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    made, hook = await offer(api), await subscribe(api)
    await booked(api, made, soon)
    await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    before = (await deliveries(api, hook))[0]
    await settle(conn, tenant, "exhausted")
    again = (await api.post(f"/v1/deliveries/{before['id']}/redeliver")).ok(202)["delivery"]
    assert (again["id"], again["event_id"], again["status"]) == (before["id"], before["event_id"], "pending")
    row = await conn.fetchrow("select retry_no, next_attempt_at from deliveries where org_id = $1", tenant.org_id)
    assert row is not None
    assert row["retry_no"] == 0
    assert row["next_attempt_at"] <= datetime.now(UTC)
    assert (await api.post("/v1/deliveries/dlv_01h2xcejqtf2nbrexx3vqjhp41/redeliver")).status == 404


async def test_a_period_is_replayed(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    hook = await three_delivered(api, conn, tenant, vault, soon)
    late = await subscribe(api, events=["booking.created"])
    await api.post(f"/v1/webhooks/{hook['id']}/test")
    path, since = f"/v1/webhooks/{hook['id']}/replay", (datetime.now(UTC) - HOUR).isoformat()
    assert (await api.post(path, {"since": since, "failed_only": True})).ok(202) == {"success": True, "count": 0}
    assert (await api.post(path, {"since": since})).ok(202)["count"] == 3, "not the sample"
    assert {each["status"] for each in await deliveries(api, hook)} == {"pending"}
    assert (await api.post(f"/v1/webhooks/{late['id']}/replay", {"since": since})).ok(202)["count"] == 3
    assert (await api.post(path, {"since": since, "until": since})).status == 400
    assert (await api.post(path, {})).ok(400)["code"] == "missing_field"
    nothing = {"since": (datetime.now(UTC) + HOUR).isoformat()}
    assert (await api.post(path, nothing)).ok(202)["count"] == 0


async def test_what_failed_is_replayed_alone(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    hook = await three_delivered(api, conn, tenant, vault, soon)
    lost = (await deliveries(api, hook))[1]
    delivery_id = decode(Kind.DELIVERY, lost["id"])
    await conn.execute(
        "update deliveries set status = 'exhausted' where org_id = $1 and id = $2", tenant.org_id, delivery_id
    )
    body = {"since": (datetime.now(UTC) - HOUR).isoformat(), "failed_only": True}
    assert (await api.post(f"/v1/webhooks/{hook['id']}/replay", body)).ok(202)["count"] == 1
    assert [each["id"] for each in await deliveries(api, hook, "status=pending")] == [lost["id"]]


async def test_nobody_touches_anothers_deliveries(
    api: Api, conn: db.Connection, tenant: Tenant, vault: Vault, soon: datetime
) -> None:
    hook = await subscribe(api)
    await booked(api, await offer(api), soon)
    await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    delivery = (await deliveries(api, hook))[0]
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert (await stranger.post(f"/v1/deliveries/{delivery['id']}/redeliver")).status == 404
    assert (await stranger.get(f"/v1/webhooks/{hook['id']}/deliveries")).status == 404
    since = quote((datetime.now(UTC) - HOUR).isoformat())
    assert (await stranger.post(f"/v1/webhooks/{hook['id']}/replay", {"since": since})).status in {400, 404}
