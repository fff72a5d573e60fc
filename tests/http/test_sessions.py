"""Sessions: log-in, log-out, devices, new passwords, and what a cookie is worth afterwards."""

import asyncio
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest

from app.core import db
from app.core.settings import Settings
from app.main import build_app
from tests.browsers import COOKIE, PASSWORD, Browser, Browsers
from tests.conftest import AiohttpClient
from tests.support import Api, Tenant, unique_name


def email_of(tenant: Tenant) -> str:
    return f"{tenant.username}@example.com"


async def test_a_session_from_log_in_to_log_out(browsers: Browsers, tenant: Tenant) -> None:
    browser = browsers()
    assert (await browser.get("/api/session")).ok(401)["code"] == "unauthorized"
    made = (await browser.log_in(email_of(tenant).upper())).ok(201)
    assert set(made) == {"data"}
    assert made["data"]["email"] == email_of(tenant)
    assert made["data"]["role"] == "owner"
    assert "keys:write" in made["data"]["permissions"]
    assert (await browser.get("/api/session")).ok() == made
    ended = await browser.delete("/api/session")
    assert (ended.status, ended.raw, browser.cookie) == (204, b"", None)
    assert (await browser.get("/api/session")).status == 401


async def test_the_cookies_flags(browsers: Browsers, tenant: Tenant, settings: Settings) -> None:
    answer = await browsers().log_in(email_of(tenant))
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert not cookie["domain"], "for this host alone"
    assert not cookie["secure"], "in development over http it could not be used otherwise"
    assert int(cookie["max-age"]) == 30 * 86_400
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("env", "base_url"), [("production", "http://book.example"), ("development", "https://book.example")]
)
async def test_outside_development_the_cookie_is_secure(
    aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant, env: str, base_url: str
) -> None:
    client = await aiohttp_client(build_app(settings.model_copy(update={"env": env, "base_url": base_url})))
    body = {"session": {"email": email_of(tenant), "password": PASSWORD}}
    answer = await client.post("/api/session", json=body)
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[f"__Host-{COOKIE}"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    forgotten = await client.delete("/api/session", headers={"Cookie": f"__Host-{COOKIE}={cookie.value}"})
    gone = SimpleCookie(forgotten.headers["Set-Cookie"])[f"__Host-{COOKIE}"]
    assert (forgotten.status, gone["max-age"], gone["secure"]) == (204, "0", True)


async def test_every_log_in_has_a_cookie_of_its_own(browsers: Browsers, tenant: Tenant) -> None:
    """What a browser held before its person logged in is worth nothing afterwards: no fixation."""
    browser = browsers()
    (await browser.log_in(email_of(tenant))).ok(201)
    first = browser.cookie
    assert first is not None
    (await browser.log_in(email_of(tenant))).ok(201)
    assert browser.cookie != first
    other = browsers()
    other.use_cookie(first)
    assert (await other.get("/api/session")).status == 401
    assert len((await browser.get("/api/sessions")).ok()["data"]) == 1, "and no device is left behind"


async def test_a_cookie_is_worth_nothing_after_log_out(browsers: Browsers, owner: Browser) -> None:
    kept = owner.cookie
    assert kept is not None
    await owner.delete("/api/session")
    thief = browsers()
    thief.use_cookie(kept)
    assert (await thief.get("/api/session")).status == 401
    assert (await thief.post("/api/keys", {"key": {"name": "x", "scopes": ["mcp"]}})).status == 401


async def test_log_out_ends_older_sessions_and_not_newer_ones(browsers: Browsers, tenant: Tenant) -> None:
    """The API contract, "`/api`": log-out ends every older session of that user."""
    oldest, middle, newest = browsers(), browsers(), browsers()
    for each in (oldest, middle, newest):
        (await each.log_in(email_of(tenant))).ok(201)
    assert (await middle.delete("/api/session")).status == 204
    assert [(await each.get("/api/session")).status for each in (oldest, middle, newest)] == [401, 401, 200]


async def test_devices_are_listed_and_ended_one_by_one_or_all(browsers: Browsers, tenant: Tenant) -> None:
    phone, desk = browsers(), browsers()
    body = {"session": {"email": email_of(tenant), "password": PASSWORD}}
    (await phone.call("POST", "/api/session", body, {"User-Agent": "Phone/1.0"})).ok(201)
    (await desk.log_in(email_of(tenant))).ok(201)
    devices = (await desk.get("/api/sessions")).ok()["data"]
    assert [(each["current"], each["address"]) for each in devices] == [(True, "127.0.0.1"), (False, "127.0.0.1")]
    assert devices[1]["user_agent"] == "Phone/1.0"
    assert all(each["id"].startswith("ses_") for each in devices)
    assert (await desk.delete(f"/api/sessions/{devices[1]['id']}")).status == 204
    assert (await phone.get("/api/session")).status == 401
    assert (await desk.delete(f"/api/sessions/{devices[1]['id']}")).status == 404
    (await phone.log_in(email_of(tenant))).ok(201)
    assert (await phone.delete("/api/sessions")).status == 204
    assert [(await each.get("/api/session")).status for each in (phone, desk)] == [401, 401]


async def test_an_address_with_a_zone_and_a_strange_browser_do_no_harm(
    aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant
) -> None:
    proxies = Settings(env="development", trusted_proxies="127.0.0.0/8").trusted_proxies
    client = await aiohttp_client(build_app(settings.model_copy(update={"trusted_proxies": proxies})))
    body = {"session": {"email": email_of(tenant), "password": PASSWORD}}
    headers = {"X-Forwarded-For": "fe80::1%eth0", "User-Agent": "Brows\u00e9r " + "x" * 1000}
    assert (await client.post("/api/session", json=body, headers=headers)).status == 201
    headers = {"X-Forwarded-For": "fe80::1%eth0", "User-Agent": "Browser " + "x" * 1000}
    assert (await client.post("/api/session", json=body, headers=headers)).status == 201
    (device,) = (await (await client.get("/api/sessions")).json())["data"]
    assert (device["address"], len(device["user_agent"])) == ("fe80::1", 400)


async def test_nobody_ends_somebody_elses_session(api: Api, browsers: Browsers, owner: Browser) -> None:
    mine = (await owner.get("/api/sessions")).ok()["data"][0]["id"]
    stranger = browsers()
    await sign_up(stranger)
    assert (await stranger.delete(f"/api/sessions/{mine}")).status == 404
    assert (await owner.get("/api/session")).status == 200


async def test_a_new_password_ends_every_session_but_this_one(browsers: Browsers, tenant: Tenant) -> None:
    here, there = browsers(), browsers()
    for each in (here, there):
        (await each.log_in(email_of(tenant))).ok(201)
    before = here.cookie
    assert before is not None
    wrong = {"password": {"current_password": "no", "new_password": "battery staple"}}
    refused = (await here.patch("/api/password", wrong)).ok(400)
    assert refused["errors"][0]["field"] == "password.current_password"
    assert (await there.get("/api/session")).status == 200
    right = {"password": {"current_password": PASSWORD, "new_password": "battery staple"}}
    (await here.patch("/api/password", right)).ok()
    assert [(await each.get("/api/session")).status for each in (here, there)] == [200, 401]
    old = browsers()
    old.use_cookie(before)
    assert (await old.get("/api/session")).status == 401, "this browser's cookie is another one, too"
    assert (await there.log_in(email_of(tenant))).status == 401
    assert (await there.log_in(email_of(tenant), "battery staple")).status == 201


async def sign_up(browser: Browser, **fields: Any) -> Any:
    name = unique_name()
    body = {
        "organization": "Acme",
        "name": "Ana",
        "email": f"{name}@example.com",
        "password": "battery staple",
        "timezone": "Europe/Berlin",
    }
    return (await browser.post("/api/signup", {"signup": body | fields})).ok(201)["data"]


async def test_sign_up_makes_an_organization_and_logs_in(browsers: Browsers) -> None:
    browser = browsers()
    me = await sign_up(browser, organization="Ana's")
    assert (me["role"], me["organization"]["name"], me["timezone"]) == ("owner", "Ana's", "Europe/Berlin")
    assert (await browser.get("/api/session")).ok()["data"] == me
    schedules = (await browser.get("/api/schedules")).ok()
    assert [each["timezone"] for each in schedules["data"]] == ["Europe/Berlin"], "one can be booked at once"
    made = await browser.post("/api/event-types", {"event_type": {"title": "Intro"}})
    assert made.ok(201)["data"]["hosts"][0]["user_id"] == me["id"]


async def test_a_taken_email_is_refused_at_sign_up(browsers: Browsers, tenant: Tenant) -> None:
    body = {
        "organization": "x",
        "name": "x",
        "email": email_of(tenant).upper(),
        "password": "battery staple",
        "timezone": "UTC",
    }
    browser = browsers()
    assert (await browser.post("/api/signup", {"signup": body})).ok(409)["code"] == "conflict"
    assert browser.cookie is None


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("password", "short", "too_short"),
        ("email", "nobody", "invalid_value"),
        ("timezone", "Mars/Olympus", "invalid_value"),
        ("organization", "", "too_short"),
        ("admin", True, "unknown_field"),
    ],
)
async def test_sign_up_names_what_is_wrong(browsers: Browsers, field: str, value: Any, code: str) -> None:
    body = {"organization": "x", "name": "x", "email": "a@b.example", "password": "battery staple", "timezone": "UTC"}
    answer = (await browsers().post("/api/signup", {"signup": {**body, field: value}})).ok(400)
    assert [(each["field"], each["code"]) for each in answer["errors"]] == [(f"signup.{field}", code)]
    assert "success" not in answer


