"""Places in line: what a repeat is told, whose they are, and how many somebody may have."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.waitlist import MOST_IN_LINE, MOST_OF_ATTENDEE
from tests.browsers import Browser, colleague
from tests.offers import booked, iso, offer
from tests.support import Api, Tenant, make_tenant
from tests.visitors import Anybody, address
from tests.waiting import HOUR, awaited, cancel, crowd, entry_of, join, joined, tend, waiting_body

SECRETS: dict[str, Any] = {
    "notes": "a secret",
    "custom_fields": {"code": "secret"},
    "metadata": {"crm": "secret"},
    "answers": [{"question_id": "q", "answer": "secret"}],
    "attendee": {"name": "Secret", "email": "wendy@example.com", "phone": "+1 555 0100", "timezone": "Asia/Tokyo"},
}


async def asking(api: Api, **fields: Any) -> Any:
    return await awaited(api, questions=[{"id": "q", "label": "Q", "type": "text"}], **fields)


async def narrow(api: Api, owner: Browser, scope: str) -> Api:
    """A program that may do this and nothing else."""
    made = (await owner.post("/api/keys", {"key": {"name": "narrow", "scopes": [scope]}})).ok(201)
    return Api(api.client, made["data"]["secret"])


async def test_who_may_not_read_is_not_told_by_joining(
    api: Api, owner: Browser, conn: db.Connection, settings: Settings, soon: datetime
) -> None:
    """Whatever was said before, by whoever said it; also once there is an offer."""
    made, writer = await asking(api), await narrow(api, owner, "bookings:write")
    taken = await booked(api, made, soon)
    mine = await joined(api, made, soon, **SECRETS)
    said = {**waiting_body(made, soon), "notes": "mine", "metadata": {"a": 1}}
    for status in ("waiting", "offered"):
        answer = (await writer.post("/v1/waitlist", said)).ok(201)
        told = answer["waitlist_entry"]
        assert "secret" not in str(answer).lower()
        assert told["attendee"] == {**said["attendee"], "phone": None}
        assert (told["notes"], told["metadata"], told["custom_fields"], told["answers"]) == ("mine", {"a": 1}, {}, [])
        assert (told["id"], told["created_at"], told["status"]) == (mine["id"], mine["created_at"], status)
        assert told["booking_id"] is None, "a step of it would show the whole booking"
        stored = await entry_of(api, mine)
        assert {name: stored[name] for name in SECRETS} == SECRETS, "and nothing was written"
        assert (told["offered_at"], told["offer_expires_at"]) == (stored["offered_at"], stored["offer_expires_at"])
        if status == "waiting":
            await cancel(api, taken)
            await tend(conn, settings)
    assert (await writer.get(f"/v1/waitlist/{mine['id']}")).status == 403


async def test_a_bot_and_a_stranger_are_told_no_more(api: Api, owner: Browser, soon: datetime) -> None:
    made, writer = await asking(api), await narrow(api, owner, "bookings:write")
    await booked(api, made, soon)
    mine = await joined(api, made, soon, **SECRETS)
    contact = {"contact_name": "Nosy", "contact_email": "WENDY@example.com", "start_time": iso(soon)}
    told = (await writer.post("/api/v1/waitlist", {"slug": made["slug"], **contact})).ok(201)["data"]
    assert (told["id"], told["contact_name"], told["contact_phone"]) == (mine["id"], "Nosy", None)
    assert (told["notes"], told["answers"], told["client_timezone"]) == (None, [], "UTC")
    visitor = {"attendee_name": "Nosy", "attendee_email": "wendy@example.com", "timezone": "UTC"}
    answer = await Anybody(api.client).post(f"{address(made)}/waitlist", {**visitor, "start_time": iso(soon)})
    assert answer.ok(201) == {**visitor, "start_time": iso(soon), "date": None, "status": "waiting"}


async def test_a_member_lets_people_wait_for_themselves(
    api: Api, conn: db.Connection, browsers: Callable[[], Browser], soon: datetime
) -> None:
    person, member = await colleague(api, conn, browsers, "member")
    mine = await awaited(api, hosts=[{"user_id": person["id"]}])
    shared, theirs = await awaited(api, people=2, assignment="round_robin"), await awaited(api)
    hosts = [*shared["hosts"], {"user_id": person["id"]}]
    (await api.call("PATCH", f"/v1/event-types/{shared['code']}", {"hosts": hosts})).ok()
    for made, start, count in ((mine, soon, 1), (shared, soon + HOUR, 3), (theirs, soon + 2 * HOUR, 1)):
        for _ in range(count):
            await booked(api, made, start)
    for made, start in ((mine, soon), (shared, soon + HOUR)):
        for named in ("code", "id"):
            given: dict[str, Any] = waiting_body(made, start)
            del given["event_type"]
            given["event_type" if named == "code" else "event_type_id"] = made[named]
            entry = (await member.post("/api/waitlist", {"waitlist_entry": given})).ok(201)["data"]
            assert (await member.get(f"/api/waitlist/{entry['id']}")).ok()["data"] == entry
    stored = await joined(api, theirs, soon + 2 * HOUR, notes="secret")
    for name in ("wendy", "ben"):
        given = {"waitlist_entry": waiting_body(theirs, soon + 2 * HOUR, name)}
        problem = (await member.post("/api/waitlist", given)).ok(403)
        assert (problem["code"], "that they host" in problem["detail"]) == ("forbidden", True)
    given = {"waitlist_entry": waiting_body({"code": "nowhere"}, soon)}
    assert (await member.post("/api/waitlist", given)).ok(404)["code"] == "event_type_not_found"
    assert await api.walk("/v1/waitlist", "waitlist_entries", 10, event_type_id=theirs["id"]) == [stored["id"]]


async def test_a_key_does_no_more_than_the_member_who_made_it(
    api: Api, owner: Browser, conn: db.Connection, browsers: Callable[[], Browser], soon: datetime
) -> None:
    """They were an admin then."""
    person, admin = await colleague(api, conn, browsers, "admin")
    made = {"name": "k", "scopes": ["bookings:read", "bookings:write"]}
    key = Api(api.client, (await admin.post("/api/keys", {"key": made})).ok(201)["data"]["secret"])
    (await owner.patch(f"/api/members/{person['id']}", {"member": {"role": "member"}})).ok()
    mine, theirs = await awaited(api, hosts=[{"user_id": person["id"]}]), await awaited(api)
    for event_type in (mine, theirs):
        await booked(api, event_type, soon)
    entry, hidden = await joined(key, mine, soon), await joined(api, theirs, soon)
    assert (await join(key, theirs, soon)).ok(403)["code"] == "forbidden"
    contact = {"contact_name": "W", "contact_email": "w@example.com", "start_time": iso(soon)}
    assert (await key.post("/api/v1/waitlist", {"booking_link_id": theirs["id"], **contact})).ok(403)[
        "code"
    ] == "forbidden"
    (await key.post("/api/v1/waitlist", {"booking_link_id": mine["id"], **contact})).ok(201)
    assert len((await key.get("/v1/waitlist")).ok()["waitlist_entries"]) == 2, "theirs"
    for face in ("/v1/waitlist", "/api/v1/waitlist"):
        assert (await key.get(f"{face}/{entry['id']}")).status == 200
        for method in ("GET", "DELETE"):
            assert (await key.call(method, f"{face}/{hidden['id']}")).ok(404)["code"] == "not_found"


async def test_a_manager_lets_people_wait_for_anybody(api: Api, owner: Browser, soon: datetime) -> None:
    made = await awaited(api, hosts=[{"user_id": (await api.person())["id"]}])
    await booked(api, made, soon)
    (await owner.post("/api/waitlist", {"waitlist_entry": waiting_body(made, soon)})).ok(201)


async def test_one_place_on_a_day_whatever_the_zone_is_called(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await awaited(api, max_bookings={"week": 1})
    await booked(api, made, soon + 24 * HOUR)
    day = str((soon + timedelta(days=2)).date())
    zones = ["UTC", "Etc/UTC", "Zulu", "Europe/London", "Asia/Tokyo", "America/New_York"]

    async def ask(zone: str) -> Any:
        who = {"name": "W", "email": "wendy@example.com", "timezone": zone}
        return await joined(api, made, None, date=day, attendee=who)

    entries = [await ask(zones[0]), *await asyncio.gather(*(ask(zone) for zone in zones))]
    assert len({each["id"] for each in entries}) == 1
    assert [each["timezone"] for each in entries] == ["UTC", *zones], "what the caller has said"
    assert await conn.fetchval("select count(*) from waitlist_entries where org_id = $1", tenant.org_id) == 1
    assert (await joined(api, made, None, "ben", date=day))["id"] != entries[0]["id"]


async def test_an_address_has_so_many_places(api: Api, conn: db.Connection, vault: Vault, soon: datetime) -> None:
    """However many are asked for at once. Those that are over do not count; nor do another organization's."""
    made = await awaited(api, max_bookings={"week": 1})
    await booked(api, made, soon)
    starts = [soon + hour * HOUR for hour in range(1, MOST_OF_ATTENDEE + 10)]
    answers = await asyncio.gather(*(join(api, made, start) for start in starts))
    made_places = [each.json["waitlist_entry"] for each in answers if each.status == 201]
    refused = [each.ok(409) for each in answers if each.status != 201]
    assert len(made_places) == MOST_OF_ATTENDEE
    assert {each["code"] for each in refused} == {"conflict"}
    assert "Leave one" in refused[0]["detail"]
    assert (await api.post("/v1/waitlist", waiting_body(made, soon))).ok(409)["code"] == "conflict"
    again = waiting_body(made, None, start_time=made_places[0]["start_time"])
    assert (await api.post("/v1/waitlist", again)).ok(201)["waitlist_entry"]["id"] == made_places[0]["id"]
    shouting = {"name": "W", "email": "WENDY@example.com", "timezone": "UTC"}
    assert (await join(api, made, soon, attendee=shouting)).status == 409
    assert (await join(api, made, soon, "ben")).status == 201
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    other = await awaited(stranger)
    await booked(stranger, other, soon)
    assert (await join(stranger, other, soon)).status == 201
    assert (await api.call("DELETE", f"/v1/waitlist/{made_places[0]['id']}")).status == 204
    assert (await join(api, made, soon)).status == 201


