"""What a key with limits may do to bookings: each limit, wherever such a key gets to a booking."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from app.domain.bookings.create import create_booking
from app.domain.bookings.models import Actor, Attendee
from app.domain.bookings.orders import NewBooking
from app.domain.identity.keys import authenticate
from tests.browsers import Browser
from tests.budgets import beyond, counted, make_key, with_limits
from tests.offers import ask, book, booked, iso, offer, slots_of
from tests.rooms import location, room
from tests.support import Api, Tenant, booking_body

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CY = {"name": "Cy", "email": "cy@other.test", "timezone": "UTC"}
BOB = {"name": "Bob", "email": "bob@Mail.Example.COM", "timezone": "UTC"}


def bots_body(made: Any, start: datetime, email: str = "jane@example.com") -> Any:
    return {"slug": made["slug"], "contact_name": "Jane", "contact_email": email, "start_time": start.isoformat()}


async def kinds(conn: db.Connection, tenant: Tenant) -> list[str]:
    rows = await conn.fetch("select status from bookings where org_id = $1 order by id", tenant.org_id)
    return [row["status"] for row in rows]


async def hold(api: Api, made: Any, start: datetime, **more: Any) -> Any:
    body = {"event_type": made["code"], "requested_time": start.isoformat(), "hold_seconds": 600, **more}
    return await api.post("/v1/bookings", body)


# --- bookings a day ---


async def test_a_day_has_so_many_bookings(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Of what it makes, holds and moves, on both faces; finishing a hold, cancelling and what is refused are free."""
    made, agent = await offer(api), await with_limits(api, owner, bookings_per_day=4)
    first = await booked(agent, made, soon)
    (await agent.post("/api/v1/bookings", bots_body(made, soon + HOUR))).ok(201)
    held = (await hold(agent, made, soon + 2 * HOUR)).ok(201)["booking"]
    attendee = booking_body("", soon)["attendee"]
    assert (await book(agent, made, soon)).status == 409
    assert (await book(agent, made, soon, guests=[{"email": "nobody"}])).status == 400
    (await agent.post(f"/v1/bookings/{held['id']}/finish", {"attendee": attendee})).ok()
    assert await counted(conn, tenant) == [3]
    moved = (await agent.post(f"/v1/bookings/{first['id']}/reschedule", {"start_time": iso(soon + 3 * HOUR)})).ok()[
        "booking"
    ]
    assert await counted(conn, tenant) == [4]
    tomorrow = (datetime.now(UTC) + DAY).strftime("%Y-%m-%dT00:00:00Z")
    for refused in [
        await book(agent, made, soon + 5 * HOUR),
        await hold(agent, made, soon + 5 * HOUR),
        await agent.post("/api/v1/bookings", bots_body(made, soon + 5 * HOUR)),
        await agent.post(f"/v1/bookings/{moved['id']}/reschedule", {"start_time": iso(soon + 5 * HOUR)}),
    ]:
        told = beyond(refused, "bookings_per_day")
        assert "4 times a day" in told
        assert tomorrow in told
    assert await kinds(conn, tenant) == ["CANCELLED", "SCHEDULED", "SCHEDULED", "RESCHEDULED"]
    (await agent.post(f"/v1/bookings/{moved['id']}/cancel")).ok()
    beyond(await book(agent, made, soon + 5 * HOUR), "bookings_per_day")
    assert await counted(conn, tenant) == [4], "a cancelled one was made all the same"
    await booked(api, made, soon + 5 * HOUR)


