"""Holds: a slot kept as DRAFT, finished in time or free again."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.domain.bookings.due import take_due_steps
from tests.offers import ask, book, booked, iso, listed, offer, refused, refused_of, slots_of
from tests.support import Api

HOUR = timedelta(hours=1)
JANE = {"name": "Jane", "email": "jane@example.com", "timezone": "Europe/Berlin"}


async def hold(api: Api, event_type: Any, start: datetime, **more: Any) -> Any:
    body = {"event_type": event_type["code"], "requested_time": start.isoformat(), "hold_seconds": 60, **more}
    return (await api.post("/v1/bookings", body)).ok(201)["booking"]


async def run_out(conn: db.Connection, tenant: Any) -> None:
    """Let every hold of this organization have ended a second ago."""
    await conn.execute(
        "update bookings set hold_expires_at = now() - interval '1 second' where org_id = $1 and status = 'DRAFT'",
        tenant.org_id,
    )
    await conn.execute(
        "update allocations set expires_at = now() - interval '1 second' where org_id = $1 and expires_at is not null",
        tenant.org_id,
    )


async def events(conn: db.Connection, tenant: Any) -> list[str]:
    rows = await conn.fetch("select type from events where org_id = $1 order by id", tenant.org_id)
    return [row["type"] for row in rows]


async def test_a_hold_keeps_its_slot_and_is_finished(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    made = await offer(api)
    draft = await hold(api, made, soon)
    assert (draft["status"], draft["attendee"], draft["history"]) == ("DRAFT", None, [])
    assert draft["hold_expires_at"] is not None
    await refused(api, made, soon, "slot_taken")
    assert await listed(api, made, soon, 2) == ["01:00"]
    assert await events(conn, tenant) == []
    path = f"/v1/bookings/{draft['id']}/finish"
    assert (await api.post(path)).ok(400)["errors"][0]["field"] == "attendee"
    done = (await api.post(path, {"attendee": JANE, "notes": "Hi"})).ok()["booking"]
    assert (done["status"], done["attendee"]["email"], done["timezone"]) == (
        "SCHEDULED",
        "jane@example.com",
        "Europe/Berlin",
    )
    assert (done["notes"], done["hold_expires_at"]) == ("Hi", None)
    assert [(step["from"], step["to"]) for step in done["history"]] == [("DRAFT", "SCHEDULED")]
    assert (await api.get(f"/v1/bookings/{draft['id']}")).ok()["booking"] == {**done, "calendar_events": []}
    assert (await api.post(path, {"attendee": JANE})).ok()["booking"] == done, "a repeat changes nothing"
    assert await events(conn, tenant) == ["booking.created"]
    await run_out(conn, tenant)
    await refused(api, made, soon, "slot_taken")


async def test_what_a_hold_brought_need_not_come_again(api: Api, soon: datetime) -> None:
    made = await offer(api, requires_confirmation=True)
    draft = await hold(api, made, soon, attendee=JANE, metadata={"a": 1})
    done = (await api.post(f"/v1/bookings/{draft['id']}/finish")).ok()["booking"]
    assert (done["status"], done["metadata"]) == ("PENDING_CONFIRMATION", {"a": 1})


async def test_a_hold_that_is_over_keeps_nothing(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, buffer_after_minutes=30, max_bookings={"day": 1})
    draft = await hold(api, made, soon)
    await run_out(conn, tenant)
    problem = (await api.post(f"/v1/bookings/{draft['id']}/finish", {"attendee": JANE})).ok(409)
    assert problem["code"] == "invalid_transition"
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"max_bookings": {"day": None}})).ok()
    assert (await listed(api, made, soon, 2))[0] == "00:00"
    await booked(api, made, soon + HOUR)
    await booked(api, made, soon - HOUR - HOUR)
    shown = (await api.get(f"/v1/bookings/{draft['id']}")).ok()["booking"]
    assert (shown["status"], shown["cancellation"]["reason"]) == ("CANCELLED", "hold_expired")
    assert [step["to"] for step in shown["history"]] == ["CANCELLED"]
    assert await events(conn, tenant) == ["booking.created"] * 2


@pytest.mark.parametrize("fields", [{}, {"seats": 2}, {"assignment": "collective"}, {"max_bookings": {"day": 9}}])
async def test_whoever_asks_for_the_slot_gets_it_at_once(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime, fields: Any
) -> None:
    made = await offer(api, people=2 if "assignment" in fields else 1, **fields)
    for _ in range(fields.get("seats", 1)):
        await hold(api, made, soon)
    await refused(api, made, soon, "slot_taken")
    await run_out(conn, tenant)
    assert (await listed(api, made, soon, 1)) == ["00:00"]
    await booked(api, made, soon)
    statuses = await conn.fetch("select status from bookings where org_id = $1 order by created_at", tenant.org_id)
    assert [row["status"] for row in statuses][-1] == "SCHEDULED"
    assert {row["status"] for row in statuses[:-1]} == {"CANCELLED"}


async def test_the_worker_ends_holds(api: Api, conn: db.Connection, tenant: Any, soon: datetime, now: datetime) -> None:
    made = await offer(api, seats=2)
    draft, other = await hold(api, made, soon), await hold(api, made, soon)
    await booked(api, made, soon + HOUR)
    await take_due_steps(conn, 100, datetime.fromisoformat(draft["hold_expires_at"]) - HOUR)
    assert (await api.get(f"/v1/bookings/{draft['id']}")).ok()["booking"]["status"] == "DRAFT"
    await run_out(conn, tenant)
    late = datetime.fromisoformat(draft["hold_expires_at"])
    assert await take_due_steps(conn, 100, late) >= 2
    for each in (draft, other):
        assert (await api.get(f"/v1/bookings/{each['id']}")).ok()["booking"]["status"] == "CANCELLED"
    held = "select count(*) from allocations where org_id = $1"
    assert await conn.fetchval(held, tenant.org_id) == 1
    assert await take_due_steps(conn, 100, late) == 0


async def test_a_held_seat_beside_a_firm_one(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, seats=2)
    await booked(api, made, soon)
    await hold(api, made, soon)
    await refused(api, made, soon, "slot_taken")
    await run_out(conn, tenant)
    (slot,) = slots_of(await ask(api, made, soon, 1))
    assert slot["seats_left"] == 1
    await booked(api, made, soon)
    await refused(api, made, soon, "slot_taken")


async def test_a_firm_seat_keeps_a_session_that_a_hold_began(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    made, other = await offer(api, seats=2), await offer(api)
    await hold(api, made, soon)
    await booked(api, made, soon)
    await run_out(conn, tenant)
    await refused(api, other, soon, "slot_taken")
    assert slots_of(await ask(api, made, soon, 1))[0]["seats_left"] == 1


async def test_a_session_of_holds_that_are_over_is_free_for_everybody(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    """Also where a firm seat was beside them once, and for overlapping starts of other event types."""
    made, other = await offer(api, seats=3), await offer(api, slot_interval_minutes=30)
    await hold(api, made, soon)
    firm = await booked(api, made, soon)
    (await api.post(f"/v1/bookings/{firm['id']}/cancel")).ok()
    await refused(api, other, soon + HOUR / 2, "slot_taken")
    await run_out(conn, tenant)
    assert (await listed(api, other, soon, 1)) == ["00:00", "00:30"]
    await booked(api, other, soon + HOUR / 2)
    assert await conn.fetchval("select taken from sittings where org_id = $1", tenant.org_id) == 0
    assert refused_of(await ask(api, made, soon, 1, explain="true")).keys() == {iso(soon)}


async def test_a_cancelled_hold_is_told_to_nobody(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api)
    draft = await hold(api, made, soon)
    assert (await api.post(f"/v1/bookings/{draft['id']}/cancel")).ok()["booking"]["status"] == "CANCELLED"
    assert await events(conn, tenant) == []
    await booked(api, made, soon)


async def test_answers_may_come_with_the_finish(api: Api, soon: datetime) -> None:
    people = [(await api.person())["id"] for _ in range(2)]
    rules = [
        {"question_id": "q", "operator": "equals", "value": "no", "action": "reject"},
        {"question_id": "q", "operator": "equals", "value": "b", "action": "assign", "host_ids": people[1:]},
    ]
    made = await offer(
        api,
        assignment="round_robin",
        hosts=[{"user_id": each} for each in people],
        questions=[{"id": "q", "label": "Q", "type": "text", "required": True}],
        routing_rules=rules,
    )
    draft = await hold(api, made, soon, attendee=JANE)
    assert draft["assigned_to_id"] == people[0]
    path = f"/v1/bookings/{draft['id']}/finish"
    assert (await api.post(path)).ok(400)["errors"][0]["field"] == "answers.q"
    for answer, status in [("no", 403), ("b", 409), ("a", 200)]:
        given = {"answers": [{"question_id": "q", "answer": answer}]}
        assert (await api.post(path, given)).status == status
    early = await hold(api, made, soon, answers=[{"question_id": "q", "answer": "b"}])
    assert early["assigned_to_id"] == people[1]


@pytest.mark.parametrize("seconds", [0, -1, 901, "60", 1.5])
async def test_a_hold_lasts_a_second_to_a_quarter_of_an_hour(api: Api, soon: datetime, seconds: Any) -> None:
    made = await offer(api)
    assert (await book(api, made, soon, hold_seconds=seconds)).ok(400)["errors"][0]["field"] == "hold_seconds"
