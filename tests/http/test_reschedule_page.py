"""The page behind the attendee's reschedule link: a booking, the slots that it can be moved to, and one press."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core import db
from app.core.vault import Vault
from tests.offers import book, iso, offer
from tests.support import Api, make_tenant
from tests.visitors import BROWSER, PROGRAM, Anybody, address, let_it_be_over, status_of, visit_body

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FORM = "application/x-www-form-urlencoded"
CHICAGO = ZoneInfo("America/Chicago")


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


@pytest.fixture
def near() -> datetime:
    """The day after tomorrow, at noon UTC: a day that the page shows."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + 2 * DAY


async def visited(anybody: Anybody, event_type: Any, start: datetime) -> Any:
    booking = (await anybody.post(address(event_type), visit_body(start))).ok(201)
    return {**booking, "path": f"/v1/reschedule/{booking['reschedule_token']}"}


def starts_of(page: str) -> dict[str, str]:
    """What the buttons send, by what they say."""
    found = re.findall(r'<button name="start_time" value="([^"]+)">([^<]+)</button>', page)
    assert len(found) == page.count("<button")
    return dict(found)


async def pressed(anybody: Anybody, path: str, start: str, **more: str) -> Any:
    body = f"start_time={start}".encode()
    return await anybody.call("POST", path, body, Content_Type=FORM, **{**BROWSER, **more})


