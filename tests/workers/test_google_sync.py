"""What we read from Google: everything, then what has changed, and what of it takes its owner's time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.domain.calendars import http
from app.domain.calendars.http import Http
from app.domain.calendars.provider import Block, CalendarGone, Hook, Refused, TokenExpired, TryLater
from tests.workers.googling import HOST, HOUR, NINE, START, WINDOW, Trial, a_mark, drafted, trying

DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
ME = {"email": HOST, "self": True}


@pytest.fixture
async def trial() -> AsyncIterator[Trial]:
    async with trying() as made:
        yield made


def fill(trial: Trial, count: int) -> None:
    for number in range(count):
        trial.fake.add_event(HOST, NINE + number * timedelta(minutes=20), NINE + (number + 1) * timedelta(minutes=20))


@pytest.mark.parametrize(("limit", "pages"), [(2500, 2), (250, 5), (1000, 2), (999, 2)])
async def test_every_page_is_read(trial: Trial, limit: int, pages: int) -> None:
    fill(trial, 1100)
    trial.fake.page_limit = limit
    found, token = await trial.synced()
    assert len(found) == 1100
    assert len(trial.fake.calls_of("^GET")) == pages
    assert {call.query["maxResults"] for call in trial.fake.calls} == {"1000"}
    trial.fake.page_limit = 2
    ids = list(found)
    changed = [trial.fake.edit(HOST, ids[place], summary="Other")["id"] for place in (0, 500, 9)]
    assert sorted(await trial.changed(token)) == sorted(changed)


async def test_more_than_a_page_can_hold(trial: Trial) -> None:
    fill(trial, 1100)
    pages = await trial.pages()
    assert [len(page.events) for page in pages] == [1000, 100]


async def test_only_what_is_read_is_asked_for(trial: Trial) -> None:
    guests = [{"email": f"guest{place}@example.com", "displayName": "G" * 100} for place in range(200)]
    me = {**ME, "responseStatus": "tentative"}
    long = {"description": "d" * 8000, "attendees": [*guests, me], "colorId": "4"}
    other = trial.fake.add_event(HOST, NINE, NINE + HOUR, **long, recurrence=["RRULE:FREQ=DAILY;COUNT=2"])
    trial.fake.conference_reads = 0
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted(conference=True))
    trial.fake.edit(HOST, written.remote_id, **long, transparency="opaque")
    found, token = await trial.synced()
    assert len(found) == 3
    trial.fake.edit(HOST, written.remote_id, summary="Other")
    # a listing tells as much as reading the event alone
    told = (await trial.changed(token))[written.remote_id]
    assert told == await trial.provider.get(HOST, written.remote_id, WINDOW)
    assert (told.mark, told.blocks[0].tentative, told.meeting_url) == (mark, True, written.meeting_url)
    assert told.meeting_url is not None
    assert not {each.mark for each in found.values() if each.remote_id.startswith(other["id"])} - {None}
    for call in trial.fake.calls_of("^GET .*events$"):
        asked = call.query["fields"]
        assert not [name for name in ("description", "email", "summary", "*") if name in asked]
        async with aiohttp.ClientSession() as session:
            headers = {"Authorization": f"Bearer {trial.token}"}
            where = f"{trial.base_url}/calendar/v3/calendars/{HOST}/events"
            async with session.get(where, params={**call.query}, headers=headers) as response:
                body = await response.read()
        assert len(body) < 5000, "of 40,000 that there are"


async def test_what_happens_between_two_pages_is_not_lost(trial: Trial) -> None:
    fill(trial, 6)
    trial.fake.page_limit = 4
    pages = trial.provider.full_sync(HOST, WINDOW)
    first = await anext(pages)
    trial.fake.edit(HOST, first.events[0].remote_id, summary="Other")
    trial.fake.remove(HOST, first.events[1].remote_id)
    last = await anext(pages)
    assert (len(first.events), len(last.events), first.token) == (4, 2, None)
    changed = await trial.changed(last.token or "")
    assert {each.remote_id: each.deleted for each in changed.values()} == {
        first.events[0].remote_id: False,
        first.events[1].remote_id: True,
    }


async def test_an_increment_tells_of_deletions_and_no_more(trial: Trial) -> None:
    fill(trial, 3)
    found, token = await trial.synced()
    assert await trial.changed(token) == {}
    gone = next(iter(found))
    trial.fake.remove(HOST, gone)
    (event,) = (await trial.changed(token)).values()
    assert (event.remote_id, event.deleted, event.starts_at, event.blocks) == (gone, True, None, ())
    (call,) = [call for call in trial.fake.calls_of("^GET") if "syncToken" in call.query][-1:]
    assert not {"timeMin", "timeMax", "showDeleted"} & set(call.query)
    assert gone not in (await trial.synced())[0]


async def test_a_token_that_is_too_old(trial: Trial) -> None:
    fill(trial, 1)
    _, token = await trial.synced()
    trial.fake.expire_sync_tokens()
    with pytest.raises(TokenExpired):
        await trial.changed(token)
    assert len((await trial.synced())[0]) == 1


async def test_a_page_that_fails_is_no_end(trial: Trial) -> None:
    fill(trial, 6)
    trial.fake.page_limit = 4
    for status, error in ((503, TryLater), (404, CalendarGone), (410, TryLater), (400, Refused)):
        pages = trial.provider.full_sync(HOST, WINDOW)
        await anext(pages)
        trial.fake.fail_next("^GET", status)
        with pytest.raises(error):
            await anext(pages)
    kind = {"kind": "calendar#events"}
    unread = {"id": "abcde", "status": "confirmed"}
    for body in ({}, kind, {**kind, "items": []}, {**kind, "items": [unread], "nextSyncToken": "a"}):
        trial.fake.fail_next("^GET", 200, body=body)
        with pytest.raises(TryLater, match="unreadable"):
            await trial.pages()
    with pytest.raises(CalendarGone):
        await anext(trial.provider.full_sync("nobody", WINDOW))
    with pytest.raises(CalendarGone):
        await anext(trial.provider.changes("nobody", "a", WINDOW))


async def test_what_takes_time_and_what_does_not(trial: Trial) -> None:
    def add(**fields: object) -> str:
        return str(trial.fake.add_event(HOST, NINE, NINE + HOUR, **fields)["id"])

    def invited(answer: str) -> list[dict[str, object]]:
        return [{"email": "boss@example.com", "responseStatus": "accepted"}, {**ME, "responseStatus": answer}]

    busy = Block(NINE, NINE + HOUR)
    expected = {
        add(): (busy,),
        add(transparency="opaque", attendees=invited("accepted")): (busy,),
        add(attendees=invited("needsAction")): (busy,),
        add(attendees=invited("tentative")): (replace(busy, tentative=True),),
        add(status="tentative"): (replace(busy, tentative=True),),
        add(attendees=invited("declined")): (),
        add(attendees=[{"email": "boss@example.com", "responseStatus": "declined"}]): (busy,),
        add(transparency="transparent"): (),
        trial.fake.add_event(HOST, NINE, NINE)["id"]: (),
    }
    found, _ = await trial.synced()
    assert {each.remote_id: each.blocks for each in found.values()} == expected


async def test_whole_days_are_days_of_the_calendar(trial: Trial) -> None:
    trial.fake.add_event(HOST, date(2026, 6, 10), date(2026, 6, 13))
    event = await trial.only()
    assert event.all_day
    assert event.blocks == (
        Block(
            datetime(2026, 6, 10, tzinfo=BERLIN).astimezone(UTC), datetime(2026, 6, 13, tzinfo=BERLIN).astimezone(UTC)
        ),
    )
    assert event.starts_at == datetime(2026, 6, 9, 22, tzinfo=UTC)


async def test_only_what_lies_in_the_window_is_read(trial: Trial) -> None:
    trial.fake.add_event(HOST, START - HOUR, START)
    trial.fake.add_event(HOST, WINDOW.ends_at, WINDOW.ends_at + HOUR)
    half_in = trial.fake.add_event(HOST, START - HOUR, START + HOUR)
    assert (await trial.only()).remote_id == half_in["id"]


async def test_occurrences_come_one_by_one(trial: Trial) -> None:
    start = datetime(2026, 6, 10, 9, tzinfo=BERLIN)
    series = trial.fake.add_event(HOST, start, start + HOUR, recurrence=["RRULE:FREQ=WEEKLY;COUNT=5"])["id"]
    second, third = f"{series}_20260617T070000Z", f"{series}_20260624T070000Z"
    trial.fake.remove(HOST, second)
    trial.fake.edit(HOST, third, start=start + 15 * DAY, end=start + 15 * DAY + 2 * HOUR)
    found, token = await trial.synced()
    assert len(found) == 4
    assert second not in found
    moved = (start + 15 * DAY).astimezone(UTC)
    assert found[third].blocks == (Block(moved, moved + 2 * HOUR),)
    assert {each.mark for each in found.values()} == {None}
    whole = await trial.provider.get(HOST, series, WINDOW)
    assert (whole.starts_at, whole.deleted, whole.blocks) == (None, False, ())

    fourth = f"{series}_20260701T070000Z"
    trial.fake.remove(HOST, fourth)
    changed = await trial.changed(token)
    assert changed[fourth].deleted
    assert not any(each.deleted for each in changed.values() if each.remote_id != fourth)
    trial.fake.remove(HOST, series)
    changed = await trial.changed(token)
    assert all(each.deleted for each in changed.values())
    assert set(found) <= set(changed)


async def test_days_that_recur_keep_their_last_day(trial: Trial) -> None:
    trial.fake.add_event(HOST, date(2026, 6, 5), date(2026, 6, 8), recurrence=["RRULE:FREQ=MONTHLY;COUNT=2"])
    found, _ = await trial.synced()
    lengths = {each.starts_at: each.blocks[0].ends_at - each.blocks[0].starts_at for each in found.values()}
    assert lengths == {
        datetime(2026, 6, 4, 22, tzinfo=UTC): 3 * DAY,
        datetime(2026, 7, 4, 22, tzinfo=UTC): 3 * DAY,
    }


async def test_our_own_event_is_seen_to_move(trial: Trial) -> None:
    mark = a_mark()
    _, token = await trial.synced()
    written = await trial.provider.create(HOST, mark, drafted())
    echo = (await trial.changed(token))[written.remote_id]
    assert (echo.mark, echo.etag) == (mark, written.etag)
    trial.fake.edit(HOST, written.remote_id, start=NINE + DAY, end=NINE + DAY + HOUR)
    event = (await trial.changed(token))[written.remote_id]
    assert (event.mark, event.starts_at, event.ends_at) == (mark, NINE + DAY, NINE + DAY + HOUR)
    assert event.changed_at is not None
    assert echo.changed_at is not None
    assert event.changed_at >= echo.changed_at


async def test_pushes_come_until_they_are_stopped(trial: Trial) -> None:
    got: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        got.append({name: value for name, value in request.headers.items() if name.startswith("X-Goog-")})
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    async with TestServer(app, host="127.0.0.1") as server:
        hook = Hook(uuid4(), str(server.make_url("/hook")), "", "the secret")
        until = datetime.now(UTC).replace(microsecond=0) + 3 * DAY
        channel = await trial.provider.watch(HOST, hook, until)
        assert (channel.id, channel.expires_at) == (str(hook.id), until)
        await trial.fake.settled()
        fill(trial, 2)
        await trial.fake.settled()
        assert [each["X-Goog-Resource-State"] for each in got] == ["sync", "exists", "exists"]
        assert sorted(each["X-Goog-Message-Number"] for each in got) == ["1", "2", "3"]
        assert {each["X-Goog-Channel-Token"] for each in got} == {"the secret"}
        assert {each["X-Goog-Resource-ID"] for each in got} == {channel.resource}
        await trial.provider.unwatch(channel)
        fill(trial, 1)
        await trial.fake.settled()
        assert len(got) == 3
        with pytest.raises(Refused, match="bad_request"):
            await trial.provider.watch(HOST, replace(hook, url="http://example.com"), until)
        with pytest.raises(CalendarGone):
            await trial.provider.watch("nobody", hook, until)
        holidays = "de.german#holiday@group.v.calendar.google.com"
        trial.fake.add_calendar(HOST, holidays, role="reader")
        with pytest.raises(Refused, match="push_unsupported"):
            await trial.provider.watch(holidays, hook, until)


async def test_an_answer_that_does_not_come(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_TIMEOUT", aiohttp.ClientTimeout(total=0.1))
    trial.fake.latency = 0.3
    with pytest.raises(TryLater, match="timeout"):
        await trial.provider.list_calendars()
    monkeypatch.setattr(http, "_READ_BYTES", 100)
    trial.fake.latency = 0.0
    with pytest.raises(Refused, match="answer_too_large"):
        await trial.provider.list_calendars()
    await asyncio.sleep(0.3)


async def test_nobody_else_gets_the_token(trial: Trial) -> None:
    async with aiohttp.ClientSession() as session:
        calls = Http(session, trial.access, trial.base_url)
        for address in ("http://127.0.0.1:1/", trial.base_url.replace("127.0.0.1", "localhost"), "//x", "nonsense", ""):
            with pytest.raises(Refused, match="foreign_address"):
                await calls.call("GET", address)
    assert trial.asked == []


async def test_a_calendar_that_shows_no_events_any_more_is_not_an_empty_one(trial: Trial) -> None:
    _, token = await trial.synced()
    trial.fake.calendars[HOST].role = "freeBusyReader"
    for pages in (trial.provider.full_sync(HOST, WINDOW), trial.provider.changes(HOST, token, WINDOW)):
        with pytest.raises(CalendarGone, match="not_readable"):
            await anext(aiter(pages))
