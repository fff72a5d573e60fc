"""`explain=true`: every refused start with its reason, and with the object that blocks it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core import db
from app.core.ids import Kind, decode, encode, new_id
from tests.offers import ask, book, booked, iso, offer, refused_of, slots_of
from tests.support import Api

HOUR = timedelta(hours=1)


def codes(reasons: list[Any]) -> list[str]:
    return [reason["code"] for reason in reasons]


async def busy_calendar(conn: db.Connection, tenant: Any, start: datetime, end: datetime) -> str:
    """What a sync would have mirrored: one busy block of the caller's calendar."""
    connection_id, calendar_id = new_id(), new_id()
    await conn.execute(
        """
        insert into calendar_connections
            (org_id, id, user_id, provider, account, credentials_sealed, status, created_at, updated_at)
        values ($1, $2, $3, 'google', 'a@example.com', '', 'active', now(), now())
        """,
        *(tenant.org_id, connection_id, tenant.user_id),
    )
    await conn.execute(
        """
        insert into calendars
            (org_id, id, connection_id, user_id, remote_id, name, fresh_until, known_until, created_at, updated_at)
        values ($1, $2, $3, $4, 'r', 'Mine', 'infinity', 'infinity', now(), now())
        """,
        *(tenant.org_id, calendar_id, connection_id, tenant.user_id),
    )
    await conn.execute(
        """
        insert into busy_blocks (org_id, calendar_id, generation, remote_id, subject_no, during)
        select $1, $2, 0, 'x', subject_no, tstzrange($4, $5) from users where org_id = $1 and id = $3
        """,
        *(tenant.org_id, calendar_id, tenant.user_id, start, end),
    )
    return encode(Kind.CALENDAR, calendar_id)


async def test_every_reason_names_what_blocks(api: Api, conn: db.Connection, tenant: Any, soon: datetime) -> None:
    tuesday = (soon + timedelta(days=1)).date().isoformat()
    schedule = (
        await api.post(
            "/v1/schedules",
            {
                "name": "Hours",
                "timezone": "UTC",
                "weekly": [{"day": day, "start": "08:00", "end": "16:00"} for day in ("MO", "TU", "WE")],
                "overrides": [{"date": tuesday, "windows": [{"start": "08:00", "end": "09:00"}]}],
            },
        )
    ).ok(201)["schedule"]
    made = await offer(api, schedule_id=schedule["id"], buffer_after_minutes=30, max_bookings={"day": 2})
    booking = await booked(api, made, soon + 10 * HOUR)
    calendar = await busy_calendar(conn, tenant, soon + 13 * HOUR, soon + 14 * HOUR)
    answer = await ask(api, made, soon, 48, explain="true")
    found = refused_of(answer)
    assert [slot["start"] for slot in slots_of(answer)] == [iso(soon + n * HOUR) for n in (8, 14, 15, 32)]
    host = made["hosts"][0]["user_id"]
    assert found[iso(soon + 10 * HOUR)] == [{"code": "busy_booking", "host_id": host, "booking_id": booking["id"]}]
    for hour in (9, 11):
        assert found[iso(soon + hour * HOUR)] == [{"code": "buffer", "host_id": host, "booking_id": booking["id"]}]
    for hour in (12, 13):
        assert found[iso(soon + hour * HOUR)] == [{"code": "busy_calendar", "host_id": host, "calendar_id": calendar}]
    closed = {"host_id": host, "schedule_id": schedule["id"]}
    assert found[iso(soon + 7 * HOUR)] == [{"code": "outside_schedule", **closed}]
    assert found[iso(soon + 33 * HOUR)] == [{"code": "override_closed", **closed, "date": tuesday}]
    assert found[iso(soon + 40 * HOUR)] == [{"code": "outside_schedule", **closed}]
    await booked(api, made, soon + 8 * HOUR)
    full = refused_of(await ask(api, made, soon, 24, explain="true"))
    cap = {"code": "cap_day", "host_id": host, "period_start": soon.date().isoformat()}
    assert full[iso(soon + 14 * HOUR)] == [cap]
    assert set(codes(full[iso(soon + 13 * HOUR)])) == {"busy_calendar", "cap_day"}


async def test_notice_and_window(api: Api) -> None:
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    made = await offer(api, minimum_notice_minutes=24 * 60, booking_window_days=2)
    found = refused_of(await ask(api, made, today, 72, explain="true"))
    assert codes(found[iso(today)]) == codes(found[iso(today + 23 * HOUR)]) == ["notice"]
    assert codes(found[iso(today + 50 * HOUR)]) == ["window"]


async def test_an_inactive_event_type_says_so(api: Api, soon: datetime) -> None:
    made = await offer(api, active=False)
    answer = await ask(api, made, soon, 2, explain="true")
    assert [codes(each) for each in refused_of(answer).values()] == [["inactive"], ["inactive"]]


