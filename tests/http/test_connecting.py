"""The way to a provider's consent page and back, and what it takes to come back at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from app.core import db
from app.core.settings import Settings
from app.main import build_app
from app.web.consents import checked_return
from tests.browsers import Browser, Browsers
from tests.conftest import AiohttpClient
from tests.connecting import HOST, asked, connected, consent, google_for, returned
from tests.fakes.google import FakeGoogle
from tests.support import Api, Servers, Tenant, settings_for

SHOP = "https://shop.example.com"


@dataclass
class _Google:
    fake: FakeGoogle
    settings: Settings


@pytest.fixture
async def google(migrated: Servers) -> AsyncIterator[_Google]:
    async with google_for(settings_for(migrated, cors_origins=(SHOP,))) as (fake, known):
        yield _Google(fake, known)


@pytest.fixture
def settings(google: _Google) -> Settings:
    return google.settings


async def test_by_a_key_from_the_consent_page_to_the_calendars(api: Api, google: _Google) -> None:
    google.fake.add_calendar(HOST, "team@example.com", summary="Team", role="reader")
    url = urlsplit(await asked(api))
    query = parse_qs(url.query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["access_type"] == ["offline"]
    answer = await returned(api, await consent(url.geturl()))
    page = answer.raw.decode()
    assert answer.status == 200, page
    assert HOST in page
    assert "You can close this window." in page
    listed = (await api.get("/v1/calendars")).ok()["calendars"]
    assert {(each["name"], each["is_primary"], each["is_writable"]) for each in listed} == {
        (HOST, True, True),
        ("Team", False, False),
    }
    (main,) = [each for each in listed if each["is_primary"]]
    assert (main["provider"], main["account"], main["status"]) == ("google", HOST, "active")
    assert (main["read_busy"], main["is_write_target"], main["fresh"]) == (True, True, False)
    assert (await api.get(f"/v1/calendars/{main['id']}")).ok()["calendar"] == main


async def test_a_link_works_once(api: Api) -> None:
    back = await consent(await asked(api))
    assert (await api.call("HEAD", back)).status == 405, "whoever only looks uses nothing up"
    assert (await returned(api, back)).status == 200
    again = await returned(api, back)
    assert again.status == 410
    assert "Connect the calendar again." in again.raw.decode()
    assert (await returned(api, back, Accept="application/json")).ok(410)["code"] == "link_expired"


@pytest.mark.parametrize("path", ["/calendars/callback", "/calendars/callback?code=x", "/calendars/callback?state="])
async def test_without_a_state_nothing_happens(api: Api, path: str) -> None:
    assert (await returned(api, path, Accept="application/json")).status == 400


async def test_a_wrong_state_and_a_wrong_code_connect_nothing(api: Api) -> None:
    assert (await returned(api, "/calendars/callback?state=made-up&code=x")).status == 410
    state = parse_qs(urlsplit(await asked(api)).query)["state"][0]
    refused = await returned(api, f"/calendars/callback?state={state}&code=made-up")
    assert refused.status == 409
    assert "tick every box" in refused.raw.decode()
    assert (await api.get("/v1/calendars")).ok()["calendars"] == []


async def test_a_consent_is_of_the_browser_that_asked(owner: Browser, browsers: Browsers) -> None:
    back = await consent(await asked(owner))
    stolen = await returned(browsers(), back)
    assert stolen.status == 403
    assert "another browser" in stolen.raw.decode()
    assert (await returned(owner, back)).status == 410, "used up, whoever came with it"
    assert (await owner.get("/api/calendars")).ok()["data"] == []


async def test_a_session_may_have_several_under_way(owner: Browser) -> None:
    first, second = [await consent(await asked(owner)) for _ in range(2)]
    for back in (first, second):
        answer = await returned(owner, back)
        assert answer.status == 200, answer.raw
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
    listed = (await owner.get("/api/calendars")).ok()
    assert [each["account"] for each in listed["data"]] == [HOST], "the same account, connected again"
    assert listed["pagination"]["total"] == 1


async def test_two_accounts_at_once_leave_one_that_is_written_to(api: Api) -> None:
    backs = [await consent(await asked(api), login_hint=account) for account in (HOST, "other@example.com")]
    answers = await asyncio.gather(*(returned(api, back) for back in backs))
    assert [answer.status for answer in answers] == [200, 200]
    listed = (await api.get("/v1/calendars")).ok()["calendars"]
    assert sorted(each["is_write_target"] for each in listed) == [False, True]


async def test_the_cookie_is_kept_from_scripts_and_short(owner: Browser) -> None:
    answer = await owner.post("/api/calendars/connect", {"calendar": {"provider": "google"}})
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "Max-Age=600", "Path=/calendars", "SameSite=Lax"):
        assert part in cookie
    url = answer.ok()["data"]["authorization_url"]
    assert cookie.split(";")[0].partition("=")[2] not in url


async def test_afterwards_the_person_is_where_they_wanted_to_be(api: Api, google: _Google) -> None:
    for target, expected in (
        ("/settings?tab=calendars", "/settings?tab=calendars&calendar=connected"),
        (f"{SHOP}/done#here", f"{SHOP}/done?calendar=connected#here"),
    ):
        answer = await returned(api, await consent(await asked(api, redirect_to=target)))
        assert (answer.status, answer.headers["Location"]) == (303, expected)
    denied = await returned(api, await consent(await asked(api, redirect_to="/settings"), deny="1"))
    assert (denied.status, denied.headers["Location"]) == (303, "/settings?calendar_error=access_denied")
    google.fake.fail_next("calendarList", 503, times=5)
    away = await returned(api, await consent(await asked(api, redirect_to="/settings")))
    assert away.headers["Location"] == "/settings?calendar_error=provider_away"


async def test_whoever_says_no_is_told_what_to_do(api: Api) -> None:
    answer = await returned(api, await consent(await asked(api), deny="1"))
    assert answer.status == 409
    assert "begin again" in answer.raw.decode()
    assert (await api.get("/v1/calendars")).ok()["calendars"] == []


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example/x",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "https://shop.example.com.evil.example/",
        "https://shop.example.com@evil.example/",
        "https://shop.example.com:444/",
        "http://shop.example.com/",
        "/a b",
        "/a\tb",
        "ftp://shop.example.com/",
    ],
)
async def test_nobody_is_sent_anywhere_else(api: Api, target: str) -> None:
    answer = await api.post("/v1/calendars/connect", {"provider": "google", "redirect_to": target})
    assert [each["field"] for each in answer.ok(400)["errors"]] == ["redirect_to"]


def test_everybodys_javascript_is_no_leave_to_send_anybody_there(settings: Settings) -> None:
    anybody = settings.model_copy(update={"cors_origins": ("*",)})
    assert checked_return(settings.public_url + "/x", anybody) == settings.public_url + "/x"
    with pytest.raises(Exception, match="redirect_to"):
        checked_return("https://evil.example", anybody)


async def test_a_provider_that_is_not_set_up_names_the_variable(owner: Browser) -> None:
    body = {"calendar": {"provider": "microsoft"}}
    problem = (await owner.post("/api/calendars/connect", body)).ok(400)
    assert problem["code"] == "validation_failed"
    assert [each["field"] for each in problem["errors"]] == ["calendar.provider"]
    assert "SLOTWIRE_MICROSOFT_CLIENT_ID" in problem["detail"]
    assert "/calendars/callback" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["provider"]),
        ({"provider": "yahoo"}, ["provider"]),
        ({"provider": "caldav", "url": "https://dav.example.com/"}, ["username", "password"]),
        ({"provider": "google", "password": "x"}, ["password"]),
        ({"provider": "caldav", "url": "https://dav.example.com", "username": "a", "password": "b", "redirect_to": "/"},
         ["redirect_to"]),
        ({"provider": "caldav", "url": "http://10.0.0.1/", "username": "a", "password": "b"}, ["url"]),
        ({"provider": "caldav", "url": "http://127.0.0.1:9/", "username": "a", "password": "b"}, ["url"]),
        ({"provider": "caldav", "url": "https://a:b@dav.example.com", "username": "a", "password": "b"}, ["url"]),
    ],
)  # fmt: skip
async def test_wrong_requests_name_the_field(api: Api, body: dict[str, str], fields: list[str]) -> None:
    problem = (await api.post("/v1/calendars/connect", body)).ok(400)
    assert [each["field"] for each in problem["errors"]] == fields


async def test_a_consent_in_vain_leaves_no_row(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    await returned(api, await consent(await asked(api), deny="1"))
    for table in ("calendar_authorizations", "calendar_connections"):
        assert await conn.fetchval(f"select count(*) from {table} where org_id = $1", tenant.org_id) == 0  # noqa: S608


async def test_nobody_needs_more_than_ten_accounts(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    await connected(api)
    await conn.execute(
        """
        insert into calendar_connections
            (org_id, id, user_id, provider, account, credentials_sealed, status, created_at, updated_at)
        select $1, gen_random_uuid(), $2, 'caldav', 'ana@' || no, '', 'active', now(), now()
        from generate_series(1, 9) no
        """,
        *(tenant.org_id, tenant.user_id),
    )
    problem = (await api.post("/v1/calendars/connect", {"provider": "google"})).ok(409)
    assert "Disconnect one of them first." in problem["detail"]


async def test_over_https_the_cookie_is_secure(
    aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant
) -> None:
    public = settings.model_copy(update={"base_url": "https://book.example.com"})
    browser = Browser(await aiohttp_client(build_app(public)))
    login = {"session": {"email": f"{tenant.username}@example.com", "password": "correct horse"}}
    entered = await browser.post("/api/session", login)
    session = entered.headers["Set-Cookie"].split(";")[0]
    body = {"calendar": {"provider": "google"}}
    answer = await browser.call("POST", "/api/calendars/connect", body, {"Cookie": session})
    await browser.close()
    assert answer.status == 200, answer.raw
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "redirect_uri=https%3A%2F%2Fbook.example.com%2Fcalendars%2Fcallback" in answer.raw.decode()
