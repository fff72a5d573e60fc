"""Caps, seats, services, confirmation: what a booking takes besides time."""

from datetime import datetime, timedelta
from typing import Any

from app.core import db
from tests.offers import ask, booked, listed, offer, refused, slots_of
from tests.support import Api

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def counters(conn: db.Connection, tenant: Any) -> list[tuple[str, str, int]]:
    rows = await conn.fetch(
        "select period, period_start, taken from booking_counters where org_id = $1 and taken > 0 order by 1, 2",
        tenant.org_id,
    )
    return [(row["period"], row["period_start"].isoformat(), row["taken"]) for row in rows]


async def test_a_full_day_is_closed_and_a_cancel_opens_it(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    made = await offer(api, max_bookings={"day": 2})
    first = await booked(api, made, soon)
    await booked(api, made, soon + 5 * HOUR)
    problem = await refused(api, made, soon + 8 * HOUR, "slot_unavailable")
    assert problem["reasons"] == ["cap_day"]
    nearest = [datetime.fromisoformat(each["start"]) for each in problem["alternatives"]]
    assert nearest == [soon - HOUR, soon + DAY, soon + DAY + HOUR] or len(nearest) == 3
    assert await listed(api, made, soon, 24) == []
    assert len(await listed(api, made, soon + DAY, 24)) == 24
    assert await counters(conn, tenant) == [("day", soon.date().isoformat(), 2)]
    (await api.post(f"/v1/bookings/{first['id']}/cancel")).ok()
    assert len(await listed(api, made, soon, 24)) == 23
    await booked(api, made, soon)


async def test_caps_count_days_in_the_hosts_zone(api: Api, soon: datetime) -> None:
    """22:00 UTC on Monday is Tuesday in Auckland and still Monday in Berlin."""
    schedule = await api.always_open("Pacific/Auckland")
    made = await offer(api, schedule_id=schedule["id"], max_bookings={"day": 1})
    await booked(api, made, soon + 2 * HOUR)
    await booked(api, made, soon + 22 * HOUR)
    await refused(api, made, soon + 23 * HOUR, "slot_unavailable")
    await refused(api, made, soon + 3 * HOUR, "slot_unavailable")


async def test_week_and_month_caps(api: Api, soon: datetime) -> None:
    weekly = await offer(api, max_bookings={"week": 1})
    await booked(api, weekly, soon)
    await refused(api, weekly, soon + 6 * DAY, "slot_unavailable")
    await refused(api, weekly, soon + 6 * DAY + 23 * HOUR, "slot_unavailable")
    await booked(api, weekly, soon - HOUR)
    await booked(api, weekly, soon + 7 * DAY)
    monthly = await offer(api, max_bookings={"month": 1})
    first = (soon.replace(day=1) + timedelta(days=70)).replace(day=1)
    await booked(api, monthly, first + HOUR * 3)
    last = (first + timedelta(days=31)).replace(day=1) - HOUR
    problem = await refused(api, monthly, last, "slot_unavailable")
    assert problem["reasons"] == ["cap_month"]
    await booked(api, monthly, last + HOUR)


async def test_caps_are_counted_again_when_they_come_or_move(
    api: Api, conn: db.Connection, tenant: Any, soon: datetime
) -> None:
    """A cap counts what was booked before it; a host who moves to another zone moves the days."""
    schedule = await api.always_open("UTC")
    made = await offer(api, schedule_id=schedule["id"])
    path = f"/v1/event-types/{made['code']}"
    late = await booked(api, made, soon + 22 * HOUR)
    await booked(api, made, soon + HOUR)
    (await api.call("PATCH", path, {"max_bookings": {"day": 2}})).ok()
    assert await counters(conn, tenant) == [("day", soon.date().isoformat(), 2)]
    await refused(api, made, soon + 3 * HOUR, "slot_unavailable")
    (await api.call("PATCH", f"/v1/schedules/{schedule['id']}", {"timezone": "Pacific/Auckland"})).ok()
    days = [soon.date().isoformat(), (soon + DAY).date().isoformat()]
    assert await counters(conn, tenant) == [("day", days[0], 1), ("day", days[1], 1)]
    await booked(api, made, soon + 3 * HOUR)
    (await api.post(f"/v1/bookings/{late['id']}/cancel")).ok()
    assert await counters(conn, tenant) == [("day", days[0], 2)]
    (await api.call("PATCH", path, {"max_bookings": {"day": None}})).ok()
    assert await counters(conn, tenant) == []


async def test_round_robin_hosts_have_caps_of_their_own(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin", max_bookings={"day": 1})
    got = {(await booked(api, made, soon + n * HOUR))["assigned_to_id"] for n in range(2)}
    assert len(got) == 2
    await refused(api, made, soon + 2 * HOUR, "slot_unavailable")


async def test_seats_share_one_session(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    made = await offer(api, seats=3, max_bookings={"day": 1})
    assert slots_of(await ask(api, made, soon, 1))[0]["seats_left"] == 3
    bookings = [await booked(api, made, soon) for _ in range(2)]
    day = {slot["start"][11:16]: slot["seats_left"] for slot in slots_of(await ask(api, made, soon, 24))}
    assert day == {"00:00": 1}, "the session counts once in the cap, and a seat beside it can be had"
    bookings.append(await booked(api, made, soon))
    problem = await refused(api, made, soon, "slot_taken")
    assert problem["reasons"] == ["seats_full"]
    held = "select count(*) from allocations where org_id = $1"
    assert await conn.fetchval(held, tenant.org_id) == 1
    for booking in bookings:
        assert await conn.fetchval(held, tenant.org_id) == 1
        (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    assert await conn.fetchval(held, tenant.org_id) == 0
    assert len(await listed(api, made, soon, 24)) == 24
    await booked(api, made, soon + 5 * HOUR)


async def test_a_session_stays_with_its_host_and_its_length(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin", seats=2, durations=[60, 30])
    first = await booked(api, made, soon)
    assert (await booked(api, made, soon))["assigned_to_id"] == first["assigned_to_id"]
    await refused(api, made, soon, "slot_taken")
    await booked(api, made, soon + HOUR)
    problem = await refused(api, made, soon + HOUR, "slot_taken", duration=30)
    assert "busy_booking" in problem["reasons"]


async def test_services_have_their_own_durations(api: Api, soon: datetime) -> None:
    services = [{"id": "cut", "name": "Cut", "duration_minutes": 90}, {"name": "Wash", "duration_minutes": 15}]
    made = await offer(api, services=services)
    assert [service["id"] for service in made["services"]] == ["cut", "s_1"]
    assert await listed(api, made, soon, 6, service_id="cut") == ["00:00", "01:30", "03:00", "04:30"]
    booking = await booked(api, made, soon, service_id="cut")
    assert booking["end_time"] == (soon + 1.5 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert booking["service_id"] == "cut"
    await refused(api, made, soon + HOUR, "slot_taken")
    answer = await api.post(
        "/v1/bookings",
        {
            "event_type": made["code"],
            "requested_time": soon.isoformat(),
            "service_id": "dye",
            "attendee": {"name": "J", "email": "j@example.com", "timezone": "UTC"},
        },
    )
    assert answer.ok(400)["errors"][0]["field"] == "service_id"


async def test_a_pending_booking_holds_its_slot(api: Api, soon: datetime) -> None:
    made = await offer(api, requires_confirmation=True)
    pending = await booked(api, made, soon)
    assert (pending["status"], pending["requires_confirmation"]) == ("PENDING_CONFIRMATION", True)
    await refused(api, made, soon, "slot_taken")
    path = f"/v1/bookings/{pending['id']}"
    confirmed = (await api.post(f"{path}/confirm")).ok()["booking"]
    assert confirmed["status"] == "SCHEDULED"
    assert (await api.post(f"{path}/confirm")).ok()["booking"] == confirmed
    assert (await api.post(f"{path}/decline")).ok(409)["code"] == "invalid_transition"
    other = await booked(api, made, soon + HOUR)
    declined = (await api.post(f"/v1/bookings/{other['id']}/decline", {"reason": "Away"})).ok()["booking"]
    assert (declined["status"], declined["cancellation"]["reason"]) == ("CANCELLED", "Away")
    await booked(api, made, soon + HOUR)


async def test_a_cancelled_slot_can_be_booked_again_by_the_same_person(api: Api, soon: datetime) -> None:
    made = await offer(api)
    for _ in range(3):
        booking = await booked(api, made, soon)
        await refused(api, made, soon, "slot_taken")
        (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()


async def test_the_later_ones_buffer_before_and_the_earlier_ones_after_both_hold(api: Api, soon: datetime) -> None:
    made = await offer(api, buffer_before_minutes=10, buffer_after_minutes=20, slot_interval_minutes=5)
    await booked(api, made, soon + 5 * HOUR)
    free = await listed(api, made, soon + 3 * HOUR, 5)
    assert "03:30" in free
    assert "03:35" not in free, "20 minutes after it and 10 before the other"
    assert "06:25" not in free
    assert "06:30" in free


async def test_a_host_and_a_booker_on_opposite_sides_of_the_date_line(api: Api, soon: datetime) -> None:
    """Monday 09:00 on Kiritimati (+14) is Sunday 08:00 in Pago Pago (-11), and one and the same slot."""
    weekly = [{"day": "MO", "start": "09:00", "end": "11:00"}]
    body = {"name": "Far", "timezone": "Pacific/Kiritimati", "weekly": weekly}
    schedule = (await api.post("/v1/schedules", body)).ok(201)["schedule"]
    made = await offer(api, schedule_id=schedule["id"], max_bookings={"day": 2})
    sunday = (soon - DAY).date().isoformat()
    query = f"event_type={made['code']}&start={sunday}&end={sunday}&timezone=Pacific/Pago_Pago"
    answer = (await api.get(f"/v1/slots?{query}")).ok()
    starts = [slot["start"] for slot in answer["slots"][sunday]]
    assert starts == [f"{sunday}T19:00:00Z", f"{sunday}T20:00:00Z"]
    attendee = {"name": "Sina", "email": "sina@example.com", "timezone": "Pacific/Pago_Pago"}
    for start in starts:
        await booked(api, made, datetime.fromisoformat(start), attendee=attendee)
    assert (await api.get(f"/v1/slots?{query}")).ok()["slots"] == {}