async def test_sign_up_can_be_closed(aiohttp_client: AiohttpClient, settings: Settings) -> None:
    client = await aiohttp_client(build_app(settings.model_copy(update={"signup": "closed"})))
    body = {"organization": "x", "name": "x", "email": "a@b.example", "password": "battery staple", "timezone": "UTC"}
    answer = await client.post("/api/signup", json={"signup": body})
    assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")


async def test_sessions_end_by_age_and_by_idleness(owner: Browser, conn: db.Connection, tenant: Tenant) -> None:
    ended = {
        "idle": "update sessions set last_seen_at = now() - interval '15 days' where org_id = $1",
        "old": "update sessions set expires_at = now() - interval '1 second' where org_id = $1",
        "whose person left": "update users set disabled_at = now() where org_id = $1",
    }
    for statement in ended.values():
        (await owner.log_in(email_of(tenant))).ok(201)
        assert (await owner.get("/api/session")).status == 200
        await conn.execute(statement, tenant.org_id)
        assert (await owner.get("/api/session")).status == 401


async def test_only_a_hash_of_the_token_is_stored(owner: Browser, conn: db.Connection, tenant: Tenant) -> None:
    row = await conn.fetchrow("select * from sessions where org_id = $1", tenant.org_id)
    assert row is not None
    assert owner.cookie is not None
    assert owner.cookie.encode() not in bytes(row["token_hash"])
    assert len(row["token_hash"]) == 32


async def test_being_seen_is_noted_at_most_once_a_minute(owner: Browser, conn: db.Connection, tenant: Tenant) -> None:
    query = "select last_seen_at from sessions where org_id = $1"
    first = await conn.fetchval(query, tenant.org_id)
    (await owner.get("/api/session")).ok()
    assert await conn.fetchval(query, tenant.org_id) == first
    before = datetime.now(UTC) - timedelta(minutes=2)
    await conn.execute("update sessions set last_seen_at = $2 where org_id = $1", tenant.org_id, before)
    (await owner.get("/api/session")).ok()
    assert await conn.fetchval(query, tenant.org_id) > first


async def test_two_passwords_at_once_are_one(browsers: Browsers, tenant: Tenant) -> None:
    here, there = browsers(), browsers()
    for each in (here, there):
        (await each.log_in(email_of(tenant))).ok(201)
    bodies = [{"password": {"current_password": PASSWORD, "new_password": f"battery staple {n}"}} for n in range(2)]
    answers = await asyncio.gather(here.patch("/api/password", bodies[0]), there.patch("/api/password", bodies[1]))
    assert sorted(each.status for each in answers) in ([200, 400], [200, 401])
