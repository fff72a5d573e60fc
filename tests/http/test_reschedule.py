"""Moving a booking: the new one takes the place of the old one, or nothing changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core import db
from tests.offers import booked, iso, listed, offer, refused
from tests.support import Answer, Api

HOUR = timedelta(hours=1)


async def move(api: Api, booking: Any, start: datetime, **more: Any) -> Answer:
    return await api.post(f"/v1/bookings/{booking['id']}/reschedule", {"start_time": start.isoformat(), **more})


async def test_a_booking_moves(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, max_bookings={"day": 1})
    old = await booked(api, made, soon, notes="Bring it", metadata={"a": [1]})
    new = (await move(api, old, soon + 3 * HOUR, reason="Later", timezone="Asia/Tokyo")).ok()["booking"]
    assert (new["status"], new["start_time"], new["rescheduled_from_id"]) == (
        "RESCHEDULED",
        iso(soon + 3 * HOUR),
        old["id"],
    )
    assert (new["notes"], new["metadata"], new["timezone"]) == ("Bring it", {"a": [1]}, "Asia/Tokyo")
    assert new["history"][0]["reason"] == "Later"
    assert (await api.get(f"/v1/bookings/{new['id']}")).ok()["booking"] == {**new, "calendar_events": []}
    before = (await api.get(f"/v1/bookings/{old['id']}")).ok()["booking"]
    assert (before["status"], before["rescheduled_to_id"]) == ("CANCELLED", new["id"])
    assert before["cancellation"]["reason"] == "rescheduled"
    assert before["history"][-1]["reason"] == "Later"
    await refused(api, made, soon, "slot_unavailable")
    rows = await conn.fetch("select type, body::json as body from events where org_id = $1 order by id", tenant.org_id)
    assert [row["type"] for row in rows] == ["booking.created", "booking.rescheduled"]
    uids = await conn.fetch("select ical_uid, ical_sequence from bookings where org_id = $1 order by id", tenant.org_id)
    assert [row["ical_sequence"] for row in uids] == [0, 1]
    assert uids[0]["ical_uid"] == uids[1]["ical_uid"]
    (await api.post(f"/v1/bookings/{new['id']}/cancel")).ok()
    assert len(await listed(api, made, soon, 24)) == 24


async def test_onto_a_part_of_itself(api: Api, soon: datetime) -> None:
    made = await offer(api, slot_interval_minutes=15, buffer_after_minutes=15)
    old = await booked(api, made, soon)
    new = (await move(api, old, soon + HOUR / 2)).ok()["booking"]
    await refused(api, made, soon, "slot_taken")
    confirmed = (await api.post(f"/v1/bookings/{new['id']}/confirm")).ok()["booking"]
    assert confirmed["status"] == "SCHEDULED"
    assert (await move(api, confirmed, soon + HOUR / 2)).status == 200, "to where it is"


async def test_when_the_new_time_cannot_be_had_the_old_one_is_not_lost(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    made = await offer(api, people=2, assignment="collective")
    old = await booked(api, made, soon)
    await booked(api, made, soon + HOUR)
    for start, code in [(soon + HOUR, "slot_taken"), (soon + HOUR / 3, "slot_unavailable")]:
        assert (await move(api, old, start)).ok(409)["code"] == code
        assert (await api.get(f"/v1/bookings/{old['id']}")).ok()["booking"] == {**old, "calendar_events": []}
    await refused(api, made, soon, "slot_taken")
    assert await conn.fetchval("select count(*) from events where org_id = $1", tenant.org_id) == 2


async def test_only_what_stands_can_be_moved(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, requires_confirmation=True)
    pending = await booked(api, made, soon)
    new = (await move(api, pending, soon + HOUR)).ok()["booking"]
    assert new["status"] == "RESCHEDULED", "a host who moves a pending booking confirms it"
    assert (await move(api, pending, soon + 2 * HOUR)).ok(409)["code"] == "invalid_transition"
    (await api.post(f"/v1/bookings/{new['id']}/cancel")).ok()
    assert (await move(api, new, soon + 2 * HOUR)).ok(409)["code"] == "invalid_transition"
    past = await booked(api, made, soon)
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    await conn.execute(
        "update bookings set starts_at = $2, ends_at = $3 where org_id = $1 and code = $4",
        *(tenant.org_id, long_ago, long_ago + HOUR, past["code"]),
    )
    assert (await move(api, past, soon + 2 * HOUR)).ok(409)["code"] == "invalid_transition"


async def test_a_host_keeps_a_moved_booking_and_another_takes_it_if_need_be(api: Api, soon: datetime) -> None:
    made = await offer(api, people=3, assignment="round_robin")
    old = await booked(api, made, soon)
    same = (await move(api, old, soon + HOUR)).ok()["booking"]
    assert same["assigned_to_id"] == old["assigned_to_id"]
    assert same["routing_trace"]["reason"] == "kept_host"
    own = await offer(api)
    assert own["hosts"][0]["user_id"] == old["assigned_to_id"]
    await booked(api, own, soon + 2 * HOUR)
    other = (await move(api, same, soon + 2 * HOUR)).ok()["booking"]
    assert other["assigned_to_id"] != old["assigned_to_id"]


async def test_a_seat_moves_and_its_session_stays(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, seats=2)
    first, second = await booked(api, made, soon), await booked(api, made, soon)
    await booked(api, made, soon + HOUR)
    assert (await move(api, first, soon + HOUR)).status == 200
    assert (await move(api, second, soon + HOUR)).ok(409)["code"] == "slot_taken"
    taken = await conn.fetch("select taken from sittings where org_id = $1 order by starts_at", tenant.org_id)
    assert [row["taken"] for row in taken] == [1, 2]


async def test_the_length_that_was_agreed_stays(api: Api, soon: datetime) -> None:
    made = await offer(api, durations=[60, 90])
    old = await booked(api, made, soon, duration=90)
    (await api.call("PATCH", f"/v1/event-types/{made['code']}", {"durations": [60]})).ok()
    problem = (await move(api, old, soon + timedelta(minutes=1))).ok(409)
    assert [each["end"] for each in problem["alternatives"]][-1] == iso(soon + 3 * HOUR)
    new = (await move(api, old, soon + 3 * HOUR)).ok()["booking"]
    assert new["end_time"] == iso(soon + 4.5 * HOUR)
