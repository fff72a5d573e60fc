"""Slots over HTTP: what is listed is what can be booked, in the caller's zone, across clock changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.domain.availability.service import find_open_slots
from app.domain.event_types.service import get_event_type
from app.domain.identity.models import Caller
from tests.support import Api


async def slots(api: Api, query: str) -> Any:
    return (await api.get(f"/v1/slots?{query}")).ok()


async def test_a_day_of_slots(api: Api, soon: datetime) -> None:
    made = await api.event_type(code="call", booking_window_days=None)
    day = soon.date().isoformat()
    answer = await slots(api, f"event_type=call&start={day}&end={day}&timezone=UTC")
    assert answer["event_type_id"] == made["id"]
    assert (answer["timezone"], answer["duration_minutes"]) == ("UTC", 30)
    starts = [slot["start"] for slot in answer["slots"][day]]
    assert starts == [f"{day}T{9 + n // 2:02d}:{'30' if n % 2 else '00'}:00Z" for n in range(16)]
    assert answer["slots"][day][-1]["end"] == f"{day}T17:00:00Z"


async def test_slots_are_grouped_by_the_callers_date(api: Api, soon: datetime) -> None:
    await api.event_type(code="call", booking_window_days=None)
    day = soon.date()
    answer = await slots(api, f"event_type=call&start={day}&end={day}&timezone=Pacific/Auckland")
    (local_day,) = answer["slots"]
    assert local_day == day.isoformat()
    instants = [datetime.fromisoformat(slot["start"]) for slot in answer["slots"][local_day]]
    assert all(instant.tzinfo is not None and instant.date() < day for instant in instants if instant.hour >= 12)


async def test_instants_are_half_open_on_the_start(api: Api, soon: datetime) -> None:
    await api.event_type(code="call", booking_window_days=None)
    ten, eleven = (soon + timedelta(hours=hour) for hour in (10, 11))
    query = f"event_type=call&start={ten:%Y-%m-%dT%H:%M:%SZ}&end={eleven:%Y-%m-%dT%H:%M:%SZ}"
    listed = [slot["start"] for day in (await slots(api, query))["slots"].values() for slot in day]
    assert listed == [f"{soon.date()}T10:00:00Z", f"{soon.date()}T10:30:00Z"]
    empty = f"event_type=call&start={ten:%Y-%m-%dT%H:%M:%SZ}&end={ten:%Y-%m-%dT%H:%M:%SZ}"
    assert (await slots(api, empty))["slots"] == {}


async def test_every_listed_slot_is_bookable_and_no_other_start_is(api: Api, soon: datetime) -> None:
    """The same answer from both sides, over a day with a booking, buffers and an odd interval."""
    schedule = {
        "name": "Odd",
        "timezone": "Asia/Kathmandu",
        "weekly": [{"day": "MO", "start": "09:10", "end": "12:25"}, {"day": "MO", "start": "14:00", "end": "15:00"}],
    }
    made = (await api.post("/v1/schedules", schedule)).ok(201)["schedule"]
    fields = {"slot_interval_minutes": 20, "buffer_before_minutes": 10, "booking_window_days": None}
    await api.event_type(code="odd", schedule_id=made["id"], **fields)
    day = soon.date().isoformat()
    query = f"event_type=odd&start={day}&end={day}&timezone=Asia/Kathmandu"
    first = (await slots(api, query))["slots"][day]
    (await api.book("odd", datetime.fromisoformat(first[2]["start"]))).ok(201)
    listed = {slot["start"] for slot in (await slots(api, query))["slots"][day]}
    assert 0 < len(listed) < len(first)
    base = datetime.fromisoformat(first[0]["start"]) - timedelta(minutes=30)
    for minutes in range(0, 400, 5):
        start = base + timedelta(minutes=minutes)
        bookable = start.strftime("%Y-%m-%dT%H:%M:%SZ") in listed
        answer = await api.book("odd", start)
        assert (answer.status == 201) == bookable, (start, answer.raw)
        if answer.status == 201:
            (await api.post(f"/v1/bookings/{answer.json['booking']['id']}/cancel")).ok()


async def test_without_a_zone_dates_are_the_hosts(api: Api, soon: datetime) -> None:
    schedule = await api.always_open("Pacific/Kiritimati")
    fields = {"schedule_id": schedule["id"], "duration_minutes": 60, "booking_window_days": None}
    await api.event_type(code="far", **fields)
    day = soon.date()
    answer = await slots(api, f"event_type=far&start={day}&end={day}")
    assert answer["timezone"] == "Pacific/Kiritimati"
    starts = [slot["start"] for slot in answer["slots"][day.isoformat()]]
    assert len(starts) == 24
    assert starts[0] == f"{day - timedelta(days=1)}T10:00:00Z"


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        # the hour from 2:00 is missing: 1:00 to 4:00 holds two hours, from 00:00 to 02:00 UTC
        ("Europe/Berlin", datetime(2027, 3, 28, tzinfo=UTC), ["00:00", "01:00"]),
        # 2:00 to 3:00 comes twice: four hours, from 23:00 UTC
        ("Europe/Berlin", datetime(2027, 10, 31, tzinfo=UTC), ["23:00", "00:00", "01:00", "02:00"]),
    ],
)
async def test_clock_changes(
    api: Api, conn: db.Connection, tenant: Any, zone: str, day: datetime, expected: list[str]
) -> None:
    weekly = [{"day": "SU", "start": "01:00", "end": "04:00"}]
    made = (await api.post("/v1/schedules", {"name": "S", "timezone": zone, "weekly": weekly})).ok(201)["schedule"]
    fields = {"duration_minutes": 60, "booking_window_days": None}
    code = (await api.event_type(schedule_id=made["id"], **fields))["code"]
    event_type = await get_event_type(conn, tenant.org_id, code)
    found = await find_open_slots(
        conn,
        Caller(tenant.org_id),
        event_type.id,
        day - timedelta(hours=12),
        day + timedelta(hours=20),
        duration=None,
        host_id=None,
        now=day - timedelta(days=30),
    )
    assert [datetime.fromtimestamp(start, UTC).strftime("%H:%M") for start in found.starts] == expected


async def test_notice_and_window_count_from_now(api: Api, conn: db.Connection, tenant: Any, now: datetime) -> None:
    schedule = await api.always_open()
    fields = {"schedule_id": schedule["id"], "minimum_notice_minutes": 90, "booking_window_days": 1}
    code = (await api.event_type(**fields))["code"]

    async def starts(moment: datetime) -> list[datetime]:
        found = await find_open_slots(
            conn,
            Caller(tenant.org_id),
            code,
            now - timedelta(days=2),
            now + timedelta(days=9),
            duration=None,
            host_id=None,
            now=moment,
        )
        return [datetime.fromtimestamp(start, UTC) for start in found.starts]

    exact = await starts(now)
    assert (exact[0], exact[-1]) == (now + timedelta(minutes=90), now + timedelta(days=1))
    later = await starts(now + timedelta(microseconds=1))
    assert later[0] == now + timedelta(minutes=120)
