"""What hosts really do: share calendars, disconnect and connect again, undo, move things into new calendars."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind
from app.core.settings import Settings
from app.domain.calendars import connections
from app.domain.calendars.google import Google
from app.domain.calendars.outbound import plan_writes
from app.domain.calendars.provider import EventGone, RemoteEvent, TryLater, Window
from tests.calendaring import ACCOUNT, HOUR, Room, connect, instant, uuid_of

NEW = "new@group.calendar.google.com"


@pytest.fixture
def settings(with_google: Settings) -> Settings:
    return with_google


async def booked(room: Room, soon: datetime, count: int = 1) -> list[Any]:
    made = [await room.book(soon + (8 + each) * HOUR) for each in range(count)]
    await room.worker.tend()
    assert len(room.events()) == count
    return made


async def disconnect(room: Room) -> None:
    async with db.acquire(room.worker.pool) as conn, conn.transaction():
        await connections.disconnect(conn, room.tenant.org_id, room.connection_id, room.worker.now())


async def test_connected_again_nothing_stands_twice(room: Room, soon: datetime) -> None:
    stays, moves, goes = await booked(room, soon, 3)
    before = {each["id"] for each in room.events()}
    await disconnect(room)
    room.worker.ahead += timedelta(minutes=3)
    assert await room.worker.end()
    assert (await room.api.get("/v1/calendars")).ok()["calendars"] == []
    assert "12:00" in await room.slots(soon)
    moved = await room.move(moves, soon + 15 * HOUR)
    (await room.api.post(f"/v1/bookings/{goes['id']}/cancel")).ok()
    await room.worker.tend()
    assert len(room.events()) == 3
    room.fake.add_event(ACCOUNT, soon + 20 * HOUR, soon + 21 * HOUR)
    assert await connect(room.worker, room.tenant, room.fake) == room.connection_id
    assert await room.slots(soon) == []
    await room.worker.tend()
    await room.synced()
    starts = {each["id"]: instant(each["start"]) for each in room.events()}
    assert starts.keys() < before
    assert sorted(starts.values()) == [soon + 8 * HOUR, soon + 15 * HOUR]
    slots = await room.slots(soon)
    assert ("08:00" in slots, "09:00" in slots, "10:00" in slots, "20:00" in slots) == (False, True, True, False)
    assert [(await room.booking(each))["status"] for each in (stays, moved)] == ["SCHEDULED", "RESCHEDULED"]
    (calendar,) = (await room.api.get("/v1/calendars")).ok()["calendars"]
    assert (calendar["read_busy"], calendar["is_write_target"]) == (True, True)


async def test_a_shared_calendar_is_its_owners(room: Room, soon: datetime) -> None:
    """Somebody who may read it connects it too: what stands there is the host's all the same."""
    (booking,) = await booked(room, soon)
    ben = await room.api.person(name="Ben")
    other = await connect(room.worker, room.tenant, room.fake, user_id=uuid_of(Kind.USER, ben["id"]))
    await room.worker.tend()
    await room.synced()
    (entry,) = await room.rows("select calendar_id from calendar_events where org_id = $1")
    (own,) = await room.rows("select id from calendars where org_id = $1 and connection_id = $2", room.connection_id)
    assert entry["calendar_id"] == own["id"]
    # for whoever reads it, it is busy
    busy = await room.rows("select calendar_id from busy_blocks where org_id = $1")
    assert len(busy) == 1
    async with db.acquire(room.worker.pool) as conn, conn.transaction():
        await connections.disconnect(conn, room.tenant.org_id, other, room.worker.now())
    (await room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    await room.worker.tend()
    assert room.events() == []


async def test_moved_into_a_calendar_that_is_new(room: Room, soon: datetime) -> None:
    (booking,) = await booked(room, soon)
    room.fake.add_calendar(ACCOUNT, NEW)
    room.fake.move_to_calendar(ACCOUNT, room.event()["id"], NEW)
    await room.synced()
    moved = await room.move(booking, soon + 15 * HOUR)
    await room.worker.tend()
    await room.worker.later(minutes=1)
    assert instant(room.event(NEW)["start"]) == soon + 15 * HOUR
    calendars = (await room.api.get("/v1/calendars")).ok()["calendars"]
    assert {each["name"]: each["read_busy"] for each in calendars}.keys() >= {NEW}
    (await room.api.post(f"/v1/bookings/{moved['id']}/cancel")).ok()
    await room.worker.tend()
    assert (room.events(), room.events(NEW)) == ([], [])


async def test_restored_here_after_it_was_put_back_there(room: Room, soon: datetime) -> None:
    await booked(room, soon, 6)
    ids = sorted(each["id"] for each in room.events())
    for each in ids:
        room.fake.remove(ACCOUNT, each)
    await room.synced()
    for each in ids[:3]:
        room.fake.edit(ACCOUNT, each, status="confirmed")
    await room.synced()
    calendar = (await room.api.get("/v1/calendars")).ok()["calendars"][0]
    assert calendar["status"] == "paused"
    (await room.api.post(f"/v1/calendars/{calendar['id']}/restore")).ok()
    await room.worker.tend()
    await room.synced()
    assert sorted(instant(each["start"]) for each in room.events()) == [soon + (8 + each) * HOUR for each in range(6)]


async def test_the_brake_counts_what_could_not_be_read(
    room: Room, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When many changes queue up, the provider says that it is too much; so a few could be read each time."""
    bookings = await booked(room, soon, 12)
    for each in room.events():
        room.fake.remove(ACCOUNT, each["id"])
    reading, left = Google.get, 0

    async def get(self: Google, calendar: str, remote_id: str, window: Window) -> RemoteEvent:
        nonlocal left
        left -= 1
        if left < 0:
            raise TryLater("rate_limited", 120)
        return await reading(self, calendar, remote_id, window)

    monkeypatch.setattr(Google, "get", get)
    for _ in range(4):
        left = 4
        await room.push()
        await room.worker.read()
        room.worker.ahead += timedelta(minutes=3)
    assert {(await room.booking(each))["status"] for each in bookings} == {"SCHEDULED"}
    row = await room.row("select status from calendar_connections where org_id = $1")
    assert row["status"] == "paused"


async def test_cancelled_while_it_is_planned(room: Room, soon: datetime) -> None:
    """Two workers plan, one of what was and one of what is."""
    booking = await room.book(soon + 9 * HOUR)
    worker = room.worker
    async with db.acquire(worker.pool) as one:
        planning = one.transaction()
        await planning.start()
        await plan_writes(one, worker.now())
        (await room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
        await planning.commit()
    await worker.tend()
    assert room.events() == []


async def test_what_ended_is_not_written_whoever_planned_it(room: Room, soon: datetime) -> None:
    booking = await room.book(soon + 9 * HOUR)
    async with db.acquire(room.worker.pool) as conn:
        await db.run(conn, lambda conn: plan_writes(conn, room.worker.now()))
        (await room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
        await conn.execute("delete from outbox where org_id = $1 and topic = 'calendar'", room.tenant.org_id)
    await room.worker.tend()
    assert room.events() == []
    row = await room.row("select removed_at from calendar_events where org_id = $1")
    assert row["removed_at"] is not None


async def test_cancelled_before_it_was_known_to_be_there(room: Room, soon: datetime) -> None:
    """The answer to its making was lost."""
    room.fake.drop_next("POST .*/events$")
    booking = await room.book(soon + 9 * HOUR)
    await room.worker.tend()
    assert len(room.events()) == 1
    (await room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    await room.worker.later(minutes=1)
    assert room.events() == []


async def test_deleted_while_nobody_looked(room: Room, soon: datetime) -> None:
    """The tokens have run out meanwhile: it is only missing, and looked for."""
    (booking,) = await booked(room, soon)
    room.fake.remove(ACCOUNT, room.event()["id"])
    room.fake.expire_sync_tokens()
    await room.synced()
    assert (await room.booking(booking))["cancellation"]["by"] == "calendar"


async def test_what_its_owner_brings_back_is_theirs(room: Room, soon: datetime) -> None:
    (booking,) = await booked(room, soon)
    event = room.event()["id"]
    (await room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    await room.worker.tend()
    room.fake.edit(ACCOUNT, event, status="confirmed")
    # for a while it may be old news
    await room.synced()
    assert "08:00" in await room.slots(soon)
    room.fake.edit(ACCOUNT, event, colorId="3")
    await room.worker.later(minutes=11)
    await room.synced()
    assert "08:00" not in await room.slots(soon)


async def test_one_that_cannot_be_made_is_not_made_for_ever(
    room: Room, soon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(*_: object) -> None:
        raise EventGone("gone")

    monkeypatch.setattr(Google, "create", create)
    await room.book(soon + 9 * HOUR)
    for _ in range(10):
        await room.worker.later(minutes=1)
    rows = await room.rows("select id from calendar_events where org_id = $1")
    assert len(rows) < 8


async def test_another_account_in_its_place(room: Room, soon: datetime) -> None:
    """What is to come is written there, and what of it is moved."""
    (booking,) = await booked(room, soon)
    await disconnect(room)
    room.fake.add_account("other@example.com")
    await connect(room.worker, room.tenant, room.fake, account="other@example.com")
    await room.worker.tend()
    assert instant(room.event("other@example.com")["start"]) == soon + 8 * HOUR
    await room.move(booking, soon + 12 * HOUR)
    await room.worker.tend()
    assert instant(room.event("other@example.com")["start"]) == soon + 12 * HOUR
    shown = (await room.latest(booking))["calendar_events"]
    assert [each["status"] for each in shown] == ["written"]


async def test_a_calendar_that_went_meanwhile_closes_nobody(room: Room, soon: datetime) -> None:
    room.fake.add_calendar(ACCOUNT, NEW)
    await connect(room.worker, room.tenant, room.fake)
    calendars = (await room.api.get("/v1/calendars")).ok()["calendars"]
    (new,) = [each["id"] for each in calendars if each["name"] == NEW]
    (await room.api.call("PATCH", f"/v1/calendars/{new}", {"read_busy": True})).ok()
    await room.worker.tend()
    await disconnect(room)
    room.fake.calendars[NEW].deleted = True
    await connect(room.worker, room.tenant, room.fake)
    await room.worker.tend()
    assert "08:00" in await room.slots(soon)


async def test_written_nowhere_any_more_what_stands_still_follows(room: Room, soon: datetime) -> None:
    (booking,) = await booked(room, soon)
    calendar = (await room.api.get("/v1/calendars")).ok()["calendars"][0]
    (await room.api.call("PATCH", f"/v1/calendars/{calendar['id']}", {"is_write_target": False})).ok()
    await room.move(booking, soon + 12 * HOUR)
    await room.worker.tend()
    assert instant(room.event()["start"]) == soon + 12 * HOUR
    await room.book(soon + 14 * HOUR)
    await room.worker.tend()
    assert len(room.events()) == 1
