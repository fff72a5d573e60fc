"""What tests of the engine share: event types around the clock, what is listed of them, and bookings."""

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.support import Answer, Api, booking_body


async def offer(api: Api, people: int = 1, **fields: Any) -> Any:
    """An event type of an hour, open around the clock in UTC, without a booking window; its hosts beside the caller
    are made for it."""
    schedule = (await api.always_open())["id"] if "schedule_id" not in fields else fields["schedule_id"]
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    others = [(await api.person())["id"] for _ in range(people - 1)]
    given = {
        "duration_minutes": 60,
        "booking_window_days": None,
        "schedule_id": schedule,
        "hosts": [{"user_id": each} for each in (me, *others)],
    }
    return await api.event_type(**given | fields)


async def book(api: Api, event_type: Any, start: datetime, **changes: Any) -> Answer:
    return await api.post("/v1/bookings", booking_body(event_type["code"], start, **changes))


async def booked(api: Api, event_type: Any, start: datetime, **changes: Any) -> Any:
    return (await book(api, event_type, start, **changes)).ok(201)["booking"]


async def refused(api: Api, event_type: Any, start: datetime, code: str, **changes: Any) -> Any:
    problem = (await book(api, event_type, start, **changes)).ok(409)
    assert problem["code"] == code, problem
    return problem


async def ask(api: Api, event_type: Any, start: datetime, hours: float, **query: Any) -> Any:
    """The answer of /v1/slots for some hours from `start`, in UTC."""
    end = start + timedelta(hours=hours)
    values = {"event_type": event_type["code"], "start": start.isoformat(), "end": end.isoformat(), "timezone": "UTC"}
    given = {name: json.dumps(value) if isinstance(value, list) else value for name, value in query.items()}
    return (await api.get(f"/v1/slots?{urlencode(values | given)}")).ok()


def slots_of(answer: Any) -> list[Any]:
    return [slot for day in answer["slots"].values() for slot in day]


def refused_of(answer: Any) -> dict[str, list[Any]]:
    """Reasons by start."""
    return {slot["start"]: slot["reasons"] for day in answer["refused"].values() for slot in day}


async def listed(api: Api, event_type: Any, start: datetime, hours: float, **query: Any) -> list[str]:
    """The listed starts as `HH:MM`."""
    return [slot["start"][11:16] for slot in slots_of(await ask(api, event_type, start, hours, **query))]


def iso(start: datetime) -> str:
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")
