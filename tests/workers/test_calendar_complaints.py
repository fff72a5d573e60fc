"""What others' syncs have done to people's bookings and calendars, each as a test of ours."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from app.core import db
from app.core.ids import Kind
from app.core.settings import Settings
from app.domain.calendars import connections
from app.domain.calendars.access import open_tokens
from tests.calendaring import ACCOUNT, HOUR, Room, connect, instant, uuid_of, working
from tests.support import booking_body

EMPTY: dict[str, Any] = {"kind": "calendar#events", "items": [], "nextSyncToken": "odd"}


@pytest.fixture
def settings(with_google: Settings) -> Settings:
    return with_google


async def booked(room: Room, soon: datetime, count: int = 1) -> list[Any]:
    """So many bookings, an hour apart, that stand in the calendar."""
    made = [await room.book(soon + (8 + each) * HOUR) for each in range(count)]
    await room.worker.tend()
    assert len(room.events()) == count
    return made


async def statuses(room: Room, bookings: list[Any]) -> list[str]:
    return [(await room.booking(each))["status"] for each in bookings]


async def connection(room: Room) -> Any:
    return await room.row("select * from calendar_connections where org_id = $1 and id = $2", room.connection_id)


async def notices(room: Room) -> list[str]:
    owed = "select data from outbox where org_id = $1 and topic = 'notice' and data is not null order by no"
    rows = await room.rows(owed)
    return [each["data"]["kind"] for each in rows]


# A broken sync cancelled live bookings.


@pytest.mark.parametrize("phantom", ["empty_page", "resync", "unshared", "elsewhere", "fault"])
async def test_what_is_only_missing_cancels_nothing(room: Room, soon: datetime, phantom: str) -> None:
    bookings = await booked(room, soon, 7)
    if phantom == "empty_page":
        room.fake.expire_sync_tokens()
        room.fake.fail_next(r"GET .*/events$", 410, 1)
        room.fake.fail_next(r"GET .*/events$", 200, 1, {}, EMPTY)
    elif phantom == "resync":
        room.fake.expire_sync_tokens()
    elif phantom == "unshared":
        room.fake.calendars[ACCOUNT].role = "none"
    elif phantom == "elsewhere":
        room.fake.add_calendar(ACCOUNT, "other@group.calendar.google.com")
        for event in room.events():
            room.fake.move_to_calendar(ACCOUNT, event["id"], "other@group.calendar.google.com")
    else:
        room.fake.expire_sync_tokens()
        room.fake.fail_next("GET", 500, 3)
    for _ in range(3):
        await room.push()
        await room.worker.later(minutes=3)
    room.fake.calendars[ACCOUNT].role = "owner"
    await room.worker.later(hours=2)
    assert await statuses(room, bookings) == ["SCHEDULED"] * 7
    assert await room.happened() == ["booking.created"] * 7
    assert (await connection(room))["status"] == "active"


async def test_more_than_a_few_wait_for_their_owners_word(room: Room, soon: datetime) -> None:
    bookings = await booked(room, soon, 6)
    for event in room.events():
        room.fake.remove(ACCOUNT, event["id"])
    await room.synced()
    assert await statuses(room, bookings) == ["SCHEDULED"] * 6
    assert (await connection(room))["status"] == "paused"
    assert await notices(room) == ["calendar_paused"]
    assert "calendar.paused" in await room.happened()
    # it goes on being read, and what is busy there is closed here
    room.fake.add_event(ACCOUNT, soon + 20 * HOUR, soon + 21 * HOUR)
    await room.synced()
    assert "20:00" not in await room.slots(soon)
    assert await statuses(room, bookings) == ["SCHEDULED"] * 6


async def test_trickling_in_they_are_still_too_many(room: Room, soon: datetime) -> None:
    """A script that deletes makes a push of each: none of them alone is more than one."""
    bookings = await booked(room, soon, 8)
    for event in room.events():
        room.fake.remove(ACCOUNT, event["id"])
        await room.synced()
    assert (await statuses(room, bookings)).count("CANCELLED") == 5
    assert (await connection(room))["status"] == "paused"


# A broken credential: the conflict check was skipped silently, or every slot vanished for ever, and nobody was told.


@pytest.mark.parametrize("policy", ["fail_closed", "fail_open", "warn"])
async def test_a_revoked_grant_is_told_and_the_policy_obeyed(room: Room, soon: datetime, policy: str) -> None:
    room.fake.add_event(ACCOUNT, soon + 9 * HOUR, soon + 10 * HOUR)
    await room.synced()
    async with db.acquire(room.worker.pool) as conn:
        await conn.execute("update calendars set stale_policy = $2 where org_id = $1", room.tenant.org_id, policy)
    room.fake.oauth.revoke(ACCOUNT)
    await room.worker.later(minutes=15)
    row = await connection(room)
    assert (row["status"], row["status_reason"]) == ("needs_reauth", "invalid_grant")
    assert await notices(room) == ["calendar_reauth"]
    told = await room.row("select body from events where org_id = $1 and type = 'calendar.disconnected'")
    calendar = orjson.loads(told["body"])["data"]["calendar"]
    assert (calendar["account"], calendar["status"]) == (ACCOUNT, "needs_reauth")
    slots = await room.slots(soon)
    if policy == "fail_closed":
        assert slots == []
        refused = await room.api.post("/v1/bookings", booking_body(room.event_type["code"], soon + 12 * HOUR))
        assert (refused.status, refused.json["reasons"]) == (409, ["busy_calendar"])
    else:
        assert "12:00" in slots
        # what was known once still counts
        assert "09:00" not in slots
        await room.book(soon + 12 * HOUR)
    await room.worker.later(hours=5)
    assert await notices(room) == ["calendar_reauth"]
    # connected again, it goes on, and writes what was owed
    await connect(room.worker, room.tenant, room.fake)
    await room.worker.later(minutes=1)
    assert (await connection(room))["status"] == "active"
    assert "13:00" in await room.slots(soon)
    assert len(room.events()) == (policy != "fail_closed")


async def test_what_was_not_read_for_long_is_unknown(room: Room, soon: datetime) -> None:
    """The provider is away, or no worker runs."""
    async with db.acquire(room.worker.pool) as conn:
        await conn.execute("update calendars set fresh_until = now() where org_id = $1", room.tenant.org_id)
    assert await room.slots(soon) == []
    query = f"event_type={room.event_type['id']}&start={soon.date()}&end={soon.date()}&explain=true"
    why = (await room.api.get(f"/v1/slots?{query}")).ok()
    assert '"busy_calendar"' in orjson.dumps(why).decode()
    await room.synced()
    assert "09:00" in await room.slots(soon)


async def test_nothing_is_open_further_ahead_than_was_read(room: Room, soon: datetime) -> None:
    far = soon + timedelta(days=364)
    assert await room.slots(far) == []
    refused = await room.api.post("/v1/bookings", booking_body(room.event_type["code"], far + 12 * HOUR))
    assert refused.status == 409
    assert "09:00" in await room.slots(soon + timedelta(days=300))


# Connections died when two workers refreshed at once.


async def test_two_workers_refresh_once(room: Room, settings: Settings, soon: datetime) -> None:
    """The provider ends a refresh token as soon as it was used."""
    room.fake.oauth.rotates, room.fake.oauth.grace = True, False
    await room.book(soon + 10 * HOUR)
    async with working(settings) as other:
        for _ in range(3):
            room.fake.oauth.expire_access()
            refreshes = room.fake.oauth.refreshes
            await room.push()
            await room.book(soon + (11 + refreshes) * HOUR)
            await asyncio.gather(room.worker.tend(), other.tend())
            assert room.fake.oauth.refreshes == refreshes + 1
    assert (await connection(room))["status"] == "active"
    assert len(room.events()) == 4


# Events past the first page, and the last day of several, were dropped.


async def test_many_pages_and_long_events(room: Room, soon: datetime) -> None:
    room.fake.page_limit = 100
    for number in range(600):
        start = soon + timedelta(days=30, hours=number)
        room.fake.add_event(ACCOUNT, start, start + HOUR / 2)
    room.fake.add_event(ACCOUNT, soon.date(), soon.date() + timedelta(days=3))
    weekly = ["RRULE:FREQ=WEEKLY;COUNT=3"]
    begin = soon + timedelta(days=7)
    room.fake.add_event(ACCOUNT, begin.date(), begin.date() + timedelta(days=2), recurrence=weekly)
    await room.synced()
    for day in (0, 1, 2, 7, 8, 14, 15, 21, 22):
        assert await room.slots(soon + timedelta(days=day)) == [], day
    for day in (3, 6, 9, 16, 23):
        assert len(await room.slots(soon + timedelta(days=day))) == 48, day
    row = await room.row("select count(*) as count from busy_blocks where org_id = $1")
    assert row["count"] == 600 + 1 + 3
    for day in (30, 54):
        assert "12:30" in await room.slots(soon + timedelta(days=day))
        assert "12:00" not in await room.slots(soon + timedelta(days=day))


# Busy time was forgotten while a full sync ran.


async def test_a_fresh_sync_forgets_nothing_meanwhile(room: Room, soon: datetime) -> None:
    for number in range(20):
        room.fake.add_event(ACCOUNT, soon + number * HOUR, soon + number * HOUR + HOUR / 2)
    await room.synced()
    room.fake.page_limit, room.fake.latency = 2, 0.03
    room.fake.expire_sync_tokens()
    await room.push()
    running = asyncio.create_task(room.worker.tend())
    looks = 0
    while not running.done():
        slots = await room.slots(soon)
        assert not [each for each in slots if each.endswith(":00") and each < "20:00"]
        looks += 1
    await running
    assert looks > 5
    row = await room.row("select count(*) as count from busy_blocks where org_id = $1")
    assert row["count"] == 20


# The event stayed with the old host.


async def test_another_host_another_calendar(room: Room, soon: datetime) -> None:
    room.fake.add_account("ben@example.com")
    ben = await room.api.person(name="Ben")
    await connect(room.worker, room.tenant, room.fake, account="ben@example.com", user_id=uuid_of(Kind.USER, ben["id"]))
    hosts = [{"user_id": each} for each in (room.event_type["hosts"][0]["user_id"], ben["id"])]
    schedule = room.event_type["schedule_id"]
    room.event_type = await room.api.event_type(hosts=hosts, assignment="round_robin", schedule_id=schedule)
    await room.worker.tend()
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    first, second = (ACCOUNT, "ben@example.com") if room.events(ACCOUNT) else ("ben@example.com", ACCOUNT)
    room.fake.add_event(first, soon + 12 * HOUR, soon + 13 * HOUR)
    await room.synced()
    moved = await room.move(booking, soon + 12 * HOUR)
    assert moved["hosts"] != booking["hosts"]
    await room.worker.tend()
    assert room.events(first) == []
    assert instant(room.event(second)["start"]) == soon + 12 * HOUR
    # and its end there is none of the booking's
    await room.synced()
    assert (await room.booking(moved))["status"] == "RESCHEDULED"


# Users saw "done" while the provider had said no.


async def test_a_failure_is_shown_and_made_good(room: Room, soon: datetime) -> None:
    room.fake.fail_next("POST", 403, 1, {}, {"error": {"errors": [{"reason": "forbiddenForNonOrganizer"}]}})
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    row = await room.row("select error, attempts, written_at, due_at from calendar_events where org_id = $1")
    assert (row["error"], row["attempts"], row["written_at"]) == ("forbidden", 1, None)
    assert room.events() == []
    await room.worker.later(hours=2)
    row = await room.row("select error, attempts, written_at, due_at from calendar_events where org_id = $1")
    assert (row["error"], row["attempts"], row["due_at"]) == (None, 0, None)
    assert instant(room.event()["start"]) == soon + 10 * HOUR
    assert (await room.booking(booking))["status"] == "SCHEDULED"


async def test_a_provider_that_asks_for_patience_is_left_alone(room: Room, soon: datetime) -> None:
    room.fake.fail_next("POST", 429, 1, {"Retry-After": "40"})
    await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    calls = len(room.fake.calls)
    await room.book(soon + 11 * HOUR)
    await room.push()
    await room.worker.later(seconds=30)
    assert len(room.fake.calls) == calls
    await room.worker.later(seconds=15)
    assert len(room.events()) == 2


# Twice what should be once.


async def test_a_lost_answer_makes_no_second_event(room: Room, soon: datetime) -> None:
    room.fake.drop_next("POST .*/events$")
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    # its own event is seen before it knows of it
    await room.synced()
    await room.worker.later(minutes=1)
    assert instant(room.event()["start"]) == soon + 10 * HOUR
    assert (await room.booking(booking))["status"] == "SCHEDULED"
    row = await room.row("select count(*) as count from busy_blocks where org_id = $1")
    assert row["count"] == 0


async def test_what_the_host_wrote_stays(room: Room, soon: datetime) -> None:
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    room.fake.edit(ACCOUNT, room.event()["id"], description="bring the slides", colorId="4")
    await room.synced()
    await room.move(booking, soon + 11 * HOUR)
    await room.worker.tend()
    event = room.event()
    assert (event["description"], event["colorId"]) == ("bring the slides", "4")
    assert instant(event["start"]) == soon + 11 * HOUR


async def test_a_copy_of_ours_is_its_owners(room: Room, soon: datetime) -> None:
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    mark = room.event()["extendedProperties"]
    copy = room.fake.add_event(ACCOUNT, soon + 14 * HOUR, soon + 15 * HOUR, extendedProperties=mark)
    await room.synced()
    assert "14:00" not in await room.slots(soon)
    room.fake.remove(ACCOUNT, copy["id"])
    await room.synced()
    assert "14:00" in await room.slots(soon)
    assert (await room.booking(booking))["status"] == "SCHEDULED"


# Of two changes the later one counts.


@pytest.mark.parametrize("host_is_later", [True, False])
async def test_the_later_change_wins(room: Room, soon: datetime, host_is_later: bool) -> None:
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    event = room.event()
    if not host_is_later:
        room.drag(event, soon + 15 * HOUR)
    await room.move(booking, soon + 12 * HOUR)
    if host_is_later:
        room.drag(event, soon + 15 * HOUR)
    await room.worker.tend()
    await room.worker.later(seconds=10)
    await room.synced()
    expected = soon + (15 if host_is_later else 12) * HOUR
    assert instant(room.event()["start"]) == expected
    assert (await room.latest(booking))["start_time"] == expected.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_what_was_booked_before_is_entered_when_a_calendar_is_connected(room: Room, soon: datetime) -> None:
    async with db.acquire(room.worker.pool) as conn, conn.transaction():
        await connections.disconnect(conn, room.tenant.org_id, room.connection_id, room.worker.now())
    await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    assert room.events() == []
    await connect(room.worker, room.tenant, room.fake)
    await room.worker.tend()
    assert instant(room.event()["start"]) == soon + 10 * HOUR


async def test_disconnected_it_is_ended_there_too(room: Room, soon: datetime) -> None:
    room.fake.add_event(ACCOUNT, soon + 9 * HOUR, soon + 10 * HOUR)
    await room.book(soon + 10 * HOUR)
    await room.synced()
    tokens = open_tokens((await connection(room))["credentials_sealed"], room.worker.roads.vault)
    async with db.acquire(room.worker.pool) as conn, conn.transaction():
        await connections.disconnect(conn, room.tenant.org_id, room.connection_id, room.worker.now())
    # a moment later, in case they connect again at once
    assert not await room.worker.end()
    room.worker.ahead += timedelta(minutes=3)
    assert await room.worker.end()
    row = await connection(room)
    assert (row["status"], row["credentials_sealed"], row["ending_due_at"]) == ("disconnected", b"", None)
    assert room.fake.oauth.is_revoked(tokens.refresh_token)
    assert "09:00" in await room.slots(soon)
    # what stands there is the host's
    assert len(room.events()) == 1
    for table in ("busy_blocks", "calendar_changes"):
        assert await room.rows(f"select 1 from {table} where org_id = $1") == []  # noqa: S608 -- of this file
    assert not await room.worker.end()
