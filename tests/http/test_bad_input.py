"""Whatever is wrong with what comes in is a 4xx problem document that says what, and nothing is written."""

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from tests.support import Answer, Api, Tenant, booking_body


def is_problem(answer: Answer, status: int, code: str) -> Any:
    assert answer.status == status, answer.raw
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json
    assert body["status"] == status
    assert body["code"] == code
    assert body["type"] == f"/docs/errors#{code}"
    assert body["success"] is False
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body


def changed(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            body = body[name]
        body[last] = value

    return change


def without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            body = body[name]
        del body[last]

    return change


WRONG_BODIES = {
    "no attendee": (without("attendee"), "missing_field", "attendee"),
    "no time": (without("requested_time"), "missing_field", "requested_time"),
    "no name": (without("attendee.name"), "missing_field", "attendee.name"),
    "unknown field": (changed("colour", "red"), "validation_failed", "colour"),
    "unknown field inside": (changed("attendee.age", 7), "validation_failed", "attendee.age"),
    "time without offset": (changed("requested_time", "2030-05-01T14:00:00"), "validation_failed", "requested_time"),
    "time as a number": (changed("requested_time", 1777644000), "validation_failed", "requested_time"),
    "time as text of a number": (changed("requested_time", "1777644000"), "validation_failed", "requested_time"),
    "a day that is not": (changed("requested_time", "2030-02-30T14:00:00Z"), "validation_failed", "requested_time"),
    "a year too far": (changed("requested_time", "9999-12-31T23:59:59Z"), "validation_failed", "requested_time"),
    "before time": (changed("requested_time", "0001-01-01T00:00:00+14:00"), "validation_failed", "requested_time"),
    "unknown zone": (changed("attendee.timezone", "Mars/Olympus"), "validation_failed", "attendee.timezone"),
    "zone that climbs": (changed("attendee.timezone", "../../etc/passwd"), "validation_failed", "attendee.timezone"),
    "NUL in the name": (changed("attendee.name", "Ja\0ne"), "validation_failed", "attendee.name"),
    "NUL in metadata": (changed("metadata", {"a": ["b", {"c": "\0"}]}), "validation_failed", "metadata.a.1.c"),
    "NUL in a key": (changed("custom_fields", {"a\0b": 1}), "validation_failed", "custom_fields"),
    "empty name": (changed("attendee.name", ""), "validation_failed", "attendee.name"),
    "blank name": (changed("attendee.name", "   "), "validation_failed", "attendee.name"),
    "name too long": (changed("attendee.name", "x" * 201), "validation_failed", "attendee.name"),
    "name as a number": (changed("attendee.name", 7), "validation_failed", "attendee.name"),
    "no e-mail": (changed("attendee.email", "nobody"), "validation_failed", "attendee.email"),
    "e-mail of two lines": (changed("attendee.email", "a@b.c\r\nBcc: x@y.z"), "validation_failed", "attendee.email"),
    "attendee as a list": (changed("attendee", []), "validation_failed", "attendee"),
    "attendee null": (changed("attendee", None), "validation_failed", "attendee"),
    "metadata as a list": (changed("metadata", []), "validation_failed", "metadata"),
    "event type id as a number": (
        lambda body: body.update(event_type=None, event_type_id=101), "validation_failed", "event_type_id",
    ),
    "no event type": (without("event_type"), "missing_field", "event_type_id"),
    "two event types": (changed("event_type_id", "evt_x"), "validation_failed", "event_type"),
    "no zone": (without("attendee.timezone"), "missing_field", "attendee.timezone"),
    "duration as text": (changed("duration", "30"), "validation_failed", "duration"),
    "duration below zero": (changed("duration", -30), "validation_failed", "duration"),
}  # fmt: skip


@pytest.fixture
async def call(api: Api) -> str:
    return str((await api.event_type(code="call", booking_window_days=None))["code"])


@pytest.mark.parametrize("case", WRONG_BODIES)
async def test_a_wrong_booking_names_its_field_and_writes_nothing(
    api: Api, call: str, soon: datetime, conn: db.Connection, case: str
) -> None:
    change, code, field = WRONG_BODIES[case]
    body = booking_body(call, soon + timedelta(hours=9))
    change(body)
    before = await conn.fetchval("select count(*) from bookings")
    found = is_problem(await api.post("/v1/bookings", body), 400, code)
    assert field in [error["field"] for error in found["errors"]]
    assert await conn.fetchval("select count(*) from bookings") == before


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"a": 1,}',
        b"NaN",
        b"[" * 5000,
        b'{"x": "\\ud800"}',
        b'{"custom_fields": ' + b'{"a":' * 300 + b"1" + b"}" * 301,
        b"[" * 1000 + b'"\\u0000"' + b"]" * 1000,
    ],
)
async def test_what_is_no_json_object_is_refused(api: Api, raw: bytes) -> None:
    is_problem(await api.post("/v1/bookings", raw), 400, "invalid_request")


