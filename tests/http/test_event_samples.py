"""Samples in the event log: for `slotwire listen`, seen by nobody who did not ask for them."""

from typing import Any

import orjson
import pytest

from app.core import db
from app.core.vault import Vault
from app.domain.webhooks.subscriptions import EVENTS
from tests.offers import booked, offer
from tests.support import Api, make_tenant


async def trigger(api: Api, event: str = "booking.created", **fields: Any) -> Any:
    return (await api.post("/v1/events/test", {"event": event, **fields})).ok(201)["event"]


async def log(api: Api, query: str = "samples=true") -> list[Any]:
    return list((await api.get(f"/v1/events?{query}")).ok()["events"])


async def webhook(api: Api, **fields: Any) -> Any:
    return (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hook", **fields})).ok(201)["webhook"]


async def owed(api: Api, webhook_id: str) -> list[Any]:
    return list((await api.get(f"/v1/webhooks/{webhook_id}/deliveries")).ok()["deliveries"])


@pytest.mark.parametrize("event", EVENTS)
async def test_every_event_has_a_sample(api: Api, event: str) -> None:
    made = await trigger(api, event)
    assert (made["type"], made["sequence"]) == (event, 0)
    if "booking" in made["data"]:
        assert made["data"]["booking"]["metadata"] == {"test": True}
    assert await log(api) == [made]
    assert (await api.get(f"/v1/events/{made['id']}")).ok()["event"] == made


async def test_samples_are_shown_to_whoever_asks_for_them(api: Api, soon: Any) -> None:
    first = await trigger(api)
    real = await booked(api, await offer(api), soon)
    second = await trigger(api, "booking.cancelled")
    for query in ("", "samples=false", "type=booking.created", f"booking_id={real['id']}"):
        assert [each["data"]["booking"]["id"] for each in await log(api, query)] == [real["id"]], query
    assert await log(api, f"samples=true&booking_id={first['data']['booking']['id']}") == [], "it is nobody's booking"
    every = await log(api)
    assert [each["sequence"] for each in every] == [0, 1, 0]
    assert await log(api, "samples=true&type=booking.cancelled") == [second]
    assert await log(api, f"samples=true&cursor={first['id']}") == every[1:]
    assert await api.walk("/v1/events", "events", 1, samples="true") == [each["id"] for each in every]
    assert await log(api, f"cursor={second['id']}") == [], "a sample is a place in the log like any other"


async def test_what_is_recorded_are_the_bytes_that_were_answered(api: Api) -> None:
    answer = await api.post("/v1/events/test", {"event": "booking.rescheduled"})
    body = answer.raw.removeprefix(b'{"success":true,"event":').removesuffix(b"}")
    assert orjson.dumps(answer.ok(201)["event"]) == body
    assert body in (await api.get("/v1/events?samples=true")).raw


async def test_without_a_webhook_it_is_owed_to_nobody(api: Api) -> None:
    hearing = await webhook(api)
    await trigger(api)
    assert await owed(api, hearing["id"]) == []


async def test_with_a_webhook_it_is_owed_to_that_one(api: Api) -> None:
    """Also of an event that it has not subscribed to: it is being tried."""
    tried, other = await webhook(api, events=["booking.created"]), await webhook(api)
    made = await trigger(api, "booking.no_show", webhook_id=tried["id"])
    (delivery,) = await owed(api, tried["id"])
    assert (delivery["event_id"], delivery["event_type"]) == (made["id"], "booking.no_show")
    assert delivery["status"] == "pending"
    assert await owed(api, other["id"]) == []
    assert await log(api) == [made]


async def test_a_retry_records_nothing_twice(api: Api) -> None:
    tried = await webhook(api)
    body = {"event": "booking.created", "webhook_id": tried["id"]}
    first = (await api.post("/v1/events/test", body, Idempotency_Key="once")).ok(201)["event"]
    again = (await api.post("/v1/events/test", body, Idempotency_Key="once")).ok(200)["event"]
    assert again == first
    assert (await log(api), len(await owed(api, tried["id"]))) == ([first], 1)


async def test_a_paused_webhook_is_not_tried(api: Api) -> None:
    paused = await webhook(api, active=False)
    refused = (await api.post("/v1/events/test", {"event": "booking.created", "webhook_id": paused["id"]})).ok(409)
    assert "paused" in refused["detail"]
    assert await log(api) == [], "and nothing is recorded"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "event"),
        ({"event": "booking.exploded"}, "event"),
        ({"event": ""}, "event"),
        ({"event": None}, "event"),
        ({"event": ["booking.created"]}, "event"),
        ({"event": "booking.created", "webhook_id": "whk_x"}, "webhook_id"),
        ({"event": "booking.created", "webhook_id": "evn_01h2xcejqtf2nbrexx3vqjhp41"}, "webhook_id"),
        ({"event": "booking.created", "webhook_id": "whk_01h2xcejqtf2nbrexx3vqjhp41"}, "webhook_id"),
        ({"event": "booking.created", "webhook": "whk_01h2xcejqtf2nbrexx3vqjhp41"}, "webhook"),
    ],
)
async def test_wrong_bodies(api: Api, body: Any, field: str) -> None:
    refused = (await api.post("/v1/events/test", body)).ok(400)
    assert [each["field"] for each in refused["errors"]] == [field]
    if body.get("event") == "booking.exploded":
        assert all(event in refused["errors"][0]["message"] for event in EVENTS), "it says which there are"
    assert await log(api) == []


@pytest.mark.parametrize("value", ["yes", "1", "", "TRUE"])
async def test_samples_is_true_or_false(api: Api, value: str) -> None:
    assert (await api.get(f"/v1/events?samples={value}")).status == 400


async def test_nobody_tries_anothers_webhook_or_sees_anothers_samples(
    api: Api, conn: db.Connection, vault: Vault
) -> None:
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    mine = await webhook(api)
    refused = await stranger.post("/v1/events/test", {"event": "booking.created", "webhook_id": mine["id"]})
    assert refused.ok(400)["errors"][0]["code"] == "unknown_id"
    made = await trigger(api)
    assert await log(stranger) == []
    assert (await stranger.get(f"/v1/events/{made['id']}")).status == 404
    assert await owed(api, mine["id"]) == []


async def test_reading_does_not_include_triggering(api: Api, conn: db.Connection, vault: Vault) -> None:
    reader = Api(api.client, (await make_tenant(conn, vault, scopes=("webhooks:read",))).api_key)
    assert (await reader.post("/v1/events/test", {"event": "booking.created"})).status == 403
    assert await log(reader) == []
