"""Bookings and a host's Google calendar: each side follows the other, and nothing is lost or invented."""

from datetime import datetime

import pytest

from app.core.settings import Settings
from tests.calendaring import ACCOUNT, HOUR, Room, instant


@pytest.fixture
def settings(with_google: Settings) -> Settings:
    return with_google


async def test_a_booking_appears_moves_and_goes(room: Room, soon: datetime) -> None:
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    event = room.event()
    assert instant(event["start"]) == soon + 10 * HOUR
    assert "Jane Smith" in event["summary"] + event["description"]
    await room.move(booking, soon + 12 * HOUR)
    await room.worker.tend()
    moved = room.event()
    assert moved["id"] == event["id"]
    assert instant(moved["start"]) == soon + 12 * HOUR
    latest = await room.latest(booking)
    (await room.api.post(f"/v1/bookings/{latest['id']}/cancel")).ok()
    await room.worker.tend()
    assert room.events() == []
    await room.synced()
    assert await room.happened() == ["booking.created", "booking.rescheduled", "booking.cancelled"]


async def test_no_request_waits_for_a_provider(room: Room, soon: datetime) -> None:
    calls = len(room.fake.calls)
    booking = await room.book(soon + 10 * HOUR)
    await room.slots(soon)
    (await room.api.post(f"/v1/bookings/{(await room.move(booking, soon + 12 * HOUR))['id']}/cancel")).ok()
    assert len(room.fake.calls) == calls


async def test_what_is_busy_there_is_closed_here(room: Room, soon: datetime) -> None:
    room.fake.add_event(ACCOUNT, soon + 9 * HOUR, soon + 10 * HOUR)
    await room.synced()
    slots = await room.slots(soon)
    assert "09:00" not in slots
    assert "10:00" in slots


async def test_moved_there_it_is_moved_here(room: Room, soon: datetime) -> None:
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    event = room.event()
    at = soon + 15 * HOUR
    room.drag(event, at)
    await room.synced()
    latest = await room.latest(booking)
    assert latest["start_time"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert latest["history"][-1]["by"] == "calendar"
    calls = len(room.fake.calls)
    await room.synced()
    assert [call.method for call in room.fake.calls[calls:]] == ["GET"]
    assert await room.happened() == ["booking.created", "booking.rescheduled"]
    assert instant(room.event()["start"]) == at


async def test_deleted_there_it_is_cancelled_here(room: Room, soon: datetime) -> None:
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    room.fake.remove(ACCOUNT, room.event()["id"])
    await room.synced()
    ended = await room.booking(booking)
    assert (ended["status"], ended["cancellation"]["by"]) == ("CANCELLED", "calendar")
    await room.synced()
    assert await room.happened() == ["booking.created", "booking.cancelled"]


async def test_moved_onto_what_is_taken_it_goes_back(room: Room, soon: datetime) -> None:
    await room.book(soon + 15 * HOUR)
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    event = next(each for each in room.events() if instant(each["start"]) == soon + 10 * HOUR)
    at = soon + 15 * HOUR
    room.drag(event, at)
    await room.synced()
    assert (await room.booking(booking))["status"] == "SCHEDULED"
    assert instant(room.fake.event(ACCOUNT, event["id"])["start"]) == soon + 10 * HOUR
    (owed,) = await room.rows("select data from outbox where org_id = $1 and topic = 'notice' and data is not null")
    assert owed["data"]["kind"] == "calendar_restored"
