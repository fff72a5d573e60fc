"""Keys whose bookings a person decides, from the first hold to the last move."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, encode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.due import take_due_steps
from tests.browsers import Browser
from tests.budgets import make_key, reserved, with_limits
from tests.offers import book, booked, iso, listed, offer, refused
from tests.rooms import location, room
from tests.support import Answer, Api, Tenant
from tests.visitors import PROGRAM, Anybody, address, confirm_token, events, status_of, visit_body
from tests.waiting import awaited, cancel, entry_of, joined, offer_path, tend

HOUR = timedelta(hours=1)
BOB = {"name": "Bob", "email": "bob@example.com", "timezone": "UTC"}
PENDING = "PENDING_CONFIRMATION"


@pytest.fixture
async def agent(api: Api, owner: Browser) -> Api:
    """A key of which a person decides every booking."""
    return await with_limits(api, owner, requires_approval=True)


def for_a_person(answer: Answer) -> str:
    problem = answer.ok(403)
    assert problem["code"] == "approval_required"
    detail: str = problem["detail"]
    return detail


def waits(booking: Any) -> bool:
    steps = [(step["from"], step["to"]) for step in booking["history"]]
    return bool(booking["status"] == PENDING and booking["requires_confirmation"] and steps[-1] == ("DRAFT", PENDING))


async def move(api: Api, booking: Any, start: datetime) -> Any:
    where = {"start_time": iso(start)}
    return (await api.post(f"/v1/bookings/{booking['id']}/reschedule", where)).ok()["booking"]


# --- what it makes ---


@pytest.mark.parametrize("fields", [{}, {"seats": 3}, {"max_bookings": {"day": 2}}, {"requires_confirmation": True}])
async def test_whatever_it_books_waits_for_a_person(
    api: Api, agent: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime, fields: Any
) -> None:
    made = await offer(api, **fields)
    mine = await booked(agent, made, soon)
    assert waits(mine)
    assert (await agent.get(f"/v1/bookings/{mine['id']}")).ok()["booking"] == {**mine, "calendar_events": []}
    (again,) = [(await booked(agent, made, soon + HOUR))]
    assert waits(again), "also when the event type is remembered"
    assert not fields or await events(conn, tenant) == ["created", "created"]
    confirmed = (await owner.post(f"/api/bookings/{mine['id']}/confirm")).ok()["data"]
    assert (confirmed["status"], confirmed["requires_confirmation"]) == ("confirmed", True)


async def test_it_holds_the_slot_meanwhile(api: Api, agent: Api, soon: datetime) -> None:
    made = await offer(api)
    await booked(agent, made, soon)
    await refused(api, made, soon, "slot_taken")
    assert await listed(api, made, soon, 2) == ["01:00"]


async def test_people_and_other_keys_are_not_asked(api: Api, agent: Api, soon: datetime) -> None:
    """Nor are visitors: what was remembered for the one is no habit for the others."""
    made = await offer(api)
    assert waits(await booked(agent, made, soon))
    assert (await booked(api, made, soon + HOUR))["status"] == "SCHEDULED"
    visitor = (await Anybody(api.client).post(address(made), visit_body(soon + 2 * HOUR))).ok(201)
    assert (visitor["status"], visitor["requires_confirmation"]) == ("confirmed", False)
    assert (await api.get(f"/v1/event-types/{made['id']}")).ok()["event_type"]["requires_confirmation"] is False


async def test_bots_hear_that_it_is_pending(api: Api, agent: Api, soon: datetime) -> None:
    made = await offer(api)
    body = {"slug": made["slug"], "contact_name": "J", "contact_email": "j@example.com", "start_time": iso(soon)}
    mine = (await agent.post("/api/v1/bookings", body)).ok(201)["data"]
    assert (mine["status"], mine["requires_confirmation"]) == ("pending", True)
    assert (await agent.call("PATCH", f"/api/v1/bookings/{mine['id']}/cancel")).ok()["data"]["status"] == "cancelled"


async def test_through_a_link_too(api: Api, agent: Api, soon: datetime) -> None:
    made = await offer(api)
    link = (await api.post(f"/v1/event-types/{made['code']}/links")).ok(201)["link"]["link_code"]
    body = {"link_code": link, "requested_time": iso(soon), "attendee": BOB}
    assert waits((await agent.post("/v1/bookings", body)).ok(201)["booking"])


@pytest.mark.parametrize("holder", ["agent", "other"])
@pytest.mark.parametrize("finisher", ["agent", "other"])
async def test_a_hold_waits_once_it_is_finished(
    api: Api, agent: Api, owner: Browser, soon: datetime, holder: str, finisher: str
) -> None:
    """Whoever held it and whoever finishes it, if one of them only asks."""
    made, who = await offer(api), {"agent": agent, "other": api}
    body = {"event_type": made["code"], "requested_time": iso(soon), "hold_seconds": 600}
    held = (await who[holder].post("/v1/bookings", body)).ok(201)["booking"]
    assert (held["status"], held["requires_confirmation"]) == ("DRAFT", holder == "agent")
    path = f"/v1/bookings/{held['id']}/finish"
    done = (await who[finisher].post(path, {"attendee": BOB})).ok()["booking"]
    asks = "agent" in {holder, finisher}
    assert (done["status"], done["requires_confirmation"]) == (PENDING if asks else "SCHEDULED", asks)
    assert (await api.get(f"/v1/bookings/{held['id']}")).ok()["booking"]["requires_confirmation"] is asks
    assert (await agent.post(path)).ok()["booking"]["status"] == done["status"], "a repeat changes nothing"


async def test_a_repeat_with_its_key_is_still_pending(agent: Api, api: Api, soon: datetime) -> None:
    made = await offer(api)
    first, again = [await agent.book(made["code"], soon, Idempotency_Key="once") for _ in range(2)]
    assert (first.status, again.status) == (201, 200)
    assert again.json["booking"] == first.json["booking"]
    assert waits(again.json["booking"])


# --- who decides ---


@pytest.mark.parametrize("step", ["confirm", "decline"])
async def test_it_decides_nothing(api: Api, agent: Api, soon: datetime, step: str) -> None:
    """Not its own, not a visitor's, and of none that is decided already, either."""
    made, asking = await offer(api), await offer(api, requires_confirmation=True)
    mine, other = await booked(agent, made, soon), await booked(api, asking, soon + HOUR)
    agreed, moved = await booked(api, made, soon + 2 * HOUR), await booked(api, made, soon + 3 * HOUR)
    moved = await move(api, moved, soon + 4 * HOUR)
    for booking in (mine, other, agreed, moved):
        told = for_a_person(await agent.post(f"/v1/bookings/{booking['id']}/{step}"))
        assert "a person decides" in told
        assert await status_of(api, booking["id"]) == booking["status"]


