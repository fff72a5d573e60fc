"""The tools of `/mcp`, as an agent uses them: reading, booking, moving, cancelling, and being told what was wrong."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.domain.identity.budgets import Budget
from tests.agents import Agent
from tests.http.test_mcp import key_for
from tests.offers import iso, offer
from tests.rooms import location, room
from tests.support import Api, Tenant, make_tenant, unique_name

BERLIN = ZoneInfo("Europe/Berlin")
NOTHING = {"event_type": "no", "start": "2027-01-01"}


def asked(event_type: Any, start: datetime, **changes: Any) -> dict[str, Any]:
    return {
        "event_type": event_type["code"],
        "start_time": iso(start),
        "attendee_name": "Jane Smith",
        "attendee_email": "jane@example.com",
        "timezone": "Europe/Berlin",
        **changes,
    }


async def test_an_agent_books_moves_and_cancels(agent: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api, title="Intro")
    (found,) = (await agent.ok("list_event_types"))["event_types"]
    assert (found["code"], found["title"], found["duration_minutes"]) == (event_type["code"], "Intro", 60)
    day = start.date().isoformat()
    shown = await agent.ok("list_slots", event_type=found["code"], start=day, end=day, timezone="Europe/Berlin")
    first = shown["slots"][day][0]
    made = (await agent.ok("create_booking", **asked(event_type, start, start_time=first["start"])))["booking"]
    wall = datetime.fromisoformat(first["start"]).astimezone(BERLIN)
    assert first["local"] == f"{wall:%a %H:%M}"
    assert (made["status"], made["local"]) == ("SCHEDULED", f"{wall:%a %Y-%m-%d %H:%M}")
    assert made["attendee"] == {"name": "Jane Smith", "email": "jane@example.com"}
    assert not {"cancel_token", "reschedule_token", "history", "metadata"} & made.keys(), (
        "links that act are for people"
    )
    over_rest = (await api.get(f"/v1/bookings/{made['id']}")).ok()["booking"]
    assert (over_rest["code"], over_rest["start_time"]) == (made["code"], made["start_time"])
    later = shown["slots"][day][5]["start"]
    moved = (await agent.ok("reschedule_booking", booking=made["code"], start_time=later))["booking"]
    assert (moved["status"], moved["start_time"], moved["rescheduled_from_id"]) == ("RESCHEDULED", later, made["id"])
    (listed,) = (await agent.ok("list_bookings", status="RESCHEDULED"))["bookings"]
    assert listed == moved == (await agent.ok("get_booking", booking=moved["id"]))["booking"]
    ended = (await agent.ok("cancel_booking", booking=moved["id"], reason="Ill"))["booking"]
    assert (ended["status"], ended["cancellation_reason"]) == ("CANCELLED", "Ill")
    again = (await agent.ok("cancel_booking", booking=moved["id"], reason="Ill"))["booking"]
    assert again == ended, "a second one changes nothing"


async def test_slots_are_local_times_by_day(plain: Agent, api: Api) -> None:
    """Over the end of summer time, with its hour that comes twice."""
    event_type = await offer(api, minimum_notice_minutes=0)
    year = datetime.now(UTC).year + 1
    sunday = max(datetime(year, 10, day, tzinfo=UTC) for day in range(25, 32) if datetime(year, 10, day).weekday() == 6)  # noqa: DTZ001
    day = sunday.date().isoformat()
    shown = await plain.ok("list_slots", event_type=event_type["id"], start=day, end=day, timezone="Europe/Berlin")
    slots = shown["slots"][day]
    assert len(slots) == 25
    for slot in slots:
        wall = datetime.fromisoformat(slot["start"]).astimezone(BERLIN)
        assert slot == {"start": slot["start"], "local": f"Sun {wall:%H:%M}"}
    assert [slot["local"][-5:] for slot in slots[1:5]] == ["01:00", "02:00", "02:00", "03:00"]
    assert shown["timezone"] == "Europe/Berlin"


async def test_slots_come_fifty_at_a_time(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    first, last = start.date(), (start + timedelta(days=5)).date()
    about: dict[str, Any] = {"event_type": event_type["code"], "start": first.isoformat(), "end": last.isoformat()}
    seen: list[str] = []
    sizes: list[int] = []
    while True:
        page = await plain.ok("list_slots", **about)
        slots = [slot["start"] for day in page["slots"].values() for slot in day]
        seen, sizes = seen + slots, [*sizes, len(slots)]
        if "next_cursor" not in page:
            break
        about["cursor"] = page["next_cursor"]
    assert sizes == [50, 50, 44]
    assert seen == sorted(set(seen))
    assert len(seen) == 6 * 24
    await plain.refused("list_slots", "validation_failed", **{**about, "cursor": "from:x"})
    await plain.refused("list_slots", "validation_failed", **{**about, "cursor": event_type["id"]})


async def test_an_empty_range_names_what_is_open_near(plain: Agent, api: Api, start: datetime) -> None:
    weekly = [{"day": "WE", "start": "09:00", "end": "11:00"}]
    body = {"name": "Wednesdays", "timezone": "Europe/Berlin", "weekly": weekly}
    schedule = (await api.post("/v1/schedules", body)).ok(201)["schedule"]
    event_type = await offer(api, schedule_id=schedule["id"])
    thursday = start.date() + timedelta(days=(3 - start.weekday()) % 7)
    day = thursday.isoformat()
    shown = await plain.ok("list_slots", event_type=event_type["code"], start=day, end=day)
    assert shown["slots"] == {}
    assert shown["timezone"] == "Europe/Berlin", "the schedule's own"
    assert len(shown["nearest"]) == 3
    assert all(slot["local"].startswith("Wed ") for slot in shown["nearest"])


async def test_names_of_hosts_answer_when_is_priya_free(plain: Agent, api: Api) -> None:
    priya = await api.person(name="Priya")
    await offer(
        api, hosts=[{"user_id": priya["id"]}], title="With Priya", questions=[{"label": "Topic", "type": "text"}]
    )
    await offer(api, title="Not any more", active=False)
    (found,) = (await plain.ok("list_event_types"))["event_types"]
    assert found["hosts"] == [{"user_id": priya["id"], "name": "Priya"}]
    assert found["questions"] == [{"id": "q_1", "label": "Topic", "type": "text", "required": False}]


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "follow"),
    [
        ("get_booking", {"booking": "nothing"}, "not_found", "list_bookings"),
        ("get_booking", {"booking": "bkg_01h2xcejqtf2nbrexx3vqjhp41"}, "not_found", "list_bookings"),
        ("get_booking", {"booking": "évt"}, "not_found", "list_bookings"),
        ("get_booking", {}, "missing_field", None),
        ("get_booking", {"booking": 5}, "validation_failed", None),
        ("get_booking", {"booking": "x", "id": "y"}, "validation_failed", None),
        ("cancel_booking", {"booking": "nothing"}, "not_found", "list_bookings"),
        ("list_slots", {**NOTHING, "end": "2027-01-02"}, "event_type_not_found", "list_event_types"),
        ("list_slots", {"event_type": "no", "start": "tomorrow", "end": "2027-01-02"}, "validation_failed", None),
        ("list_slots", {"event_type": "no", "start": "2027-01-01", "end": "2027-12-01"}, "validation_failed", None),
        ("list_bookings", {"limit": 101}, "validation_failed", None),
        ("list_bookings", {"status": "confirmed"}, "validation_failed", None),
        ("list_bookings", {"cursor": "bkg_01h2xcejqtf2nbrexx3vqjhp41"}, "validation_failed", None),
        ("list_resources", {"location": "Nowhere"}, "validation_failed", "list_locations"),
        ("list_resources", {"location": "loc_01h2xcejqtf2nbrexx3vqjhp41"}, "validation_failed", "list_locations"),
        ("get_resource", {"resource": "Nothing"}, "validation_failed", "list_resources"),
        ("get_resource", {"resource": "res_01h2xcejqtf2nbrexx3vqjhp41"}, "not_found", "list_resources"),
    ],
)  # fmt: skip
async def test_whoever_errs_is_told_what_to_do(
    plain: Agent, tool: str, arguments: dict[str, Any], code: str, follow: str | None
) -> None:
    problem = await plain.refused(tool, code, **arguments)
    assert problem.get("next") == (follow and {"tool": follow, "arguments": {}})
    assert "request_id" not in problem


async def test_null_is_what_was_left_out(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    names = "attendee_phone notes answers guests duration service_id host_id hold finish idempotency_key dry_run"
    await plain.ok("create_booking", **asked(event_type, start), **dict.fromkeys(names.split()))
    await plain.ok("list_bookings", **dict.fromkeys("status start_date end_date attendee_email limit cursor".split()))
    day = start.date().isoformat()
    about = {"event_type": event_type["code"], "start": day, "end": day}
    names = "timezone duration service_id host_id answers cursor"
    await plain.ok("list_slots", **about, **dict.fromkeys(names.split()))
    problem = await plain.refused("create_booking", "missing_field", **asked(event_type, start, attendee_name=None))
    assert [each["field"] for each in problem["errors"]] == ["attendee_name"]
    await plain.refused("get_booking", "validation_failed", booking="x", nothing=None)


async def test_numbers_without_end_are_numbers(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api, questions=[{"id": "n", "label": "How many", "type": "number"}])
    wanted = asked(event_type, start, answers=[{"question_id": "n", "answer": 10**30}], idempotency_key="thirty")
    params = plain.params({"name": "create_booking", "arguments": wanted})
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    told = await plain.post(json.dumps(message).encode(), plain.routing("tools/call", params))
    assert told.result["structuredContent"]["booking"]["answers"] == [{"question_id": "n", "answer": 1e30}]


async def test_a_thousand_mistakes_are_not_a_thousand_lines(plain: Agent) -> None:
    result = await plain.call("list_event_types", **{f"wrong_{number}": 1 for number in range(1000)})
    assert "(and 999 more)" in result["structuredContent"]["detail"]
    assert len(orjson.dumps(result)) < 4000


async def test_a_page_of_event_types_is_full(plain: Agent, api: Api) -> None:
    titles = []
    for number in range(56):
        title = f"Number {number}"
        await offer(api, title=title, active=number % 9 != 0)
        titles += [title] * (number % 9 != 0)
    first = await plain.ok("list_event_types")
    assert len(first["event_types"]) == 49
    assert [each["title"] for each in first["event_types"]] == titles
    assert "next_cursor" not in first


async def test_errors_name_the_tools_own_arguments(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api, questions=[{"id": "topic", "label": "Topic", "type": "text", "required": True}])
    problem = await plain.refused("create_booking", "validation_failed", **asked(event_type, start))
    assert [each["field"] for each in problem["errors"]] == ["answers.topic"]
    assert problem["next"]["tool"] == "list_event_types"
    wrong = asked(event_type, start, attendee_email="nobody", timezone="Mars", start_time="2027-01-01T10:00:00")
    problem = await plain.refused("create_booking", "validation_failed", **wrong)
    assert {each["field"] for each in problem["errors"]} == {"attendee_email", "timezone", "start_time"}
    missing = await plain.refused("create_booking", "missing_field", event_type=event_type["code"])
    wanted = {"start_time", "attendee_name", "attendee_email", "timezone"}
    assert {each["field"] for each in missing["errors"]} == wanted


async def test_what_a_booking_brings_comes_through(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(
        api,
        durations=[30, 60],
        duration_minutes=30,
        questions=[{"id": "topic", "label": "Topic", "type": "text"}],
        location={"kind": "link", "value": "https://meet.example/1"},
    )
    brought = {
        "duration": 60,
        "notes": "Second floor",
        "answers": [{"question_id": "topic", "answer": "Price"}],
        "guests": [{"email": "guest@example.com"}],
        "attendee_phone": "+49 30 1234",
    }
    made = (await plain.ok("create_booking", **asked(event_type, start, **brought)))["booking"]
    assert made["end_time"] == iso(start + timedelta(hours=1))
    assert made["notes"] == "Second floor"
    assert made["answers"] == [{"question_id": "topic", "answer": "Price"}]
    assert made["guests"] == [{"email": "guest@example.com"}]
    assert made["attendee"]["phone"] == "+49 30 1234"
    assert made["location"] == {"kind": "link", "value": "https://meet.example/1"}
    assert len(made["hosts"]) == 1


async def test_lists_of_bookings_are_narrowed_and_paged(plain: Agent, api: Api, start: datetime) -> None:
    event_type = await offer(api)
    made = [
        (await plain.ok("create_booking", **asked(event_type, start + timedelta(hours=number))))["booking"]["id"]
        for number in range(5)
    ]
    page = await plain.ok("list_bookings", limit=2)
    found = [each["id"] for each in page["bookings"]]
    while "next_cursor" in page:
        page = await plain.ok("list_bookings", limit=2, cursor=page["next_cursor"])
        found += [each["id"] for each in page["bookings"]]
    assert found == made
    narrowed = await plain.ok(
        "list_bookings", start_date=iso(start + timedelta(hours=1)), end_date=iso(start + timedelta(hours=3))
    )
    assert [each["id"] for each in narrowed["bookings"]] == made[1:3]
    assert (await plain.ok("list_bookings", attendee_email="else@example.com"))["bookings"] == []
    day = (start + timedelta(days=1)).date().isoformat()
    assert (await plain.ok("list_bookings", start_date=day))["bookings"] == []


async def test_rooms_are_found_and_reserved(agent: Agent, api: Api, start: datetime) -> None:
    place = await location(api)
    big = await room(api, place, name="Aquarium", capacity=8, attributes={"screen": True})
    desk = await room(api, place, name="Desk 4", kind="desk", units=2)
    (found,) = (await agent.ok("list_locations"))["locations"]
    assert (found["id"], found["timezone"]) == (place, "Europe/Berlin")
    rooms = (await agent.ok("list_resources", location="here", min_capacity=2))["resources"]
    assert [each["id"] for each in rooms] == [big["id"]]
    assert rooms[0] == (await agent.ok("get_resource", resource="aquarium"))["resource"]
    period = {"starts_at": iso(start), "ends_at": iso(start + timedelta(hours=2))}
    made = (await agent.ok("book_resource", resource=desk["id"], **period, notes="By the window"))["booking"]
    assert (made["status"], made["resource_id"], made["notes"]) == ("SCHEDULED", desk["id"], "By the window")
    free = (await agent.ok("check_availability", kind="desk", **period))["resources"]
    assert [(each["id"], each["units_free"], each["available"]) for each in free] == [(desk["id"], 1, True)]
    await agent.ok("book_resource", resource="Desk 4", **period)
    problem = await agent.refused("book_resource", "slot_taken", resource="Desk 4", **period)
    assert problem["next"] == {"tool": "check_availability", "arguments": period}
    (free,) = (await agent.ok("check_availability", kind="desk", **period))["resources"]
    assert (free["units_free"], free["available"]) == (0, False)
    backwards = {"starts_at": period["ends_at"], "ends_at": period["starts_at"]}
    await agent.refused("check_availability", "validation_failed", **backwards)
    await agent.refused("book_resource", "validation_failed", resource=desk["id"], **backwards)
    await room(api, place, name="Desk 4", kind="desk")
    problem = await agent.refused("get_resource", "validation_failed", resource="Desk 4")
    assert "several" in problem["detail"]


async def test_nothing_of_another_organization_is_there(
    plain: Agent, api: Api, conn: db.Connection, vault: Any, start: datetime
) -> None:
    event_type = await offer(api)
    made = (await plain.ok("create_booking", **asked(event_type, start)))["booking"]
    place = await location(api)
    desk = await room(api, place)
    stranger = Agent(api.client, (await make_tenant(conn, vault)).api_key)
    assert (await stranger.ok("list_event_types"))["event_types"] == []
    assert (await stranger.ok("list_bookings"))["bookings"] == []
    for handle in (made["id"], made["code"]):
        await stranger.refused("get_booking", "not_found", booking=handle)
        await stranger.refused("cancel_booking", "not_found", booking=handle)
        await stranger.refused("reschedule_booking", "not_found", booking=handle, start_time=iso(start))
    await stranger.refused("create_booking", "event_type_not_found", **asked(event_type, start))
    await stranger.refused("get_resource", "not_found", resource=desk["id"])
    await stranger.refused("list_resources", "validation_failed", location=place)


async def test_budgets_narrow_what_is_seen(plain: Agent, api: Api, conn: db.Connection, tenant: Tenant) -> None:
    mine, other = await offer(api, title=unique_name()), await offer(api)
    mine_id = decode(Kind.EVENT_TYPE, mine["id"])
    assert mine_id is not None
    bound = Agent(api.client, await key_for(conn, tenant, "mcp", budget=Budget(event_type_ids=(mine_id,))))
    assert [each["id"] for each in (await bound.ok("list_event_types"))["event_types"]] == [mine["id"]]
    day = datetime.now(UTC).date().isoformat()
    await bound.ok("list_slots", event_type=mine["code"], start=day, end=day)
    await bound.refused("list_slots", "event_type_not_found", event_type=other["code"], start=day, end=day)
    assert len((await plain.ok("list_event_types"))["event_types"]) == 2