@pytest.mark.parametrize("depth", [63, 64, 252, 300, 1000])
async def test_deep_bodies_are_booked_or_refused(api: Api, call: str, soon: datetime, depth: int) -> None:
    """On an open slot, with a key and without: what the parser reads, the writer must be able to write."""
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    for hour, headers in [(9, {}), (10, {"Idempotency_Key": "deep"})]:
        body = json.dumps(booking_body(call, soon + timedelta(hours=hour), metadata="HERE")).encode()
        answer = await api.post("/v1/bookings", body.replace(b'"HERE"', nested), **headers)
        assert answer.status == (201 if depth < 64 else 400), answer.raw


PACKED = {"not at all": b"{}", "well": gzip.compress(b"{}"), "cut off": gzip.compress(b'{"a": 1}' * 100)[:-6]}


@pytest.mark.parametrize("packed", PACKED)
async def test_packed_bodies_are_refused(api: Api, packed: str) -> None:
    answer = await api.post("/v1/bookings", PACKED[packed], Content_Encoding="gzip")
    is_problem(answer, 415, "unsupported_media_type")


async def test_a_caller_who_leaves_in_the_middle_is_no_outage(api: Api, tenant: Tenant) -> None:
    """Nothing but a client's own mistake: no 503 is counted, and the next request is served."""
    _, writer = await asyncio.open_connection(api.client.host, api.client.port)
    lines = ["POST /v1/bookings HTTP/1.1", "Host: x", f"Authorization: Bearer {tenant.api_key}", "Content-Length: 100"]
    writer.write("\r\n".join([*lines, "", "{"]).encode())
    await writer.drain()
    writer.close()
    await asyncio.sleep(0.2)
    metrics = (await api.call("GET", "/metrics", Authorization="")).raw.decode()
    assert 'route="/v1/bookings",status="503"' not in metrics


async def test_unknown_event_types_are_404(api: Api, soon: datetime) -> None:
    is_problem(await api.book("nowhere", soon), 404, "event_type_not_found")
    # a malformed id and one of another kind as well (seed 001 shows "evt_01abc")
    for wrong in ["evt_01h2xcejqtf2nbrexx3vqjhp41", "evt_01abc", "bkg_01h2xcejqtf2nbrexx3vqjhp41", "call"]:
        body = booking_body("x", soon, event_type_id=wrong)
        del body["event_type"]
        is_problem(await api.post("/v1/bookings", body), 404, "event_type_not_found")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/bookings/bkg_01h2xcejqtf2nbrexx3vqjhp41",
        "/v1/bookings/evt_01h2xcejqtf2nbrexx3vqjhp41",
        "/v1/bookings/101",
        "/v1/bookings/bkg_",
        "/v1/bookings/%00",
        "/v1/event-types/%00",
        "/v1/event-types/a%0Ab",
        "/v1/bookings/bkg_%F0%9F%98%80",
        "/v1/webhooks/whk_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "/v1/schedules/sch_01h2xcejqtf2nbrexx3vqjhp41",
    ],
)
async def test_ids_of_the_wrong_kind_are_not_found(api: Api, path: str) -> None:
    is_problem(await api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "code", ["nowhere", "%ff%fe", "evt_01h2xcejqtf2nbrexx3vqjhp41", "bkg_01h2xcejqtf2nbrexx3vqjhp41"]
)
async def test_unknown_codes_are_not_found(api: Api, code: str) -> None:
    is_problem(await api.get(f"/v1/event-types/{code}"), 404, "event_type_not_found")