async def test_seats(api: Api, soon: datetime) -> None:
    made = await offer(api, seats=2, durations=[60, 120])
    for _ in range(2):
        await booked(api, made, soon)
    await booked(api, made, soon + 4 * HOUR)
    found = refused_of(await ask(api, made, soon, 8, explain="true"))
    assert found == {iso(soon): [{"code": "seats_full", "seats": 2, "taken": 2}]}
    longer = refused_of(await ask(api, made, soon, 8, explain="true", duration=120))
    assert codes(longer[iso(soon + 4 * HOUR)]) == ["busy_booking"]


async def test_of_several_hosts_each_has_reasons(api: Api, soon: datetime) -> None:
    made = await offer(api, people=2, assignment="round_robin")
    first, second = (host["user_id"] for host in made["hosts"])
    await booked(api, made, soon)
    assert refused_of(await ask(api, made, soon, 2, explain="true")) == {}, "one free host is enough"
    await booked(api, made, soon)
    found = refused_of(await ask(api, made, soon, 2, explain="true"))
    assert [reason["host_id"] for reason in found[iso(soon)]] == [first, second]
    both = await offer(api, assignment="collective", hosts=[{"user_id": first}, {"user_id": second}])
    await booked(api, made, soon + HOUR)
    found = refused_of(await ask(api, both, soon, 3, explain="true"))
    assert [reason["host_id"] for reason in found[iso(soon + HOUR)]] == [first]


async def test_whom_routing_leaves_out(api: Api, soon: datetime) -> None:
    people = [(await api.person())["id"] for _ in range(2)]
    rule = {"question_id": "q", "operator": "equals", "value": "b", "action": "assign", "host_ids": people[1:]}
    made = await offer(
        api,
        assignment="round_robin",
        hosts=[{"user_id": each} for each in people],
        questions=[{"id": "q", "label": "Q", "type": "text"}],
        routing_rules=[rule],
    )
    query = {"answers": [{"question_id": "q", "answer": "B"}]}
    await booked(api, made, soon, **query)
    found = refused_of(await ask(api, made, soon, 1, explain="true", **query))
    assert codes(found[iso(soon)]) == ["busy_booking", "routing"]
    assert found[iso(soon)][1] == {"code": "routing", "rule": 0, "host_id": people[0]}


@pytest.mark.parametrize(
    "fields",
    [
        {"buffer_before_minutes": 15, "slot_interval_minutes": 25, "durations": [50]},
        {"people": 2, "assignment": "round_robin", "max_bookings": {"day": 2}},
        {"people": 2, "assignment": "collective"},
        {"seats": 2},
    ],
)
async def test_a_start_is_called_free_if_and_only_if_a_create_there_succeeds(
    api: Api, soon: datetime, fields: Any
) -> None:
    weekly = [{"day": "MO", "start": "02:00", "end": "08:00"}, {"day": "MO", "start": "09:10", "end": "12:00"}]
    schedule = (await api.post("/v1/schedules", {"name": "H", "timezone": "UTC", "weekly": weekly})).ok(201)["schedule"]
    durations = fields.get("durations", [60])
    made = await offer(api, **{"duration_minutes": durations[0], "schedule_id": schedule["id"], **fields})
    await booked(api, made, datetime.fromisoformat(slots_of(await ask(api, made, soon, 24))[1]["start"]))
    answer = await ask(api, made, soon, 13, explain="true")
    free, closed = {slot["start"] for slot in slots_of(answer)}, refused_of(answer)
    assert free
    assert closed
    assert free.isdisjoint(closed)
    assert all(closed.values())
    for start in sorted(free | set(closed)):
        answered = await book(api, made, datetime.fromisoformat(start))
        assert (answered.status == 201) == (start in free), (start, answered.raw)
        if answered.status == 201:
            (await api.post(f"/v1/bookings/{answered.json['booking']['id']}/cancel")).ok()
        else:
            # which booking is in the way, and whether only by its buffer, is not looked up for a refusal
            said = ["busy_booking" if code == "buffer" else code for code in codes(closed[start])]
            assert answered.json["reasons"] == list(dict.fromkeys(said))
    assert isinstance(decode(Kind.EVENT_TYPE, answer["event_type_id"]), UUID)


async def test_bad_questions_are_refused(api: Api, soon: datetime) -> None:
    made = await offer(api)
    base = f"/v1/slots?event_type={made['code']}&start={soon.date()}&end={soon.date()}"
    wrong = {
        "explain=maybe": "explain",
        "answers=x": "answers",
        "answers={}": "answers",
        'answers=[{"question_id":"q"}]': "answers.0.answer",
        "service_id=none": "service_id",
        "duration=17": "duration",
    }
    for query, field in wrong.items():
        assert (await api.get(f"{base}&{query}")).ok(400)["errors"][0]["field"] == field, query
    unknown = f'{base}&answers=[{{"question_id":"q","answer":1}}]'
    assert (await api.get(unknown)).ok(400)["errors"][0]["field"] == "answers.0.question_id"
