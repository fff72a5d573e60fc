"""Agents retry, guess and try out: none of it books twice, and a dry run leaves nothing behind."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from tests.agents import Agent
from tests.http.test_holds import run_out
from tests.http.test_mcp import key_for
from tests.http.test_mcp_tools import asked
from tests.offers import booked, iso, offer
from tests.rooms import location, room
from tests.support import Api, Tenant


async def rows_of(conn: db.Connection, tenant: Tenant) -> list[int]:
    """How many rows there are of everything that a booking leaves behind."""
    tables = ("bookings", "booking_history", "allocations", "events", "outbox", "idempotency_keys")
    return [await conn.fetchval(f"select count(*) from {table} where org_id = $1", tenant.org_id) for table in tables]  # noqa: S608


async def test_a_retried_booking_is_one_booking(agent: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api, seats=5)
    wanted = asked(event_type, start, idempotency_key="my-1")
    first = await agent.ok("create_booking", **wanted)
    again = await agent.ok("create_booking", **dict(reversed(wanted.items())))
    assert again == {"idempotent_replay": True, **first}
    assert len((await agent.ok("list_bookings"))["bookings"]) == 1
    other = asked(event_type, start, attendee_name="Joe", idempotency_key="my-1")
    problem = await agent.refused("create_booking", "idempotency_key_reused", **other)
    assert "new key" in problem["detail"]


async def test_retries_at_once_are_one_booking(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api, seats=50)
    wanted = asked(event_type, start, idempotency_key="race")
    results = await asyncio.gather(*(plain.call("create_booking", **wanted) for _ in range(20)))
    codes = [each["structuredContent"].get("code") for each in results if each["isError"]]
    assert set(codes) <= {"idempotency_in_progress"}
    done = [each["structuredContent"]["booking"]["id"] for each in results if not each["isError"]]
    assert len(set(done)) == 1
    assert len((await plain.ok("list_bookings"))["bookings"]) == 1


async def test_keys_of_two_agents_never_meet(
    plain: Agent, api: Api, conn: db.Connection, tenant: Tenant, start: datetime
) -> None:
    event_type = await offer(api, seats=5)
    other = Agent(api.client, await key_for(conn, tenant, "mcp"))
    mine = await plain.ok("create_booking", **asked(event_type, start, idempotency_key="1"))
    theirs = await other.ok("create_booking", **asked(event_type, start, attendee_name="Joe", idempotency_key="1"))
    assert mine["booking"]["id"] != theirs["booking"]["id"]
    over_rest = await booked(api, event_type, start)
    assert over_rest["id"] not in {mine["booking"]["id"], theirs["booking"]["id"]}


async def test_a_refusal_uses_no_key_up(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    taken = await booked(api, event_type, start)
    wanted = asked(event_type, start, idempotency_key="once")
    await plain.refused("create_booking", "slot_taken", **wanted)
    (await api.post(f"/v1/bookings/{taken['id']}/cancel")).ok()
    assert "idempotent_replay" not in await plain.ok("create_booking", **wanted)


async def test_moves_cancellations_and_rooms_are_retried_too(agent: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    made = (await agent.ok("create_booking", **asked(event_type, start)))["booking"]
    move = {"booking": made["id"], "start_time": iso(start + timedelta(hours=2)), "idempotency_key": "move"}
    moved = await agent.ok("reschedule_booking", **move)
    assert await agent.ok("reschedule_booking", **move) == {"idempotent_replay": True, **moved}
    end = {"booking": moved["booking"]["id"], "idempotency_key": "end"}
    ended = await agent.ok("cancel_booking", **end)
    assert await agent.ok("cancel_booking", **end) == {"idempotent_replay": True, **ended}
    desk = await room(api, await location(api), units=2)
    period = {"starts_at": iso(start), "ends_at": iso(start + timedelta(hours=2))}
    had = await agent.ok("book_resource", resource=desk["id"], **period, idempotency_key="desk")
    again = await agent.ok("book_resource", resource=desk["id"], **period, idempotency_key="desk")
    assert again == {"idempotent_replay": True, **had}
    problem = await agent.refused(
        "cancel_booking", "idempotency_key_reused", booking=made["id"], idempotency_key="desk"
    )
    assert problem["detail"]


@pytest.mark.parametrize("key", ["", "two words", "ä", "x" * 256])
async def test_a_key_that_is_none_is_told(plain: Agent, api: Api, start: datetime, key: str) -> None:
    event_type = await offer(api)
    problem = await plain.refused(
        "create_booking", "validation_failed", **asked(event_type, start, idempotency_key=key)
    )
    assert [each["field"] for each in problem["errors"]] == ["idempotency_key"]


async def test_a_dry_run_says_what_would_be_and_changes_nothing(
    agent: Agent, api: Api, conn: db.Connection, tenant: Tenant, start: datetime
) -> None:
    event_type = await offer(api)
    made = (await agent.ok("create_booking", **asked(event_type, start)))["booking"]
    desk = await room(api, await location(api))
    period = {"starts_at": iso(start), "ends_at": iso(start + timedelta(hours=2))}
    later = iso(start + timedelta(hours=3))
    before = await rows_of(conn, tenant)
    dry = {"dry_run": True, "idempotency_key": "dry"}
    would = await agent.ok("create_booking", **asked(event_type, start, start_time=later), **dry)
    assert would["dry_run"] is True
    assert not {"id", "code"} & would["booking"].keys(), "nobody could ask for it"
    assert (would["booking"]["status"], would["booking"]["start_time"]) == ("SCHEDULED", later)
    moved = await agent.ok("reschedule_booking", booking=made["id"], start_time=later, **dry)
    assert (moved["booking"]["status"], moved["booking"]["start_time"]) == ("RESCHEDULED", later)
    ended = await agent.ok("cancel_booking", booking=made["id"], **dry)
    assert (ended["dry_run"], ended["booking"]["status"]) == (True, "CANCELLED")
    had = await agent.ok("book_resource", resource=desk["id"], **period, **dry)
    assert had["dry_run"] is True
    await agent.refused("create_booking", "slot_taken", **asked(event_type, start), **dry)
    assert await rows_of(conn, tenant) == before
    assert (await agent.ok("get_booking", booking=made["id"]))["booking"] == made
    real = await agent.ok("create_booking", **asked(event_type, start, start_time=later), idempotency_key="dry")
    assert "idempotent_replay" not in real, "a dry run keeps no key"


async def test_dry_runs_and_bookings_of_one_slot_at_once(plain: Agent, api: Api, start: datetime) -> None:
    """A rehearsal holds the slot for an instant; nobody is turned away for it in the end."""
    event_type = await offer(api)
    wanted = asked(event_type, start)
    results = await asyncio.gather(
        *(plain.call("create_booking", **wanted, dry_run=number != 7) for number in range(16))
    )
    real = results[7]
    assert not real["isError"], real
    assert {each["structuredContent"].get("code") for each in results if each["isError"]} <= {"slot_taken"}
    assert len((await plain.ok("list_bookings"))["bookings"]) == 1


async def test_a_hold_keeps_the_time_while_a_person_is_asked(agent: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    held = await agent.ok("create_booking", **asked(event_type, start), hold=True)
    booking = held["booking"]
    assert booking["status"] == "DRAFT"
    until = datetime.fromisoformat(booking["hold_expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < until <= timedelta(minutes=10)
    await agent.refused("create_booking", "slot_taken", **asked(event_type, start))
    assert held["next"] == {"tool": "create_booking", "arguments": asked(event_type, start, finish=booking["id"])}
    finish = {**held["next"]["arguments"], "attendee_email": "other@example.com", "idempotency_key": "finish"}
    done = await agent.ok("create_booking", **finish)
    assert (done["booking"]["id"], done["booking"]["status"]) == (booking["id"], "SCHEDULED")
    assert done["booking"]["attendee"]["email"] == "other@example.com"
    assert "next" not in done
    assert (await agent.ok("create_booking", **finish))["idempotent_replay"] is True
    again = await agent.ok("create_booking", **{**finish, "idempotency_key": "another"})
    assert again["booking"] == done["booking"], "finishing twice is finishing once"


async def test_a_hold_that_is_given_up_or_over_is_free_again(
    plain: Agent, api: Api, conn: db.Connection, tenant: Tenant, start: datetime
) -> None:
    event_type = await offer(api)
    held = await plain.ok("create_booking", **asked(event_type, start), hold=True)
    await plain.ok("cancel_booking", booking=held["booking"]["id"])
    problem = await plain.refused("create_booking", "invalid_transition", **held["next"]["arguments"])
    assert "Book the slot anew" in problem["detail"]
    assert problem["next"]["tool"] == "list_slots"
    held = await plain.ok("create_booking", **asked(event_type, start), hold=True)
    await run_out(conn, tenant)
    await plain.refused("create_booking", "invalid_transition", **held["next"]["arguments"])
    await plain.ok("create_booking", **asked(event_type, start))


async def test_a_finish_speaks_of_its_own_hold(plain: Agent, api: Api, start: datetime) -> None:
    event_type, other = await offer(api), await offer(api)
    held = (await plain.ok("create_booking", **asked(event_type, start), hold=True))["booking"]["id"]
    for changes, field in (
        ({"event_type": other["code"]}, "event_type"),
        ({"start_time": iso(start + timedelta(hours=1))}, "start_time"),
        ({"hold": True}, "finish"),
    ):
        wanted = {**asked(event_type, start, finish=held), **changes}
        problem = await plain.refused("create_booking", "validation_failed", **wanted)
        assert [each["field"] for each in problem["errors"]] == [field]
    await plain.refused("create_booking", "not_found", **asked(event_type, start, finish="nothing"))
    assert (await plain.ok("get_booking", booking=held))["booking"]["status"] == "DRAFT"


async def test_what_a_hold_brings_is_not_lost(plain: Agent, api: Api, start: datetime) -> None:
    """Whoever follows `next` loses nothing of it, and sees what is still to be asked."""
    questions = [{"id": "topic", "label": "Topic", "type": "text", "required": True}]
    event_type = await offer(api, questions=questions)
    held = await plain.ok("create_booking", **asked(event_type, start, attendee_phone="+49 30 1234", hold=True))
    follow = held["next"]["arguments"]
    assert follow["attendee_phone"] == "+49 30 1234"
    assert follow["answers"] == [{"question_id": "topic", "answer": None}]
    await plain.refused("create_booking", "validation_failed", **follow)
    del follow["attendee_phone"]
    done = await plain.ok("create_booking", **{**follow, "answers": [{"question_id": "topic", "answer": "Price"}]})
    assert done["booking"]["attendee"]["phone"] == "+49 30 1234"
    answered = asked(event_type, start + timedelta(hours=1), answers=[{"question_id": "topic", "answer": "Price"}])
    held = await plain.ok("create_booking", **answered, hold=True)
    assert "answers" not in held["next"]["arguments"]
    done = await plain.ok("create_booking", **held["next"]["arguments"])
    assert done["booking"]["answers"] == [{"question_id": "topic", "answer": "Price"}]


async def test_a_finish_is_told_apart_from_somebody_elses_booking(
    plain: Agent, api: Api, conn: db.Connection, tenant: Tenant, start: datetime
) -> None:
    event_type = await offer(api, durations=[30, 60], duration_minutes=30)
    jane = (await plain.ok("create_booking", **asked(event_type, start)))["booking"]
    narrow = Agent(api.client, await key_for(conn, tenant, "mcp", tools=("create_booking",)))
    evil = asked(event_type, start, attendee_name="Evil", attendee_email="evil@example.com", finish=jane["id"])
    for dry_run in (True, False):
        problem = await narrow.refused("create_booking", "invalid_transition", **evil, dry_run=dry_run)
        assert "jane" not in str(problem).lower()
    held = await plain.ok("create_booking", **asked(event_type, start + timedelta(hours=1)), hold=True)
    longer = {**held["next"]["arguments"], "duration": 60}
    problem = await plain.refused("create_booking", "validation_failed", **longer)
    assert [each["field"] for each in problem["errors"]] == ["duration"]
    await plain.refused("create_booking", "validation_failed", **{**longer, "duration": 30, "service_id": "x"})
    other = (await api.person())["id"]
    await plain.refused("create_booking", "validation_failed", **{**longer, "duration": 30, "host_id": other})
    await plain.ok("create_booking", **{**longer, "duration": 30})


async def test_a_finish_that_is_repeated_after_a_move_books_nothing_anew(
    plain: Agent, api: Api, start: datetime
) -> None:
    event_type = await offer(api)
    held = await plain.ok("create_booking", **asked(event_type, start, attendee_phone="+49 30 1"), hold=True)
    finish = held["next"]["arguments"]
    done = (await plain.ok("create_booking", **finish))["booking"]
    later = iso(start + timedelta(hours=1))
    moved = (await plain.ok("reschedule_booking", booking=done["id"], start_time=later))["booking"]
    problem = await plain.refused("create_booking", "invalid_transition", **finish)
    assert problem["next"] == {"tool": "get_booking", "arguments": {"booking": moved["id"]}}


async def test_a_hold_for_one_person_tells_another_nothing(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    held = await plain.ok("create_booking", **asked(event_type, start, attendee_phone="+49 30 1"), hold=True)
    finish = {**held["next"]["arguments"], "attendee_name": "Bob", "attendee_email": "bob@example.com"}
    del finish["attendee_phone"]
    assert "phone" not in (await plain.ok("create_booking", **finish))["booking"]["attendee"]


async def test_a_cancellation_beside_a_move_never_says_that_nothing_takes_place(
    plain: Agent, api: Api, start: datetime
) -> None:
    event_type = await offer(api)
    for hour in range(0, 12, 2):
        made = (await plain.ok("create_booking", **asked(event_type, start + timedelta(hours=hour))))["booking"]
        where = {"booking": made["id"], "start_time": iso(start + timedelta(hours=hour + 1))}
        moved, ended = await asyncio.gather(
            plain.call("reschedule_booking", **where), plain.call("cancel_booking", booking=made["id"])
        )
        # one of them came first, and the other one hears of it
        assert moved["isError"] is not ended["isError"], (moved, ended)


async def test_a_room_that_was_renamed_is_still_replayed(plain: Agent, api: Api, start: datetime) -> None:
    desk = await room(api, await location(api), name="Blue")
    wanted = {"starts_at": iso(start), "ends_at": iso(start + timedelta(hours=1)), "idempotency_key": "blue"}
    first = await plain.ok("book_resource", resource="blue", **wanted)
    (await api.call("PATCH", f"/v1/resources/{desk['id']}", {"name": "Red"})).ok()
    assert await plain.ok("book_resource", resource="blue", **wanted) == {"idempotent_replay": True, **first}


async def test_a_dry_hold_holds_nothing(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    would = await plain.ok("create_booking", **asked(event_type, start), hold=True, dry_run=True)
    assert would["booking"]["status"] == "DRAFT"
    assert "next" not in would
    await plain.ok("create_booking", **asked(event_type, start))


async def test_what_agents_do_is_told_like_everything_else(
    plain: Agent, api: Api, conn: db.Connection, tenant: Tenant, start: datetime
) -> None:
    """field.md, complaint 16: no path may forget the webhook."""
    event_type = await offer(api)
    made: Any = (await plain.ok("create_booking", **asked(event_type, start)))["booking"]
    later = iso(start + timedelta(hours=1))
    moved = (await plain.ok("reschedule_booking", booking=made["id"], start_time=later))["booking"]
    await plain.ok("cancel_booking", booking=moved["id"])
    rows = await conn.fetch("select type from events where org_id = $1 order by id", tenant.org_id)
    assert [row["type"] for row in rows] == ["booking.created", "booking.rescheduled", "booking.cancelled"]
    history = (await api.get(f"/v1/bookings/{moved['id']}")).ok()["booking"]["history"]
    assert {step["by"] for step in history} == {"api"}
