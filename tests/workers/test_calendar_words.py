"""What waits for a host's word and what follows it; and what differs between bookings and a calendar, and is mended."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.settings import Settings
from tests.calendaring import ACCOUNT, HOUR, Room, instant

MANY = 6


@pytest.fixture
def settings(with_google: Settings) -> Settings:
    return with_google


async def calendar_of(room: Room) -> Any:
    (calendar,) = (await room.api.get("/v1/calendars")).ok()["calendars"]
    return calendar


async def post(room: Room, word: str, status: int = 200) -> Any:
    calendar = await calendar_of(room)
    return (await room.api.post(f"/v1/calendars/{calendar['id']}/{word}")).ok(status)


async def report(room: Room) -> Any:
    calendar = await calendar_of(room)
    return (await room.api.get(f"/v1/calendars/{calendar['id']}/report")).ok()["report"]


async def kinds(room: Room) -> list[str]:
    return sorted(each["kind"] for each in (await report(room))["differences"])


async def booked(room: Room, soon: datetime, count: int = MANY) -> list[Any]:
    """Some bookings that stand there, an hour apart."""
    made = [await room.book(soon + (8 + number) * HOUR) for number in range(count)]
    await room.worker.tend()
    assert len(room.events()) == count
    return made


def by_start(room: Room) -> list[Any]:
    return sorted(room.events(), key=lambda event: instant(event["start"]))


async def braked(room: Room, soon: datetime) -> list[Any]:
    """Half of them are deleted there and half moved, more than one sync may change."""
    made = await booked(room, soon)
    for number, event in enumerate(by_start(room)):
        if number % 2:
            room.fake.remove(ACCOUNT, event["id"])
        else:
            room.drag(event, instant(event["start"]) + timedelta(days=1), minutes=45)
    await room.synced()
    calendar = await calendar_of(room)
    assert (calendar["status"], calendar["changes_held"]) == ("paused", MANY)
    assert calendar["status_reason"] == "too_many_changes"
    return made


async def test_restored_all_stands_as_it_was_booked(room: Room, soon: datetime) -> None:
    made = await braked(room, soon)
    assert (await report(room))["counts"]["change_held"] == MANY
    shown = (await post(room, "restore"))["calendar"]
    assert (shown["status"], shown["changes_held"]) == ("active", 0)
    await room.worker.tend()
    await room.synced()
    assert [instant(event["start"]) for event in by_start(room)] == [soon + (8 + n) * HOUR for n in range(MANY)]
    assert {instant(event["end"]) - instant(event["start"]) for event in room.events()} == {timedelta(minutes=30)}
    for booking in made:
        assert (await room.booking(booking))["status"] == "SCHEDULED"
    assert set(await room.happened()) == {"booking.created", "calendar.paused"}
    assert (await report(room))["in_step"] is True


async def test_what_is_moved_once_more_before_it_is_restored_goes_back_too(room: Room, soon: datetime) -> None:
    made = await braked(room, soon)
    for event in by_start(room):
        room.drag(event, instant(event["start"]) + HOUR)
    await post(room, "restore")
    await room.synced()
    await room.worker.later(seconds=10)
    assert [instant(event["start"]) for event in by_start(room)] == [soon + (8 + n) * HOUR for n in range(MANY)]
    assert {(await room.booking(booking))["status"] for booking in made} == {"SCHEDULED"}


async def test_edited_words_are_left_alone_when_times_go_back(room: Room, soon: datetime) -> None:
    await braked(room, soon)
    first = by_start(room)[0]
    room.fake.edit(ACCOUNT, first["id"], summary="Mine to name")
    await post(room, "restore")
    await room.worker.tend()
    assert room.fake.event(ACCOUNT, first["id"])["summary"] == "Mine to name"


async def test_applied_all_is_followed(room: Room, soon: datetime) -> None:
    made = await braked(room, soon)
    assert (await post(room, "apply"))["calendar"]["status"] == "active"
    await room.worker.tend()
    for number, booking in enumerate(made):
        latest = await room.latest(booking)
        assert (latest["status"], latest["history"][-1]["by"]) == (
            ("CANCELLED", "calendar") if number % 2 else ("RESCHEDULED", "calendar")
        )
    assert (await post(room, "apply", 409))["code"] == "conflict"
    await room.synced()
    assert len(room.events()) == MANY // 2


async def test_a_report_names_what_differs_and_a_repair_mends_it(room: Room, soon: datetime) -> None:
    missing, moved, ended, failed = await booked(room, soon, 4)
    assert (await report(room))["in_step"] is True
    gone, dragged, left, _ = by_start(room)
    # cancelled while nobody wrote
    (await room.api.post(f"/v1/bookings/{ended['id']}/cancel")).ok()
    await room.row("delete from outbox where org_id = $1 returning no")
    room.fake.remove(ACCOUNT, gone["id"])
    room.drag(dragged, soon + 20 * HOUR)
    await room.row(
        """
        update calendar_events x set error = 'http_400', due_at = null, attempts = 101 from bookings b
        where x.org_id = $1 and b.id = x.booking_id and b.code = $2 returning x.id
        """,
        failed["code"],
    )
    unwritten = await room.book(soon + 15 * HOUR)
    await room.row("delete from outbox where org_id = $1 returning no")
    found = await report(room)
    assert {each["kind"]: each["booking_id"] for each in found["differences"]} == {
        "missing_there": missing["id"],
        "moved_there": moved["id"],
        "left_there": ended["id"],
        "write_failed": failed["id"],
        "not_written": unwritten["id"],
    }
    assert found["in_step"] is False
    assert all(found["counts"][kind] == (kind != "change_held") for kind in found["counts"])
    (there,) = [each for each in found["differences"] if each["kind"] == "moved_there"]
    assert there["start_there"] == (soon + 20 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    repaired = (await post(room, "repair"))["report"]
    assert repaired["repaired"] == 5
    await room.worker.tend()
    assert (await report(room))["in_step"] is True
    assert left["id"] not in {event["id"] for event in room.events()}
    assert (await room.booking(missing))["status"] == "SCHEDULED", "a repair cancels nothing"
    assert (await room.latest(moved))["start_time"] == there["start_there"], "as the usual rules have it"
    starts = [instant(event["start"]) for event in by_start(room)]
    assert starts == [soon + hour * HOUR for hour in (8, 11, 15, 20)]


async def test_what_an_owner_moved_to_another_calendar_is_not_missing(room: Room, soon: datetime) -> None:
    await booked(room, soon, 1)
    room.fake.add_calendar(ACCOUNT, "side@example.com")
    room.fake.move_to_calendar(ACCOUNT, room.event()["id"], "side@example.com")
    assert await kinds(room) == []
    await post(room, "repair")
    await room.worker.tend()
    assert len([event for each in (ACCOUNT, "side@example.com") for event in room.events(each)]) == 1


async def test_a_report_without_the_provider_says_so_and_tells_the_rest(room: Room, soon: datetime) -> None:
    await booked(room, soon, 1)
    await room.book(soon + 15 * HOUR)
    await room.row("delete from outbox where org_id = $1 returning no")
    room.fake.fail_next("GET .*events", 503)
    found = await report(room)
    assert (found["error"], found["in_step"]) == ("http_503", False)
    assert [each["kind"] for each in found["differences"]] == ["not_written"]
    room.fake.oauth.revoke(ACCOUNT)
    assert (await report(room))["error"] == "invalid_grant"
    await room.synced()
    assert (await report(room))["error"] == "needs_reauth"


async def test_what_is_deleted_before_it_is_restored_is_made_again(room: Room, soon: datetime) -> None:
    made = await braked(room, soon)
    for event in room.events():
        room.fake.remove(ACCOUNT, event["id"])
    await post(room, "restore")
    await room.worker.tend()
    await room.worker.later(seconds=10)
    assert [instant(event["start"]) for event in by_start(room)] == [soon + (8 + n) * HOUR for n in range(MANY)]
    assert {(await room.booking(booking))["status"] for booking in made} == {"SCHEDULED"}
