"""A webhook's own headers and its narrowing to event types: taken, kept secret, and sent."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.webhooks.deliver import signed_headers
from app.domain.webhooks.headers import check_header
from tests.browsers import Browser
from tests.offers import booked, offer
from tests.queues import URL, Queue, subscribe
from tests.support import Api, Tenant, make_tenant


async def sent(api: Api, queue: Queue, soon: datetime) -> dict[str, str]:
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (claimed,) = await queue.claim(now)
    return signed_headers(claimed.delivery, 1_700_000_000)


async def test_they_go_with_every_delivery_and_are_never_shown(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    hook = await subscribe(api, headers={"Authorization": "Bearer s3cret", "X-Shop": "7"})
    assert hook["header_names"] == ["Authorization", "X-Shop"]
    read = await api.get(f"/v1/webhooks/{hook['id']}")
    assert b"s3cret" not in read.raw
    assert "headers" not in read.ok()["webhook"]
    sealed = await conn.fetchval("select headers_sealed from webhooks where id = $1", decode(Kind.WEBHOOK, hook["id"]))
    assert b"s3cret" not in sealed
    headers = await sent(api, Queue(conn, vault, tenant), soon)
    assert (headers["Authorization"], headers["X-Shop"]) == ("Bearer s3cret", "7")
    assert headers["X-Signature"].startswith("t=1700000000,v1=")


async def test_they_are_replaced_together_and_taken_away(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    hook = await subscribe(api, headers={"Authorization": "Bearer old", "X-Shop": "7"})
    path = f"/v1/webhooks/{hook['id']}"
    assert (await api.call("PATCH", path, {"active": True})).ok()["webhook"]["header_names"] == hook["header_names"]
    changed = (await api.call("PATCH", path, {"headers": {"Authorization": "Bearer new"}})).ok()["webhook"]
    assert changed["header_names"] == ["Authorization"]
    headers = await sent(api, Queue(conn, vault, tenant), soon)
    assert headers["Authorization"] == "Bearer new"
    assert "X-Shop" not in headers
    assert (await api.call("PATCH", path, {"headers": {}})).ok()["webhook"]["header_names"] == []


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-type", "Content-Length", "Transfer-Encoding", "Connection", "X-Signature", "webhook-id"),
        *("X-Event-Type", "X-Delivery-Attempt", "Proxy-Authorization", "User-Agent", "Expect", "Webhook-Anything"),
        *("", "with space", "colon:", "new\nline", "ünlaut", "x" * 101),
    ],
)
async def test_what_would_break_or_forge_a_delivery_is_refused(api: Api, name: str) -> None:
    problem = (await api.post("/v1/webhooks", {"url": URL, "headers": {name: "1"}})).ok(400)
    assert problem["errors"][0]["field"].startswith("headers"), problem


@pytest.mark.parametrize("value", ["", " led", "trailed ", "new\r\nX-Evil: 1", "bell\x07", "naïve", "x" * 2001])
async def test_so_is_a_value_that_no_header_can_hold(api: Api, value: str) -> None:
    problem = (await api.post("/v1/webhooks", {"url": URL, "headers": {"X-Shop": value}})).ok(400)
    assert [each["field"] for each in problem["errors"]] == ["headers.X-Shop"]
    assert value not in str(problem) or not value, "it may be a secret"


async def test_one_name_stands_once_and_there_are_twenty_at_most(api: Api) -> None:
    problem = (await api.post("/v1/webhooks", {"url": URL, "headers": {"X-Shop": "1", "x-shop": "2"}})).ok(400)
    assert "twice" in problem["errors"][0]["message"]
    many = {f"X-{number}": "1" for number in range(21)}
    (await api.post("/v1/webhooks", {"url": URL, "headers": many})).ok(400)
    (await api.post("/v1/webhooks", {"url": URL, "headers": "Authorization: x"})).ok(400)
    (await api.post("/v1/webhooks", {"url": URL, "headers": {"X-Shop": 1}})).ok(400)
    assert len((await subscribe(api, headers=dict(list(many.items())[:20])))["header_names"]) == 20


def test_every_header_of_ours_is_ours_alone() -> None:
    ours = ["X-Signature", "X-Event-Id", "X-Event-Type", "X-Delivery-Id", "X-Delivery-Attempt"]
    ours += ["webhook-id", "webhook-timestamp", "webhook-signature", "Content-Type", "User-Agent", "Content-Length"]
    assert all(check_header(name, "1") for name in ours)
    assert check_header("Authorization", "Bearer a.b-c") is None
    assert check_header("X-Api-Key", "a b\tc") is None


async def test_a_webhook_hears_of_its_event_types_only(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    first, second = await offer(api), await offer(api)
    hook = await subscribe(api, event_type_ids=[first["id"], first["id"]])
    assert hook["event_type_ids"] == [first["id"]]
    await booked(api, first, soon)
    await booked(api, second, soon.replace(hour=5))
    queue = Queue(conn, vault, tenant)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    found = [orjson.loads(each.delivery.body)["data"]["booking"]["event_type_id"] for each in await queue.claim(now)]
    assert found == [first["id"]]
    replayed = {"since": (now - timedelta(hours=1)).isoformat()}
    assert (await api.post(f"/v1/webhooks/{hook['id']}/replay", replayed)).ok(202)["count"] == 1
    widened = (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"event_type_ids": None})).ok()["webhook"]
    assert widened["event_type_ids"] is None


async def test_an_event_type_that_there_is_not_is_refused(api: Api, conn: db.Connection, vault: Vault) -> None:
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    theirs, mine = await offer(stranger), await offer(api)
    problem = (await api.post("/v1/webhooks", {"url": URL, "event_type_ids": [mine["id"], theirs["id"]]})).ok(400)
    assert [each["field"] for each in problem["errors"]] == ["event_type_ids.1"]
    hook = await subscribe(api)
    for wrong in ([theirs["id"]], [], ["nonsense"], "all"):
        (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"event_type_ids": wrong})).ok(400)


async def test_the_dashboard_takes_and_shows_the_same(owner: Browser) -> None:
    body = {"webhook": {"url": URL, "headers": {"X-Shop": "7"}}}
    made = (await owner.post("/api/webhooks", body)).ok(201)["data"]
    assert (made["header_names"], made["event_type_ids"], made["failing_since"]) == (["X-Shop"], None, None)


async def test_credentials_do_not_go_to_another_receiver(api: Api) -> None:
    """Whoever may change the address must not read what is never shown."""
    hook = await subscribe(api, headers={"Authorization": "Bearer s3cret"})
    path = f"/v1/webhooks/{hook['id']}"
    same = (await api.call("PATCH", path, {"url": "http://127.0.0.1:9/other"})).ok()["webhook"]
    assert same["header_names"] == ["Authorization"]
    moved = (await api.call("PATCH", path, {"url": "http://127.0.0.1:10/hook"})).ok()["webhook"]
    assert moved["header_names"] == []
    both = {"url": "http://127.0.0.1:11/hook", "headers": {"Authorization": "Bearer new"}}
    assert (await api.call("PATCH", path, both)).ok()["webhook"]["header_names"] == ["Authorization"]


async def test_there_are_a_hundred_webhooks_at_most(api: Api) -> None:
    hooks = [await subscribe(api) for _ in range(100)]
    problem = (await api.post("/v1/webhooks", {"url": URL})).ok(409)
    assert "100" in problem["detail"]
    assert (await api.call("DELETE", f"/v1/webhooks/{hooks[0]['id']}")).status == 204
    await subscribe(api)
