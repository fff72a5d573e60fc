"""What an agent does with every tool, whichever client it has: it books with people, and then a desk."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.domain.identity.scopes import TOOLS
from tests.conformance.clients import Called, Client
from tests.offers import iso, offer
from tests.rooms import hours_of, location, room
from tests.support import Api

WEEK = [(day, "00:00", "24:00") for day in ("MO", "TU", "WE", "TH", "FR", "SA", "SU")]


class Story:
    """A client, and which tools it has called so far."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.called: set[str] = set()

    async def ok(self, tool: str, **arguments: Any) -> Any:
        self.called.add(tool)
        called = await self.client.call(tool, **arguments)
        assert not called.is_error, called
        return self._same(called)

    async def refused(self, tool: str, code: str, **arguments: Any) -> Any:
        called = await self.client.call(tool, **arguments)
        assert called.is_error, called
        assert called.structured["code"] == code, called
        return self._same(called)

    def _same(self, called: Called) -> Any:
        """What clients without structured content read is the same."""
        (text,) = called.texts
        assert orjson.loads(text) == called.structured
        return called.structured


def asked(event_type: str, start: str, **changes: Any) -> dict[str, Any]:
    attendee = {"attendee_name": "Zoë Ångström", "attendee_email": "zoe@example.com", "timezone": "Asia/Kathmandu"}
    return {"event_type": event_type, "start_time": start, **attendee, **changes}


async def use_every_tool(api: Api, client: Client) -> None:
    made = await offer(api, title="Intro \U0001f41d", questions=[{"id": "why", "label": "Why?", "type": "text"}])
    tools = await client.tools()
    assert [tool["name"] for tool in tools] == list(TOOLS)
    assert all({"inputSchema", "outputSchema", "annotations", "description"} <= tool.keys() for tool in tools)
    story = Story(client)
    await _with_people(story, made)
    await _with_things(story, api)
    assert story.called == set(TOOLS)


async def _with_people(story: Story, made: Any) -> None:
    (found,) = (await story.ok("list_event_types"))["event_types"]
    assert (found["code"], found["title"]) == (made["code"], "Intro \U0001f41d")
    code = found["code"]
    first_day = (datetime.now(UTC) + timedelta(days=3)).date()
    span = {"event_type": code, "start": first_day.isoformat(), "end": (first_day + timedelta(days=4)).isoformat()}
    page = await story.ok("list_slots", **span, timezone="Asia/Kathmandu")
    more = await story.ok("list_slots", **span, timezone="Asia/Kathmandu", cursor=page["next_cursor"])
    first, second = ([slot["start"] for day in each["slots"].values() for slot in day] for each in (page, more))
    assert not set(first) & set(second)
    answers = [{"question_id": "why", "answer": "because"}]
    shown = await story.ok("create_booking", **asked(code, first[0], answers=answers), dry_run=True)
    assert "id" not in shown["booking"]
    held = await story.ok("create_booking", **asked(code, first[0], answers=answers, hold=True, idempotency_key="h"))
    assert held["booking"]["hold_expires_at"]
    assert held["next"]["arguments"]["finish"] == held["booking"]["id"]
    done = (await story.ok("create_booking", **asked(code, first[0], finish=held["booking"]["id"])))["booking"]
    assert (done["status"], done["id"]) == ("SCHEDULED", held["booking"]["id"])
    assert done["attendee"]["name"] == "Zoë Ångström"
    taken = await story.refused("create_booking", "slot_taken", **asked(code, first[0], answers=answers))
    assert taken["next"]["tool"] == "list_slots"
    assert "slots" in await story.ok("list_slots", **taken["next"]["arguments"])
    wrong = await story.refused("create_booking", "validation_failed", **asked(code, first[1], attendee_email="nobody"))
    assert wrong["errors"][0]["field"] == "attendee_email"
    assert (await story.ok("get_booking", booking=done["code"]))["booking"] == done
    moved = (await story.ok("reschedule_booking", booking=done["id"], start_time=second[0]))["booking"]
    assert moved["rescheduled_from_id"] == done["id"]
    assert [each["id"] for each in (await story.ok("list_bookings", status="RESCHEDULED"))["bookings"]] == [moved["id"]]
    ended = (await story.ok("cancel_booking", booking=moved["id"], reason="Enough."))["booking"]
    assert (ended["status"], ended["cancellation_reason"]) == ("CANCELLED", "Enough.")


async def _with_things(story: Story, api: Api) -> None:
    here = await location(api)
    desk = await room(api, here, name="Desk", kind="desk", attributes={"floor": 3, "tags": ["quiet", None]})
    await hours_of(api, desk["id"], "Europe/Berlin", WEEK)
    (place,) = (await story.ok("list_locations"))["locations"]
    (listed,) = (await story.ok("list_resources", location=place["id"], kind="desk"))["resources"]
    assert (await story.ok("get_resource", resource=listed["name"]))["resource"] == listed
    start = (datetime.now(UTC) + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)
    period = {"starts_at": iso(start), "ends_at": iso(start + timedelta(hours=1))}
    (free,) = (await story.ok("check_availability", **period))["resources"]
    assert free["available"] is True
    wanted = {"resource": listed["id"], **period, "idempotency_key": "desk"}
    booked = await story.ok("book_resource", **wanted)
    assert booked["booking"]["resource_id"] == listed["id"]
    assert await story.ok("book_resource", **wanted) == {"idempotent_replay": True, **booked}
    (gone,) = (await story.ok("check_availability", **period))["resources"]
    assert gone["available"] is False
    taken = await story.refused("book_resource", "slot_taken", resource=listed["id"], **period)
    assert taken["next"]["tool"] == "check_availability"
