"""Video meetings: the host's calendar makes the link, the booking keeps it, and whoever comes gets it by mail."""

from datetime import datetime
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.domain.notifications.queue import take_notices
from tests.calendaring import ACCOUNT, HOUR, Room


@pytest.fixture
def settings(with_google: Settings) -> Settings:
    return with_google


@pytest.fixture
async def online(room: Room) -> Room:
    changes = {"location": {"kind": "conference", "value": None}}
    room.event_type = (await room.api.call("PATCH", f"/v1/event-types/{room.event_type['id']}", changes)).ok()[
        "event_type"
    ]
    return room


async def mails(room: Room) -> list[Any]:
    async with db.acquire(room.worker.pool) as conn:
        while await db.run(conn, lambda conn: take_notices(conn, "bookings@example.com", room.worker.now())):
            pass
    return await room.rows(
        "select kind, role, ical_method from mails where org_id = $1 order by happened_at, kind, role"
    )


async def test_the_link_gets_to_whoever_comes(online: Room, soon: datetime) -> None:
    booking = await online.book(soon + 10 * HOUR)
    assert booking["location"] == {"kind": "conference", "value": None}
    await online.worker.tend()
    await online.worker.later(minutes=1)
    link = (await online.booking(booking))["location"]
    assert link["value"].startswith("https://meet.google.com/")
    assert online.event()["hangoutLink"] == link["value"]
    kinds = [(each["kind"], each["role"], each["ical_method"]) for each in await mails(online)]
    assert kinds == [
        ("booked", "attendee", "REQUEST"),
        ("booked", "host", None),
        ("link_ready", "attendee", "REQUEST"),
    ]
    assert await online.happened() == ["booking.created", "booking.updated"]
    # moved, it is the same meeting
    moved = await online.move(booking, soon + 12 * HOUR)
    assert moved["location"] == link
    await online.worker.tend()
    assert online.event()["hangoutLink"] == link["value"]
    assert [each["kind"] for each in await mails(online)].count("link_ready") == 1


async def test_without_a_link_the_booking_stands_all_the_same(online: Room, soon: datetime) -> None:
    online.fake.conference_reads = None
    booking = await online.book(soon + 10 * HOUR)
    await online.worker.tend()
    for _ in range(3):
        await online.worker.later(minutes=5)
    assert (await online.booking(booking))["location"] == {"kind": "conference", "value": None}
    assert len(online.events()) == 1
    row = await online.row("select due_at, error from calendar_events where org_id = $1")
    assert (row["due_at"], row["error"]) == (None, None)


async def test_a_place_makes_no_meeting(room: Room, soon: datetime) -> None:
    await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    assert "conferenceData" not in room.fake.calendars[ACCOUNT].events[room.event()["id"]]