async def test_it_lists_what_is_open_by_day(api: Api, anybody: Anybody, near: datetime) -> None:
    event_type = await offer(api, title="Talk <1>")
    await book(api, event_type, near + HOUR)
    booking = await visited(anybody, event_type, near)
    answer = await anybody.get(booking["path"], **BROWSER)
    page = answer.raw.decode()
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|https?://|\bsrc=|<link|@import|url\(", page)
    assert re.findall(r'<form method="post" action="([^"]+)">', page) == [booking["path"]]
    assert "Talk &lt;1&gt;" in page
    assert "America/Chicago" in page
    starts = starts_of(page)
    assert iso(near) not in starts, "it is there already"
    assert iso(near + HOUR) not in starts, "somebody else is"
    later = near + 2 * HOUR
    assert starts[iso(later)] == later.astimezone(CHICAGO).strftime("%H:%M")
    first = (datetime.now(CHICAGO) + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    assert min(starts) == iso(first.astimezone(UTC)), "from tomorrow on, as the attendee counts days"
    assert len(re.findall(r"<h2>", page)) == 14
    assert f"<h2>{later.astimezone(CHICAGO):%A}, {later.astimezone(CHICAGO).day} " in page


async def test_a_press_moves_it(api: Api, anybody: Anybody, near: datetime) -> None:
    event_type = await offer(api)
    booking = await visited(anybody, event_type, near)
    starts = starts_of((await anybody.get(booking["path"], **BROWSER)).raw.decode())
    wanted = iso(near + 5 * HOUR)
    assert wanted in starts
    done = await pressed(anybody, booking["path"], wanted.replace(":", "%3A"))
    page = done.raw.decode()
    assert done.status == 200
    assert "confirmed" in page
    assert (near + 5 * HOUR).astimezone(CHICAGO).strftime("%H:%M to") in page
    assert "<form" not in page
    listed = (await api.get("/v1/bookings?status=RESCHEDULED")).ok()["bookings"]
    assert [each["start_time"] for each in listed] == [wanted]
    assert listed[0]["history"][0]["by"] == "attendee"
    for again in [await pressed(anybody, booking["path"], iso(near + 6 * HOUR)),
                  await anybody.get(booking["path"], **BROWSER)]:  # fmt: skip
        assert "<button" not in again.raw.decode()
    assert "was moved" in again.raw.decode()


async def test_a_taken_slot_leads_back(api: Api, anybody: Anybody, near: datetime) -> None:
    event_type = await offer(api)
    booking = await visited(anybody, event_type, near)
    await book(api, event_type, near + HOUR)
    answer = await pressed(anybody, booking["path"], iso(near + HOUR))
    page = answer.raw.decode()
    assert answer.status == 409
    assert "Somebody else got this slot first" in page
    assert f'<a href="{booking["path"]}">' in page
    assert await status_of(api, booking["id"]) == "SCHEDULED"
    closed = await pressed(anybody, booking["path"], iso(near + timedelta(minutes=7)))
    assert (closed.status, f'<a href="{booking["path"]}">' in closed.raw.decode()) == (409, True)


@pytest.mark.parametrize(
    "body", [b"", b"start_time=", b"start_time=tomorrow", b"start_time=2030-01-01T10:00:00", b"start_time=%00",
             b"start_time=%ff", b"\xff", b"start_time=a&start_time=b", b"day=monday", b"&".join([b"a=1"] * 200)]
)  # fmt: skip
async def test_a_form_that_says_nothing_is_refused(api: Api, anybody: Anybody, near: datetime, body: bytes) -> None:
    booking = await visited(anybody, await offer(api), near)
    answer = await anybody.call("POST", booking["path"], body, Content_Type=FORM, **BROWSER)
    assert answer.status == 400, answer.raw
    assert answer.headers["Content-Type"].startswith("text/html")
    assert (await anybody.call("POST", booking["path"], body, Content_Type=FORM)).status == 400
    assert await status_of(api, booking["id"]) == "SCHEDULED"


async def test_a_program_may_send_a_form_and_gets_json(api: Api, anybody: Anybody, near: datetime) -> None:
    booking = await visited(anybody, await offer(api), near)
    answer = await pressed(anybody, booking["path"], iso(near + HOUR), **PROGRAM)
    assert answer.ok()["rescheduled_from_id"] == booking["id"]
    refused = await pressed(anybody, booking["path"], iso(near + HOUR), **PROGRAM)
    assert refused.ok(409)["code"] == "invalid_transition"


async def test_what_the_page_lists_can_be_had(api: Api, anybody: Anybody, near: datetime) -> None:
    """Of a length that is no longer on offer, of one host of several, of an event type that takes no new bookings."""
    event_type = await offer(api, people=2, assignment="round_robin", durations=[60, 90])
    booking = (await anybody.post(address(event_type), visit_body(near, duration=90))).ok(201)
    path = f"/v1/reschedule/{booking['reschedule_token']}"
    change = {"durations": [60], "active": False, "slot_interval_minutes": 45}
    (await api.call("PATCH", f"/v1/event-types/{event_type['code']}", change)).ok()
    starts = sorted(starts_of((await anybody.get(path, **BROWSER)).raw.decode()))
    done = await pressed(anybody, path, starts[-1])
    assert done.status == 200, done.raw
    (moved,) = (await api.get("/v1/bookings?status=RESCHEDULED")).ok()["bookings"]
    assert moved["start_time"] == starts[-1]


async def test_nothing_open_says_so(api: Api, anybody: Anybody, near: datetime) -> None:
    event_type = await offer(api)
    booking = await visited(anybody, event_type, near)
    (await api.call("PATCH", f"/v1/event-types/{event_type['code']}", {"minimum_notice_minutes": 40 * 1440})).ok()
    page = (await anybody.get(booking["path"], **BROWSER)).raw.decode()
    assert "No other time is open" in page
    assert "<button" not in page


async def test_what_cannot_be_moved_has_no_buttons(
    api: Api, anybody: Anybody, near: datetime, conn: db.Connection
) -> None:
    event_type = await offer(api)
    booking = await visited(anybody, event_type, near)
    (await anybody.post(f"/v1/cancel/{booking['cancel_token']}/confirm")).ok()
    page = (await anybody.get(booking["path"], **BROWSER)).raw.decode()
    assert "This booking is cancelled" in page
    assert "<button" not in page
    assert "cannot be changed" in (await pressed(anybody, booking["path"], iso(near + HOUR))).raw.decode()
    await let_it_be_over(conn, booking["id"])
    ended = await anybody.get(booking["path"], **BROWSER)
    assert (ended.status, "has ended" in ended.raw.decode()) == (410, True)


async def test_an_archived_event_type_has_no_slots(api: Api, anybody: Anybody, near: datetime) -> None:
    event_type = await offer(api)
    booking = await visited(anybody, event_type, near)
    assert (await api.call("DELETE", f"/v1/event-types/{event_type['code']}")).status == 204
    answer = await anybody.get(booking["path"], **BROWSER)
    assert answer.status == 200
    assert "<button" not in answer.raw.decode()


async def test_a_link_of_nobody_is_a_page(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, near: datetime
) -> None:
    booking = await visited(anybody, await offer(api), near)
    other = Api(api.client, (await make_tenant(conn, vault)).api_key)
    theirs = await visited(anybody, await offer(other), near)
    mixed = theirs["reschedule_token"][:30] + booking["reschedule_token"][30:]
    for token in ["x", booking["cancel_token"], mixed]:
        path = f"/v1/reschedule/{token}"
        for answer in [await anybody.get(path, **BROWSER), await pressed(anybody, path, iso(near + HOUR))]:
            assert (answer.status, "does not work" in answer.raw.decode()) == (404, True)


async def test_programs_see_what_they_saw(api: Api, anybody: Anybody, near: datetime) -> None:
    booking = await visited(anybody, await offer(api), near)
    for headers in [{}, PROGRAM, {"Accept": "*/*"}]:
        assert (await anybody.get(booking["path"], **headers)).ok()["id"] == booking["id"]
    moved = await anybody.post(booking["path"], {"start_time": iso(near + HOUR)}, **PROGRAM)
    assert moved.ok()["start_time"] == iso(near + HOUR)
    assert moved.json["reschedule_token"] is not None
