"""What tests of the bots' face share: bodies and paths in the words of seed 002."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tests.offers import iso
from tests.support import Answer, Api

PATH = "/api/v1/bookings"


def wanted(link: Any, start: datetime, **changes: Any) -> dict[str, Any]:
    """A change to None leaves the field out."""
    body = {
        "booking_link_id": link["id"],
        "contact_name": "Alice Example",
        "contact_email": "alice@example.com",
        "start_time": iso(start),
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


async def create(api: Api, link: Any, start: datetime, **changes: Any) -> Answer:
    return await api.post(PATH, wanted(link, start, **changes))


async def created(api: Api, link: Any, start: datetime, **changes: Any) -> Any:
    return (await create(api, link, start, **changes)).ok(201)["data"]


async def read(api: Api, booking_id: str) -> Any:
    return (await api.get(f"{PATH}/{booking_id}")).ok()["data"]


async def listed(api: Api, **query: Any) -> list[str]:
    return [each["id"] for each in (await page(api, **query))["data"]]


async def page(api: Api, **query: Any) -> Any:
    return (await api.get(f"{PATH}?{urlencode(query, doseq=True)}")).ok()


async def cancel(api: Api, booking_id: str, body: Any = None) -> Answer:
    return await api.call("PATCH", f"{PATH}/{booking_id}/cancel", body)


async def ask_day(api: Api, day: Any, **query: Any) -> Answer:
    given = {name: json.dumps(value) if isinstance(value, list) else value for name, value in query.items()}
    return await api.get(f"/api/v1/availability?{urlencode({'date': str(day), **given})}")


async def open_on(api: Api, link: Any, day: Any, **query: Any) -> list[str]:
    """The open starts of a day."""
    answer = await ask_day(api, day, booking_link_id=link["id"], **query)
    return [slot["start"] for slot in answer.ok()["data"]["slots"]]
