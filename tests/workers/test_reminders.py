"""Reminders: once for each recipient, whoever fires them, and none for what does not take place."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.domain.notifications.queue import remind, take_notices
from tests.offers import booked, iso, offer
from tests.postbox import Postbox
from tests.support import Api, Tenant, eventually
from tests.workers.mailing import JANE, SENDER, at_rest, mailing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


async def plan(conn: db.Connection, now: datetime) -> None:
    """What the worker does with what is owed, without sending anything."""
    while await db.run(conn, lambda conn: take_notices(conn, SENDER, now)):
        pass


async def fire(conn: db.Connection, now: datetime) -> None:
    while await db.run(conn, lambda conn: remind(conn, SENDER, now)):
        pass


async def reminded(api: Api, booking: Any) -> list[int]:
    """The minutes of the reminders that receivers heard of, in order; nothing else may have come between."""
    log = (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"]
    assert [each["sequence"] for each in log] == list(range(1, len(log) + 1))
    return [each["data"]["reminder"]["minutes_before"] for each in log if each["type"] == "booking.reminder"]


async def mails(conn: db.Connection, tenant: Tenant) -> list[tuple[str, str]]:
    rows = await conn.fetch(
        "select role, recipient from mails where org_id = $1 and kind = 'reminder' order by role, recipient",
        tenant.org_id,
    )
    return [(row["role"], row["recipient"]) for row in rows]


async def test_each_of_several_fires_when_its_time_comes(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime, now: datetime
) -> None:
    booking = await booked(api, await offer(api, reminders_minutes_before=[1440, 60]), soon)
    await plan(conn, soon - 2 * DAY)
    for moment, expected in (
        (soon - DAY - SECOND, []),
        (soon - DAY, [1440]),
        (soon - HOUR - SECOND, [1440]),
        (soon - HOUR, [1440, 60]),
        (soon - SECOND, [1440, 60]),
    ):
        await fire(conn, moment)
        assert await reminded(api, booking) == expected, moment
    assert await mails(conn, tenant) == [("attendee", JANE)] * 2


async def test_whom_the_attendee_brings_is_reminded_too(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    guests = [{"email": "gus@example.com"}, {"email": JANE.upper()}]
    await booked(api, await offer(api), soon, guests=guests)
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon - HOUR)
    assert await mails(conn, tenant) == [("attendee", JANE), ("guest", "gus@example.com")]


async def test_any_number_of_workers_fire_each_once(
    api: Api, settings: Settings, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await offer(api)
    bookings = [await booked(api, made, soon + hour * HOUR) for hour in range(12)]
    await plan(conn, soon - 2 * DAY)
    async with db.open_pool(settings.database_url, size=6, name="fire") as pool:

        async def one() -> None:
            async with db.acquire(pool) as own:
                await fire(own, soon - HOUR)

        await asyncio.gather(*(one() for _ in range(6)))
    for booking in bookings:
        assert await reminded(api, booking) == [1440]
    assert len(await mails(conn, tenant)) == 12


@pytest.mark.parametrize("how", ["cancel", "no-show", "complete"])
async def test_what_has_ended_is_not_reminded_of(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime, how: str
) -> None:
    booking = await booked(api, await offer(api), soon)
    await plan(conn, soon - 2 * DAY)
    if how == "cancel":
        (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    else:
        status = {"no-show": "NO_SHOW", "complete": "COMPLETED"}[how]
        await conn.execute("update bookings set status = $2 where org_id = $1", tenant.org_id, status)
    await fire(conn, soon - HOUR)
    assert await reminded(api, booking) == []
    assert await mails(conn, tenant) == []


async def test_a_moved_booking_is_reminded_of_at_its_new_time_only(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    first = await booked(api, await offer(api), soon)
    await plan(conn, soon - 2 * DAY)
    moved = await api.post(f"/v1/bookings/{first['id']}/reschedule", {"start_time": iso(soon + 2 * DAY)})
    second = moved.ok()["booking"]
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon - HOUR)
    assert await mails(conn, tenant) == []
    await fire(conn, soon + DAY)
    assert await reminded(api, first) == []
    assert await reminded(api, second) == [1440]
    assert await mails(conn, tenant) == [("attendee", JANE)]


async def test_a_request_is_reminded_of_once_it_is_confirmed(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await offer(api, requires_confirmation=True)
    asked, ignored = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    (await api.post(f"/v1/bookings/{asked['id']}/confirm")).ok()
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon - HOUR)
    assert await reminded(api, asked) == [1440]
    assert await reminded(api, ignored) == []


async def test_late_ones_are_sent_until_the_booking_begins(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """After an outage of the worker."""
    made = await offer(api)
    begun, ahead = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon)
    assert await reminded(api, begun) == []
    assert await reminded(api, ahead) == [1440]
    rows = await conn.fetch(
        "select sent_at, dropped_at from reminders where org_id = $1 order by due_at", tenant.org_id
    )
    assert [(row["sent_at"] is None, row["dropped_at"] is None) for row in rows] == [(True, False), (False, True)]


async def test_of_several_that_an_outage_has_kept_the_last_one_is_sent(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api, reminders_minutes_before=[1440, 120, 60, 10]), soon)
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon - timedelta(minutes=30))
    assert await reminded(api, booking) == [60]
    await fire(conn, soon - timedelta(minutes=10))
    assert await reminded(api, booking) == [60, 10]
    assert len(await mails(conn, tenant)) == 2


async def test_a_fault_of_ours_in_one_booking_keeps_no_other_from_being_reminded_of(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """As rows of a newer version might be, during a deployment."""
    made = await offer(api)
    spoilt = [await booked(api, made, soon + hour * HOUR) for hour in range(2)]
    other = await booked(api, made, soon + 2 * HOUR)
    await plan(conn, soon - 2 * DAY)
    first, second = (decode(Kind.BOOKING, booking["id"]) for booking in spoilt)
    await conn.execute("update bookings set guests = $2 where id = $1", first, [{"name": "nobody"}])
    await conn.execute("update bookings set units = $2 where id = $1", second, [{"x": 1}])
    await fire(conn, soon - HOUR)
    assert await reminded(api, other) == [1440]
    assert await mails(conn, tenant) == [("attendee", JANE)]


async def test_nobody_is_reminded_of_what_was_booked_after_the_time_to_remind(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    minutes = round((soon - datetime.now(soon.tzinfo)).total_seconds() / 60) + 5
    booking = await booked(api, await offer(api, reminders_minutes_before=[minutes, 30]), soon)
    await plan(conn, soon - DAY)
    await fire(conn, soon - timedelta(minutes=1))
    assert await reminded(api, booking) == [30]


async def test_a_reminder_that_the_event_type_lost_is_not_sent(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await offer(api, reminders_minutes_before=[1440, 60])
    booking = await booked(api, made, soon)
    await plan(conn, soon - 2 * DAY)
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"reminders_minutes_before": [60]})).ok()
    await fire(conn, soon - HOUR)
    assert await reminded(api, booking) == [60]


async def test_whoever_wants_none_gets_none_and_receivers_hear_of_it(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await conn.execute(
        "insert into mail_optouts (org_id, address, created_at) values ($1, $2, now())", tenant.org_id, JANE
    )
    attendee = {"name": "Jane", "email": "Jane@Example.com", "timezone": "UTC"}
    booking = await booked(api, await offer(api), soon, attendee=attendee, guests=[{"email": "gus@example.com"}])
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon - HOUR)
    assert await mails(conn, tenant) == [("guest", "gus@example.com")]
    assert await reminded(api, booking) == [1440]


async def test_an_address_that_bounced_is_not_reminded(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await booked(api, await offer(api), soon)
    await plan(conn, soon - 2 * DAY)
    await conn.execute("update bookings set attendee_bounced_at = now() where org_id = $1", tenant.org_id)
    await fire(conn, soon - HOUR)
    assert await mails(conn, tenant) == []


async def test_receivers_are_reminded_where_nobody_gets_mail(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    booking = await booked(api, await offer(api), soon)
    while await db.run(conn, lambda conn: take_notices(conn, None, soon - 2 * DAY)):
        pass
    while await db.run(conn, lambda conn: remind(conn, None, soon - HOUR)):
        pass
    assert await reminded(api, booking) == [1440]
    assert await conn.fetchval("select count(*) from mails where org_id = $1", tenant.org_id) == 0


async def test_a_mail_that_waits_is_not_sent_when_the_booking_ends_meanwhile(
    api: Api, settings: Settings, box: Postbox, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await offer(api)
    kept, ended = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    await plan(conn, soon - 2 * DAY)
    await fire(conn, soon - HOUR)
    await conn.execute("update bookings set status = 'COMPLETED' where id = $1", decode(Kind.BOOKING, ended["id"]))
    # the time at which they were planned lies ahead
    await conn.execute("update mails set next_attempt_at = now(), created_at = now() where org_id = $1", tenant.org_id)
    async with mailing(settings):
        await eventually(lambda: at_rest(conn, tenant))
    (mail,) = [each for each in box.arrived if each.message["List-Unsubscribe"]]
    assert kept["ical_uid"] not in mail.text
    assert mail.to == JANE
    assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    outcomes = await conn.fetch("select outcome from mails where org_id = $1 and kind = 'reminder'", tenant.org_id)
    assert sorted(row["outcome"] for row in outcomes) == ["sent", "superseded"]
