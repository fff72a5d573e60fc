"""The bots' availability: one day of a link, decided as `/v1/slots` is, cut in the zone that the day is meant in."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.core import db
from app.domain.identity.keys import create_key
from tests.bots import ask_day, created, open_on
from tests.offers import iso, listed, offer
from tests.support import Api, Tenant

HOUR = timedelta(hours=1)


async def by_v1(api: Api, link: Any, day: date, zone: str) -> list[str]:
    query = f"event_type={link['code']}&start={day}&end={day}&timezone={zone}"
    by_day = (await api.get(f"/v1/slots?{query}")).ok()["slots"]
    return [slot["start"] for slots in by_day.values() for slot in slots]


async def test_a_day(api: Api, soon: datetime) -> None:
    link = await offer(api, slug="talk")
    answer = (await ask_day(api, soon.date(), slug="talk")).ok()
    slots = answer["data"].pop("slots")
    assert answer == {"data": {"booking_link_id": link["id"], "slug": "talk", "date": str(soon.date())}}
    assert slots == [{"start": iso(soon + n * HOUR), "end": iso(soon + (n + 1) * HOUR)} for n in range(24)]


async def test_it_is_the_decision_of_every_other_face(api: Api, soon: datetime) -> None:
    """With hours, buffers, an interval, a cap that is reached, and a booking in between."""
    hours = {"name": "Odd", "timezone": "Asia/Kathmandu", "weekly": [{"day": "MO", "start": "09:10", "end": "15:25"}]}
    schedule = (await api.post("/v1/schedules", hours)).ok(201)["schedule"]
    fields: Any = {"slot_interval_minutes": 20, "buffer_before_minutes": 10, "max_bookings": {"day": 2}}
    link = await offer(api, schedule_id=schedule["id"], **fields)
    day = soon.date()
    for _ in range(3):
        expected = await by_v1(api, link, day, "Asia/Kathmandu")
        assert await open_on(api, link, day, timezone="Asia/Kathmandu") == expected
        if expected:
            await created(api, link, datetime.fromisoformat(expected[len(expected) // 2]))
    assert expected == [], "the cap"


async def test_a_date_is_meant_in_the_first_hosts_own_zone(api: Api, soon: datetime) -> None:
    """Not in that of the hours."""
    ben, ana = await api.person(timezone="Pacific/Kiritimati"), await api.person(timezone="America/New_York")
    hosts = [{"user_id": ben["id"]}, {"user_id": ana["id"]}]
    link = await offer(api, hosts=hosts, assignment="round_robin")
    day = soon.date()
    found = await open_on(api, link, day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    assert found[0] == iso(midnight.astimezone(UTC))
    assert len(found) == 24
    assert found == await by_v1(api, link, day, "Pacific/Kiritimati")
    assert (await open_on(api, link, day, timezone="America/New_York")) == (
        await by_v1(api, link, day, "America/New_York")
    )
    assert (await api.call("DELETE", f"/v1/users/{ben['id']}")).status == 204
    assert await open_on(api, link, day) == await by_v1(api, link, day, "America/New_York"), "the first who is there"


def last_sunday(month: int) -> date:
    """Of next year's, when the clocks of Berlin change at 01:00 UTC."""
    last = date(datetime.now(UTC).year + 1, month, 31)
    return last - timedelta(days=(last.weekday() + 1) % 7)


@pytest.mark.parametrize(("month", "hours"), [(3, 23), (10, 25)])
async def test_days_on_which_the_clock_changes(api: Api, month: int, hours: int) -> None:
    ben = await api.person(timezone="Europe/Berlin")
    schedule = await api.always_open("Europe/Berlin")
    link = await offer(api, hosts=[{"user_id": ben["id"]}], schedule_id=schedule["id"])
    day = last_sunday(month)
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    found = await open_on(api, link, day)
    assert found == [iso(midnight + n * HOUR) for n in range(hours)]
    assert found == await by_v1(api, link, day, "Europe/Berlin")
    after = await open_on(api, link, day + timedelta(days=1))
    assert (after[0], len(after)) == (iso(midnight + hours * HOUR), 24), "nothing is left out, or told twice"


