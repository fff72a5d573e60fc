"""`slotwire listen` against a real server that comes and goes, and receivers that do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import standardwebhooks
import stripe
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.domain.webhooks.subscriptions import EVENTS
from app.listen import secret_of
from tests.listeners import call, listening, one_line, sample, serving
from tests.processes import free_port
from tests.support import Receiver, Servers, Tenant, settings_for

KEY = "slw_live_anything"


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated, port=free_port(), processes=1)


@pytest.fixture
async def real(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(settings, tmp_path / "web.log"):
        yield f"http://127.0.0.1:{settings.port}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


def address(receiver: Receiver) -> str:
    """As somebody types it."""
    assert receiver.server is not None
    return f"localhost:{receiver.server.port}/hook"


# Forwarding.


async def test_what_is_forwarded_is_what_a_webhook_gets(real: str, tenant: Tenant, receiver: Receiver) -> None:
    async with listening(real, tenant.api_key, "--forward-to", address(receiver)) as command:
        secret = (await command.says("whsec_")).split("the signing secret is ")[1].split()[0]
        made = [await sample(real, tenant.api_key, event) for event in EVENTS]
        arrived = await receiver.wait_for(len(made))
        await command.says("<-- [200] POST", len(made))
        assert await command.interrupt() == 130
        assert command.err == []
    assert [each.headers["X-Event-Id"] for each in arrived] == made
    assert secret == secret_of(tenant.api_key)
    for each, event, event_id in zip(arrived, EVENTS, made, strict=True):
        headers = each.headers
        logged = await call(real, tenant.api_key, "GET", f"/v1/events/{event_id}")
        assert logged == b'{"success":true,"event":' + each.body + b"}", "the same bytes"
        assert headers["X-Event-Type"] == event
        assert headers["webhook-id"] == event_id
        assert decode(Kind.DELIVERY, headers["X-Delivery-Id"])
        assert headers["X-Delivery-Attempt"] == "1"
        assert headers["Content-Type"] == "application/json"
        assert headers["User-Agent"] == "Slotwire-Webhooks/1"
        assert stripe.WebhookSignature.verify_header(each.body.decode(), headers["X-Signature"], secret, tolerance=60)
        assert standardwebhooks.Webhook(secret).verify(each.body, headers) == each.json
    shown = [line for line in command.out if "-->" in line]
    assert [line.split("--> ")[1] for line in shown] == [
        f"{event} [{event_id}] (a sample)" for event, event_id in zip(EVENTS, made, strict=True)
    ]


async def test_real_bookings_are_heard_without_a_webhook(
    real: str, tenant: Tenant, receiver: Receiver, soon: datetime
) -> None:
    week = [{"day": day, "start": "00:00", "end": "24:00"} for day in ("MO", "TU", "WE", "TH", "FR", "SA", "SU")]
    hours = {"name": "Always", "timezone": "UTC", "weekly": week}
    schedule = json.loads(await call(real, tenant.api_key, "POST", "/v1/schedules", hours))["schedule"]["id"]
    offered = {"title": "Call", "code": "call", "schedule_id": schedule, "booking_window_days": None}
    await call(real, tenant.api_key, "POST", "/v1/event-types", offered)
    attendee = {"name": "Jane", "email": "jane@example.com", "timezone": "UTC"}
    async with listening(real, tenant.api_key, "--forward-to", address(receiver)) as command:
        order = {"event_type": "call", "requested_time": soon.isoformat(), "attendee": attendee}
        made = json.loads(await call(real, tenant.api_key, "POST", "/v1/bookings", order))["booking"]
        await call(real, tenant.api_key, "POST", f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})
        first, second = (await receiver.wait_for(2))[:2]
        await command.says("<-- [200] POST", 2)
    assert [(each.json["type"], each.json["sequence"]) for each in (first, second)] == [
        ("booking.created", 1),
        ("booking.cancelled", 2),
    ]
    assert first.json["data"]["booking"]["id"] == made["id"]
    assert not any("a sample" in line for line in command.out)


async def test_from_now_on_or_from_when_it_says(real: str, tenant: Tenant, receiver: Receiver) -> None:
    before = await sample(real, tenant.api_key)
    await asyncio.sleep(1.1)  # the server tells its time to the second
    async with listening(real, tenant.api_key, "--forward-to", address(receiver)):
        after = await sample(real, tenant.api_key)
        await receiver.wait_for(1)
    assert [each.headers["X-Event-Id"] for each in receiver.received] == [after]
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    async with listening(real, tenant.api_key, "--forward-to", address(receiver), "--since", hour_ago):
        await receiver.wait_for(3)
    assert [each.headers["X-Event-Id"] for each in receiver.received[1:]] == [before, after]


async def test_only_some_events_with_headers_of_ones_own(real: str, tenant: Tenant, receiver: Receiver) -> None:
    given = ("--events", "booking.cancelled, booking.no_show", "--header", "X-Tunnel: a b", "--header", "x-two:2")
    async with listening(real, tenant.api_key, "--forward-to", address(receiver), *given) as command:
        for event in ("booking.created", "booking.cancelled", "booking.updated", "booking.no_show"):
            await sample(real, tenant.api_key, event)
        arrived = await receiver.wait_for(2)
        await command.says("<-- [200] POST", 2)
    assert [each.headers["X-Event-Type"] for each in arrived] == ["booking.cancelled", "booking.no_show"]
    assert {(each.headers["X-Tunnel"], each.headers["x-two"]) for each in arrived} == {("a b", "2")}
    assert "booking.cancelled, booking.no_show" in command.out[0]


async def test_more_than_a_page_comes_in_order(real: str, tenant: Tenant, receiver: Receiver) -> None:
    made = [await sample(real, tenant.api_key, EVENTS[number % 4]) for number in range(120)]
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    async with listening(real, tenant.api_key, "--forward-to", address(receiver), "--since", hour_ago):
        await receiver.wait_for(120)
        await asyncio.sleep(0.7)
    assert [each.headers["X-Event-Id"] for each in receiver.received] == made


async def test_json_for_programs(real: str, tenant: Tenant) -> None:
    async with listening(real, tenant.api_key, "--print-json") as command:
        made = [await sample(real, tenant.api_key), await sample(real, tenant.api_key, "booking.no_show")]
        await command.says(made[1])
        assert await command.interrupt() == 130
    assert [json.loads(line)["id"] for line in command.out] == made
    assert len(command.err) == 1, "where it listens; without a receiver there is no secret to tell"


# What goes away comes back.


async def test_nothing_is_lost_while_the_server_is_away(
    settings: Settings, tenant: Tenant, receiver: Receiver, tmp_path: Path
) -> None:
    url, log = f"http://127.0.0.1:{settings.port}", tmp_path / "web.log"
    async with (
        serving(settings, log) as process,
        listening(url, tenant.api_key, "--forward-to", address(receiver)) as command,
    ):
        made = [await sample(url, tenant.api_key)]
        await receiver.wait_for(1)
        await process.kill()
        await command.says("the server is away")
        for number in range(3):
            async with serving(settings, log) as again:
                made.append(await sample(url, tenant.api_key, EVENTS[number]))
                if number == 1:
                    await command.says("the server is back", 1)
                    await receiver.wait_for(len(made))
                await again.kill()
        async with serving(settings, log):
            made.append(await sample(url, tenant.api_key, "booking.no_show"))
            await receiver.wait_for(len(made))
            await command.says("<-- [200] POST", len(made))
            assert await command.interrupt() == 130
        assert command.err == []
    assert [each.headers["X-Event-Id"] for each in receiver.received] == made
    away = sum("is away" in line for line in command.out)
    assert 1 <= away <= 4, "it says so once each time"


async def test_an_event_waits_for_a_receiver_that_is_not_there_yet(real: str, tenant: Tenant) -> None:
    port = free_port()
    async with listening(real, tenant.api_key, "--forward-to", f"127.0.0.1:{port}/hook") as command:
        made = [await sample(real, tenant.api_key, event) for event in EVENTS[:3]]
        line = await command.says("is your receiver running?")
        assert f"http://127.0.0.1:{port}/hook" in line
        await asyncio.sleep(1.2)
        arrived: list[str] = []
        async with on_port(port, lambda request: arrived.append(request.headers["X-Event-Id"])):
            await command.says("<-- [200] POST", 3)
    assert arrived == made
    assert sum("is your receiver running?" in line for line in command.out) == 1


async def test_a_receiver_that_is_started_anew_misses_nothing(real: str, tenant: Tenant) -> None:
    """As somebody does who writes one: again and again."""
    port, arrived, made = free_port(), [], []
    async with listening(real, tenant.api_key, "--forward-to", f"127.0.0.1:{port}/hook") as command:
        for _ in range(4):
            made.append(await sample(real, tenant.api_key))
            async with on_port(port, lambda request: arrived.append(request.headers["X-Event-Id"])):
                await command.says("<-- [200] POST", len(made))
    assert arrived == made


@asynccontextmanager
async def on_port(port: int, take: Callable[[web.Request], object]) -> AsyncIterator[None]:
    async def hook(request: web.Request) -> web.Response:
        take(request)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with TestServer(app, host="127.0.0.1", port=port):
        yield


async def test_what_a_receiver_answers_is_printed_and_not_tried_again(
    real: str, tenant: Tenant, receiver: Receiver
) -> None:
    answers = [
        web.Response(status=500, text="Traceback:\x1b[31m oh\nmore"),
        web.Response(status=404),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"}),
        web.Response(status=204),
    ]

    async def behave(request: web.Request) -> web.StreamResponse:
        return answers[len(receiver.received) - 1]

    receiver.behaviour = behave
    async with listening(real, tenant.api_key, "--forward-to", address(receiver)) as command:
        made = [await sample(real, tenant.api_key) for _ in answers]
        await command.says("<-- [204]")
        await asyncio.sleep(0.7)
    assert [each.headers["X-Event-Id"] for each in receiver.received] == made
    told = [line.split("<-- ")[1].split(" POST")[0] for line in command.out if "<--" in line]
    assert told == ["[500: Traceback: [31m oh]", "[404]", "[302]", "[204]"]


async def test_a_receiver_that_breaks_the_connection_is_tried_once_more(
    real: str, tenant: Tenant, receiver: Receiver
) -> None:
    async def behave(request: web.Request) -> web.StreamResponse:
        if request.headers["X-Event-Type"] == "booking.created":
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    receiver.behaviour = behave
    async with listening(real, tenant.api_key, "--forward-to", address(receiver)) as command:
        await sample(real, tenant.api_key)
        await sample(real, tenant.api_key, "booking.no_show")
        await command.says("<-- [200]")
    seen = [(each.headers["X-Event-Type"], each.headers["X-Delivery-Attempt"]) for each in receiver.received]
    assert seen == [("booking.created", "1"), ("booking.created", "2"), ("booking.no_show", "1")]
    assert len({each.headers["X-Delivery-Id"] for each in receiver.received}) == 2
    assert await command.says("the connection broke")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_for_patience_gets_it(status: int) -> None:
    asked: list[str] = []

    async def me(request: web.Request) -> web.Response:
        return web.json_response({"organization": {"name": "Acme"}, "key": {"scopes": ["webhooks:read"]}})

    async def events(request: web.Request) -> web.Response:
        asked.append(request.query_string)
        if len(asked) < 3:
            return web.Response(status=status, headers={"Retry-After": "1"})
        return web.json_response({"events": [], "pagination": {"has_more": False}})

    app = web.Application()
    app.add_routes([web.get("/v1/users/me", me), web.get("/v1/events", events)])
    async with TestServer(app, host="127.0.0.1") as server, listening(str(server.make_url("")), KEY) as command:
        assert f"it answers {status}" in await command.says("is away")
        await command.says("the server is back")
        assert await command.interrupt() == 130
    assert command.err == []
    assert sum("is away" in line for line in command.out) == 1
    assert len(set(asked[:3])) == 1, "from the same place"


async def test_a_key_that_is_revoked_meanwhile_ends_it(
    real: str, conn: db.Connection, tenant: Tenant, receiver: Receiver
) -> None:
    async with listening(real, tenant.api_key, "--forward-to", address(receiver)) as command:
        await conn.execute("update api_keys set revoked_at = created_at where org_id = $1", tenant.org_id)
        assert await command.ended() == 2
    assert "does not accept this key" in one_line(command.err)


async def test_ctrl_c_while_the_receiver_is_away(real: str, tenant: Tenant) -> None:
    async with listening(real, tenant.api_key, "--forward-to", f"127.0.0.1:{free_port()}") as command:
        await sample(real, tenant.api_key)
        await command.says("is your receiver running?")
        assert await command.interrupt() == 130
    assert command.err == []
