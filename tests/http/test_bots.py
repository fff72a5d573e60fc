"""The bots' bookings: one booking in their words, whoever made it, and whatever became of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, encode
from app.core.vault import Vault
from app.domain.identity.keys import create_key
from tests.bots import PATH, cancel, create, created, listed, page, read, wanted
from tests.offers import booked, iso, offer
from tests.rooms import hold, location, room
from tests.support import Api, Tenant, booking_body, make_tenant
from tests.visitors import let_it_be_over

HOUR = timedelta(hours=1)


async def test_a_booking_has_every_member(api: Api, soon: datetime) -> None:
    link = await offer(api, title="Discovery")
    made = await created(api, link, soon)
    assert made == {
        "id": made["id"],
        "booking_link_id": link["id"],
        "slug": "discovery",
        "link_title": "Discovery",
        "duration_minutes": 60,
        "status": "confirmed",
        "contact_name": "Alice Example",
        "contact_email": "alice@example.com",
        "contact_phone": None,
        "start_time": iso(soon),
        "end_time": iso(soon + HOUR),
        "client_timezone": "UTC",
        "notes": None,
        "service_id": None,
        "staff_id": link["hosts"][0]["user_id"],
        "answers": [],
        "requires_confirmation": False,
        "reason": None,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert await read(api, made["id"]) == made
    assert (await page(api))["data"] == [made]


async def test_a_link_goes_by_its_id_its_code_or_its_slug(api: Api, soon: datetime) -> None:
    link = await offer(api, code="Talk", slug="a-talk")
    ways: list[dict[str, Any]] = [{}, {"booking_link_id": "Talk"}, {"booking_link_id": None, "slug": "a-talk"}]
    for number, names in enumerate(ways):
        assert (await created(api, link, soon + number * HOUR, **names))["booking_link_id"] == link["id"]
    nulls = {**wanted(link, soon + 4 * HOUR), "slug": None, "notes": None, "staff_id": None, "service_id": None}
    assert (await api.post(PATH, nulls)).status == 201, "null is as good as nothing"


async def test_times_are_told_in_the_hosts_zone_unless_the_client_has_one(api: Api, soon: datetime) -> None:
    ben = await api.person(timezone="Asia/Kathmandu")
    link = await offer(api, hosts=[{"user_id": ben["id"]}])
    assert (await created(api, link, soon))["client_timezone"] == "Asia/Kathmandu"
    theirs = await created(api, link, soon + HOUR, client_timezone="America/Chicago")
    assert theirs["client_timezone"] == "America/Chicago"
    assert (await create(api, link, soon + 2 * HOUR, client_timezone="Mars/Base")).ok(400)["errors"][0]["field"] == (
        "client_timezone"
    )


async def test_a_time_with_an_offset_is_the_same_instant(api: Api, soon: datetime) -> None:
    link = await offer(api)
    local = (soon + 2 * HOUR).replace(tzinfo=None).isoformat() + "+02:00"
    assert (await created(api, link, soon, start_time=local))["start_time"] == iso(soon)
    for wrong in ("2026-05-01T10:00:00", "tomorrow", "2026-05-01", 1_790_000_000):
        problem = (await create(api, link, soon, start_time=wrong)).ok(400)
        assert (problem["code"], problem["errors"][0]["field"]) == ("validation_failed", "start_time")


async def test_staff_is_asked_for_or_chosen_in_turn(api: Api, soon: datetime) -> None:
    link = await offer(api, people=3, assignment="round_robin")
    staff = [host["user_id"] for host in link["hosts"]]
    turns = [(await created(api, link, soon + number * HOUR))["staff_id"] for number in range(3)]
    assert sorted(turns) == sorted(staff)
    assert (await created(api, link, soon + 9 * HOUR, staff_id=staff[2]))["staff_id"] == staff[2]
    taken = (await create(api, link, soon + 9 * HOUR, staff_id=staff[2])).ok(409)
    assert taken["code"] == "slot_taken"
    assert (await created(api, link, soon + 9 * HOUR))["staff_id"] != staff[2]


async def test_answers_route_to_their_staff(api: Api, soon: datetime) -> None:
    ana, ben = (await api.get("/v1/users/me")).ok()["user"]["id"], (await api.person())["id"]
    question = {"id": "topic", "label": "Topic", "type": "text"}
    rule = {"question_id": "topic", "operator": "contains", "value": "tax", "action": "assign", "host_ids": [ben]}
    link = await offer(
        api,
        assignment="round_robin",
        hosts=[{"user_id": ana, "priority": 5}, {"user_id": ben}],
        questions=[question],
        routing_rules=[rule],
    )
    answers = [{"question_id": "topic", "answer": "My Tax return"}]
    made = await created(api, link, soon, answers=answers)
    assert (made["staff_id"], made["answers"]) == (ben, answers)


async def test_a_service_has_its_length(api: Api, soon: datetime) -> None:
    link = await offer(api, services=[{"id": "long", "name": "Long", "duration_minutes": 120}])
    made = await created(api, link, soon, service_id="long")
    assert (made["service_id"], made["end_time"]) == ("long", iso(soon + 2 * HOUR))
    assert made["duration_minutes"] == 60, "the link's usual one"


async def test_statuses_in_words(api: Api, conn: db.Connection, soon: datetime) -> None:
    link, asking = await offer(api), await offer(api, requires_confirmation=True, title="Asking")
    pending = await created(api, asking, soon)
    assert (pending["status"], pending["requires_confirmation"]) == ("pending", True)
    old = await created(api, link, soon + HOUR)
    moved = (await api.post(f"/v1/bookings/{old['id']}/reschedule", {"start_time": iso(soon + 2 * HOUR)})).ok()
    held = (await api.post("/v1/bookings", booking_body(link["code"], soon + 4 * HOUR, hold_seconds=60))).ok(201)
    bare = (await api.post("/v1/bookings", _without_attendee(link, soon + 5 * HOUR))).ok(201)["booking"]
    missed, came = await created(api, link, soon + 6 * HOUR), await created(api, link, soon + 7 * HOUR)
    for booking, action in ((missed, "no-show"), (came, "complete")):
        await let_it_be_over(conn, booking["id"])
        (await api.post(f"/v1/bookings/{booking['id']}/{action}")).ok()
    expected = {
        "pending": [pending["id"]],
        "cancelled": [old["id"]],
        "confirmed": [moved["booking"]["id"]],
        "draft": [held["booking"]["id"], bare["id"]],
        "no_show": [missed["id"]],
        "completed": [came["id"]],
    }
    for word, ids in expected.items():
        assert await listed(api, status=word) == ids, word
        assert [(await read(api, each))["status"] for each in ids] == [word] * len(ids)
    assert sorted(await listed(api, status=["pending", "cancelled"])) == sorted([pending["id"], old["id"]])
    nobody_yet = await read(api, bare["id"])
    assert [nobody_yet[f"contact_{each}"] for each in ("name", "email", "phone")] == [None, None, None]
    (await api.post(f"/v1/bookings/{pending['id']}/confirm")).ok()
    assert (await read(api, pending["id"]))["status"] == "confirmed"


def _without_attendee(link: Any, start: datetime) -> dict[str, Any]:
    return {
        name: value for name, value in booking_body(link["code"], start, hold_seconds=60).items() if name != "attendee"
    }


async def test_a_reservation_of_a_room_has_no_link(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await room(api, await location(api))
    booking_id = encode(Kind.BOOKING, await hold(conn, tenant, made["id"], 1, soon, soon + HOUR))
    shown = await read(api, booking_id)
    links = ("booking_link_id", "slug", "link_title", "duration_minutes", "staff_id", "contact_name")
    assert [shown[name] for name in links] == [None] * len(links)
    assert (await page(api))["data"] == [shown]
    assert (await cancel(api, booking_id)).ok()["data"]["status"] == "cancelled"


async def test_a_bookings_link_may_be_archived(api: Api, soon: datetime) -> None:
    link = await offer(api, title="Gone")
    made = await created(api, link, soon)
    assert (await api.call("DELETE", f"/v1/event-types/{link['code']}")).status == 204
    assert (await read(api, made["id"]))["link_title"] == "Gone"
    assert await listed(api, booking_link_id=link["id"]) == [made["id"]]
    assert (await create(api, link, soon + HOUR)).ok(404)["code"] == "booking_link_not_found"
    assert (await cancel(api, made["id"])).status == 200


async def test_what_cannot_be_had_comes_with_alternatives(api: Api, soon: datetime) -> None:
    link = await offer(api, minimum_notice_minutes=60)
    for start in (soon + timedelta(minutes=7), datetime.now(UTC).replace(microsecond=0)):
        problem = (await create(api, link, start)).ok(409)
        assert problem["code"] == "slot_unavailable"
        assert len(problem["alternatives"]) == 3
        assert "success" not in problem
    await created(api, link, soon, start_time=problem["alternatives"][0]["start"])


async def test_an_inactive_link_is_known_and_cannot_be_booked(api: Api, soon: datetime) -> None:
    link = await offer(api, active=False)
    problem = (await create(api, link, soon)).ok(409)
    assert (problem["code"], problem["reasons"][0]) == ("slot_unavailable", "inactive")


async def test_any_number_of_bots_get_one_winner(api: Api, soon: datetime) -> None:
    link = await offer(api)
    answers = await asyncio.gather(*(create(api, link, soon) for _ in range(30)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 29
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"slot_taken"}


async def test_a_retry_books_once(api: Api, soon: datetime) -> None:
    link = await offer(api)
    body = wanted(link, soon)
    first, again = [await api.post(PATH, body, Idempotency_Key="chat-17") for _ in range(2)]
    assert (first.status, again.status) == (201, 200)
    assert again.json == {"idempotent_replay": True, **first.json}
    other = await api.post(PATH, wanted(link, soon + HOUR), Idempotency_Key="chat-17")
    assert other.ok(422)["code"] == "idempotency_key_reused"
    v1 = await api.post("/v1/bookings", booking_body(link["code"], soon + HOUR), Idempotency_Key="chat-17")
    assert v1.status == 422, "one key is one request, on whichever face"
    assert (await page(api))["pagination"]["total"] == 1


async def test_a_bots_booking_is_told_to_receivers_like_every_other(api: Api, soon: datetime) -> None:
    link = await offer(api)
    made = await created(api, link, soon)
    await cancel(api, made["id"], {"reason": "ill"})
    assert (await cancel(api, made["id"])).status == 409
    events = (await api.get(f"/v1/events?booking_id={made['id']}")).ok()["events"]
    assert [each["type"] for each in events] == ["booking.created", "booking.cancelled"]
    assert events[1]["data"]["booking"]["cancellation"]["reason"] == "ill"
    assert {step["by"] for step in events[1]["data"]["booking"]["history"]} == {"api"}


async def test_a_cancellation_gives_the_slot_back_and_keeps_its_reason(api: Api, soon: datetime) -> None:
    link = await offer(api)
    made = await created(api, link, soon)
    assert (await cancel(api, made["id"], {"reason": "ill"})).ok() == {
        "data": {"id": made["id"], "status": "cancelled", "reason": "ill"}
    }
    after = await read(api, made["id"])
    assert (after["status"], after["reason"]) == ("cancelled", "ill")
    await created(api, link, soon)


async def test_any_number_of_cancellations_at_once_are_one(api: Api, soon: datetime) -> None:
    made = await created(api, await offer(api), soon)
    answers = await asyncio.gather(*(cancel(api, made["id"], {"reason": str(number)}) for number in range(12)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 11
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"already_cancelled"}
    (won,) = [answer.json["data"]["reason"] for answer in answers if answer.status == 200]
    assert (await read(api, made["id"]))["reason"] == won


async def test_what_is_over_cannot_be_cancelled(api: Api, conn: db.Connection, soon: datetime) -> None:
    link = await offer(api)
    made = await created(api, link, soon)
    await let_it_be_over(conn, made["id"])
    assert (await cancel(api, made["id"])).ok(409)["code"] == "invalid_transition"
    (await api.post(f"/v1/bookings/{made['id']}/complete")).ok()
    assert (await cancel(api, made["id"])).ok(409)["code"] == "invalid_transition"


@pytest.mark.parametrize("body", [{"why": "ill"}, {"reason": 7}, {"reason": "x" * 5001}, [], b"{"])
async def test_a_cancellation_that_cannot_be_read_cancels_nothing(api: Api, soon: datetime, body: Any) -> None:
    made = await created(api, await offer(api), soon)
    assert (await cancel(api, made["id"], body)).status == 400
    assert (await read(api, made["id"]))["status"] == "confirmed"


async def test_pages_are_counted(api: Api, soon: datetime) -> None:
    link = await offer(api)
    made = [(await booked(api, link, soon + number * HOUR))["id"] for number in range(5)]
    found = [await page(api, page=number, limit=2) for number in (1, 2, 3, 4)]
    assert [[each["id"] for each in one["data"]] for one in found] == [made[:2], made[2:4], made[4:], []]
    assert [one["pagination"]["hasMore"] for one in found] == [True, True, False, False]
    assert found[0]["pagination"] == {"page": 1, "limit": 2, "total": 5, "hasMore": True}
    assert (await page(api))["pagination"] == {"page": 1, "limit": 50, "total": 5, "hasMore": False}
    for wrong in ("page=0", "limit=0", "limit=101", "page=x", "cursor=x", "page=1&page=2", "status=", "per_page=5"):
        problem = (await api.get(f"{PATH}?{wrong}")).ok(400)
        assert problem["errors"][0]["field"].startswith(wrong.split("=", maxsplit=1)[0])


async def test_the_list_is_narrowed_by_when_bookings_start(api: Api, soon: datetime) -> None:
    link = await offer(api)
    ids = [(await booked(api, link, soon + number * HOUR))["id"] for number in (0, 1, 23, 24)]
    day = soon.date()
    assert await listed(api, **{"from": iso(soon + HOUR)}) == ids[1:]
    assert await listed(api, to=iso(soon + HOUR)) == ids[:1], "instants are half-open"
    assert await listed(api, **{"from": iso(soon), "to": iso(soon)}) == []
    assert await listed(api, **{"from": day, "to": day}) == ids[:3], "dates are inclusive"
    offset = (soon + 4 * HOUR).replace(tzinfo=None).isoformat() + "+02:00"
    assert await listed(api, **{"from": offset}) == ids[2:]
    for name, value in (("from", "yesterday"), ("to", "2026-05-01T10:00:00"), ("to", str(day - timedelta(days=9)))):
        problem = (await api.get(f"{PATH}?from={day}&to={day}".replace(f"{name}={day}", f"{name}={value}"))).ok(400)
        assert problem["errors"][0]["field"] == name


async def test_the_list_is_narrowed_to_a_link(api: Api, soon: datetime) -> None:
    one, other = await offer(api, title="One", code="one"), await offer(api, title="Other")
    made = await created(api, one, soon)
    await created(api, other, soon + HOUR)
    for name in (one["id"], "one"):
        assert await listed(api, booking_link_id=name) == [made["id"]]
    assert (await page(api, booking_link_id=one["id"]))["pagination"]["total"] == 1


async def test_a_stranger_finds_nothing(api: Api, conn: db.Connection, vault: Vault, soon: datetime) -> None:
    link = await offer(api, slug="secret-talk")
    made = await created(api, link, soon)
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert (await page(stranger))["pagination"]["total"] == 0
    assert (await stranger.get(f"{PATH}/{made['id']}")).ok(404)["code"] == "not_found"
    assert (await cancel(stranger, made["id"])).ok(404)["code"] == "not_found"
    answers = [
        await create(stranger, link, soon + HOUR),
        await create(stranger, link, soon + HOUR, booking_link_id=None, slug="secret-talk"),
        await stranger.get(f"{PATH}?booking_link_id={link['id']}"),
    ]
    for answer in answers:
        assert answer.ok(404)["code"] == "booking_link_not_found"
        assert "secret-talk" not in answer.raw.decode()
    mine = await offer(stranger)
    theirs = await create(stranger, mine, soon, staff_id=link["hosts"][0]["user_id"])
    assert theirs.ok(400)["errors"][0]["field"] == "staff_id"


async def test_keys_of_agents_may_book(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    link = await offer(api)
    given: Any = {"name": "agent", "scopes": ("mcp",), "now": datetime.now(UTC)}
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, **given)
    agent = Api(api.client, key)
    made = await created(agent, link, soon)
    assert (await read(agent, made["id"])) == made
    assert (await cancel(agent, made["id"])).status == 200


@pytest.mark.parametrize("text", ["bkg_x", "evt_01h2xcejqtf2nbrexx3vqjhp41", "101", "%00", "stats", "bkg_" + "z" * 26])
async def test_an_id_of_nothing_is_not_found(api: Api, text: str) -> None:
    for answer in (await api.get(f"{PATH}/{text}"), await cancel(api, text)):
        assert answer.ok(404)["code"] == "not_found"
        assert "success" not in answer.json
