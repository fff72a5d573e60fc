"""What we write into Google: each booking once, whatever is lost on the way, and never over somebody's edits."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from app.domain.calendars import google
from app.domain.calendars.google_events import event_id
from app.domain.calendars.provider import (
    AccessLost,
    CalendarGone,
    Channel,
    EventGone,
    Refused,
    TryLater,
)
from tests.fakes.between import Between
from tests.workers.googling import HOST, HOUR, NINE, WINDOW, Trial, a_mark, drafted, trying


@pytest.fixture
async def trial(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Trial]:
    monkeypatch.setattr(google, "_CONFERENCE_PAUSES", (0.01, 0.01, 0.01))
    async with trying() as made:
        yield made


async def test_a_booking_becomes_an_event_that_invites_nobody(trial: Trial) -> None:
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted())
    event = trial.there(written.remote_id)
    assert (written.starts_at, written.ends_at, written.meeting_url) == (NINE, NINE + HOUR, None)
    assert written.etag == event["etag"]
    assert written.remote_id == event_id(mark)
    assert event["start"] == {"dateTime": "2026-06-10T11:00:00+02:00", "timeZone": "Europe/Berlin"}
    assert event["extendedProperties"] == {"private": {"slotwire": mark.hex}}
    assert (event["summary"], event["location"], event["reminders"]) == (
        "Intro with Ada",
        "Room 1",
        {"useDefault": True},
    )
    assert "attendees" not in event
    (call,) = trial.fake.calls_of("^POST")
    assert call.query == {"sendUpdates": "none"}
    own = await trial.provider.get(HOST, written.remote_id, WINDOW)
    assert (own.mark, own.deleted, own.starts_at) == (mark, False, NINE)


async def test_a_lost_answer_makes_no_second_event(trial: Trial) -> None:
    mark = a_mark()
    trial.fake.drop_next("^POST")
    with pytest.raises(TryLater, match="unreachable"):
        await trial.provider.create(HOST, mark, drafted())
    later = drafted(NINE + HOUR, summary="Intro with Ada, moved")
    written = await trial.provider.create(HOST, mark, later)
    assert written.starts_at == NINE + HOUR
    assert [each["summary"] for each in trial.fake.calendars[HOST].events.values()] == ["Intro with Ada, moved"]
    assert await trial.provider.create(HOST, mark, later) == replace(
        written, etag=trial.there(written.remote_id)["etag"]
    )


async def test_what_changes_while_it_is_taken_up_is_not_overwritten(trial: Trial) -> None:
    mark = a_mark()
    await trial.provider.create(HOST, mark, drafted())
    between = Between(trial.base_url)
    await between.start()
    between.before.append(("PATCH", lambda: trial.fake.edit(HOST, event_id(mark), start=NINE - HOUR)))
    async with aiohttp.ClientSession() as session:
        provider = google.Google(session, trial.access, between.url)
        with pytest.raises(TryLater, match="changed_meanwhile"):
            await provider.create(HOST, mark, drafted(summary="Later"))
        assert trial.there(event_id(mark))["summary"] == "Intro with Ada"
        assert (await provider.create(HOST, mark, drafted(summary="Later"))).remote_id == event_id(mark)
    await between.stop()
    assert trial.there(event_id(mark))["summary"] == "Later"


async def test_what_was_deleted_is_not_made_again(trial: Trial) -> None:
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted())
    trial.fake.remove(HOST, written.remote_id)
    with pytest.raises(EventGone):
        await trial.provider.create(HOST, mark, drafted())
    with pytest.raises(EventGone):
        await trial.provider.update(HOST, written.remote_id, drafted(), frozenset({"summary"}))
    assert (await trial.provider.get(HOST, written.remote_id, WINDOW)).deleted
    await trial.provider.delete(HOST, written.remote_id)
    trial.fake.calendars[HOST].purge(written.remote_id)
    for call in (
        trial.provider.get(HOST, written.remote_id, WINDOW),
        trial.provider.update(HOST, written.remote_id, drafted(), frozenset({"starts_at"})),
        trial.provider.update(HOST, written.remote_id, drafted(), frozenset({"attendees"})),
    ):
        with pytest.raises(EventGone):
            await call
    await trial.provider.delete(HOST, written.remote_id)


@pytest.mark.parametrize("change", [{"deleted": True}, {"role": "none"}, {"role": "freeBusyReader"}])
async def test_a_calendar_that_is_not_ours_to_read_says_nothing_of_its_events(
    trial: Trial, change: dict[str, Any]
) -> None:
    trial.fake.add_calendar(HOST, "team@group.calendar.google.com")
    team = trial.fake.calendars["team@group.calendar.google.com"]
    written = await trial.provider.create(team.id, a_mark(), drafted())
    for name, value in change.items():
        setattr(team, name, value)
    for call in (
        trial.provider.get(team.id, written.remote_id, WINDOW),
        trial.provider.update(team.id, written.remote_id, drafted(), frozenset({"attendees"})),
    ):
        with pytest.raises(CalendarGone):
            await call
    if team.role == "freeBusyReader":
        return
    with pytest.raises(CalendarGone):
        await trial.provider.create(team.id, a_mark(), drafted())
    with pytest.raises(CalendarGone):
        await trial.provider.update(team.id, written.remote_id, drafted(), frozenset({"summary"}))
    with pytest.raises(CalendarGone):
        await trial.provider.delete(team.id, written.remote_id)
    with pytest.raises(CalendarGone):
        await trial.provider.list_own(team.id, WINDOW)


async def test_a_calendar_that_may_only_be_read_refuses(trial: Trial) -> None:
    trial.fake.calendars[HOST].role = "reader"
    with pytest.raises(Refused, match="forbidden"):
        await trial.provider.create(HOST, a_mark(), drafted())
    with pytest.raises(CalendarGone, match="not_ours_to_read"):
        await trial.provider.get(HOST, event_id(a_mark()), WINDOW)


async def test_an_update_leaves_alone_what_was_edited_there(trial: Trial) -> None:
    written = await trial.provider.create(HOST, a_mark(), drafted())
    trial.fake.edit(HOST, written.remote_id, summary="Bring cake", colorId="4")
    later = drafted(NINE + 2 * HOUR, location="Room 2")
    moved = await trial.provider.update(HOST, written.remote_id, later, frozenset({"starts_at", "location"}))
    event = trial.there(written.remote_id)
    assert (moved.starts_at, moved.ends_at, moved.etag) == (NINE + 2 * HOUR, NINE + 3 * HOUR, event["etag"])
    assert (event["summary"], event["location"], event["colorId"]) == ("Bring cake", "Room 2", "4")
    (call,) = trial.fake.calls_of("^PATCH")
    assert set(call.body) == {"start", "end", "location"}
    assert call.query == {"sendUpdates": "none"}


async def test_other_attendees_change_nothing_there(trial: Trial) -> None:
    written = await trial.provider.create(HOST, a_mark(), drafted())
    assert await trial.provider.update(HOST, written.remote_id, drafted(), frozenset({"attendees"})) == written
    assert trial.fake.calls_of("^PATCH") == []


async def test_an_event_that_was_made_one_of_whole_days_gets_its_time_back(trial: Trial) -> None:
    written = await trial.provider.create(HOST, a_mark(), drafted())
    trial.fake.edit(HOST, written.remote_id, start=date(2026, 6, 10), end=date(2026, 6, 12))
    told = await trial.provider.update(HOST, written.remote_id, drafted(), frozenset({"summary"}))
    assert told.starts_at == datetime(2026, 6, 9, 22, tzinfo=UTC)
    back = await trial.provider.update(HOST, written.remote_id, drafted(), frozenset({"ends_at"}))
    assert (back.starts_at, back.ends_at) == (NINE, NINE + HOUR)


@pytest.mark.parametrize("reads", [0, 1, 2])
async def test_a_conference_link_is_waited_for(trial: Trial, reads: int) -> None:
    trial.fake.conference_reads = reads
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted(conference=True))
    assert written.meeting_url == trial.there(written.remote_id)["hangoutLink"]
    (call,) = trial.fake.calls_of("^POST")
    assert call.query["conferenceDataVersion"] == "1"
    again = await trial.provider.create(HOST, mark, drafted(conference=True))
    assert again.meeting_url == written.meeting_url
    assert (await trial.provider.get(HOST, written.remote_id, WINDOW)).meeting_url == written.meeting_url


async def test_a_booking_without_its_conference_is_better_than_none(trial: Trial) -> None:
    trial.fake.conference_reads = None
    failed = await trial.provider.create(HOST, a_mark(), drafted(conference=True))
    assert failed.meeting_url is None
    trial.fake.conference_reads = 99
    slow = await trial.provider.create(HOST, a_mark(), drafted(conference=True))
    assert slow.meeting_url is None
    trial.fake.conference_reads = 1
    trial.fake.fail_next("^GET", 503, times=9)
    away = await trial.provider.create(HOST, a_mark(), drafted(conference=True))
    assert away.meeting_url is None
    trial.fake.calendars[HOST].meets = False
    without = await trial.provider.create(HOST, a_mark(), drafted(conference=True))
    assert without.meeting_url is None
    assert len(trial.fake.calendars[HOST].events) == 4


async def test_an_event_is_found_where_its_owner_has_moved_it(trial: Trial) -> None:
    trial.fake.add_calendar(HOST, "a/odd #1@group.calendar.google.com", hidden=True)
    trial.fake.add_calendar(HOST, "read@group.calendar.google.com", role="reader")
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted())
    trial.fake.move_to_calendar(HOST, written.remote_id, "a/odd #1@group.calendar.google.com")
    assert (await trial.provider.get(HOST, written.remote_id, WINDOW)).deleted
    found = await trial.provider.find_elsewhere(HOST, written.remote_id, mark, WINDOW)
    assert found == "a/odd #1@group.calendar.google.com"
    assert (await trial.provider.get(found, written.remote_id, WINDOW)).mark == mark
    assert await trial.provider.find_elsewhere(HOST, written.remote_id, a_mark(), WINDOW) is None
    trial.fake.remove(found, written.remote_id)
    assert await trial.provider.find_elsewhere(HOST, written.remote_id, mark, WINDOW) is None


async def test_what_cannot_be_asked_is_not_nowhere(trial: Trial) -> None:
    trial.fake.add_calendar(HOST, "other@group.calendar.google.com")
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted())
    trial.fake.move_to_calendar(HOST, written.remote_id, "other@group.calendar.google.com")
    trial.fake.fail_next("GET .*other@", 500)
    with pytest.raises(TryLater, match="http_500"):
        await trial.provider.find_elsewhere(HOST, written.remote_id, mark, WINDOW)
    for pattern in ("GET .*calendarList", "GET .*other@"):
        trial.fake.fail_next(pattern, 200, body={})
        with pytest.raises(TryLater, match="unreadable"):
            await trial.provider.find_elsewhere(HOST, written.remote_id, mark, WINDOW)


async def test_a_copy_of_our_event_is_not_ours(trial: Trial) -> None:
    mark = a_mark()
    written = await trial.provider.create(HOST, mark, drafted())
    properties = {"extendedProperties": {"private": {"slotwire": mark.hex}}}
    trial.fake.add_event(HOST, NINE, NINE + HOUR, **properties)
    trial.fake.add_event(HOST, NINE, NINE + HOUR, extendedProperties={"private": {"slotwire": "nonsense"}})
    (own,) = await trial.provider.list_own(HOST, WINDOW)
    assert (own.remote_id, own.mark) == (written.remote_id, mark)
    assert len((await trial.synced())[0]) == 3


async def test_refusals_and_faults(trial: Trial) -> None:
    for status, headers, seconds in (
        (429, {"Retry-After": "11"}, 11),
        (503, {}, None),
        (500, {"Date": "Mon, 01 Jun 2026 10:00:00 GMT", "Retry-After": "Mon, 01 Jun 2026 10:00:30 GMT"}, 30),
    ):
        trial.fake.fail_next("^POST", status, headers=headers, body={"error": "secret"})
        with pytest.raises(TryLater) as caught:
            await trial.provider.create(HOST, a_mark(), drafted())
        assert caught.value.seconds == seconds
        assert "secret" not in str(caught.value)
    for status, code in ((400, "bad_request"), (302, "http_302"), (403, "forbidden")):
        trial.fake.fail_next("^POST", status, headers={"Location": "http://127.0.0.1:1/"})
        with pytest.raises(Refused, match=code):
            await trial.provider.create(HOST, a_mark(), drafted())
    bodies: list[Any] = [["not", "an", "object"], {}, None, {"items": []}]
    for empty in bodies:
        trial.fake.fail_next("^GET", 200, body=empty)
        with pytest.raises(TryLater, match="unreadable"):
            await trial.provider.list_calendars()
    trial.fake.fail_next("^POST", 200, body={"kind": "calendar#event"})
    with pytest.raises(TryLater, match="unreadable"):
        await trial.provider.create(HOST, a_mark(), drafted())
    backwards = drafted(ends_at=NINE - HOUR)
    with pytest.raises(Refused, match="bad_request"):
        await trial.provider.create(HOST, a_mark(), backwards)


async def test_a_quota_is_waited_for(trial: Trial) -> None:
    trial.fake.quota = 0
    with pytest.raises(TryLater, match="rate_limited") as caught:
        await trial.provider.create(HOST, a_mark(), drafted())
    assert caught.value.seconds == 7
    trial.fake.quota = None
    await trial.provider.create(HOST, a_mark(), drafted())


async def test_a_token_is_replaced_once(trial: Trial) -> None:
    trial.fake.oauth.expire_access()
    old = trial.token
    await trial.provider.create(HOST, a_mark(), drafted())
    assert trial.asked == [None, old]
    assert len(trial.fake.calendars[HOST].events) == 1
    trial.fake.fail_next("^POST", 401, times=2)
    with pytest.raises(AccessLost, match="unauthorized"):
        await trial.provider.create(HOST, a_mark(), drafted())
    trial.fake.oauth.revoke(HOST)
    with pytest.raises(AccessLost, match="invalid_grant"):
        await trial.provider.create(HOST, a_mark(), drafted())


async def test_calendars_are_listed_as_their_owner_sees_them(trial: Trial) -> None:
    trial.fake.page_limit = 2
    trial.fake.add_calendar(HOST, "team", "Europe/Berlin", summary="Team", name_there="My team", role="writer")
    trial.fake.add_calendar(HOST, "read", "Mars/Olympus", role="reader")
    trial.fake.add_calendar(HOST, "free", role="freeBusyReader")
    trial.fake.add_calendar(HOST, "gone", deleted=True)
    trial.fake.add_account("other@example.com")
    found = await trial.provider.list_calendars()
    assert [(each.remote_id, each.name, each.timezone, each.primary, each.writable) for each in found] == [
        (HOST, HOST, "UTC", True, True),
        ("team", "My team", "Europe/Berlin", False, True),
        ("read", "read", None, False, False),
    ]
    assert {each.account for each in found} == {HOST}


async def test_deleting_what_is_there_and_what_is_not(trial: Trial) -> None:
    written = await trial.provider.create(HOST, a_mark(), drafted())
    for _ in range(2):
        await trial.provider.delete(HOST, written.remote_id)
        assert trial.there(written.remote_id)["status"] == "cancelled"
    await trial.provider.delete(HOST, event_id(a_mark()))
    assert all(call.query == {"sendUpdates": "none"} for call in trial.fake.calls_of("^DELETE"))


async def test_a_channel_that_nobody_knows_is_stopped_already(trial: Trial) -> None:
    assert trial.provider.has_push
    gone = Channel("a", "b", NINE)
    await trial.provider.unwatch(gone)
    assert await trial.provider.renew(HOST, gone, NINE + timedelta(days=1)) is None
