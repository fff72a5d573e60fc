"""Links that book once: made, listed, used, lost and kept, revoked; and what a stranger learns from one."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from tests.offers import ask, offer, slots_of
from tests.support import Api, Tenant, make_tenant
from tests.visitors import Anybody, address, visit_body

HOUR = timedelta(hours=1)
JANE = {"name": "Jane", "email": "jane@example.com", "timezone": "Europe/Berlin"}


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


async def made(api: Api, event_type: Any, **fields: Any) -> Any:
    return (await api.post(f"/v1/event-types/{event_type['code']}/links", fields or None)).ok(201)["link"]


async def listed(api: Api, event_type: Any) -> list[Any]:
    found: list[Any] = (await api.get(f"/v1/event-types/{event_type['code']}/links")).ok()["links"]
    return found


async def test_a_link_is_made_and_listed(api: Api, tenant: Tenant) -> None:
    event_type = await offer(api)
    link = await made(api, event_type)
    assert link | {"link_code": "", "url": "", "created_at": ""} == {
        "link_code": "",
        "event_type_id": event_type["id"],
        "url": "",
        "max_uses": 1,
        "uses": 0,
        "expires_at": None,
        "revoked_at": None,
        "created_at": "",
    }
    assert link["link_code"].isalnum()
    assert len(link["link_code"]) >= 22, "62^22 are more than 128 bits"
    assert link["url"].endswith(f"/link/{link['link_code']}")
    later = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    wide = (
        await api.post(f"/v1/event-types/{event_type['id']}/links", {"max_uses": 3, "expires_at": later.isoformat()})
    ).ok(201)["link"]
    assert (wide["max_uses"], wide["expires_at"]) == (3, later.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert await listed(api, event_type) == [link, wide], "codes can be copied again"


async def test_links_come_in_pages(api: Api) -> None:
    event_type, other = await offer(api), await offer(api)
    codes = [(await made(api, event_type))["link_code"] for _ in range(5)]
    await made(api, other)
    path, found = f"/v1/event-types/{event_type['code']}/links?limit=2", []
    cursor: str | None = ""
    while cursor is not None:
        answer = (await api.get(path + (f"&cursor={cursor}" if cursor else ""))).ok()
        found += [link["link_code"] for link in answer["links"]]
        cursor = answer["pagination"]["next_cursor"]
    assert found == codes
    assert (await api.get(f"{path}&cursor=evt_x")).ok(400)["errors"][0]["field"] == "cursor"


async def test_only_a_hash_and_a_seal_are_stored(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    link = await made(api, await offer(api))
    row = await conn.fetchval("select l::text from event_links l where org_id = $1", tenant.org_id)
    assert link["link_code"] not in row
    assert link["link_code"].encode().hex() not in row


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": "1"}, "max_uses"),
        ({"max_uses": 10**9}, "max_uses"),
        ({"max_uses": None}, "max_uses"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01"}, "expires_at"),
        ({"uses": 0}, "uses"),
    ],
)
async def test_a_wrong_link_names_its_field(api: Api, body: Any, field: str) -> None:
    event_type = await offer(api)
    answer = (await api.post(f"/v1/event-types/{event_type['code']}/links", body)).ok(400)
    assert [each["field"] for each in answer["errors"]] == [field]
    assert await listed(api, event_type) == []


async def test_making_one_is_idempotent(api: Api) -> None:
    event_type = await offer(api)
    path = f"/v1/event-types/{event_type['code']}/links"
    first = await api.post(path, {"max_uses": 2}, Idempotency_Key="k")
    again = await api.post(path, {"max_uses": 2}, Idempotency_Key="k")
    assert (first.status, again.status) == (201, 200)
    assert again.raw == b'{"idempotent_replay":true,' + first.raw[1:]
    assert len(await listed(api, event_type)) == 1


async def test_unknown_event_types_have_no_links(api: Api) -> None:
    for method in ("GET", "POST"):
        answer = await api.call(method, "/v1/event-types/nowhere/links")
        assert answer.ok(404)["code"] == "event_type_not_found"


async def test_a_revoked_link_leads_nowhere(api: Api, anybody: Anybody, soon: datetime) -> None:
    link = await made(api, await offer(api), max_uses=2)
    page = f"/v1/book/link/{link['link_code']}"
    booking = (await anybody.post(page, visit_body(soon))).ok(201)
    with_key = {"requested_time": soon.isoformat(), "attendee": JANE, "link_code": link["link_code"]}
    path = f"/v1/event-links/{link['link_code']}"
    for _ in range(2):
        assert (await api.call("DELETE", path)).status == 204
    for answer in [
        await anybody.get(page),
        await anybody.get(f"{page}/slots?start={soon.date()}&end={soon.date()}"),
        await anybody.post(page, visit_body(soon + HOUR)),
        await api.post("/v1/bookings", with_key),
    ]:
        assert answer.ok(410)["code"] == "link_expired"
    assert (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]["status"] == "SCHEDULED", (
        "what is booked stays"
    )
    assert (await api.call("DELETE", "/v1/event-links/nowhere")).ok(404)["code"] == "link_not_found"


async def test_the_time_of_a_revocation_stays(api: Api) -> None:
    event_type = await offer(api)
    path = f"/v1/event-links/{(await made(api, event_type))['link_code']}"
    await api.call("DELETE", path)
    first = (await listed(api, event_type))[0]["revoked_at"]
    await api.call("DELETE", path)
    assert (await listed(api, event_type))[0]["revoked_at"] == first is not None


async def test_a_use_is_a_booking(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    link = await made(api, event_type)
    page = f"/v1/book/link/{link['link_code']}"
    shown = (await anybody.get(page)).ok()
    assert (shown["uses_left"], shown["expires_at"]) == (1, None)
    assert shown["event_type_id"] == event_type["id"]
    day = f"start={soon.date()}&end={soon.date()}&timezone=UTC"
    assert (await anybody.get(f"{page}/slots?{day}")).raw == (
        await anybody.get(f"{address(event_type)}/slots?{day}")
    ).raw
    booking = (await anybody.post(page, visit_body(soon))).ok(201)
    assert booking["status"] == "confirmed"
    for answer in [
        await anybody.get(page),
        await anybody.get(f"{page}/slots?{day}"),
        await anybody.post(page, visit_body(soon + HOUR)),
    ]:
        assert answer.ok(410)["code"] == "link_expired"
    assert (await listed(api, event_type))[0]["uses"] == 1


async def test_unknown_links(anybody: Anybody, api: Api, soon: datetime) -> None:
    for code in ["nowhere", "x" * 3000, "%00", "%F0%9F%98%80", "..", "%2e%2e"]:
        for answer in [
            await anybody.get(f"/v1/book/link/{code}"),
            await anybody.get(f"/v1/book/link/{code}/slots?start={soon.date()}&end={soon.date()}"),
            await anybody.post(f"/v1/book/link/{code}", visit_body(soon)),
        ]:
            assert answer.status == 404, (code, answer.status)
    assert (await anybody.get("/v1/book/link/nowhere")).ok(404)["code"] == "link_not_found"
    body = {"requested_time": soon.isoformat(), "attendee": JANE, "link_code": "nowhere"}
    assert (await api.post("/v1/bookings", body)).ok(404)["code"] == "link_not_found"


async def test_a_lost_slot_does_not_use_it_up(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    page = f"/v1/book/link/{(await made(api, event_type))['link_code']}"
    await api.book(event_type["code"], soon)
    assert (await anybody.post(page, visit_body(soon))).ok(409)["code"] == "slot_taken"
    wrong = await anybody.post(page, visit_body(soon + HOUR, duration=7))
    assert wrong.ok(400)["errors"][0]["field"] == "duration"
    assert (await listed(api, event_type))[0]["uses"] == 0
    assert (await anybody.post(page, visit_body(soon + HOUR))).status == 201


async def test_an_expired_link(api: Api, anybody: Anybody, soon: datetime, conn: db.Connection, tenant: Tenant) -> None:
    event_type = await offer(api)
    later = datetime.now(UTC) + timedelta(days=1)
    page = f"/v1/book/link/{(await made(api, event_type, expires_at=later.isoformat()))['link_code']}"
    assert (await anybody.get(page)).ok()["expires_at"] is not None
    await conn.execute("update event_links set expires_at = now() where org_id = $1", tenant.org_id)
    assert (await anybody.get(page)).ok(410)["code"] == "link_expired"
    assert (await anybody.post(page, visit_body(soon))).ok(410)["code"] == "link_expired"


async def test_with_a_key_too(api: Api, soon: datetime) -> None:
    """link_code stands in for the event type, or agrees with it."""
    event_type, other = await offer(api), await offer(api)
    code = (await made(api, event_type, max_uses=3))["link_code"]
    body = {"requested_time": soon.isoformat(), "attendee": JANE, "link_code": code}
    booking = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    assert booking["event_type_id"] == event_type["id"]
    for number, named in enumerate([{"event_type": event_type["code"]}, {"event_type_id": event_type["id"]}], start=1):
        later = {"requested_time": (soon + number * HOUR).isoformat()}
        assert (await api.post("/v1/bookings", {**body, **later, **named})).status == 201
    assert (await api.post("/v1/bookings", {**body, **later})).ok(410)["code"] == "link_expired"
    for named in [{"event_type": other["code"]}, {"event_type_id": other["id"]}, {"event_type": "nowhere"}]:
        answer = (await api.post("/v1/bookings", {**body, **named})).ok(400)
        assert [each["field"] for each in answer["errors"]] == ["link_code"]
    null = (await api.post("/v1/bookings", {**body, "link_code": None})).ok(400)
    assert "link_code" in [each["field"] for each in null["errors"]]
    assert (await listed(api, event_type))[0]["uses"] == 3


async def test_with_a_slot_token(api: Api, soon: datetime) -> None:
    event_type, other = await offer(api), await offer(api)
    code = (await made(api, event_type))["link_code"]
    body = {"attendee": JANE, "link_code": code}
    theirs = slots_of(await ask(api, other, soon, 1))[0]["token"]
    wrong = (await api.post("/v1/bookings", {**body, "slot_token": theirs})).ok(400)
    assert [each["field"] for each in wrong["errors"]] == ["slot_token"]
    mine = slots_of(await ask(api, event_type, soon, 1))[0]["token"]
    assert (await api.post("/v1/bookings", {**body, "slot_token": mine})).status == 201


async def test_another_organizations_link_is_unknown(
    api: Api, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    event_type = await offer(api)
    code = (await made(api, event_type))["link_code"]
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    body = {"requested_time": soon.isoformat(), "attendee": JANE, "link_code": code}
    assert (await stranger.post("/v1/bookings", body)).ok(404)["code"] == "link_not_found"
    assert (await stranger.call("DELETE", f"/v1/event-links/{code}")).ok(404)["code"] == "link_not_found"
    assert (await listed(api, event_type))[0]["revoked_at"] is None


async def test_what_becomes_of_a_booking_changes_no_use(api: Api, soon: datetime) -> None:
    """Moved and cancelled it stays one use; only a hold that ran out was none."""
    event_type = await offer(api)
    code = (await made(api, event_type, max_uses=2))["link_code"]
    body = {"requested_time": soon.isoformat(), "attendee": JANE, "link_code": code}
    booking = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    move = {"start_time": (soon + HOUR).isoformat()}
    moved = (await api.post(f"/v1/bookings/{booking['id']}/reschedule", move)).ok()["booking"]
    assert (await listed(api, event_type))[0]["uses"] == 1
    (await api.post(f"/v1/bookings/{moved['id']}/cancel")).ok()
    assert (await listed(api, event_type))[0]["uses"] == 1


async def test_a_hold_uses_a_link_while_it_lasts(api: Api, soon: datetime, conn: db.Connection, tenant: Tenant) -> None:
    event_type = await offer(api)
    code = (await made(api, event_type))["link_code"]
    body = {"requested_time": soon.isoformat(), "link_code": code, "hold_seconds": 60}
    hold = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    later = {"requested_time": (soon + HOUR).isoformat(), "attendee": JANE, "link_code": code}
    assert (await api.post("/v1/bookings", later)).ok(410)["code"] == "link_expired"
    await conn.execute(
        "update bookings set hold_expires_at = now() - interval '1 second' where org_id = $1", tenant.org_id
    )
    assert (await listed(api, event_type))[0]["uses"] == 0
    assert (await api.post("/v1/bookings", later)).status == 201
    over = (await api.post(f"/v1/bookings/{hold['id']}/finish", {"attendee": JANE})).ok(409)
    assert over["code"] == "invalid_transition", "its use is somebody else's now"
    assert (await listed(api, event_type))[0]["uses"] == 1


async def test_the_repeat_of_the_booking_that_used_it_up(api: Api, anybody: Anybody, soon: datetime) -> None:
    page = f"/v1/book/link/{(await made(api, await offer(api)))['link_code']}"
    first = await anybody.post(page, visit_body(soon), Idempotency_Key="k")
    again = await anybody.post(page, visit_body(soon), Idempotency_Key="k")
    assert (first.status, again.status) == (201, 200)
    assert again.raw == b'{"idempotent_replay":true,' + first.raw[1:]
    assert (await anybody.post(page, visit_body(soon), Idempotency_Key="other")).ok(410)["code"] == "link_expired"


async def test_an_event_type_that_cannot_be_booked(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api)
    page = f"/v1/book/link/{(await made(api, event_type))['link_code']}"
    path = f"/v1/event-types/{event_type['code']}"
    (await api.call("PATCH", path, {"active": False})).ok()
    answers = [await anybody.get(page), await anybody.post(page, visit_body(soon))]
    await api.call("DELETE", path)
    answers += [await anybody.get(page), await anybody.post(page, visit_body(soon))]
    assert {answer.ok(404)["code"] for answer in answers} == {"event_type_not_found"}


async def test_one_use_within_one_process(api: Api, anybody: Anybody, soon: datetime) -> None:
    event_type = await offer(api, duration_minutes=5)
    page = f"/v1/book/link/{(await made(api, event_type))['link_code']}"
    starts = [soon + timedelta(minutes=5) * n for n in range(20)]
    answers = await asyncio.gather(*(anybody.post(page, visit_body(start)) for start in starts))
    assert sorted(answer.status for answer in answers) == [201] + [410] * 19


@pytest.mark.parametrize("reason", [None, "ill", "hold_expired"])
async def test_a_single_use_stays_used_whyever_its_booking_is_cancelled(
    api: Api, soon: datetime, reason: str | None
) -> None:
    """Whoever cancels says why, or not, in words of their own: no word of theirs gives them the link again."""
    anybody, event_type = Anybody(api.client), await offer(api)
    link = (await api.post(f"/v1/event-types/{event_type['code']}/links")).ok(201)["link"]
    wanted = visit_body(soon)
    booking = (await anybody.post(f"/v1/book/link/{link['link_code']}", wanted)).ok(201)
    given = None if reason is None else {"reason": reason}
    (await anybody.post(f"/v1/cancel/{booking['cancel_token']}/confirm", given)).ok()
    shown = (await api.get(f"/v1/event-types/{event_type['code']}/links")).ok()["links"]
    assert [each["uses"] for each in shown] == [1]
    again = await anybody.post(f"/v1/book/link/{link['link_code']}", wanted)
    assert again.ok(410)["code"] == "link_expired"