async def test_a_body_over_the_limit(api: Api, call: str, soon: datetime) -> None:
    body = booking_body(call, soon + timedelta(hours=9), notes="x" * (256 * 1024))
    is_problem(await api.post("/v1/bookings", body), 413, "body_too_large")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_another_content_type(api: Api, call: str, soon: datetime, media_type: str) -> None:
    body = booking_body(call, soon + timedelta(hours=9))
    is_problem(await api.post("/v1/bookings", body, Content_Type=media_type), 415, "unsupported_media_type")


WRONG_SLOTS = {
    "no start": ("event_type=call&end=2030-01-02", "missing_field", "start"),
    "no event type": ("start=2030-01-01&end=2030-01-02", "missing_field", "event_type"),
    "time without offset": ("event_type=call&start=2030-01-01T00:00:00&end=2030-01-02", "validation_failed", "start"),
    "a day that is not": ("event_type=call&start=2030-02-30&end=2030-03-02", "validation_failed", "start"),
    "end before start": ("event_type=call&start=2030-01-02&end=2030-01-01", "validation_failed", "end"),
    "63 days": ("event_type=call&start=2030-01-01&end=2030-03-04", "validation_failed", "end"),
    "unknown zone": ("event_type=call&start=2030-01-01&end=2030-01-02&timezone=Nope", "validation_failed", "timezone"),
    "unknown parameter": ("event_type=call&start=2030-01-01&end=2030-01-02&x=1", "validation_failed", "x"),
    "twice": ("event_type=call&start=2030-01-01&start=2030-01-01&end=2030-01-02", "validation_failed", "start"),
    "NUL": ("event_type=call%00&start=2030-01-01&end=2030-01-02", "validation_failed", "event_type"),
    "duration not offered": (
        "event_type=call&start=2030-01-01&end=2030-01-02&duration=31",
        "validation_failed",
        "duration",
    ),
    "not a duration": ("event_type=call&start=2030-01-01&end=2030-01-02&duration=x", "validation_failed", "duration"),
    "a stranger as host": (
        "event_type=call&start=2030-01-01&end=2030-01-02&host_id=usr_01h2xcejqtf2nbrexx3vqjhp41",
        "validation_failed",
        "host_id",
    ),
    "a year too far": ("event_type=call&start=9999-12-31&end=9999-12-31", "validation_failed", "start"),
    "a week": ("event_type=call&start=2030-W48-1&end=2030-12-31", "validation_failed", "start"),
    "a plus unescaped": (
        "event_type=call&start=2030-01-01T00:00:00+01:00&end=2030-01-02",
        "validation_failed",
        "start",
    ),
}


@pytest.mark.parametrize("case", WRONG_SLOTS)
async def test_a_wrong_query_names_its_parameter(api: Api, call: str, case: str) -> None:
    query, code, field = WRONG_SLOTS[case]
    found = is_problem(await api.get(f"/v1/slots?{query}"), 400, code)
    assert field in [error["field"] for error in found["errors"]]


