"""Idempotency-Key: seed 001's promise, to the byte."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.main import build_app
from tests.browsers import Browser
from tests.budgets import make_key, with_limits
from tests.conftest import AiohttpClient
from tests.offers import booked, iso, offer
from tests.support import Api, Tenant, booking_body, make_tenant


@pytest.fixture
async def call(api: Api) -> str:
    return str((await api.event_type(code="call", booking_window_days=None))["code"])


async def events_of(conn: db.Connection, booking_id: str) -> int:
    count: int = await conn.fetchval("select count(*) from events where body like $1", f"%{booking_id}%")
    return count


async def test_a_repeat_is_the_first_answer_to_the_byte(
    api: Api, call: str, soon: datetime, conn: db.Connection
) -> None:
    start = soon + timedelta(hours=9)
    first = await api.book(call, start, Idempotency_Key="order_12345_attempt_1")
    assert first.status == 201
    again = await api.book(call, start, Idempotency_Key="order_12345_attempt_1")
    assert again.status == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["idempotent_replay"] is True
    assert again.raw == b'{"idempotent_replay":true,' + first.raw[1:]
    assert await events_of(conn, first.json["booking"]["id"]) == 1


async def test_bare_and_quoted_are_the_same_key(api: Api, call: str, soon: datetime) -> None:
    start = soon + timedelta(hours=9)
    first = await api.book(call, start, Idempotency_Key="abc-1")
    again = await api.book(call, start, Idempotency_Key='"abc-1"')
    assert (first.status, again.status) == (201, 200)
    assert again.json["booking"] == first.json["booking"]


async def test_equal_json_is_the_same_request_however_it_is_written(api: Api, call: str, soon: datetime) -> None:
    body = booking_body(call, soon + timedelta(hours=9))
    shuffled = json.dumps(dict(reversed(body.items())), indent=2).encode()
    assert (await api.post("/v1/bookings", body, Idempotency_Key="k")).status == 201
    assert (await api.post("/v1/bookings", shuffled, Idempotency_Key="k")).status == 200


async def test_another_body_is_refused(api: Api, call: str, soon: datetime) -> None:
    assert (await api.book(call, soon + timedelta(hours=9), Idempotency_Key="k")).status == 201
    other = await api.book(call, soon + timedelta(hours=10), Idempotency_Key="k")
    assert other.ok(422)["code"] == "idempotency_key_reused"


async def test_another_path_is_another_request(api: Api, call: str, soon: datetime) -> None:
    assert (await api.book(call, soon + timedelta(hours=9), Idempotency_Key="k")).status == 201
    other = await api.post("/v1/event-types", {"title": "Another"}, Idempotency_Key="k")
    assert other.ok(422)["code"] == "idempotency_key_reused"


async def test_a_refusal_is_not_kept(api: Api, call: str, soon: datetime) -> None:
    start = soon + timedelta(hours=9)
    blocker = (await api.book(call, start)).ok(201)["booking"]
    assert (await api.book(call, start, Idempotency_Key="k")).ok(409)["code"] == "slot_taken"
    (await api.post(f"/v1/bookings/{blocker['id']}/cancel")).ok()
    assert (await api.book(call, start, Idempotency_Key="k")).status == 201


async def test_a_repeat_while_the_first_runs_is_told_so(
    api: Api, call: str, soon: datetime, conn: db.Connection
) -> None:
    start = soon + timedelta(hours=9)
    answers = await asyncio.gather(*(api.book(call, start, Idempotency_Key="k") for _ in range(20)))
    statuses = sorted(answer.status for answer in answers)
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    refused = [answer.json["code"] for answer in answers if answer.status == 409]
    assert set(refused) <= {"idempotency_in_progress"}
    made = next(answer for answer in answers if answer.status == 201)
    for replay in (answer for answer in answers if answer.status == 200):
        assert replay.raw == b'{"idempotent_replay":true,' + made.raw[1:]
    assert await events_of(conn, made.json["booking"]["id"]) == 1


async def test_a_key_over_24_hours_old_is_forgotten(api: Api, call: str, soon: datetime, conn: db.Connection) -> None:
    start = soon + timedelta(hours=9)
    assert (await api.book(call, start, Idempotency_Key="old")).status == 201
    await conn.execute("update idempotency_keys set created_at = created_at - interval '25 hours' where key = 'old'")
    assert (await api.book(call, start, Idempotency_Key="old")).ok(409)["code"] == "slot_taken"


async def test_two_organizations_may_use_the_same_key(
    api: Api,
    call: str,
    soon: datetime,
    conn: db.Connection,
    settings: Settings,
    aiohttp_client: AiohttpClient,
) -> None:
    from app.core.vault import Vault

    other = await make_tenant(conn, Vault(settings.secret_keys))
    theirs = Api(await aiohttp_client(build_app(settings)), other.api_key)
    code = (await theirs.event_type(code="call", booking_window_days=None))["code"]
    start = soon + timedelta(hours=9)
    assert (await api.book(call, start, Idempotency_Key="same")).status == 201
    assert (await theirs.book(code, start, Idempotency_Key="same")).status == 201


@pytest.mark.parametrize("limits", [{"max_lead_days": 60}, {"requires_approval": True}])
async def test_a_key_with_limits_meets_nobody_elses(
    api: Api, owner: Browser, soon: datetime, limits: dict[str, Any]
) -> None:
    """Else a replay would hand it the links that it must not see, or tell it which keys were used."""
    made = await offer(api, seats=9)
    one, other = [await with_limits(api, owner, **limits) for _ in range(2)]
    trusted = (await api.book(made["code"], soon, Idempotency_Key="order-1")).ok(201)["booking"]
    assert trusted["cancel_token"]
    answers = [await each.book(made["code"], soon, Idempotency_Key="order-1") for each in (one, other)]
    ids = {each.ok(201)["booking"]["id"] for each in answers}
    assert len(ids | {trusted["id"]}) == 3
    again = await one.book(made["code"], soon, Idempotency_Key="order-1")
    assert again.status == 200
    assert again.raw == b'{"idempotent_replay":true,' + answers[0].raw[1:]
    assert again.json["booking"]["cancel_token"] is None
    later = soon + timedelta(hours=1)
    assert (await one.book(made["code"], later, Idempotency_Key="order-1")).ok(422)["code"] == "idempotency_key_reused"
    # and the other way round: what it has used is free for everybody else
    (await one.book(made["code"], later, Idempotency_Key="order-2")).ok(201)
    assert (await api.book(made["code"], later, Idempotency_Key="order-2")).ok(201)["booking"]["cancel_token"]


async def test_moves_by_a_key_with_limits_meet_nobody_elses(api: Api, owner: Browser, soon: datetime) -> None:
    agent, old = await with_limits(api, owner, max_lead_days=60), await booked(api, await offer(api), soon)
    path, where = f"/v1/bookings/{old['id']}/reschedule", {"start_time": iso(soon + timedelta(hours=1))}
    moved = (await api.post(path, where, Idempotency_Key="move")).ok()["booking"]
    assert moved["cancel_token"]
    assert (await agent.post(path, where, Idempotency_Key="move")).ok(409)["code"] == "invalid_transition"


async def test_a_members_key_with_limits_does_not_meet_the_members_others(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """A key of when they were more: what it may see is less than what they may."""
    made = await offer(api, seats=9)
    agent, plain = await with_limits(api, owner, max_lead_days=60), Api(api.client, (await make_key(owner))["secret"])
    await conn.execute("update users set role = 'member' where org_id = $1", tenant.org_id)
    assert (await plain.book(made["code"], soon, Idempotency_Key="k")).ok(201)["booking"]["cancel_token"]
    mine = (await agent.book(made["code"], soon, Idempotency_Key="k")).ok(201)["booking"]
    assert mine["cancel_token"] is None


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "with space", "tab\tin", "ümlaut", '"'])
async def test_bad_keys_are_refused_and_write_nothing(
    api: Api, call: str, soon: datetime, key: str, conn: db.Connection
) -> None:
    before = await conn.fetchval("select count(*) from bookings")
    answer = await api.book(call, soon + timedelta(hours=9), Idempotency_Key=key)
    if key == '"':
        assert answer.status == 201, "a single quotation mark is a visible character"
        return
    assert answer.ok(400)["errors"][0]["field"] == "Idempotency-Key"
    assert await conn.fetchval("select count(*) from bookings") == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/event-types", {"title": "Once"}),
        ("/v1/schedules", {"name": "Once", "timezone": "Europe/Berlin"}),
        ("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"}),
    ],
)
async def test_every_creating_post_takes_a_key(api: Api, path: str, body: dict[str, object]) -> None:
    first = await api.post(path, body, Idempotency_Key="once")
    again = await api.post(path, body, Idempotency_Key="once")
    assert (first.status, again.status) == (201, 200)
    assert again.raw == b'{"idempotent_replay":true,' + first.raw[1:]


async def test_the_stored_answer_is_sealed(api: Api, call: str, soon: datetime, conn: db.Connection) -> None:
    made = (await api.book(call, soon + timedelta(hours=9), Idempotency_Key="sealed")).ok(201)["booking"]
    stored = await conn.fetchval("select body_sealed from idempotency_keys where key = 'sealed'")
    assert made["cancel_token"].encode() not in stored
    assert b"jane@example.com" not in stored