async def test_the_parameters_that_narrow(api: Api, soon: datetime) -> None:
    question = {"id": "topic", "label": "Topic", "type": "select", "options": ["tax", "spam"]}
    link = await offer(
        api,
        people=2,
        assignment="round_robin",
        durations=[60, 90],
        services=[{"id": "long", "name": "Long", "duration_minutes": 240}],
        questions=[question],
    )
    day, (ana, ben) = soon.date(), (host["user_id"] for host in link["hosts"])
    rules = [
        {"question_id": "topic", "operator": "equals", "value": "tax", "action": "assign", "host_ids": [ben]},
        {"question_id": "topic", "operator": "equals", "value": "spam", "action": "reject", "message": "No spam."},
    ]
    (await api.call("PATCH", f"/v1/event-types/{link['code']}", {"routing_rules": rules})).ok()
    await created(api, link, soon, staff_id=ben)
    everybody = await open_on(api, link, day)
    assert iso(soon) in everybody
    assert await open_on(api, link, day, staff_id=ana) == everybody
    assert await open_on(api, link, day, staff_id=ben) == everybody[1:]
    tax = [{"question_id": "topic", "answer": "tax"}]
    assert await open_on(api, link, day, answers=tax) == everybody[1:]
    spam = await ask_day(api, day, booking_link_id=link["id"], answers=[{"question_id": "topic", "answer": "spam"}])
    assert (spam.ok(403)["code"], spam.json["detail"]) == ("routing_rejected", "No spam.")
    long = (await ask_day(api, day, booking_link_id=link["id"], service_id="long")).ok()["data"]["slots"]
    assert long[0] == {"start": iso(soon), "end": iso(soon + 4 * HOUR)}
    usual = (await ask_day(api, day, booking_link_id=link["id"], duration=90)).ok()["data"]["slots"]
    assert usual[1] == {"start": iso(soon + 1.5 * HOUR), "end": iso(soon + 3 * HOUR)}


async def test_every_listed_slot_can_be_booked(api: Api, soon: datetime) -> None:
    link = await offer(api, buffer_after_minutes=30)
    day = soon.date()
    while found := await open_on(api, link, day):
        await created(api, link, datetime.fromisoformat(found[len(found) // 3]))
    assert await listed(api, link, soon, 24) == []


async def test_a_day_without_anything_open_is_an_empty_list(api: Api, soon: datetime) -> None:
    link = await offer(api, booking_window_days=30)
    for day in (date(1970, 1, 3), date(2020, 2, 29), soon.date() + timedelta(days=60), date(2199, 12, 30)):
        assert await open_on(api, link, day) == []
    asleep = await offer(api, active=False)
    assert await open_on(api, asleep, soon.date()) == []


async def test_a_day_that_a_zone_left_out_is_empty(api: Api) -> None:
    """Samoa had no 30 December 2011; whoever asks for it is told so, and nothing breaks."""
    link = await offer(api)
    assert await open_on(api, link, date(2011, 12, 30), timezone="Pacific/Apia") == []


@pytest.mark.parametrize("scope", ["bookings:read", "slots:read", "mcp"])
async def test_either_scope_will_do(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime, scope: str) -> None:
    link = await offer(api)
    given: Any = {"name": "bot", "scopes": (scope,), "now": datetime.now(UTC)}
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, **given)
    assert len(await open_on(Api(api.client, key), link, soon.date())) == 24


async def test_an_archived_link_is_gone(api: Api, soon: datetime) -> None:
    link = await offer(api, slug="talk")
    await api.call("DELETE", f"/v1/event-types/{link['code']}")
    for name, value in (("booking_link_id", link["id"]), ("booking_link_id", link["code"]), ("slug", "talk")):
        assert (await ask_day(api, soon.date(), **{name: value})).ok(404)["code"] == "booking_link_not_found"
