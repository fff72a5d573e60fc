"""`/v1/resources/availability`: what is open throughout and held by nobody, across clock changes and zones."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from app.core import db
from app.core.vault import Vault
from tests.rooms import hold, hours_of, location, room
from tests.support import Api, Tenant, make_tenant

PATH = "/v1/resources/availability"
EVERY_DAY = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
NINE, FIVE = datetime(2027, 6, 7, 9, tzinfo=UTC), datetime(2027, 6, 7, 17, tzinfo=UTC)


def when(start: str | datetime, end: str | datetime, **query: Any) -> str:
    given = {"starts_at": str(start).replace(" ", "T"), "ends_at": str(end).replace(" ", "T"), **query}
    return f"{PATH}?{urlencode(given)}"


async def free(api: Api, start: str | datetime, end: str | datetime) -> dict[str, int]:
    """The free units by resource."""
    found = (await api.get(when(start, end))).ok()["resources"]
    assert all(each["available"] == (each["units_free"] > 0) for each in found)
    return {each["id"]: each["units_free"] for each in found}


async def test_a_resource_with_whether_it_is_free(api: Api) -> None:
    made = await room(api, await location(api), units=2, capacity=8, attributes={"screen": True})
    assert (await api.get(when(NINE, FIVE))).ok() == {
        "success": True,
        "resources": [{**made, "available": True, "units_free": 2}],
        "pagination": {"next_cursor": None, "has_more": False},
    }


async def test_each_unit_is_held_on_its_own(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    here = await location(api)
    made, other = (await room(api, here, units=3))["id"], (await room(api, here))["id"]
    hour, second = timedelta(hours=1), timedelta(seconds=1)
    await hold(conn, tenant, made, 1, NINE - hour, NINE)
    await hold(conn, tenant, made, 2, FIVE, FIVE + hour)
    assert await free(api, NINE, FIVE) == {made: 3, other: 1}, "back to back is free"
    assert await free(api, NINE - second, FIVE) == {made: 2, other: 1}
    assert await free(api, NINE - second, FIVE + second) == {made: 1, other: 1}
    await hold(conn, tenant, made, 1, NINE + hour, NINE + 2 * hour)
    await hold(conn, tenant, made, 2, NINE + hour, NINE + 2 * hour)
    await hold(conn, tenant, made, 3, NINE - 50 * hour, FIVE + 50 * hour)
    assert await free(api, NINE, FIVE) == {made: 0, other: 1}
    assert await free(api, NINE + 3 * hour, FIVE) == {made: 2, other: 1}


async def test_a_hold_that_has_ended_holds_nothing(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    made = (await room(api, await location(api), units=2))["id"]
    now = datetime.now(UTC)
    await hold(conn, tenant, made, 1, NINE, FIVE, expires_at=now - timedelta(seconds=1))
    await hold(conn, tenant, made, 2, NINE, FIVE, expires_at=now + timedelta(minutes=15))
    assert await free(api, NINE, FIVE) == {made: 1}


async def test_retired_units_and_resources_do_not_count(api: Api) -> None:
    here = await location(api)
    fewer, off, gone = [(await room(api, here, units=5))["id"] for _ in range(3)]
    await api.call("PATCH", f"/v1/resources/{fewer}", {"units": 2})
    await api.call("PATCH", f"/v1/resources/{off}", {"active": False})
    await api.call("DELETE", f"/v1/resources/{gone}")
    assert await free(api, NINE, FIVE) == {fewer: 2}
    await api.call("PATCH", f"/v1/resources/{off}", {"active": True})
    assert await free(api, NINE, FIVE) == {fewer: 2, off: 5}


OPEN: dict[str, tuple[str, list[tuple[str, str, str]], dict[str, Any], str, str, bool]] = {
    "just the window": ("UTC", [("MO", "09:00", "17:00")], {}, "2027-06-07T09:00Z", "2027-06-07T17:00Z", True),
    "a moment early": ("UTC", [("MO", "09:00", "17:00")], {}, "2027-06-07T08:59:59.9Z", "2027-06-07T17:00Z", False),
    "a moment late": ("UTC", [("MO", "09:00", "17:00")], {}, "2027-06-07T09:00Z", "2027-06-07T17:00:00.1Z", False),
    "over lunch": (
        "UTC", [("MO", "09:00", "12:00"), ("MO", "13:00", "17:00")], {},
        "2027-06-07T11:00Z", "2027-06-07T14:00Z", False,
    ),
    "windows that adjoin": (
        "UTC", [("MO", "09:00", "12:00"), ("MO", "12:00", "17:00")], {},
        "2027-06-07T11:00Z", "2027-06-07T14:00Z", True,
    ),
    "over midnight": (
        "Europe/Berlin", [("MO", "20:00", "24:00"), ("TU", "00:00", "02:00")], {},
        "2027-06-07T20:00+02:00", "2027-06-08T02:00+02:00", True,
    ),
    "no day of the week": ("UTC", [], {}, "2027-06-07T09:00Z", "2027-06-07T10:00Z", False),
    "a Tuesday here, a Monday there": (
        "Pacific/Honolulu", [("MO", "20:00", "22:00")], {}, "2027-06-08T06:00Z", "2027-06-08T08:00Z", True,
    ),
    "a zone of odd minutes": (
        "Asia/Kathmandu", [("MO", "09:00", "10:00")], {}, "2027-06-07T03:15Z", "2027-06-07T04:15Z", True,
    ),
    # Berlin, 2027-03-28: 02:00 is followed by 03:00
    "the hour that is missing": (
        "Europe/Berlin", [("SU", "01:00", "04:00")], {}, "2027-03-28T00:00Z", "2027-03-28T02:00Z", True,
    ),
    "not an hour more": (
        "Europe/Berlin", [("SU", "01:00", "04:00")], {}, "2027-03-28T00:00Z", "2027-03-28T03:00Z", False,
    ),
    "a window inside the missing hour": (
        "Europe/Berlin", [("SU", "02:00", "03:00")], {}, "2027-03-28T01:00Z", "2027-03-28T01:01Z", False,
    ),
    # Berlin, 2027-10-31: the hour from 02:00 comes twice
    "the hour that comes twice": (
        "Europe/Berlin", [("SU", "01:00", "03:00")], {}, "2027-10-30T23:00Z", "2027-10-31T02:00Z", True,
    ),
    "half of it, both times": (
        "Europe/Berlin", [("SU", "02:00", "02:30")], {}, "2027-10-31T00:00Z", "2027-10-31T01:30Z", False,
    ),
    "half of it, the second time": (
        "Europe/Berlin", [("SU", "02:00", "02:30")], {}, "2027-10-31T01:00Z", "2027-10-31T01:30Z", True,
    ),
    # Lord Howe goes back by half an hour on 2027-04-04
    "half an hour twice": (
        "Australia/Lord_Howe", [("SU", "01:00", "02:00")], {}, "2027-04-03T14:00Z", "2027-04-03T15:30Z", True,
    ),
    "a holiday": (
        "UTC", [("MO", "09:00", "17:00")], {"overrides": [{"date": "2027-06-07", "windows": []}]},
        "2027-06-07T09:00Z", "2027-06-07T10:00Z", False,
    ),
    "a Sunday for once": (
        "UTC", [], {"overrides": [{"date": "2027-06-06", "windows": [{"start": "10:00", "end": "12:00"}]}]},
        "2027-06-06T10:00Z", "2027-06-06T12:00Z", True,
    ),
    "its last day": (
        "UTC", [("MO", "09:00", "17:00")], {"valid_until": "2027-06-07"},
        "2027-06-07T09:00Z", "2027-06-07T17:00Z", True,
    ),
    "after its last day": (
        "UTC", [("MO", "09:00", "17:00")], {"valid_until": "2027-06-06"},
        "2027-06-07T09:00Z", "2027-06-07T10:00Z", False,
    ),
    "round the clock": (
        "Europe/Berlin", [(day, "00:00", "24:00") for day in EVERY_DAY], {},
        "2027-10-01T00:00Z", "2027-12-02T00:00Z", True,
    ),
    "round the clock, but for one day": (
        "Europe/Berlin", [(day, "00:00", "24:00") for day in EVERY_DAY],
        {"overrides": [{"date": "2027-12-01", "windows": []}]}, "2027-10-01T00:00Z", "2027-12-02T00:00Z", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OPEN)
async def test_open_throughout(api: Api, case: str) -> None:
    zone, weekly, fields, start, end, expected = OPEN[case]
    made = (await room(api, await location(api, "America/New_York")))["id"]
    await hours_of(api, made, zone, weekly, **fields)
    assert await free(api, start, end) == {made: int(expected)}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo"])
async def test_without_a_schedule_it_is_always_open(api: Api, zone: str) -> None:
    made = (await room(api, await location(api, zone)))["id"]
    for start, end in [("2027-10-01T00:00Z", "2027-12-02T00:00Z"), ("2011-12-29T00:00Z", "2012-01-02T00:00Z")]:
        assert await free(api, start, end) == {made: 1}


async def test_an_edited_schedule_counts_at_once(api: Api) -> None:
    made = (await room(api, await location(api)))["id"]
    schedule = await hours_of(api, made, "UTC", [("MO", "09:00", "17:00")])
    assert await free(api, NINE, FIVE) == {made: 1}
    await api.call("PATCH", f"/v1/schedules/{schedule['id']}", {"weekly": []})
    assert await free(api, NINE, FIVE) == {made: 0}
    await api.call("PATCH", f"/v1/resources/{made}", {"schedule_id": None})
    assert await free(api, NINE, FIVE) == {made: 1}


async def test_filters_and_pages(api: Api) -> None:
    here, there = await location(api), await location(api)
    rooms = [(await room(api, here, capacity=capacity))["id"] for capacity in (2, 4, 6, 8, 10)]
    desk, far = (await room(api, here, kind="desk"))["id"], (await room(api, there, capacity=50))["id"]
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [*rooms, desk, far]),
        ({"kind": "desk"}, [desk]),
        ({"location_id": there}, [far]),
        ({"location_id": here, "min_capacity": 8}, rooms[3:]),
        ({"kind": "boat"}, []),
        ({"location_id": "loc_01h2xcejqtf2nbrexx3vqjhp41"}, []),
    ]
    for query, ids in expected:
        found = (await api.get(when(NINE, FIVE, **query))).ok()
        assert [each["id"] for each in found["resources"]] == ids, query
    query = {"location_id": here, "kind": "room", "limit": 2}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = (await api.get(when(NINE, FIVE, **query, **cursor))).ok()
        seen += [each["id"] for each in page["resources"]]
        cursor = {"cursor": page["pagination"]["next_cursor"]}
    assert seen == rooms
    assert page["pagination"] == {"next_cursor": None, "has_more": False}


WRONG = {
    "no start": ("ends_at=2027-01-01T00:00Z", "missing_field", "starts_at"),
    "no end": ("starts_at=2027-01-01T00:00Z", "missing_field", "ends_at"),
    "ends before it starts": ("starts_at=2027-01-02T00:00Z&ends_at=2027-01-01T00:00Z", "validation_failed", "ends_at"),
    "no time at all": ("starts_at=2027-01-01T01:00Z&ends_at=2027-01-01T02:00%2B01:00", "validation_failed", "ends_at"),
    "more than 62 days": (
        "starts_at=2027-01-01T00:00Z&ends_at=2027-03-04T00:00:01Z", "validation_failed", "ends_at",
    ),
    "no offset": ("starts_at=2027-01-01T00:00&ends_at=2027-01-01T00:00Z", "validation_failed", "starts_at"),
    "dates": ("starts_at=2027-01-01T00:00Z&ends_at=2027-01-02", "validation_failed", "ends_at"),
    "a year too far": ("starts_at=2027-01-01T00:00Z&ends_at=9999-01-01T01:00Z", "validation_failed", "ends_at"),
    "twice": (
        "starts_at=2027-01-01T00:00Z&starts_at=2027-01-01T00:00Z&ends_at=2027-01-02T00:00Z",
        "validation_failed", "starts_at",
    ),
    "another noun's id": (
        "starts_at=2027-01-01T00:00Z&ends_at=2027-01-01T01:00Z&location_id=res_01h2xcejqtf2nbrexx3vqjhp41",
        "validation_failed", "location_id",
    ),
    "no kind": ("starts_at=2027-01-01T00:00Z&ends_at=2027-01-01T01:00Z&kind=%20", "validation_failed", "kind"),
    "unknown parameter": ("starts_at=2027-01-01T00:00Z&ends_at=2027-01-01T01:00Z&x=1", "validation_failed", "x"),
    "too many": ("starts_at=2027-01-01T00:00Z&ends_at=2027-01-01T01:00Z&limit=101", "validation_failed", "limit"),
    "a made-up cursor": (
        "starts_at=2027-01-01T00:00Z&ends_at=2027-01-01T01:00Z&cursor=x", "validation_failed", "cursor",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_query_names_its_parameter(api: Api, case: str) -> None:
    query, code, field = WRONG[case]
    answer = (await api.get(f"{PATH}?{query}")).ok(400)
    assert answer["code"] == code
    assert [error["field"] for error in answer["errors"]] == [field]


async def test_it_can_only_be_read(api: Api) -> None:
    assert (await api.call("DELETE", PATH)).ok(405)["code"] == "method_not_allowed"


async def test_another_organization_is_not_seen(api: Api, conn: db.Connection, vault: Vault) -> None:
    await room(api, await location(api))
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert await free(stranger, NINE, FIVE) == {}


async def test_the_scope_is_asked_for(api: Api, conn: db.Connection, vault: Vault) -> None:
    weak = Api(api.client, (await make_tenant(conn, vault, scopes=("bookings:read",))).api_key)
    assert (await weak.get(when(NINE, FIVE))).ok(403)["code"] == "insufficient_scope"
