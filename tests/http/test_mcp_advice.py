"""What helps an agent that was refused: calls that can be made as they stand, and no lies about what takes place."""

from datetime import datetime, timedelta

from app.core import db
from tests.agents import Agent
from tests.http.test_mcp_tools import asked
from tests.offers import booked, iso, offer
from tests.rooms import location, room
from tests.support import Api, Tenant


async def test_the_same_choices_are_kept_in_what_would_help(plain: Agent, api: Api, start: datetime) -> None:
    """And the day is the caller's: what is on offer next is near what was asked for."""
    services = [{"id": "long", "name": "Long", "duration_minutes": 90}]
    event_type = await offer(api, services=services)
    late = start.replace(hour=3)
    await booked(api, event_type, late, service_id="long")
    wanted = asked(event_type, late, service_id="long", timezone="America/Los_Angeles")
    problem = await plain.refused("create_booking", "slot_taken", **wanted)
    assert problem["next"]["arguments"]["service_id"] == "long"
    assert problem["next"]["arguments"]["start"] == (late - timedelta(days=1)).date().isoformat()
    shown = await plain.ok("list_slots", **problem["next"]["arguments"])
    assert shown["duration_minutes"] == 90
    first = next(slot for day in shown["slots"].values() for slot in day)
    await plain.ok("create_booking", **{**wanted, "start_time": first["start"]})
    far = asked(event_type, start, start_time="2199-12-30T10:07:00Z")
    problem = await plain.refused("create_booking", "slot_unavailable", **far)
    await plain.ok("list_slots", **problem["next"]["arguments"])


async def test_a_reservation_that_cannot_be_moved_is_told_what_is_free(plain: Agent, api: Api, start: datetime) -> None:
    desk = await room(api, await location(api))
    later = {"starts_at": iso(start + timedelta(hours=2)), "ends_at": iso(start + timedelta(hours=4))}
    made = await plain.ok("book_resource", resource=desk["id"], starts_at=iso(start), ends_at=later["starts_at"])
    await plain.ok("book_resource", resource=desk["id"], **later)
    where = {"booking": made["booking"]["id"], "start_time": later["starts_at"]}
    problem = await plain.refused("reschedule_booking", "slot_taken", **where)
    assert problem["next"] == {"tool": "check_availability", "arguments": later}
    assert "event_type" not in problem


async def test_what_was_moved_is_not_cancelled_by_its_old_name(agent: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    old = (await agent.ok("create_booking", **asked(event_type, start)))["booking"]
    later = iso(start + timedelta(hours=1))
    new = (await agent.ok("reschedule_booking", booking=old["id"], start_time=later))["booking"]
    problem = await agent.refused("cancel_booking", "invalid_transition", booking=old["code"], reason="Ill")
    assert new["id"] in problem["detail"]
    assert problem["next"] == {"tool": "cancel_booking", "arguments": {"booking": new["id"], "reason": "Ill"}}
    again = {"booking": old["id"], "start_time": iso(start + timedelta(hours=2))}
    problem = await agent.refused("reschedule_booking", "invalid_transition", **again)
    assert problem["next"]["arguments"]["booking"] == new["id"]
    ended = await agent.ok("cancel_booking", booking=new["id"], reason="Ill")
    assert ended["booking"]["status"] == "CANCELLED"


async def test_a_move_whose_answer_was_lost_is_not_made_again(
    agent: Agent, api: Api, conn: db.Connection, tenant: Tenant, start: datetime
) -> None:
    event_type = await offer(api)
    old = (await agent.ok("create_booking", **asked(event_type, start)))["booking"]
    where = {"booking": old["id"], "start_time": iso(start + timedelta(hours=1))}
    moved = await agent.ok("reschedule_booking", **where)
    assert await agent.ok("reschedule_booking", **where) == moved
    rows = await conn.fetch("select type from events where org_id = $1 order by id", tenant.org_id)
    assert [row["type"] for row in rows] == ["booking.created", "booking.rescheduled"]


async def test_what_would_help_a_move_is_as_long_as_the_booking(plain: Agent, api: Api, start: datetime) -> None:
    services = [{"id": "long", "name": "Long", "duration_minutes": 90}]
    event_type = await offer(api, durations=[30, 60], duration_minutes=30, services=services)
    early = start.replace(hour=0)
    for choice, minutes in (({"duration": 60}, 60), ({"service_id": "long"}, 90), ({}, 30)):
        made = (await plain.ok("create_booking", **asked(event_type, early, **choice)))["booking"]
        where = {"booking": made["id"], "start_time": iso(early + timedelta(minutes=7))}
        problem = await plain.refused("reschedule_booking", "slot_unavailable", **where)
        shown = await plain.ok("list_slots", **problem["next"]["arguments"])
        assert shown["duration_minutes"] == minutes
        await plain.ok("cancel_booking", booking=made["id"])


async def test_a_taken_time_is_told_with_a_way_on(agent: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    await booked(api, event_type, start)
    problem = await agent.refused("create_booking", "slot_taken", **asked(event_type, start))
    assert problem["detail"]
    assert problem["next"]["tool"] == "list_slots"
    follow = await agent.ok("list_slots", **problem["next"]["arguments"])
    assert iso(start) not in [slot["start"] for day in follow["slots"].values() for slot in day]
    closed = await agent.refused(
        "create_booking", "slot_unavailable", **asked(event_type, start + timedelta(minutes=7))
    )
    assert [each["start"] for each in closed["alternatives"]]


async def test_a_move_to_a_taken_time_leaves_the_booking(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    made = (await plain.ok("create_booking", **asked(event_type, start)))["booking"]
    await booked(api, event_type, start + timedelta(hours=1))
    where = {"booking": made["id"], "start_time": iso(start + timedelta(hours=1))}
    problem = await plain.refused("reschedule_booking", "slot_taken", **where)
    assert problem["next"]["arguments"]["event_type"] == event_type["code"]
    assert (await plain.ok("get_booking", booking=made["id"]))["booking"] == made
