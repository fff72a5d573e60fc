"""`/api/v1/waitlist`: a bot puts its contact in line, and is told what to do where it cannot."""

from datetime import datetime
from typing import Any

from app.core import db
from app.core.settings import Settings
from tests.offers import booked, iso, offer
from tests.support import Api
from tests.waiting import awaited, cancel, tend


async def test_a_bot_puts_its_contact_in_line(
    api: Api, conn: db.Connection, settings: Settings, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    body: dict[str, Any] = {
        "slug": made["slug"],
        "contact_name": "Alice",
        "contact_email": "alice@example.com",
        "start_time": iso(soon),
        "notes": "First-time client",
    }
    entry = (await api.post("/api/v1/waitlist", body)).ok(201)["data"]
    assert (entry["status"], entry["link_title"], entry["booking_link_id"]) == ("waiting", made["title"], made["id"])
    assert {name: entry[name] for name in body} == body
    by_id = {**body, "slug": None, "booking_link_id": made["id"]}
    assert (await api.post("/api/v1/waitlist", by_id)).ok(201)["data"] == entry, "the same place"
    await cancel(api, taken)
    await tend(conn, settings)
    path = f"/api/v1/waitlist/{entry['id']}"
    shown = (await api.get(path)).ok()["data"]
    assert (shown["status"], shown["booking_id"] is not None) == ("offered", True)
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.get(path)).ok()["data"]["status"] == "left"
    assert (await api.call("DELETE", f"/v1/event-types/{made['code']}")).status == 204
    assert (await api.get(path)).ok()["data"]["slug"] == made["slug"], "of an archived link too"


async def test_what_a_bot_is_told(api: Api, soon: datetime) -> None:
    made, closed = await awaited(api), await offer(api)
    body: dict[str, Any] = {"booking_link_id": made["id"], "contact_name": "A", "contact_email": "a@example.com"}
    when = {"start_time": iso(soon)}
    assert (await api.post("/api/v1/waitlist", {**body, **when})).ok(409)["code"] == "conflict"
    await booked(api, made, soon)
    nowhere = {**body, **when, "booking_link_id": "nowhere"}
    problem = (await api.post("/api/v1/waitlist", nowhere)).ok(404)
    assert (problem["code"], made["slug"] in problem["detail"]) == ("booking_link_not_found", True)
    other = {**body, **when, "booking_link_id": closed["id"]}
    assert (await api.post("/api/v1/waitlist", other)).ok(409)["code"] == "waitlist_closed"
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["booking_link_id", "contact_name", "contact_email", "start_time"]),
        (body, ["start_time"]),
        ({**body, **when, "date": str(soon.date())}, ["date"]),
        ({**body, **when, "slug": "x"}, ["slug"]),
        ({**body, **when, "staff_id": "nobody"}, ["staff_id"]),
        ({**body, **when, "surprise": 1}, ["surprise"]),
    ]
    for given, fields in wrong:
        problem = (await api.post("/api/v1/waitlist", given)).ok(400)
        assert [each["field"] for each in problem["errors"]] == fields, problem