async def test_nor_by_another_way(api: Api, agent: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    made = await offer(api)
    mine = await booked(agent, made, soon)
    await conn.execute(
        "update bookings set starts_at = now() - interval '5 minutes' where org_id = $1 and code = $2",
        *(tenant.org_id, mine["code"]),
    )
    for step in ("complete", "no-show", "finish"):
        answer = await agent.post(f"/v1/bookings/{mine['id']}/{step}")
        assert answer.status == (200 if step == "finish" else 409)
        assert await status_of(api, mine["id"]) == PENDING


async def test_a_key_that_may_change_event_types_still_asks(api: Api, owner: Browser, soon: datetime) -> None:
    key = await make_key(owner, "bookings:write", "event_types:write", requires_approval=True)
    agent, made = Api(api.client, key["secret"]), await offer(api, requires_confirmation=True)
    changes = {"requires_confirmation": False}
    (await agent.call("PATCH", f"/v1/event-types/{made['id']}", changes)).ok()
    assert waits(await booked(agent, made, soon))


async def test_the_links_of_a_visitor_ask_too(
    api: Api, agent: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    """Who moves the agent's booking by a link asks again, as often as they move it."""
    made, anybody = await offer(api), Anybody(api.client)
    mine = await booked(agent, made, soon)
    token = (await api.get(f"/v1/bookings/{mine['id']}")).ok()["booking"]["reschedule_token"]
    for number in (1, 2, 3):
        where = {"start_time": iso(soon + number * HOUR)}
        moved = (await anybody.post(f"/v1/reschedule/{token}", where)).ok()
        assert (moved["status"], moved["requires_confirmation"]) == ("pending", True)
        token = moved["reschedule_token"]
    path = await confirm_token(conn, vault, tenant, moved["id"])
    assert (await anybody.get(f"/v1/bookings/{path}/confirm", **PROGRAM)).status == 200
    assert await status_of(api, moved["id"]) == "SCHEDULED"


async def test_unanswered_it_ends(api: Api, agent: Api, conn: db.Connection, soon: datetime) -> None:
    made = await offer(api)
    mine = await booked(agent, made, soon)
    await take_due_steps(conn, 100_000, soon + timedelta(seconds=1))
    ended = (await agent.get(f"/v1/bookings/{mine['id']}")).ok()["booking"]
    assert (ended["status"], ended["cancellation"]["reason"]) == ("CANCELLED", "unanswered")
    await booked(api, made, soon)


async def test_declined_it_ends(api: Api, agent: Api, owner: Browser, soon: datetime) -> None:
    made = await offer(api)
    mine = await booked(agent, made, soon)
    (await owner.post(f"/api/bookings/{mine['id']}/decline", {"booking": {"reason": "No"}})).ok()
    ended = (await agent.get(f"/v1/bookings/{mine['id']}")).ok()["booking"]
    assert (ended["status"], ended["cancellation"]["reason"]) == ("CANCELLED", "No")
    where = {"start_time": iso(soon + HOUR)}
    assert (await agent.post(f"/v1/bookings/{mine['id']}/reschedule", where)).status == 409


# --- what it changes ---


async def test_what_it_moves_waits_again(api: Api, agent: Api, owner: Browser, soon: datetime) -> None:
    """Its own while it waits, its own once it is agreed to, and anybody's."""
    made, asking = await offer(api), await offer(api, requires_confirmation=True)
    waiting = await booked(agent, made, soon)
    agreed = await booked(agent, made, soon + HOUR)
    (await owner.post(f"/api/bookings/{agreed['id']}/confirm")).ok()
    theirs, asked = await booked(api, made, soon + 2 * HOUR), await booked(api, asking, soon + 3 * HOUR)
    for number, booking in enumerate((waiting, agreed, theirs, asked)):
        moved = await move(agent, booking, soon + (10 + number) * HOUR)
        assert waits(moved)
        assert moved["rescheduled_from_id"] == booking["id"]
        for_a_person(await agent.post(f"/v1/bookings/{moved['id']}/confirm"))
        assert waits(await move(agent, moved, soon + (20 + number) * HOUR)), "and again"


async def test_a_person_who_moves_it_has_decided(api: Api, agent: Api, owner: Browser, soon: datetime) -> None:
    made = await offer(api)
    mine = await booked(agent, made, soon)
    where = {"booking": {"start_time": iso(soon + HOUR)}}
    moved = (await owner.post(f"/api/bookings/{mine['id']}/reschedule", where)).ok()["data"]
    assert await status_of(api, moved["id"]) == "RESCHEDULED"


WHO = [{"email": "mallory@example.com"}, {"name": "Mallory"}, {"phone": "+4930123456"}, {"phone": None}]


@pytest.mark.parametrize("stage", ["asked", "agreed", "moved"])
@pytest.mark.parametrize("change", WHO)
async def test_a_person_decides_about_whom_they_were_told_of(
    api: Api, agent: Api, owner: Browser, soon: datetime, stage: str, change: Any
) -> None:
    """From when they are asked: the link in their mail would confirm whoever comes by then."""
    phone = "+15550100" if change == {"phone": None} else None
    mine = await booked(agent, await offer(api), soon, attendee={**BOB, "phone": phone})
    if stage != "asked":
        (await owner.post(f"/api/bookings/{mine['id']}/confirm")).ok()
    if stage == "moved":
        mine = await move(api, mine, soon + HOUR)
    path = f"/v1/bookings/{mine['id']}"
    before = (await api.get(path)).ok()["booking"]
    told = for_a_person(await agent.call("PATCH", path, {"attendee": change}))
    assert "cancel it and book anew" in told
    assert "allory" not in told, "no name in a text that may be logged"
    assert (await api.get(path)).ok()["booking"] == before
    (await api.call("PATCH", path, {"attendee": change})).ok()


async def test_nor_about_others_whom_it_did_not_book(
    api: Api, agent: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    """A visitor's request is the visitor's, as the host has read it."""
    made = await offer(api, requires_confirmation=True)
    theirs = (await Anybody(api.client).post(address(made), visit_body(soon))).ok(201)
    path = f"/v1/bookings/{theirs['id']}"
    for_a_person(await agent.call("PATCH", path, {"attendee": {"name": "Mallory", "email": "mallory@example.com"}}))
    link = await confirm_token(conn, vault, tenant, theirs["id"])
    assert (await Anybody(api.client).get(f"/v1/bookings/{link}/confirm", **PROGRAM)).status == 200
    agreed = (await api.get(path)).ok()["booking"]
    assert (agreed["status"], agreed["attendee"]["name"]) == ("SCHEDULED", "Jason Johnson")


async def test_what_changes_nothing_about_them_it_may_write(api: Api, agent: Api, soon: datetime) -> None:
    """Their time zone, and the same data in other capitals; a repeat of what is there is no change."""
    mine = await booked(agent, await offer(api), soon, attendee=BOB)
    path = f"/v1/bookings/{mine['id']}"
    assert (await agent.call("PATCH", path, {"attendee": BOB})).ok()["booking"] == mine
    same = {"email": "Bob@Example.com", "timezone": "Asia/Tokyo"}
    changed = (await agent.call("PATCH", path, {"attendee": same})).ok()["booking"]
    assert changed["attendee"] == {**BOB, **same, "phone": None}
    assert changed["status"] == PENDING


async def test_a_repeated_finish_brings_nobody_else(api: Api, agent: Api, owner: Browser, soon: datetime) -> None:
    """What was asked about, or agreed to, is finished: another attendee, guest or note with the repeat is not taken."""
    made, guests = await offer(api), [{"email": "gus@example.com"}]
    body = {"event_type": made["code"], "requested_time": iso(soon), "hold_seconds": 600}
    held = (await agent.post("/v1/bookings", body)).ok(201)["booking"]
    path = f"/v1/bookings/{held['id']}"
    # nobody has been asked yet, but a hold has no attendee to change either
    assert (await agent.call("PATCH", path, {"attendee": {"name": "Mallory"}})).status == 409
    asked = (await agent.post(f"{path}/finish", {"attendee": BOB})).ok()["booking"]
    other = {"attendee": {**BOB, "name": "Mallory"}, "guests": guests, "notes": "Pay me"}
    assert (await agent.post(f"{path}/finish", other)).ok()["booking"] == asked
    (await owner.post(f"/api/bookings/{held['id']}/confirm")).ok()
    agreed = (await agent.post(f"{path}/finish", other)).ok()["booking"]
    assert (agreed["attendee"], agreed["guests"], agreed["notes"]) == (asked["attendee"], [], None)


async def test_a_link_to_what_was_moved_decides_nothing(
    api: Api, agent: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    """The host was asked about another time."""
    mine = await booked(agent, await offer(api), soon)
    link = await confirm_token(conn, vault, tenant, mine["id"])
    moved = await move(agent, mine, soon + HOUR)
    assert (await Anybody(api.client).get(f"/v1/bookings/{link}/confirm", **PROGRAM)).status == 409
    assert await status_of(api, moved["id"]) == PENDING


async def test_it_may_take_back_what_it_asked_for(api: Api, agent: Api, soon: datetime) -> None:
    mine = await booked(agent, await offer(api), soon)
    (await agent.post(f"/v1/bookings/{mine['id']}/cancel", {"reason": "changed my mind"})).ok()
    assert await status_of(api, mine["id"]) == "CANCELLED"


async def test_many_at_once_have_one_winner_and_it_waits(api: Api, agent: Api, soon: datetime) -> None:
    made = await offer(api)
    answers = await asyncio.gather(*(book(agent, made, soon) for _ in range(20)))
    assert sorted(each.status for each in answers) == [201] + [409] * 19
    (won,) = [each.json["booking"] for each in answers if each.status == 201]
    assert waits(won)


# --- waiting lists ---


async def test_a_place_that_it_asked_for_waits_once_it_is_taken(
    api: Api,
    agent: Api,
    conn: db.Connection,
    vault: Vault,
    tenant: Tenant,
    settings: Settings,
    soon: datetime,
) -> None:
    made, anybody = await awaited(api), Anybody(api.client)
    for wanted, status in ((agent, PENDING), (api, "SCHEDULED")):
        taken = await booked(api, made, soon)
        entry = await joined(wanted, made, soon)
        await cancel(api, taken)
        await tend(conn, settings)
        offered = await entry_of(api, entry)
        assert offered["status"] == "offered"
        path = await offer_path(conn, vault, tenant, offered)
        (await anybody.post(f"{path}/accept")).ok()
        assert await status_of(api, offered["booking_id"]) == status
        await cancel(api, {"id": offered["booking_id"]})


# --- resources ---


async def test_a_reservation_waits_and_is_decided_by_whose_it_is(
    api: Api, agent: Api, owner: Browser, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    desk = await room(api, await location(api, "UTC"))
    mine = await reserved(conn, vault, agent.key, desk, soon)
    assert (mine.status, mine.requires_confirmation) == (PENDING, True)
    booking = {"id": encode(Kind.BOOKING, mine.id)}
    assert waits((await agent.get(f"/v1/bookings/{booking['id']}")).ok()["booking"])
    for_a_person(await agent.post(f"/v1/bookings/{booking['id']}/confirm"))
    times = {"starts_at": iso(soon), "ends_at": iso(soon + HOUR)}
    body = {"booking": {"bookable_id": desk["id"], **times}}
    assert (await owner.post("/api/bookings", body)).ok(409)["code"] == "slot_taken"
    assert (await owner.post(f"/api/bookings/{booking['id']}/confirm")).ok()["data"]["status"] == "confirmed"
    moved = await move(agent, booking, soon + HOUR)
    assert waits(moved)
    assert (await owner.post(f"/api/bookings/{moved['id']}/decline")).ok()["data"]["status"] == "cancelled"


async def test_somebodys_reservation_that_it_moves_waits_too(
    api: Api, agent: Api, owner: Browser, conn: db.Connection, soon: datetime
) -> None:
    desk = await room(api, await location(api, "UTC"))
    times = {"starts_at": iso(soon), "ends_at": iso(soon + HOUR)}
    theirs = (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)["data"]
    moved = await move(agent, theirs, soon + HOUR)
    assert waits(moved)
    # nobody answers, and nobody has it in the end
    await take_due_steps(conn, 100_000, soon + HOUR + timedelta(seconds=1))
    assert await status_of(api, moved["id"]) == "CANCELLED"
    free = {"starts_at": iso(soon), "ends_at": iso(soon + 2 * HOUR)}
    (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **free}})).ok(201)


async def test_a_day_and_approval_go_together(api: Api, owner: Browser, soon: datetime) -> None:
    made = await offer(api)
    agent = await with_limits(api, owner, requires_approval=True, bookings_per_day=1)
    assert waits(await booked(agent, made, soon))
    assert (await book(agent, made, soon + HOUR)).ok(403)["code"] == "budget_exceeded"