async def test_another_day_begins_at_midnight_utc(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made, agent = await offer(api), await with_limits(api, owner, bookings_per_day=1)
    await booked(agent, made, soon)
    beyond(await book(agent, made, soon + HOUR), "bookings_per_day")
    await conn.execute("update key_days set day = day - 1 where org_id = $1", tenant.org_id)
    await booked(agent, made, soon + HOUR)
    assert await counted(conn, tenant) == [1]
    beyond(await book(agent, made, soon + 2 * HOUR), "bookings_per_day")
    await conn.execute("update key_days set day = day + 1 where org_id = $1", tenant.org_id)
    beyond(await book(agent, made, soon + 2 * HOUR), "bookings_per_day")


async def test_each_key_has_a_day_of_its_own(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await offer(api)
    one, other = [await with_limits(api, owner, bookings_per_day=1) for _ in range(2)]
    await booked(one, made, soon)
    await booked(other, made, soon + HOUR)
    beyond(await book(one, made, soon + 2 * HOUR), "bookings_per_day")
    assert await counted(conn, tenant) == [1, 1]


async def test_a_repeat_is_counted_once(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made, agent = await offer(api), await with_limits(api, owner, bookings_per_day=1)
    first, *repeats = [await agent.book(made["code"], soon, Idempotency_Key="once") for _ in range(3)]
    assert [first.status, *(each.status for each in repeats)] == [201, 200, 200]
    assert await counted(conn, tenant) == [1]
    beyond(await agent.book(made["code"], soon + HOUR, Idempotency_Key="twice"), "bookings_per_day")
    (await agent.post(f"/v1/bookings/{first.json['booking']['id']}/cancel")).ok()
    # what is refused is not remembered: with room again, the same request goes through
    await conn.execute("update key_days set day = day - 1 where org_id = $1", tenant.org_id)
    assert (await agent.book(made["code"], soon + HOUR, Idempotency_Key="twice")).status == 201


@pytest.mark.parametrize("headers", [False, True])
async def test_of_thirty_at_once_five_are_made(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime, *, headers: bool
) -> None:
    made, agent = await offer(api), await with_limits(api, owner, bookings_per_day=5)
    keys = [{"Idempotency_Key": f"key-{number}"} if headers else {} for number in range(30)]
    answers = await asyncio.gather(
        *(agent.book(made["code"], soon + number * HOUR, **each) for number, each in enumerate(keys))
    )
    assert sorted(each.status for each in answers) == [201] * 5 + [403] * 25
    assert {each.json["code"] for each in answers if each.status == 403} == {"budget_exceeded"}
    assert await counted(conn, tenant) == [5]
    assert await kinds(conn, tenant) == ["SCHEDULED"] * 5


async def test_moves_and_bookings_at_once_wait_for_each_other_in_one_place(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """No deadlock between a key's day, its event types and bookings; nothing but what was asked for."""
    made, agent = [await offer(api, seats=3), await offer(api)], await with_limits(api, owner, bookings_per_day=12)
    old = [await booked(api, made[number % 2], soon + number * HOUR) for number in range(10)]
    calls = []
    for number, each in enumerate(old):
        where = {"start_time": iso(soon + (20 + number) * HOUR)}
        calls.append(agent.post(f"/v1/bookings/{each['id']}/reschedule", where))
        calls.append(agent.book(made[number % 2]["code"], soon + (40 + number) * HOUR))
    answers = await asyncio.gather(*calls)
    assert len([each for each in answers if each.status in {200, 201}]) == 12
    assert {each.json["code"] for each in answers if each.status == 403} == {"budget_exceeded"}
    assert {each.status for each in answers} <= {200, 201, 403}
    assert await counted(conn, tenant) == [12]


async def test_whoever_counts_is_in_a_transaction(
    api: Api, owner: Browser, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    """Or a refused booking would cost one all the same: a mistake of ours, not of the caller's."""
    made, key, now = await offer(api), await make_key(owner, limits={"bookings_per_day": 1}), datetime.now(UTC)
    principal = await authenticate(conn, key["secret"], vault, now)
    wanted = NewBooking(made["code"], soon, Attendee("Jane", "jane@example.com", None, "UTC"))
    with pytest.raises(RuntimeError, match="in its transaction"):
        await create_booking(conn, principal, wanted, Actor("api", principal.key_id), now)


# --- event types ---


async def test_a_key_may_be_for_certain_event_types(api: Api, owner: Browser, soon: datetime) -> None:
    made, other = await offer(api), await offer(api)
    agent = await with_limits(api, owner, event_type_ids=[made["id"]])
    mine = await booked(agent, made, soon)
    for answer in [
        await book(agent, other, soon + HOUR),
        await hold(agent, other, soon + HOUR),
        await agent.post("/v1/bookings", {**booking_body("", soon), "event_type": None, "event_type_id": other["id"]}),
        await agent.post("/api/v1/bookings", bots_body(other, soon + HOUR)),
    ]:
        assert made["id"] in beyond(answer, "event_type_ids")
    link = (await api.post(f"/v1/event-types/{other['code']}/links")).ok(201)["link"]["link_code"]
    given = {"link_code": link, "requested_time": iso(soon + HOUR), "attendee": BOB}
    beyond(await agent.post("/v1/bookings", given), "event_type_ids")
    # what it may see, its scopes say
    (slot,) = slots_of(await ask(agent, other, soon + HOUR, 1))
    given = {"slot_token": slot["token"], "attendee": BOB}
    beyond(await agent.post("/v1/bookings", given), "event_type_ids")
    (await agent.post(f"/v1/bookings/{mine['id']}/reschedule", {"start_time": iso(soon + HOUR)})).ok()
    assert (await agent.book("nothing-like-it", soon)).ok(404)["code"] == "event_type_not_found"


async def test_the_code_of_another_event_type_is_no_way_in(api: Api, owner: Browser, soon: datetime) -> None:
    made, other = await offer(api, code="mine"), await offer(api, code="theirs")
    agent = await with_limits(api, owner, event_type_ids=[made["id"]])
    (await api.call("PATCH", "/v1/event-types/mine", {"code": "old"})).ok()
    (await api.call("PATCH", "/v1/event-types/theirs", {"code": "mine"})).ok()
    beyond(await agent.book("mine", soon), "event_type_ids")
    assert (await booked(agent, {"code": "old"}, soon))["event_type_id"] == made["id"]
    beyond(await agent.post("/v1/bookings", booking_body(other["id"], soon)), "event_type_ids")


STEPS = [
    ("POST", "confirm", None),
    ("POST", "decline", None),
    ("POST", "complete", None),
    ("POST", "no-show", None),
    ("POST", "cancel", {"reason": "no"}),
    ("DELETE", "", None),
    ("POST", "finish", {"attendee": BOB}),
    ("POST", "reschedule", {"start_time": "2031-01-01T00:00:00Z"}),
    ("PATCH", "", {"attendee": {"name": "Mallory"}}),
]


@pytest.mark.parametrize(("method", "step", "body"), STEPS)
async def test_what_others_booked_outside_its_limits_is_none_of_its_business(
    api: Api, owner: Browser, soon: datetime, method: str, step: str, body: Any
) -> None:
    made, other = await offer(api), await offer(api)
    theirs, stranger = await booked(api, other, soon), await booked(api, made, soon + HOUR, attendee=CY)
    agent = await with_limits(api, owner, event_type_ids=[made["id"]], attendee_domains=["example.com"])
    for booking, reason in ((theirs, "event_type_ids"), (stranger, "attendee_domains")):
        path = f"/v1/bookings/{booking['id']}/{step}".rstrip("/")
        beyond(await agent.call(method, path, body), reason)
        assert (await agent.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]["status"] == "SCHEDULED"
    bots = f"/api/v1/bookings/{theirs['id']}/cancel"
    beyond(await agent.call("PATCH", bots), "event_type_ids")


async def test_a_key_for_event_types_reserves_nothing(
    api: Api, owner: Browser, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    made, desk = await offer(api), await room(api, await location(api, "UTC"))
    times = {"starts_at": iso(soon), "ends_at": iso(soon + HOUR)}
    theirs = (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)["data"]
    agent = await with_limits(api, owner, event_type_ids=[made["id"]])
    later = {"start_time": iso(soon + 5 * HOUR)}
    told = beyond(await agent.post(f"/v1/bookings/{theirs['id']}/reschedule", later), "event_type_ids")
    assert "no resources" in told
    beyond(await agent.post(f"/v1/bookings/{theirs['id']}/cancel"), "event_type_ids")
    free = await with_limits(api, owner, attendee_domains=["nobody.test"])
    (await free.post(f"/v1/bookings/{theirs['id']}/reschedule", later)).ok()


# --- how far ahead ---


async def test_a_key_may_book_so_far_ahead(api: Api, owner: Browser) -> None:
    made, agent = await offer(api), await with_limits(api, owner, max_lead_days=3)
    near = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 3 * DAY
    mine = await booked(agent, made, near)
    for answer in [
        await book(agent, made, near + HOUR),
        await hold(agent, made, near + HOUR),
        await agent.post("/api/v1/bookings", bots_body(made, near + HOUR)),
        await agent.post(f"/v1/bookings/{mine['id']}/reschedule", {"start_time": iso(near + HOUR)}),
    ]:
        assert "at most 3 days ahead" in beyond(answer, "max_lead_days")
    (await agent.post(f"/v1/bookings/{mine['id']}/reschedule", {"start_time": iso(near - HOUR)})).ok()
    held = (await hold(api, made, near + 2 * HOUR)).ok(201)["booking"]
    beyond(await agent.post(f"/v1/bookings/{held['id']}/finish", {"attendee": BOB}), "max_lead_days")
    # what is further ahead may be taken back, since that books nothing
    (await agent.post(f"/v1/bookings/{held['id']}/cancel")).ok()


async def test_slot_tokens_and_links_lead_no_further(api: Api, owner: Browser, soon: datetime) -> None:
    made, agent = await offer(api), await with_limits(api, owner, max_lead_days=1)
    link = (await api.post(f"/v1/event-types/{made['code']}/links")).ok(201)["link"]["link_code"]
    given = {"link_code": link, "requested_time": iso(soon), "attendee": BOB}
    beyond(await agent.post("/v1/bookings", given), "max_lead_days")
    (slot,) = slots_of(await ask(api, made, soon, 1))
    given = {"slot_token": slot["token"], "attendee": BOB}
    beyond(await agent.post("/v1/bookings", given), "max_lead_days")


# --- for whom ---


async def test_a_key_may_book_for_certain_domains(api: Api, owner: Browser, soon: datetime) -> None:
    made, agent = await offer(api), await with_limits(api, owner, attendee_domains=["example.com"])
    mine = await booked(agent, made, soon, attendee=BOB, guests=[{"email": "gus@EXAMPLE.com"}])
    evil = "jane@example.com.evil.test"
    for answer in [
        await book(agent, made, soon + HOUR, attendee=CY),
        await book(agent, made, soon + HOUR, attendee={**CY, "email": evil}),
        await book(agent, made, soon + HOUR, guests=[{"email": "gus@example.com"}, {"email": "gus@other.test"}]),
        await hold(agent, made, soon + HOUR, attendee=CY),
        await hold(agent, made, soon + HOUR, guests=[{"email": "gus@other.test"}]),
        await agent.post("/api/v1/bookings", bots_body(made, soon + HOUR, "cy@other.test")),
        await agent.call("PATCH", f"/v1/bookings/{mine['id']}", {"attendee": {"email": "cy@other.test"}}),
    ]:
        told = beyond(answer, "attendee_domains")
        assert "addresses at example.com only" in told
        assert "cy@" not in told, "no address in a text that may be logged"
    patch = {"attendee": {"email": "jo@example.com", "name": "Jo"}}
    (await agent.call("PATCH", f"/v1/bookings/{mine['id']}", patch)).ok()
    beyond(await agent.post("/v1/bookings", booking_body(made["code"], soon + HOUR, attendee=CY)), "attendee_domains")


async def test_a_hold_is_finished_for_certain_domains(api: Api, owner: Browser, soon: datetime) -> None:
    made, agent = await offer(api), await with_limits(api, owner, attendee_domains=["example.com"])
    held = (await hold(agent, made, soon)).ok(201)["booking"]
    path = f"/v1/bookings/{held['id']}/finish"
    beyond(await agent.post(path, {"attendee": CY}), "attendee_domains")
    beyond(await agent.post(path, {"attendee": BOB, "guests": [{"email": "gus@other.test"}]}), "attendee_domains")
    assert (await agent.get(f"/v1/bookings/{held['id']}")).ok()["booking"]["status"] == "DRAFT"
    done = (await agent.post(path, {"attendee": BOB})).ok()["booking"]
    assert done["status"] == "SCHEDULED"
    assert (await agent.post(path, {"attendee": BOB})).ok()["booking"] == done, "a repeat changes nothing"
    theirs = (await hold(api, made, soon + HOUR, attendee=CY)).ok(201)["booking"]
    beyond(await agent.post(f"/v1/bookings/{theirs['id']}/finish"), "attendee_domains")


async def test_a_reservation_is_given_to_nobody_else(api: Api, owner: Browser, soon: datetime) -> None:
    desk = await room(api, await location(api, "UTC"))
    times = {"starts_at": iso(soon), "ends_at": iso(soon + HOUR)}
    theirs = (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)["data"]
    agent = await with_limits(api, owner, attendee_domains=["nobody.test"])
    path = f"/v1/bookings/{theirs['id']}"
    (await agent.call("PATCH", path, {"attendee": {"name": "Owner"}})).ok()
    beyond(await agent.call("PATCH", path, {"attendee": {"email": "cy@other.test"}}), "attendee_domains")


# --- all of them ---


async def test_every_reason_is_named_at_once(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made, other = await offer(api), await offer(api)
    limits: dict[str, Any] = {"bookings_per_day": 1, "max_lead_days": 1, "attendee_domains": ["example.com"]}
    agent = await with_limits(api, owner, event_type_ids=[made["id"]], **limits)
    near = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 2 * HOUR
    await booked(agent, made, near)
    reasons = ("bookings_per_day", "event_type_ids", "max_lead_days", "attendee_domains")
    beyond(await book(agent, other, soon, attendee=CY), *reasons)
    assert await counted(conn, tenant) == [1]


async def test_people_and_other_keys_have_no_limits(api: Api, owner: Browser, soon: datetime) -> None:
    made = await offer(api)
    agent = await with_limits(api, owner, bookings_per_day=1, max_lead_days=1, attendee_domains=["nobody.test"])
    mine = await booked(api, made, soon, attendee=CY)
    beyond(await agent.post(f"/v1/bookings/{mine['id']}/cancel"), "attendee_domains")
    (await owner.post(f"/api/bookings/{mine['id']}/reschedule", {"booking": {"start_time": iso(soon + HOUR)}})).ok()
    desk = await room(api, await location(api, "UTC"))
    for number in range(3):
        times = {"starts_at": iso(soon + number * HOUR), "ends_at": iso(soon + (number + 1) * HOUR)}
        (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)


async def test_links_that_know_no_limits_are_not_shown_to_a_key_that_has_some(
    api: Api, owner: Browser, soon: datetime
) -> None:
    made = await offer(api)
    for agent in (
        await with_limits(api, owner, max_lead_days=60),
        await with_limits(api, owner, requires_approval=True),
    ):
        mine = await booked(agent, made, soon)
        shown = (await agent.get(f"/v1/bookings/{mine['id']}")).ok()["booking"]
        listed = (await agent.get("/v1/bookings")).ok()["bookings"]
        for each in (mine, shown, *listed):
            assert (each["cancel_token"], each["reschedule_token"]) == (None, None)
        soon += HOUR
    assert (await api.get(f"/v1/bookings/{mine['id']}")).ok()["booking"]["cancel_token"]
