"""Booking without a key: seed 003's page, its slots, its body and its flat answer."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.quota import Quota
from app.core.settings import Settings
from app.core.vault import Vault
from app.main import build_app
from tests.conftest import AiohttpClient
from tests.offers import ask, booked, iso, listed, offer, slots_of
from tests.support import Api, Servers, Tenant, make_tenant, settings_for, unique_name
from tests.visitors import Anybody, address, events, visit_body

HOUR = timedelta(hours=1)
SEED = {
    "id",
    "status",
    "requires_confirmation",
    "attendee_name",
    "attendee_email",
    "start_time",
    "end_time",
    "cancel_token",
    "reschedule_token",
}


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


def day(start: datetime) -> str:
    return f"start={start.date()}&end={start.date()}"


async def test_a_page_a_slot_and_a_booking(
    api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, tenant: Tenant
) -> None:
    event_type = await offer(api, title="Intro", slug="intro", description="Half a talk")
    page = f"/v1/book/{tenant.username}/intro"
    assert page == address(event_type)
    shown = (await anybody.get(page)).ok()
    assert (shown["event_type_id"], shown["title"], shown["username"]) == (event_type["id"], "Intro", tenant.username)
    slots = (await anybody.get(f"{page}/slots?{day(soon)}&timezone=UTC")).ok()
    start = slots_of(slots)[3]["start"]
    booking = (await anybody.post(page, visit_body(soon) | {"start_time": start})).ok(201)
    assert booking.keys() >= SEED
    assert {name: booking[name] for name in SEED - {"id", "cancel_token", "reschedule_token"}} == {
        "status": "confirmed",
        "requires_confirmation": False,
        "attendee_name": "Jason Johnson",
        "attendee_email": "jason@example.com",
        "start_time": iso(soon + 3 * HOUR),
        "end_time": iso(soon + 4 * HOUR),
    }
    assert "success" not in booking
    same = (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]
    assert (same["status"], same["timezone"], same["history"][0]["by"]) == ("SCHEDULED", "America/Chicago", "attendee")
    assert (same["cancel_token"], same["reschedule_token"]) == (booking["cancel_token"], booking["reschedule_token"])
    assert await events(conn, tenant) == ["created"]
    assert (await anybody.post(page, visit_body(soon) | {"start_time": start})).ok(409)["code"] == "slot_taken"


async def test_what_a_page_shows(api: Api, anybody: Anybody, tenant: Tenant) -> None:
    event_type = await offer(
        api,
        people=2,
        assignment="round_robin",
        questions=[{"id": "why", "label": "Why?", "type": "text", "required": True}],
        routing_rules=[{"question_id": "why", "operator": "equals", "value": "spam", "action": "reject"}],
        services=[{"id": "long", "name": "Long", "duration_minutes": 90}],
        durations=[60, 30],
        location={"kind": "link", "value": "https://meet.example.com/secret"},
        requires_confirmation=True,
        seats=2,
    )
    answer = await anybody.get(address(event_type))
    shown = answer.ok()
    assert shown | {"hosts": [], "username": "", "name": "", "organization": "", "slug": ""} == {
        "event_type_id": event_type["id"],
        "username": "",
        "name": "",
        "organization": "",
        "slug": "",
        "title": "Call",
        "description": None,
        "duration_minutes": 60,
        "durations": [60, 30],
        "services": [{"id": "long", "name": "Long", "duration_minutes": 90}],
        "questions": [{"id": "why", "label": "Why?", "type": "text", "options": [], "required": True}],
        "location_kind": "link",
        "requires_confirmation": True,
        "seats": 2,
        "assignment": "round_robin",
        "waitlist": False,
        "hosts": [],
        "timezone": "UTC",
    }
    assert [host["user_id"] for host in shown["hosts"]] == [host["user_id"] for host in event_type["hosts"]]
    for private in [b"secret", b"spam", b"@example.com", event_type["code"].encode()]:
        assert private not in answer.raw


async def test_the_zone_is_the_one_that_slots_are_listed_in(
    api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, vault: Vault
) -> None:
    far = Api(api.client, (await make_tenant(conn, vault, zone="Pacific/Kiritimati")).api_key)
    made = await far.event_type(booking_window_days=None)
    zone = (await anybody.get(address(made))).ok()["timezone"]
    assert zone == (await anybody.get(f"{address(made)}/slots?{day(soon)}")).ok()["timezone"] == "Pacific/Kiritimati"


async def test_slots_are_the_same_bytes_as_with_a_key(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api, people=2, assignment="round_robin", durations=[60, 30])
    for query in [day(soon), f"{day(soon)}&timezone=Asia/Kolkata", f"{day(soon)}&duration=30"]:
        theirs = await anybody.get(f"{address(event_type)}/slots?{query}")
        assert theirs.ok()["slots"]
        mine = await api.get(f"/v1/slots?event_type={event_type['code']}&{query}")
        assert (theirs.raw, theirs.headers["ETag"]) == (mine.raw, mine.headers["ETag"])
        same = await anybody.get(f"{address(event_type)}/slots?{query}", If_None_Match=mine.headers["ETag"])
        assert (same.status, same.raw) == (304, b"")


async def test_nobody_is_told_why_a_slot_is_missing(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    answer = (await anybody.get(f"{address(event_type)}/slots?{day(soon)}&explain=true")).ok(400)
    assert [each["field"] for each in answer["errors"]] == ["explain"]


@pytest.mark.parametrize(
    "query", ["", "start=x&end=2030-01-01", "start=2030-01-02&end=2030-01-01", "start=2030-01-01&end=2030-12-31"]
)
async def test_a_wrong_range_names_its_field(api: Api, anybody: Anybody, query: str) -> None:
    answer = (await anybody.get(f"{address(await offer(api))}/slots?{query}")).ok(400)
    assert {each["field"] for each in answer["errors"]} <= {"start", "end"}


async def test_a_pending_booking_holds_its_slot(
    api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, tenant: Tenant
) -> None:
    event_type = await offer(api, requires_confirmation=True)
    page = address(event_type)
    answers = await asyncio.gather(*(anybody.post(page, visit_body(soon)) for _ in range(10)))
    won = [answer.json for answer in answers if answer.status == 201]
    assert [(each["status"], each["requires_confirmation"]) for each in won] == [("pending", True)]
    assert {answer.json["code"] for answer in answers if answer.status != 201} == {"slot_taken"}
    assert await listed(api, event_type, soon, 2) == ["01:00"]
    assert await events(conn, tenant) == ["created"]


async def test_everything_that_may_be_said(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(
        api,
        people=2,
        assignment="round_robin",
        durations=[60, 30],
        questions=[{"id": "why", "label": "Why?", "type": "text", "required": True}],
    )
    host = event_type["hosts"][1]["user_id"]
    body = visit_body(
        soon,
        notes="Looking to discuss the enterprise plan",
        answers=[{"question_id": "why", "answer": "Because"}],
        attendee_phone="+1 312 555 0100",
        guests=[{"email": "ben@example.com"}],
        duration=30,
        host_id=host,
        custom_fields={"crm": 7},
    )
    made = (await anybody.post(address(event_type), body)).ok(201)
    assert [each["user_id"] for each in made["hosts"]] == [host]
    booking = (await api.get(f"/v1/bookings/{made['id']}")).ok()["booking"]
    assert booking["attendee"]["phone"] == "+1 312 555 0100"
    assert booking["guests"] == [{"email": "ben@example.com", "name": None}]
    assert (booking["notes"], booking["custom_fields"]) == (body["notes"], {"crm": 7})
    assert booking["answers"] == body["answers"]
    assert booking["end_time"] == iso(soon + HOUR / 2)


async def test_by_a_slot_token(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    token = slots_of(await ask(api, event_type, soon, 1))[0]["token"]
    body = visit_body(soon, slot_token=token)
    wrong = (await anybody.post(address(event_type), {**body, "start_time": iso(soon + HOUR)})).ok(400)
    assert [each["field"] for each in wrong["errors"]] == ["start_time"]
    assert "requested_time" not in wrong["detail"]
    del body["start_time"]
    assert (await anybody.post(address(event_type), body)).ok(201)["start_time"] == iso(soon)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"attendee_name": None}, "attendee_name"),
        ({"attendee_name": " "}, "attendee_name"),
        ({"attendee_name": "x" * 201}, "attendee_name"),
        ({"attendee_email": "nobody"}, "attendee_email"),
        ({"attendee_email": 7}, "attendee_email"),
        ({"start_time": "2030-01-01T10:00:00"}, "start_time"),
        ({"start_time": "tomorrow"}, "start_time"),
        ({"start_time": None}, "start_time"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": None}, "timezone"),
        ({"notes": "x" * 5001}, "notes"),
        ({"answers": "yes"}, "answers"),
        ({"answers": [{"question_id": "what", "answer": 1}]}, "answers.0.question_id"),
        ({"attendee_phone": "1"}, "attendee_phone"),
        ({"guests": [{"email": "x"}]}, "guests.0.email"),
        ({"guests": [{"email": f"g{n}@example.com"} for n in range(11)]}, "guests"),
        ({"duration": 45}, "duration"),
        ({"duration": "60"}, "duration"),
        ({"service_id": "cut"}, "service_id"),
        ({"host_id": "usr_x"}, "host_id"),
        ({"slot_token": "x"}, "slot_token"),
        ({"custom_fields": []}, "custom_fields"),
        ({"metadata": {}}, "metadata"),
        ({"hold_seconds": 60}, "hold_seconds"),
        ({"status": "confirmed"}, "status"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_body_names_its_field(
    api: Api, anybody: Anybody, soon: datetime, changes: dict[str, Any], field: str, conn: db.Connection, tenant: Tenant
) -> None:
    answer = await anybody.post(address(await offer(api)), visit_body(soon) | changes)
    assert answer.ok(400)["errors"][0]["field"].startswith(field.split(".", maxsplit=1)[0])
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await conn.fetchval("select count(*) from bookings where org_id = $1", tenant.org_id) == 0


async def test_missing_fields_are_named(api: Api, anybody: Anybody) -> None:
    page = address(await offer(api))
    answer = (await anybody.post(page, {})).ok(400)
    assert answer["code"] == "missing_field"
    assert {each["field"] for each in answer["errors"]} == {"attendee_name", "attendee_email", "timezone"}
    assert (await anybody.post(page, b"x", Content_Type="text/plain")).status == 415
    assert (await anybody.post(page, b"{")).ok(400)["code"] == "invalid_request"
    assert (await anybody.post(page, b"[" * 100_000)).status == 400
    assert (await anybody.post(page, b"x" * 300_000)).status == 413


async def test_a_slot_that_is_not_open_comes_with_others(api: Api, anybody: Anybody, soon: datetime) -> None:
    answer = await anybody.post(address(await offer(api)), visit_body(soon + HOUR / 2))
    assert answer.ok(409)["code"] == "slot_unavailable"
    assert len(answer.json["alternatives"]) == 3


async def test_a_rejection(api: Api, anybody: Anybody, soon: datetime) -> None:
    questions = [{"id": "why", "label": "Why?", "type": "text"}]
    rule = {"question_id": "why", "operator": "equals", "value": "spam", "action": "reject", "message": "No."}
    event_type = await offer(api, questions=questions, routing_rules=[rule])
    body = visit_body(soon, answers=[{"question_id": "why", "answer": "spam"}])
    assert (await anybody.post(address(event_type), body)).ok(403)["code"] == "routing_rejected"


async def test_a_teams_page(api: Api, anybody: Anybody, soon: datetime) -> None:
    slug = f"team-{unique_name()}"
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    body = {"slug": slug, "name": "The team", "user_ids": [me]}
    team = (await api.post("/v1/teams", body)).ok(201)["team"]
    event_type = await offer(api, slug="intro", team_id=team["id"])
    assert address(event_type) == f"/v1/book/{slug}/intro"
    assert (await anybody.get(f"/v1/book/{slug}/intro")).ok()["name"] == "The team"
    assert (await anybody.post(f"/v1/book/{slug}/intro", visit_body(soon))).status == 201


async def test_addresses_with_nothing_behind_them(
    api: Api, anybody: Anybody, soon: datetime, tenant: Tenant, conn: db.Connection, vault: Vault
) -> None:
    shown, hidden, gone = [await offer(api, slug=slug) for slug in ("shown", "hidden", "gone")]
    (await api.call("PATCH", f"/v1/event-types/{hidden['code']}", {"active": False})).ok()
    await api.call("DELETE", f"/v1/event-types/{gone['code']}")
    other = await make_tenant(conn, vault)
    pages = [address(hidden), address(gone), f"/v1/book/{other.username}/shown", f"/v1/book/{tenant.username}/nothing"]
    pages += ["/v1/book/nobody-at-all/shown", f"/v1/book/{tenant.username}/{shown['code']}", "/v1/book/%F0%9F%98%80/x"]
    for page in pages:
        for answer in [
            await anybody.get(page),
            await anybody.get(f"{page}/slots?{day(soon)}"),
            await anybody.post(page, visit_body(soon)),
        ]:
            assert answer.ok(404)["code"] == "event_type_not_found", page
    assert (await anybody.get(address(shown))).status == 200


async def test_one_key_one_booking(
    api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, tenant: Tenant
) -> None:
    page = address(await offer(api))
    first = await anybody.post(page, visit_body(soon), Idempotency_Key="k")
    again = await anybody.post(page, visit_body(soon), Idempotency_Key='"k"')
    assert (first.status, again.status) == (201, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.raw == b'{"idempotent_replay":true,' + first.raw[1:]
    other = await anybody.post(page, visit_body(soon + HOUR), Idempotency_Key="k")
    assert other.ok(422)["code"] == "idempotency_key_reused"
    assert (await anybody.post(page, visit_body(soon), Idempotency_Key="a b")).status == 400
    assert await events(conn, tenant) == ["created"]


async def test_keys_of_visitors_and_of_the_organization_never_meet(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    await booked(api, event_type, soon)
    mine = await api.book(event_type["code"], soon + HOUR, Idempotency_Key="k")
    theirs = await anybody.post(address(event_type), visit_body(soon + 2 * HOUR), Idempotency_Key="k")
    assert (mine.status, theirs.status) == (201, 201)
    assert (await api.book(event_type["code"], soon + HOUR, Idempotency_Key="k")).status == 200


async def test_the_answer_says_what_took_its_time(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    page = address(event_type)
    for answer, parts in [
        (await anybody.get(f"{page}/slots?{day(soon)}"), {"door", "db", "slots"}),
        (await api.get(f"/v1/slots?event_type={event_type['code']}&{day(soon)}"), {"db", "slots"}),
        (await anybody.post(page, visit_body(soon)), {"door", "book"}),
        (await api.book(event_type["code"], soon + HOUR), {"book"}),
        (await anybody.post(page, visit_body(soon)), {"door", "book"}),
    ]:
        timing = answer.headers["Server-Timing"]
        assert {part.split(";dur=")[0] for part in timing.split(", ")} == parts, timing


async def test_javascript_of_every_site_may_call(api: Api, anybody: Anybody, soon: datetime) -> None:
    page = address(await offer(api))
    asked = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "POST"}
    preflight = await anybody.call("OPTIONS", page, **asked)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in preflight.headers
    for answer in [
        await anybody.get(page, Origin="https://shop.example.com"),
        await anybody.post(page, visit_body(soon), Origin="https://shop.example.com"),
        await anybody.post(page, {}, Origin="https://shop.example.com"),
        await anybody.get("/v1/cancel/x", Origin="https://shop.example.com"),
    ]:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_bookings_of_an_event_type_are_counted_by_themselves(
    migrated: Servers, aiohttp_client: AiohttpClient, tenant: Tenant, soon: datetime
) -> None:
    """Whatever the address: a crowd of machines must not fill one calendar."""
    settings: Settings = settings_for(migrated, limit_event_type=Quota(3, 60), redis_url="")
    api = Api(await aiohttp_client(build_app(settings)), tenant.api_key)
    anybody, one, other = Anybody(api.client), await offer(api), await offer(api)
    answers = [await anybody.post(address(one), visit_body(soon + n * HOUR)) for n in range(4)]
    assert [answer.status for answer in answers] == [201, 201, 201, 429]
    assert answers[3].json["code"] == "rate_limited"
    assert int(answers[3].headers["Retry-After"]) > 0
    assert '"event_type"' in answers[0].headers["RateLimit"]
    assert (await anybody.get(address(one))).status == 200
    assert (await anybody.post(address(other), visit_body(soon + 5 * HOUR))).status == 201
    assert (await api.book(one["code"], soon + 6 * HOUR)).status == 201, "a key has a limit of its own"
