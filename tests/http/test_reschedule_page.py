"""The page behind the attendee's reschedule link: a booking, the slots that it can be moved to, and one press."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
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


def days_of(starts: Iterable[str]) -> set[date]:
    return {datetime.fromisoformat(start).astimezone(CHICAGO).date() for start in starts}


def today() -> date:
    return datetime.now(CHICAGO).date()


def next_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + HOUR


def ways_of(page: str) -> dict[str, str]:
    """Where the links of the page lead, by what they say; those at its end are those at its beginning."""
    found = re.findall(r'<a href="([^"]+)">(Earlier|Later)</a>', page)
    ways = {text: path for path, text in found}
    assert len(found) == 2 * len(ways)
    return ways


async def page_of(anybody: Anybody, path: str) -> str:
    answer = await anybody.get(path, **BROWSER)
    assert answer.status == 200, answer.raw
    return answer.raw.decode()


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
    assert min(starts) == iso(next_hour()), "from now on"
    assert len(days_of(starts)) == len(re.findall(r"<h2>", page)), "as the attendee counts days"
    assert max(days_of(starts)) == today() + 13 * DAY
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


async def test_it_can_be_moved_to_later_today(api: Api, anybody: Anybody) -> None:
    event_type = await offer(api)
    booking = await visited(anybody, event_type, next_hour())
    starts = starts_of(await page_of(anybody, booking["path"]))
    assert min(starts) == iso(next_hour() + HOUR)
    assert (await pressed(anybody, booking["path"], min(starts))).status == 200


async def test_what_is_far_ahead_can_be_moved_by_a_day(api: Api, anybody: Anybody, near: datetime) -> None:
    """The page begins three days before the booking, and goes both ways."""
    event_type = await offer(api)
    start = near + 40 * DAY
    booking = await visited(anybody, event_type, start)
    page = await page_of(anybody, booking["path"])
    starts, there = starts_of(page), start.astimezone(CHICAGO).date()
    assert {iso(start - DAY), iso(start + DAY)} <= {*starts}
    assert (min(days_of(starts)), max(days_of(starts))) == (there - 3 * DAY, there + 10 * DAY)
    later = starts_of(await page_of(anybody, ways_of(page)["Later"]))
    assert min(days_of(later)) == there + 11 * DAY
    seen = [starts]
    while "Earlier" in ways_of(page):
        page = await page_of(anybody, ways_of(page)["Earlier"])
        seen.append(starts_of(page))
    assert min(seen[-1]) == iso(next_hour()), "and not before today"
    days = [day for each in seen for day in days_of(each)]
    # an hour before midnight today has no start left
    first = next_hour().astimezone(CHICAGO).date()
    assert {*days} == {first + number * DAY for number in range((max(days) - first).days + 1)}, "no day is left out"
    assert (await pressed(anybody, booking["path"], iso(start - DAY))).status == 200


@pytest.mark.parametrize(("ahead", "begins"), [(13, 0), (14, 11), (16, 13)])
async def test_two_weeks_from_today_as_long_as_it_is_in_them(
    api: Api, anybody: Anybody, ahead: int, begins: int
) -> None:
    noon = datetime.now(CHICAGO).replace(hour=12, minute=0, second=0, microsecond=0) + ahead * DAY
    booking = await visited(anybody, await offer(api), noon.astimezone(UTC))
    starts = starts_of(await page_of(anybody, booking["path"]))
    # in the last hour of a day nothing of it is left
    assert min(days_of(starts)) == (today() + begins * DAY if begins else next_hour().astimezone(CHICAGO).date())
    assert max(days_of(starts)) == today() + (begins + 13) * DAY


async def test_it_goes_as_far_as_the_booking_window(api: Api, anybody: Anybody, near: datetime) -> None:
    booking = await visited(anybody, await offer(api, booking_window_days=20), near)
    first = await page_of(anybody, booking["path"])
    second = await page_of(anybody, ways_of(first)["Later"])
    assert "Earlier" not in ways_of(first)
    assert "Later" not in ways_of(second)
    assert max(starts_of(second)) == iso(next_hour() + 20 * DAY - HOUR)
    back = await page_of(anybody, ways_of(second)["Earlier"])
    assert starts_of(back) == starts_of(first)
    for far in ["2190-01-01", "9999-12-31"]:
        beyond = await page_of(anybody, f"{booking['path']}?from={far}")
        assert "No other time is open" in beyond
        assert "Later" not in ways_of(beyond)
        assert iso(next_hour() + 20 * DAY - HOUR) in starts_of(await page_of(anybody, ways_of(beyond)["Earlier"]))


async def test_the_end_of_time_is_no_error(api: Api, anybody: Anybody, near: datetime) -> None:
    booking = await visited(anybody, await offer(api), near)
    page = await page_of(anybody, f"{booking['path']}?from=9999-12-31")
    assert ways_of(page).keys() == {"Earlier"}


async def test_a_day_that_is_over_is_today(api: Api, anybody: Anybody, near: datetime) -> None:
    booking = await visited(anybody, await offer(api), near)
    for past in ["0001-01-01", "1999-01-01", str(today() - DAY), str(today())]:
        page = await page_of(anybody, f"{booking['path']}?from={past}")
        assert min(starts_of(page)) == iso(next_hour())
        assert "Earlier" not in ways_of(page)
    tomorrow = await page_of(anybody, f"{booking['path']}?from={today() + DAY}&utm_source=mail")
    assert min(days_of(starts_of(tomorrow))) == today() + DAY
    assert ways_of(tomorrow)["Earlier"] == f"{booking['path']}?from={today()}"


@pytest.mark.parametrize(
    "day", ["", "x", "2030-02-30", "20300101", "2030-01-01T10:00:00Z", "2030-01-01&from=2030-01-02"]
)
async def test_what_is_no_day_is_refused(api: Api, anybody: Anybody, near: datetime, day: str) -> None:
    booking = await visited(anybody, await offer(api), near)
    path = f"{booking['path']}?from={day}"
    page = await anybody.get(path, **BROWSER)
    assert (page.status, page.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert [error["field"] for error in (await anybody.get(path)).ok(400)["errors"]] == ["from"]


async def test_many_short_slots_take_more_pages_and_lose_none(api: Api, anybody: Anybody, near: datetime) -> None:
    event_type = await offer(api, duration_minutes=15, booking_window_days=8)
    booking = await visited(anybody, event_type, near)
    page, seen = await page_of(anybody, booking["path"]), list[str]()
    while True:
        assert 0 < len(starts_of(page)) <= 500
        seen += starts_of(page)
        if "Later" not in ways_of(page):
            break
        page = await page_of(anybody, ways_of(page)["Later"])
    first, last = datetime.fromisoformat(seen[0]), datetime.fromisoformat(seen[-1])
    quarter = timedelta(minutes=15)
    wanted = [iso(first + number * quarter) for number in range((last - first) // quarter + 1)]
    assert seen == [start for start in wanted if start != iso(near)]
    assert last - first > 7.9 * DAY