async def test_a_list_has_so_many_places(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> None:
    made, other = await awaited(api), await awaited(api)
    await booked(api, made, soon)
    await booked(api, other, soon + HOUR)
    await crowd(conn, tenant, made, soon, MOST_IN_LINE - 1)
    answers = await asyncio.gather(*(join(api, made, soon, f"w{n}") for n in range(5)))
    assert sorted(each.status for each in answers) == [201, 409, 409, 409, 409]
    (first,) = (each.json["waitlist_entry"] for each in answers if each.status == 201)
    refused = next(each.json for each in answers if each.status == 409)
    assert (refused["code"], "is full" in refused["detail"]) == ("conflict", True)
    again = waiting_body(made, soon, first["attendee"]["name"].lower())
    assert (await api.post("/v1/waitlist", again)).status == 201, "who is in line is in line"
    assert (await join(api, other, soon + HOUR, "w1")).status == 201
    assert (await api.call("DELETE", f"/v1/waitlist/{first['id']}")).status == 204
    assert (await join(api, made, soon, "w9")).status == 201


@pytest.mark.parametrize("about", [{}, {"date": "2030-01-01"}])
async def test_what_is_missing_is_named_at_once_to_a_bot(api: Api, about: dict[str, Any]) -> None:
    await offer(api)
    problem = (await api.post("/api/v1/waitlist", {"contact_name": None, **about})).ok(400)
    expected = ["booking_link_id", "contact_name", "contact_email", *([] if about else ["start_time"])]
    assert [each["field"] for each in problem["errors"]] == expected
