"""Bodies of `/api` stand under the noun's name; where nothing needs saying, there may be none."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.browsers import Browser
from tests.support import Api

EMPTY: dict[str, Any] = {"no body at all": None, "an empty object": {}, "an empty noun": {"booking": {}}}
WRONG: dict[str, tuple[Any, str, str | None]] = {
    "null": ({"booking": None}, "missing_field", "booking"),
    "a text": ({"booking": "x"}, "missing_field", "booking"),
    "another noun": ({"reason": "ill"}, "validation_failed", "reason"),
    "a second noun": ({"booking": {}, "reason": "ill"}, "validation_failed", "reason"),
    "an unknown field": ({"booking": {"why": "ill"}}, "validation_failed", "booking.why"),
    "a list": ([], "invalid_request", None),
    "nothing of JSON": (b"{", "invalid_request", None),
}


async def booking(api: Api, soon: datetime) -> str:
    await api.event_type(code="nested", booking_window_days=None)
    made = (await api.book("nested", soon + timedelta(hours=9))).ok(201)["booking"]
    return str(made["id"])


@pytest.mark.parametrize("case", EMPTY)
async def test_a_step_needs_no_reason(api: Api, owner: Browser, soon: datetime, case: str) -> None:
    path = f"/api/bookings/{await booking(api, soon)}"
    assert (await owner.call("DELETE", path, EMPTY[case])).ok()["data"]["status"] == "cancelled"


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_said_is_read(api: Api, owner: Browser, soon: datetime, case: str) -> None:
    body, code, field = WRONG[case]
    path = f"/api/bookings/{await booking(api, soon)}"
    refused = (await owner.call("DELETE", path, body)).ok(400)
    assert (refused["code"], [each["field"] for each in refused["errors"]]) == (code, [field] if field else [])
    assert (await owner.get(path)).ok()["data"]["status"] == "confirmed"


async def test_an_empty_object_is_not_enough_where_something_is_needed(owner: Browser) -> None:
    refused = (await owner.post("/api/locations", {})).ok(400)
    assert (refused["code"], refused["errors"][0]["field"]) == ("missing_field", "location")
