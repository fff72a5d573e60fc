"""A booking made on one face is the same booking on every other one.

A face that is added takes a way to book and a way to read in the two tables here, and is held against all the others.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from tests.contract.examples import half_hours
from tests.offers import iso
from tests.support import Api, Tenant, booking_body

JANE = {"name": "Jane Smith", "email": "jane@example.com", "timezone": "America/New_York"}

Book = Callable[[Api, Tenant, Any, datetime], Awaitable[Any]]
Read = Callable[[Api, Any], Awaitable[dict[str, Any]]]


def flat(start: datetime) -> dict[str, Any]:
    return {"start_time": iso(start), **{f"attendee_{name}": JANE[name] for name in ("name", "email")}} | {
        "timezone": JANE["timezone"]
    }


async def by_key(api: Api, tenant: Tenant, event_type: Any, start: datetime) -> Any:
    return (await api.post("/v1/bookings", booking_body(event_type["code"], start))).ok(201)["booking"]


async def on_the_page(api: Api, tenant: Tenant, event_type: Any, start: datetime) -> Any:
    path = f"/v1/book/{tenant.username}/{event_type['slug']}"
    return (await api.call("POST", path, flat(start), Authorization="")).ok(201)


async def by_a_link(api: Api, tenant: Tenant, event_type: Any, start: datetime) -> Any:
    link = (await api.post(f"/v1/event-types/{event_type['code']}/links")).ok(201)["link"]
    return (await api.call("POST", f"/v1/book/link/{link['link_code']}", flat(start), Authorization="")).ok(201)


async def held_and_finished(api: Api, tenant: Tenant, event_type: Any, start: datetime) -> Any:
    body = booking_body(event_type["code"], start, hold_seconds=60)
    held = (await api.post("/v1/bookings", body)).ok(201)["booking"]
    return (await api.post(f"/v1/bookings/{held['id']}/finish")).ok()["booking"]


async def by_a_bot(api: Api, tenant: Tenant, event_type: Any, start: datetime) -> Any:
    body = {"slug": event_type["slug"], "start_time": iso(start), "client_timezone": JANE["timezone"]}
    body |= {f"contact_{name}": JANE[name] for name in ("name", "email")}
    made = (await api.post("/api/v1/bookings", body)).ok(201)["data"]
    # with the links, which bots are not given
    return (await api.get(f"/v1/bookings/{made['id']}")).ok()["booking"]


async def one_of_v1(api: Api, made: Any) -> dict[str, Any]:
    return of_v1((await api.get(f"/v1/bookings/{made['id']}")).ok()["booking"])


async def listed_by_v1(api: Api, made: Any) -> dict[str, Any]:
    found = (await api.get("/v1/bookings?attendee_email=jane@example.com")).ok()["bookings"]
    return of_v1(next(each for each in found if each["id"] == made["id"]))


async def told_to_receivers(api: Api, made: Any) -> dict[str, Any]:
    found = (await api.get(f"/v1/events?booking_id={made['id']}&type=booking.created")).ok()["events"]
    assert len(found) == 1
    return of_v1(found[0]["data"]["booking"])


async def by_the_cancel_link(api: Api, made: Any) -> dict[str, Any]:
    path = f"/v1/cancel/{made['cancel_token']}"
    return of_public((await api.call("GET", path, Authorization="", Accept="application/json")).ok())


async def by_the_reschedule_link(api: Api, made: Any) -> dict[str, Any]:
    path = f"/v1/reschedule/{made['reschedule_token']}"
    return of_public((await api.call("GET", path, Authorization="", Accept="application/json")).ok())


async def one_of_bots(api: Api, made: Any) -> dict[str, Any]:
    return of_bots((await api.get(f"/api/v1/bookings/{made['id']}")).ok()["data"])


async def listed_by_bots(api: Api, made: Any) -> dict[str, Any]:
    found = (await api.get("/api/v1/bookings")).ok()["data"]
    return of_bots(next(each for each in found if each["id"] == made["id"]))


def of_bots(booking: Any) -> dict[str, Any]:
    """They are told neither the code nor the hosts' names."""
    return {
        "id": booking["id"],
        "active": booking["status"] == "confirmed",
        "start": booking["start_time"],
        "end": booking["end_time"],
        "who": (booking["contact_name"], booking["contact_email"], booking["client_timezone"]),
    }


def of_v1(booking: Any) -> dict[str, Any]:
    attendee = booking["attendee"]
    return {
        "id": booking["id"],
        "code": booking["code"],
        "active": booking["status"] == "SCHEDULED",
        "start": booking["start_time"],
        "end": booking["end_time"],
        "who": (attendee["name"], attendee["email"], attendee["timezone"]),
        "hosts": booking["hosts"],
    }


def of_public(booking: Any) -> dict[str, Any]:
    return {
        "id": booking["id"],
        "code": booking["code"],
        "active": booking["status"] == "confirmed",
        "start": booking["start_time"],
        "end": booking["end_time"],
        "who": (booking["attendee_name"], booking["attendee_email"], booking["timezone"]),
        "hosts": booking["hosts"],
    }


WAYS_TO_BOOK: list[Book] = [by_key, on_the_page, by_a_link, by_a_bot, held_and_finished]
WAYS_TO_READ: list[Read] = [
    one_of_v1,
    listed_by_v1,
    told_to_receivers,
    by_the_cancel_link,
    by_the_reschedule_link,
    one_of_bots,
    listed_by_bots,
]


@pytest.mark.parametrize("book", WAYS_TO_BOOK)
async def test_booked_on_one_face_and_read_on_all(api: Api, tenant: Tenant, soon: datetime, book: Book) -> None:
    event_type = await half_hours(api)
    made = await book(api, tenant, event_type, soon)
    seen = [await read(api, made) for read in WAYS_TO_READ]
    assert all(each == {name: seen[0][name] for name in each} for each in seen), seen
    assert seen[0]["start"] == iso(soon)
    assert seen[0]["who"] == (JANE["name"], JANE["email"], JANE["timezone"])
    assert seen[0]["active"]
    # and it takes its time from every other face
    again = await api.post("/v1/bookings", booking_body(event_type["code"], soon))
    assert again.ok(409)["code"] == "slot_taken"
    page = f"/v1/book/{tenant.username}/{event_type['slug']}"
    assert (await api.call("POST", page, flat(soon), Authorization="")).ok(409)["code"] == "slot_taken"
    day = f"/api/v1/availability?booking_link_id={event_type['id']}&date={soon.date()}"
    assert iso(soon) not in {slot["start"] for slot in (await api.get(day)).ok()["data"]["slots"]}


@pytest.mark.parametrize("book", WAYS_TO_BOOK)
async def test_ended_on_one_face_and_over_on_all(api: Api, tenant: Tenant, soon: datetime, book: Book) -> None:
    event_type = await half_hours(api)
    made = await book(api, tenant, event_type, soon)
    await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})
    for read in (one_of_v1, listed_by_v1, by_the_cancel_link, by_the_reschedule_link, one_of_bots, listed_by_bots):
        assert not (await read(api, made))["active"]
    await on_the_page(api, tenant, event_type, soon)
