"""Lists of bookings: filters, cursor pages that hold while bookings come and go, numbered pages; and the counts."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from app.core import db
from app.core.vault import Vault
from tests.offers import booked, iso, offer
from tests.rooms import location, room
from tests.support import Api, make_tenant

HOUR = timedelta(hours=1)


async def page(api: Api, **query: Any) -> Any:
    return (await api.get(f"/v1/bookings?{urlencode(query, doseq=True)}")).ok()


async def ids(api: Api, **query: Any) -> list[str]:
    return [each["id"] for each in (await page(api, **query))["bookings"]]


async def walk(api: Api, limit: int, **query: Any) -> list[str]:
    return await api.walk("/v1/bookings", "bookings", limit, **query)


async def test_the_earliest_start_comes_first_page_by_page(api: Api, soon: datetime) -> None:
    made = await offer(api)
    starts = [5, 1, 4, 2, 3, 0]
    bookings = {hour: (await booked(api, made, soon + hour * HOUR))["id"] for hour in starts}
    expected = [bookings[hour] for hour in sorted(starts)]
    assert await ids(api) == expected
    for limit in (1, 2, 3, 5, 6, 7):
        assert await walk(api, limit=limit) == expected
    first = await page(api, limit=2)
    assert first["success"] is True
    assert first["pagination"] == {"next_cursor": expected[1], "has_more": True}
    one = (await api.get(f"/v1/bookings/{expected[0]}")).ok()["booking"]
    assert one == {**first["bookings"][0], "calendar_events": []}


async def test_bookings_that_start_together_are_walked_through_once(api: Api, soon: datetime) -> None:
    made = await offer(api, seats=9)
    expected = [(await booked(api, made, soon))["id"] for _ in range(7)]
    for limit in (1, 2, 3):
        assert await walk(api, limit=limit) == sorted(expected)


async def test_pages_hold_while_bookings_come_and_go(api: Api, soon: datetime) -> None:
    made = await offer(api)
    before = [await booked(api, made, soon + hour * HOUR) for hour in range(2, 8)]
    first = await page(api, limit=2)
    # one before the place, the place itself and the one after it move or end, and others come on both sides
    await booked(api, made, soon)
    await api.post(f"/v1/bookings/{before[0]['id']}/cancel")
    await api.post(f"/v1/bookings/{before[1]['id']}/reschedule", {"start_time": iso(soon + 20 * HOUR)})
    late = await booked(api, made, soon + 12 * HOUR)
    rest = await walk(api, limit=2, cursor=first["pagination"]["next_cursor"])
    expected = [each["id"] for each in before[2:]] + [late["id"]]
    assert rest[:-1] == expected
    assert len(rest) == len(set(rest)) == len(expected) + 1


async def test_each_filter(api: Api, soon: datetime) -> None:
    other = await api.person()
    first, second = await offer(api), await offer(api, hosts=[{"user_id": other["id"]}])
    a = await booked(api, first, soon)
    b = await booked(api, first, soon + HOUR, attendee={"name": "B", "email": "B.x@Example.com", "timezone": "UTC"})
    c = await booked(api, second, soon + 2 * HOUR)
    d = await booked(api, second, soon + 3 * HOUR)
    await api.post(f"/v1/bookings/{d['id']}/cancel")
    assert await ids(api, status="CANCELLED") == [d["id"]]
    assert await ids(api, status=["CANCELLED", "SCHEDULED"]) == [a["id"], b["id"], c["id"], d["id"]]
    assert await ids(api, event_type_id=first["id"]) == [a["id"], b["id"]]
    assert await ids(api, assigned_to_id=other["id"]) == [c["id"], d["id"]]
    assert await ids(api, attendee_email="b.X@example.COM") == [b["id"]]
    assert await ids(api, start_date=iso(soon + HOUR)) == [b["id"], c["id"], d["id"]]
    assert await ids(api, end_date=iso(soon + HOUR)) == [a["id"]], "half-open"
    assert await ids(api, start_date=iso(soon + HOUR), end_date=iso(soon + 3 * HOUR)) == [b["id"], c["id"]]
    day = str(soon.date())
    assert len(await ids(api, start_date=day, end_date=day)) == 4
    assert await ids(api, end_date=str(soon.date() - timedelta(days=1))) == []
    both = {"event_type_id": second["id"], "status": "SCHEDULED", "assigned_to_id": other["id"]}
    assert await ids(api, **both) == [c["id"]]
    assert await ids(api, **both, attendee_email="jane@example.com", start_date=day) == [c["id"]]
    assert await ids(api, event_type_id=first["id"], assigned_to_id=other["id"]) == []
    assert await walk(api, limit=1, event_type_id=first["id"]) == [a["id"], b["id"]]
    assert await walk(api, limit=1, assigned_to_id=other["id"]) == [c["id"], d["id"]]
    assert await walk(api, limit=1, attendee_email="jane@example.com") == [a["id"], c["id"], d["id"]]


async def test_what_holds_a_room_is_found_by_the_room(api: Api, soon: datetime) -> None:
    held = await room(api, await location(api))
    made = await offer(api, requires=[{"kind": "room"}])
    inside = await booked(api, made, soon)
    await booked(api, await offer(api), soon + 5 * HOUR)
    assert await ids(api, resource_id=held["id"]) == [inside["id"]]


async def test_numbered_pages_say_how_many_there_are(api: Api, soon: datetime) -> None:
    made = await offer(api)
    expected = [(await booked(api, made, soon + hour * HOUR))["id"] for hour in range(5)]
    for number, has_more in ((1, True), (2, True), (3, False), (4, False)):
        shown = await page(api, page=number, limit=2)
        assert [each["id"] for each in shown["bookings"]] == expected[2 * number - 2 : 2 * number]
        assert shown["pagination"] == {"page": number, "limit": 2, "total": 5, "has_more": has_more}
    filtered = await page(api, page=1, start_date=iso(soon + 3 * HOUR))
    assert filtered["pagination"] == {"page": 1, "limit": 50, "total": 2, "has_more": False}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=1&cursor=bkg_01h2xcejqtf2nbrexx3vqjhp41", "page"),
        ("page=0", "page"),
        ("page=x", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=bkg_01h2xcejqtf2nbrexx3vqjhp41", "cursor"),
        ("status=scheduled", "status.0"),
        ("status=SCHEDULED&status=GONE", "status.1"),
        ("event_type_id=intro", "event_type_id"),
        ("assigned_to_id=evt_01h2xcejqtf2nbrexx3vqjhp41", "assigned_to_id"),
        ("attendee_email=x", "attendee_email"),
        ("resource_id=x", "resource_id"),
        ("start_date=2026-05-01T14:00:00", "start_date"),
        ("start_date=2026-02-30", "start_date"),
        ("end_date=tomorrow", "end_date"),
        ("colour=blue", "colour"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_wrong_queries_name_the_parameter(api: Api, query: str, field: str) -> None:
    problem = (await api.get(f"/v1/bookings?{query}")).ok(400)
    assert [each["field"] for each in problem["errors"]] == [field]


async def test_nobody_sees_anothers_list(api: Api, conn: db.Connection, vault: Vault, soon: datetime) -> None:
    mine = await booked(api, await offer(api), soon)
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert await ids(stranger) == []
    assert await ids(stranger, event_type_id=mine["event_type_id"]) == []
    assert (await stranger.get(f"/v1/bookings?cursor={mine['id']}")).status == 400
    assert (await stranger.get("/v1/bookings/stats")).ok()["stats"]["total"] == 0


async def test_stats_count_by_status_event_type_host_and_day(api: Api, soon: datetime) -> None:
    me = (await api.get("/v1/users/me")).ok()["user"]["id"]
    two = await offer(api, people=2, assignment="collective")
    one = await offer(api)
    for hour in (0, 1, 23):
        await booked(api, one, soon + hour * HOUR)
    gone = await booked(api, two, soon + 5 * HOUR)
    await api.post(f"/v1/bookings/{gone['id']}/cancel")
    stats = (await api.get("/v1/bookings/stats")).ok()["stats"]
    assert stats["total"] == 4
    assert {name: count for name, count in stats["by_status"].items() if count} == {"SCHEDULED": 3, "CANCELLED": 1}
    assert len(stats["by_status"]) == 7
    assert stats["by_event_type"] == [
        {"event_type_id": one["id"], "code": one["code"], "count": 3},
        {"event_type_id": two["id"], "code": two["code"], "count": 1},
    ]
    assert {each["user_id"]: each["count"] for each in stats["by_host"]}[me] == 4
    assert sum(each["count"] for each in stats["by_host"]) == 5, "a booking of two hosts counts for each"
    today, tomorrow = str(soon.date()), str(soon.date() + timedelta(days=1))
    assert stats["by_day"] == [{"date": today, "count": 4}]
    there = (await api.get("/v1/bookings/stats?timezone=Pacific/Chatham")).ok()["stats"]
    assert there["by_day"] == [{"date": today, "count": 3}, {"date": tomorrow, "count": 1}]
    assert (await api.get(f"/v1/bookings/stats?start_date={tomorrow}")).ok()["stats"]["total"] == 0
    some = (await api.get(f"/v1/bookings/stats?start_date={iso(soon + HOUR)}&end_date={iso(soon + 6 * HOUR)}")).ok()
    assert some["stats"]["total"] == 2
    local = urlencode({"start_date": tomorrow, "timezone": "Pacific/Chatham"})
    assert (await api.get(f"/v1/bookings/stats?{local}")).ok()["stats"]["total"] == 1
    for wrong in ("start_date=x", "timezone=Mars", "cursor=x"):
        assert (await api.get(f"/v1/bookings/stats?{wrong}")).status == 400