WRONG_EVENT_TYPES = {
    "no title": ({}, "title"),
    "zero minutes": ({"title": "x", "duration_minutes": 0}, "duration_minutes"),
    "two days": ({"title": "x", "duration_minutes": 2880}, "duration_minutes"),
    "no durations": ({"title": "x", "durations": []}, "durations"),
    "slug with capitals": ({"title": "x", "slug": "Big"}, "slug"),
    "code with spaces": ({"title": "x", "code": "a b"}, "code"),
    "unknown host": ({"title": "x", "hosts": [{"user_id": "usr_01h2xcejqtf2nbrexx3vqjhp41"}]}, "hosts.0.user_id"),
    "unknown schedule": ({"title": "x", "schedule_id": "sch_01h2xcejqtf2nbrexx3vqjhp41"}, "schedule_id"),
    "negative buffer": ({"title": "x", "buffer_before_minutes": -1}, "buffer_before_minutes"),
    "unknown question type": ({"title": "x", "questions": [{"label": "a", "type": "magic"}]}, "questions.0.type"),
    "huge number": ({"title": "x", "minimum_notice_minutes": 10**30}, "minimum_notice_minutes"),
    "active as text": ({"title": "x", "active": "yes"}, "active"),
    "a duration twice": ({"title": "x", "durations": [30, 30]}, "durations"),
    "a usual duration that is not offered": (
        {"title": "x", "durations": [30], "duration_minutes": 60},
        "duration_minutes",
    ),
}


@pytest.mark.parametrize("case", WRONG_EVENT_TYPES)
async def test_a_wrong_event_type_names_its_field(api: Api, case: str) -> None:
    body, field = WRONG_EVENT_TYPES[case]
    answer = await api.post("/v1/event-types", body)
    assert answer.status == 400, answer.raw
    assert field in [error["field"] for error in answer.json["errors"]]


WEEKLY = {"day": "MO", "start": "09:00", "end": "17:00"}
WRONG_SCHEDULES: dict[str, tuple[dict[str, Any], str]] = {
    "no zone": ({"timezone": None}, "timezone"),
    "unknown zone": ({"timezone": "Mars/Olympus"}, "timezone"),
    "unknown day": ({"weekly": [{**WEEKLY, "day": "XX"}]}, "weekly.0.day"),
    "25 o'clock": ({"weekly": [{**WEEKLY, "end": "25:00"}]}, "weekly.0.end"),
    "backwards": ({"weekly": [{**WEEKLY, "end": "08:00"}]}, "weekly.0.end"),
    "ends before it begins": ({"valid_from": "2026-02-01", "valid_until": "2026-01-01"}, "valid_until"),
    "one day twice": ({"overrides": [{"date": "2026-02-01", "windows": []}] * 2}, "overrides"),
    "no day": ({"overrides": [{"date": "2026-02-30", "windows": []}]}, "overrides.0.date"),
    "day with time": ({"overrides": [{"date": "2026-02-03T00:00", "windows": []}]}, "overrides.0.date"),
    "a stranger's": ({"owner": {"user_id": "usr_01h2xcejqtf2nbrexx3vqjhp41"}}, "owner.user_id"),
}


@pytest.mark.parametrize("case", WRONG_SCHEDULES)
async def test_a_wrong_schedule_names_its_field(api: Api, case: str) -> None:
    change, field = WRONG_SCHEDULES[case]
    answer = await api.post("/v1/schedules", {"name": "x", "timezone": "UTC", **change})
    assert answer.status == 400, answer.raw
    assert field in [error["field"] for error in answer.json["errors"]]


WRONG_URLS = [
    "ftp://example.com/", "https://", "https://user:pass@example.com/", "http://10.0.0.1/", "http://169.254.169.254/latest",
    "http://[fe80::1]/", "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/", "http://192.168.1.1/", "http://example.com:99999/",
    "http://[64:ff9b::a00:1]/", "http://exa mple.com/", "not a url at all",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
async def test_a_wrong_webhook_url(api: Api, url: str) -> None:
    answer = await api.post("/v1/webhooks", {"url": url})
    assert answer.status == 400, answer.raw
    assert answer.json["errors"][0]["field"] == "url"


async def test_an_unknown_event(api: Api) -> None:
    answer = await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["booking.created", "nope"]})
    assert answer.ok(400)["errors"][0]["field"] == "events.1"
