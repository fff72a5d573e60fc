"""Connected calendars over HTTP: what is shown, what may be chosen, whose they are, and what their end leaves."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.calendars.access import open_tokens
from app.domain.identity.models import MEMBER
from tests.browsers import Browser, Browsers, colleague
from tests.connecting import HOST, asked, connected, consent, google_for, returned
from tests.fakes.google import FakeGoogle
from tests.fakes.radicale import PASSWORD, USER, Radicale
from tests.support import Api, Servers, Tenant, booking_body, make_tenant, settings_for

OTHER = "other@example.com"
HOUR = timedelta(hours=1)


@dataclass
class _Google:
    fake: FakeGoogle
    settings: Settings


@pytest.fixture
async def google(migrated: Servers) -> AsyncIterator[_Google]:
    async with google_for(settings_for(migrated)) as (fake, known):
        fake.add_calendar(HOST, "team@example.com", summary="Team", role="reader")
        fake.add_calendar(HOST, "side@example.com", summary="Side")
        yield _Google(fake, known)


@pytest.fixture
def settings(google: _Google) -> Settings:
    return google.settings


def named(calendars: list[Any], name: str) -> Any:
    (found,) = [each for each in calendars if each["name"] == name]
    return found


async def patch(api: Api, calendar: Any, **fields: Any) -> Any:
    return await api.call("PATCH", f"/v1/calendars/{calendar['id']}", fields)


async def entries(conn: db.Connection, tenant: Tenant) -> list[Any]:
    return list(await conn.fetch("select * from calendar_events where org_id = $1 order by created_at", tenant.org_id))


async def test_bookings_go_to_one_calendar_of_a_person(
    api: Api, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    event_type = await api.event_type(booking_window_days=None)
    (await api.post("/v1/bookings", booking_body(event_type["code"], soon + 9 * HOUR))).ok(201)
    calendars = await connected(api)
    assert len(await entries(conn, tenant)) == 1, "what was booked before is entered"
    side = (await patch(api, named(calendars, "Side"), is_write_target=True, stale_policy="warn")).ok()["calendar"]
    assert (side["is_write_target"], side["stale_policy"], side["read_busy"]) == (True, "warn", False)
    listed = (await api.get("/v1/calendars")).ok()["calendars"]
    assert [each["name"] for each in listed if each["is_write_target"]] == ["Side"]
    assert len(await entries(conn, tenant)) == 1, "and stands where it was written"
    none = (await patch(api, side, is_write_target=False)).ok()["calendar"]
    assert none["is_write_target"] is False
    assert (await patch(api, side)).ok()["calendar"] == none, "nothing changed, and nothing was written"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"is_write_target": True}, "is_write_target"),
        ({"read_busy": None}, "read_busy"),
        ({"read_busy": "yes"}, "read_busy"),
        ({"stale_policy": "guess"}, "stale_policy"),
        ({"name": "x"}, "name"),
        ({"account": "x"}, "account"),
    ],
)
async def test_wrong_choices_name_the_field(api: Api, fields: Any, wrong: str) -> None:
    problem = (await patch(api, named(await connected(api), "Team"), **fields)).ok(400)
    assert [each["field"] for each in problem["errors"]] == [wrong]


async def test_a_second_account_takes_nothing_from_the_first(api: Api) -> None:
    (first, *_), (second,) = await connected(api), await connected(api, OTHER)
    assert (second["read_busy"], second["is_write_target"]) == (True, False)
    assert (await api.get(f"/v1/calendars/{first['id']}")).ok()["calendar"]["is_write_target"] is True
    assert (await patch(api, second, is_write_target=True)).ok()["calendar"]["is_write_target"] is True


async def test_sync_now_is_due_now(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    calendars = await connected(api)
    main, side = named(calendars, HOST), named(calendars, "Side")
    await conn.execute(
        "update calendar_connections set resting_until = now() + interval '1 day' where org_id = $1", tenant.org_id
    )
    await conn.execute(
        "update calendars set next_poll_at = now() + interval '1 day' where org_id = $1 and next_poll_at is not null",
        tenant.org_id,
    )
    assert (await api.post(f"/v1/calendars/{main['id']}/sync")).ok()["calendar"]["id"] == main["id"]
    due = "select count(*) from calendars where org_id = $1 and next_poll_at <= now()"
    assert await conn.fetchval(due, tenant.org_id) == 1
    rest = "select resting_until from calendar_connections where org_id = $1"
    assert await conn.fetchval(rest, tenant.org_id) is None
    assert "Set read_busy" in (await api.post(f"/v1/calendars/{side['id']}/sync")).ok(409)["detail"]
    await conn.execute("update calendar_connections set status = 'needs_reauth' where org_id = $1", tenant.org_id)
    assert "connected again" in (await api.post(f"/v1/calendars/{main['id']}/sync")).ok(409)["detail"]
    shown = (await api.get(f"/v1/calendars/{main['id']}")).ok()["calendar"]
    assert (shown["status"], shown["fresh"]) == ("needs_reauth", False)
    (again, *_) = await connected(api)
    assert (again["id"], again["status"]) == (main["id"], "active"), "the same calendar, connected again"


@pytest.mark.parametrize("word", ["apply", "restore"])
async def test_where_nothing_waits_there_is_nothing_to_decide(api: Api, word: str) -> None:
    main = named(await connected(api), HOST)
    assert "Nothing waits" in (await api.post(f"/v1/calendars/{main['id']}/{word}")).ok(409)["detail"]


async def test_disconnecting_ends_the_whole_account(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant
) -> None:
    calendars, (other,) = await connected(api), await connected(api, OTHER)
    assert (await api.call("DELETE", f"/v1/calendars/{named(calendars, 'Side')['id']}")).status == 204
    assert [each["id"] for each in (await api.get("/v1/calendars")).ok()["calendars"]] == [other["id"]]
    assert (await api.get(f"/v1/calendars/{calendars[0]['id']}")).status == 404
    row = await conn.fetchrow(
        "select status, ending_due_at from calendar_connections where org_id = $1 and account = $2",
        *(tenant.org_id, HOST),
    )
    assert row is not None
    assert (row["status"], row["ending_due_at"] is not None) == ("disconnected", True), "the worker ends the grant"
    events = (await api.get("/v1/events?type=calendar.disconnected")).ok()["events"]
    assert [each["data"]["calendar"]["status"] for each in events] == ["disconnected"]
    log = (await owner.get("/api/audit?limit=3")).ok()["data"]
    assert [each["action"] for each in log] == ["calendar.disconnected", "calendar.connected", "calendar.connected"]
    assert log[0]["details"] == {"provider": "google", "account": HOST}


async def test_whoever_leaves_takes_their_calendars_along(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection, tenant: Tenant
) -> None:
    person, member = await colleague(api, conn, browsers, MEMBER)
    assert len(await connected(member)) == 3
    assert (await owner.delete(f"/api/members/{person['id']}")).status == 204
    assert (await api.get("/v1/calendars")).ok()["calendars"] == []
    statuses = await conn.fetch("select status from calendar_connections where org_id = $1", tenant.org_id)
    assert [row["status"] for row in statuses] == ["disconnected"]


async def test_members_have_their_own_and_owners_see_all(
    api: Api, owner: Browser, browsers: Browsers, conn: db.Connection
) -> None:
    person, member = await colleague(api, conn, browsers, MEMBER)
    theirs, mine = await connected(owner, OTHER), await connected(member)
    assert {each["user_id"] for each in mine} == {person["id"]}
    listed = (await member.get("/api/calendars")).ok()
    assert ([each["id"] for each in listed["data"]], listed["pagination"]["total"]) == ([c["id"] for c in mine], 3)
    assert (await owner.get("/api/calendars")).ok()["pagination"]["total"] == 4
    path = f"/api/calendars/{theirs[0]['id']}"
    assert (await member.patch(path, {"calendar": {"read_busy": False}})).status == 404
    assert (await member.delete(path)).status == 404
    for word in ("sync", "apply", "restore", "repair"):
        assert (await member.post(f"{path}/{word}")).status == 404
    assert (await member.get(f"{path}/report")).status == 404
    changed = await owner.patch(f"/api/calendars/{mine[0]['id']}", {"calendar": {"read_busy": False}})
    assert changed.ok()["data"]["read_busy"] is False


async def test_a_consent_connects_within_its_own_organization(api: Api, conn: db.Connection, vault: Vault) -> None:
    """The state alone says whose it is."""
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    back = await consent(await asked(stranger))
    assert (await returned(api, back)).status == 200
    assert (await api.get("/v1/calendars")).ok()["calendars"] == []
    assert len((await stranger.get("/v1/calendars")).ok()["calendars"]) == 3


async def test_no_token_is_ever_shown(
    api: Api,
    owner: Browser,
    conn: db.Connection,
    tenant: Tenant,
    vault: Vault,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    # of the test's own server; ours keeps no such log
    caplog.set_level(logging.CRITICAL, "aiohttp.access")
    back = await consent(await asked(api))
    answers = [await returned(api, back), await api.get("/v1/calendars"), await owner.get("/api/audit?limit=5")]
    (main, *_) = answers[1].json["calendars"]
    answers += [await api.get(f"/v1/calendars/{main['id']}/report"), await patch(api, main, read_busy=False)]
    await api.call("DELETE", f"/v1/calendars/{main['id']}")
    answers += [await api.get("/v1/events?limit=5")]
    sealed = await conn.fetchval("select credentials_sealed from calendar_connections where org_id = $1", tenant.org_id)
    tokens = open_tokens(sealed, vault)
    logged = caplog.text + "".join(capfd.readouterr())
    said = logged + "".join(answer.raw.decode() + str(answer.headers) for answer in answers)
    for secret in (tokens.access_token, tokens.refresh_token, "fake-client-secret", *state_and_code(back)):
        assert secret not in said
    assert tokens.access_token.encode() not in sealed


def state_and_code(back: str) -> list[str]:
    query = parse_qs(urlsplit(back).query)
    return [*query["state"], *query["code"]]


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def test_a_caldav_account_is_connected_at_once(api: Api, owner: Browser, radicale: Radicale) -> None:
    radicale.make_calendar("work")
    account = {"provider": "caldav", "url": radicale.url, "username": USER, "password": PASSWORD}
    made = (await api.post("/v1/calendars/connect", account)).ok(201)
    assert made["success"] is True
    (calendar,) = made["calendars"]
    assert calendar["account"] == f"{USER}@{radicale.url.removeprefix('http://')}"
    assert (calendar["provider"], calendar["is_write_target"], calendar["push"]) == ("caldav", True, False)
    again = (await owner.post("/api/calendars/connect", {"calendar": account})).ok(201)["data"]
    assert [each["id"] for each in again] == [calendar["id"]], "the same account, connected again"
    wrong = await api.post("/v1/calendars/connect", {**account, "password": "guessed it"})
    assert [each["field"] for each in wrong.ok(400)["errors"]] == ["password"]
    assert b"guessed it" not in wrong.raw
    assert PASSWORD not in json.dumps([made, again])
    nothing = await api.post("/v1/calendars/connect", {**account, "url": f"{radicale.url}/.web/"})
    assert [each["field"] for each in nothing.ok(400)["errors"]] == ["url"]


async def test_a_booking_tells_how_it_stands_there(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    event_type = await api.event_type(booking_window_days=None)
    made = (await api.post("/v1/bookings", booking_body(event_type["code"], soon + 9 * HOUR))).ok(201)["booking"]
    assert "calendar_events" not in made
    path = f"bookings/{made['id']}"
    assert (await api.get(f"/v1/{path}")).ok()["booking"]["calendar_events"] == []
    main = named(await connected(api), HOST)
    (entry,) = (await api.get(f"/v1/{path}")).ok()["booking"]["calendar_events"]
    assert entry == {
        "user_id": main["user_id"],
        "calendar_id": main["id"],
        "provider": "google",
        "status": "writing",
        "error": None,
        "attempts": 0,
        "next_attempt_at": entry["next_attempt_at"],
        "meeting_url": None,
    }
    for change, status in (
        ("error = 'http_503', attempts = 2", "failed"),
        ("error = null, wanted = false", "removing"),
        ("wanted = true, due_at = null, written_at = now()", "written"),
    ):
        await conn.execute(f"update calendar_events set {change} where org_id = $1", tenant.org_id)  # noqa: S608
        (entry,) = (await owner.get(f"/api/{path}")).ok()["data"]["calendar_events"]
        assert entry["status"] == status
    shown = (await api.get(f"/v1/calendars/{main['id']}")).ok()["calendar"]
    assert shown["writes_failed"] == 0
    assert all("calendar_events" not in each for each in (await api.get("/v1/bookings")).ok()["bookings"])


async def test_slots_warn_of_a_calendar_that_was_not_read(api: Api, soon: datetime) -> None:
    event_type = await api.event_type(booking_window_days=None)
    query = f"start={soon.date()}&end={soon.date()}&timezone=UTC"
    page = f"/v1/slots?event_type={event_type['code']}&{query}"
    before = (await api.get(page)).ok()
    assert "warnings" not in before
    main = named(await connected(api), HOST)
    assert (await api.get(page)).ok()["slots"] == {}, "what a calendar says that was never read is not known"
    (await patch(api, main, stale_policy="warn")).ok()
    warned = (await api.get(page)).ok()
    assert warned["warnings"] == [{"code": "calendar_stale", "host_id": main["user_id"]}]
    assert [each["start"] for day in warned["slots"].values() for each in day] == [
        each["start"] for day in before["slots"].values() for each in day
    ]
    (await patch(api, main, stale_policy="fail_open")).ok()
    assert "warnings" not in (await api.get(page)).ok()
