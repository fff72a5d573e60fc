"""What other sites, guessers and broken browsers get out of `/api`: nothing, and never a 500."""

import asyncio
import re
import statistics
import time
from typing import Any

import pytest

from app.core import db
from app.core.quota import Quota
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.identity import logins, passwords
from app.faces.browser import entry
from app.faces.browser.routes import ROUTES
from app.main import build_app
from tests.browsers import COOKIE, PASSWORD, Browser, Browsers
from tests.conftest import AiohttpClient
from tests.rooms import location
from tests.support import Api, Tenant, make_tenant, unique_name

WRITES = [route for route in ROUTES if route.method != "GET"]
FORM = "application/x-www-form-urlencoded"

CROSS_SITE = {
    "a form of another site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "another site of ours": {"Sec-Fetch-Site": "same-site"},
    "a browser without fetch metadata": {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
    "a sandboxed frame": {"Sec-Fetch-Site": "", "Origin": "null"},
    "our host on another port": {"Sec-Fetch-Site": "", "Origin": "http://127.0.0.1:1"},
    "a host that begins like ours": {"Sec-Fetch-Site": "", "Origin": "http://127.0.0.1.evil.example"},
}


def headers_of(case: str) -> dict[str, str]:
    return {name: value for name, value in CROSS_SITE[case].items() if value}


async def test_no_write_is_open_to_other_sites(api: Api) -> None:
    """Asked before the session, so that none is needed to find out."""
    for route in WRITES:
        path = re.sub(r"\{\w+\}", "x", route.path)
        for case in CROSS_SITE:
            answer = await api.client.request(route.method, path, json={}, headers=headers_of(case))
            assert answer.status == 403, (route.method, path, case)
            assert (await answer.json())["code"] == "forbidden"
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("case", CROSS_SITE)
async def test_other_sites_change_nothing_with_somebodys_cookie(api: Api, owner: Browser, case: str) -> None:
    before = (await owner.get("/api/keys")).ok()["pagination"]["total"]
    headers = {"Cookie": f"{COOKIE}={owner.cookie}", **headers_of(case)}
    key = {"key": {"name": "evil", "scopes": ["mcp"]}}
    answer = await api.client.post("/api/keys", json=key, headers=headers)
    assert answer.status == 403
    assert (await owner.get("/api/keys")).ok()["pagination"]["total"] == before


@pytest.mark.parametrize("media", [FORM, "multipart/form-data; boundary=x", "text/plain", "application/octet-stream"])
async def test_a_form_is_no_json(owner: Browser, media: str) -> None:
    """What a page can send without being asked first, even without telling where it comes from."""
    body = b'{"key": {"name": "evil", "scopes": ["mcp"]}}'
    for site in ["same-origin", "none"]:
        answer = await owner.call("POST", "/api/keys", body, {"Content-Type": media, "Sec-Fetch-Site": site})
        assert answer.ok(415)["code"] == "unsupported_media_type"
    if media != "application/octet-stream":
        empty = await owner.call("DELETE", "/api/sessions", b"", {"Content-Type": media})
        assert empty.status == 415
    assert (await owner.get("/api/session")).status == 200


async def test_our_own_pages_may(api: Api, owner: Browser, settings: Settings) -> None:
    ours = str(api.client.make_url("/")).rstrip("/")
    for headers in [{"Origin": ours}, {"Origin": settings.public_url}, {"Sec-Fetch-Site": "none"}]:
        made = await owner.call("POST", "/api/locations", {"location": {"name": "x", "timezone": "UTC"}}, headers)
        assert made.status == 201, headers


async def test_no_site_reads_an_answer_or_gets_leave_to_ask(api: Api, owner: Browser) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = await owner.call("OPTIONS", "/api/keys", None, asked)
    assert preflight.status == 405
    read = await owner.call("GET", "/api/keys", None, {"Origin": "https://evil.example"})
    for answer in (preflight, read):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


MALFORMED = {
    "empty": "",
    "no token": "x",
    "half a token": "gAAAAABnP5",
    "a token of other keys": "gAAAAABmJ2Qk" + "A" * 120,
    "spaces": "a b c",
    "quotes": '"a\\"b',
    "a comma": "a,b",
    "no ASCII": "ü",
    "half a character": "\udcff",
    "a control character": "a\x01b",
    "long": "A" * 6000,
    "JSON": '{"token": "x"}',
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_a_malformed_cookie_is_none(api: Api, case: str) -> None:
    value = MALFORMED[case].encode("utf-8", "surrogateescape")
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    request = b"GET /api/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: %s=%s\r\n\r\n"
    writer.write(request % (COOKIE.encode(), value))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status = int(answer.split(b" ", 2)[1])
    assert status == 401 or (status == 400 and case == "a control character"), answer


async def test_an_oversized_cookie_is_a_4xx(api: Api) -> None:
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(
        b"GET /api/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=" + b"A" * 100_000 + b"\r\n\r\n"
    )
    answer = await reader.read()
    writer.close()
    assert 400 <= int(answer.split(b" ", 2)[1]) < 500


async def test_a_tampered_cookie_and_one_of_another_purpose_are_none(owner: Browser, vault: Vault) -> None:
    good = owner.cookie
    assert good is not None
    for position in range(0, len(good), 7):
        wrong = good[:position] + ("A" if good[position] != "A" else "B") + good[position + 1 :]
        owner.use_cookie(wrong)
        # the last characters of base64 hold bits that mean nothing
        assert (await owner.get("/api/session")).status == 401 or position > len(good) - 4
    owner.use_cookie(vault.seal(b'{"session": {"token": "x"}, "created": 1}').decode())
    assert (await owner.get("/api/session")).status == 401


@pytest.fixture
async def strict(aiohttp_client: AiohttpClient, settings: Settings) -> Api:
    """The service with the limits that it has when nobody sets any."""
    limits = {"limit_login": Quota(10, 60), "limit_public": Quota(60, 60), "limit_session": Quota(5, 60)}
    proxies = {"trusted_proxies": Settings(env="development", trusted_proxies="127.0.0.0/8").trusted_proxies}
    return Api(await aiohttp_client(build_app(settings.model_copy(update=limits | proxies))), "")


async def attempt(api: Api, email: str, password: str, address: str) -> Any:
    body = {"session": {"email": email, "password": password}}
    return await api.client.post("/api/session", json=body, headers={"X-Forwarded-For": address})


async def test_guessing_is_slowed_down_by_address(strict: Api) -> None:
    answers = [await attempt(strict, f"{unique_name()}@example.com", "x", "203.0.113.9") for _ in range(12)]
    assert [each.status for each in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert (await attempt(strict, "a@example.com", "x", "203.0.113.10")).status == 401, "of that address alone"


async def test_guessing_is_slowed_down_by_account(strict: Api, tenant: Tenant) -> None:
    """From however many addresses; and an account that does not exist is slowed down just like one that does."""
    for email in [f"{tenant.username}@example.com", f"{unique_name()}@example.com"]:
        answers = [await attempt(strict, email, "x", f"198.51.100.{n}") for n in range(12)]
        assert [each.status for each in answers] == [401] * 10 + [429] * 2
        bodies = [await each.json() for each in answers]
        assert len({body["detail"] for body in bodies[:10]}) == 1
        assert [body["violated-policies"] for body in bodies[10:]] == [["account"]] * 2
    name = f"{tenant.username}@example.com"
    for number, spelling in enumerate([name.upper(), name.replace("t", "T"), name.replace("a", "\u00c0"), f" {name}"]):
        late = await attempt(strict, spelling, PASSWORD, f"198.51.100.{90 + number}")
        assert late.status != 201, "however it is written, and with the right password too"


async def test_a_spelling_that_only_the_database_folds_is_the_same_account(
    strict: Api, conn: db.Connection, tenant: Tenant
) -> None:
    """PostgreSQL takes a Turkish capital for an i, Python does not: each would have a limit of its own."""
    name = f"vivic-{unique_name()}@example.com"
    await conn.execute("update users set email = $2 where id = $1", tenant.user_id, name)
    spellings = [name, *(name.replace("i", "\u0130", count) for count in (1, 2))]
    known = [each for each in spellings if await conn.fetchval("select lower($1) = lower($2)", each, name)]
    answers = [await attempt(strict, known[n % len(known)], "x", f"198.51.101.{n}") for n in range(11)]
    assert [each.status for each in answers] == [401] * 10 + [429]


async def test_how_many_tries_are_left_tells_nothing(strict: Api, tenant: Tenant) -> None:
    """Spellings that only Python takes for one must not share a count: it is told in every answer."""
    known, unknown = f"bass-{tenant.username}@example.com", f"bass-{unique_name()}@example.com"
    left = []
    for number, email in enumerate((known, unknown)):
        await attempt(strict, email.replace("ss", "\u00df"), "x", f"198.51.102.{number}")
        answer = await attempt(strict, email, "x", f"198.51.103.{number}")
        left.append(answer.headers["RateLimit"])
    assert left[0] == left[1]


async def test_strangers_lock_nobody_out_of_a_browser_that_was_theirs(strict: Api, tenant: Tenant) -> None:
    email = f"{tenant.username}@example.com"
    (await attempt(strict, email, PASSWORD, "203.0.113.50"))
    cookie = {each.key: each.value for each in strict.client.session.cookie_jar}
    strict.client.session.cookie_jar.clear()
    for number in range(12):
        await attempt(strict, email, "x", f"198.51.104.{number}")
    assert (await attempt(strict, email, PASSWORD, "198.51.104.99")).status == 429
    strict.client.session.cookie_jar.update_cookies(cookie, strict.client.make_url("/"))
    assert (await attempt(strict, email, PASSWORD, "198.51.104.100")).status == 201


async def test_a_password_that_is_changed_while_it_is_proven_opens_nothing(
    api: Api, conn: db.Connection, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly(account: Any, password: str) -> Any:
        await conn.execute("update users set session_generation = session_generation + 1 where id = $1", tenant.user_id)
        return await prove(account, password)

    prove = logins.prove_password
    monkeypatch.setattr(entry, "prove_password", slowly)
    body = {"session": {"email": f"{tenant.username}@example.com", "password": PASSWORD}}
    answer = await api.client.post("/api/session", json=body)
    assert (answer.status, "Set-Cookie" in answer.headers) == (401, False)


async def test_mails_for_a_password_are_few(strict: Api, tenant: Tenant) -> None:
    """Each ends the link of the one before, and is a mail to somebody who may not have asked."""
    body = {"password_reset": {"email": f"{tenant.username}@example.com"}}
    answers = [
        await strict.client.post("/api/password-resets", json=body, headers={"X-Forwarded-For": f"192.0.2.{n}"})
        for n in range(5)
    ]
    assert [each.status for each in answers] == [202] * 3 + [429] * 2
    other = {"password_reset": {"email": f"{unique_name()}@example.com"}}
    answers = [
        await strict.client.post("/api/password-resets", json=other, headers={"X-Forwarded-For": f"192.0.2.{n}"})
        for n in range(5)
    ]
    assert [each.status for each in answers] == [202] * 3 + [429] * 2, "and tells nothing of who exists"
    assert (await attempt(strict, f"{tenant.username}@example.com", PASSWORD, "192.0.2.200")).status == 201


async def test_a_crowd_at_the_door_is_sent_away(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MOST_WAITING", 4)
    body = {"session": {"email": "a@example.com", "password": "x"}}
    answers = await asyncio.gather(*(api.client.post("/api/session", json=body) for _ in range(12)))
    assert {each.status for each in answers} == {401, 503}
    assert {each.headers.get("Retry-After") for each in answers if each.status == 503} == {"1"}


async def test_a_session_has_a_limit_of_its_own(strict: Api, tenant: Tenant) -> None:
    logged_in = await attempt(strict, f"{tenant.username}@example.com", PASSWORD, "203.0.113.77")
    assert logged_in.status == 201
    answers = [await strict.client.get("/api/session") for _ in range(7)]
    assert [each.status for each in answers] == [200] * 5 + [429] * 2
    assert "q=5;w=60" in answers[0].headers["RateLimit-Policy"]
    assert answers[0].headers["RateLimit"].startswith('"session";r=4;')


async def test_whoever_guesses_cookies_or_keys_is_counted_by_address(strict: Api) -> None:
    for number, path in enumerate(["/api/session", "/v1/users/me"]):
        headers = {"X-Forwarded-For": f"203.0.113.{number}", "Authorization": "Bearer slw_live_x"}
        answers = [await strict.client.get(path, headers=headers) for _ in range(62)]
        assert [each.status for each in answers] == [401] * 60 + [429] * 2, path


async def test_how_long_a_refusal_takes_tells_nothing(api: Api, tenant: Tenant) -> None:
    """The medians of wrong passwords of an account and of none; generous, since the machine is shared."""
    taken: dict[str, list[float]] = {f"{tenant.username}@example.com": [], f"{unique_name()}@example.com": []}
    for _ in range(15):
        for email, seconds in taken.items():
            began = time.perf_counter()
            answer = await api.client.post("/api/session", json={"session": {"email": email, "password": "wrong"}})
            seconds.append(time.perf_counter() - began)
            assert answer.status == 401
    known, unknown = (statistics.median(seconds) for seconds in taken.values())
    assert 0.6 < known / unknown < 1.7, (known, unknown)


async def test_asking_for_a_password_tells_nothing(
    api: Api, browsers: Browsers, conn: db.Connection, tenant: Tenant
) -> None:
    mails = "select count(*) from mails where org_id = $1 and kind = 'password_reset'"
    anybody = browsers()
    shown = []
    for email in [f"{tenant.username}@example.com", f"{unique_name()}@example.com", "no address at all"]:
        answer = await anybody.post("/api/password-resets", {"password_reset": {"email": email}})
        shown.append({**answer.ok(202)["data"], "email": ""})
    assert shown == [{"email": ""}] * 3
    for _ in range(100):
        if await conn.fetchval(mails, tenant.org_id):
            break
        await asyncio.sleep(0.05)
    assert await conn.fetchval(mails, tenant.org_id) == 1


async def test_an_invited_person_has_no_password_yet(api: Api, browsers: Browsers) -> None:
    person = await api.person()
    for password in ["", "x", "None"]:
        answer = await browsers().log_in(person["email"], password)
        assert answer.status in {400, 401}


async def test_passwords_are_taken_as_they_were_typed(browsers: Browsers) -> None:
    browser, name = browsers(), unique_name()
    body = {
        "organization": "x",
        "name": "x",
        "email": f"{name}@example.com",
        "password": "  battery 🔋 staple  ",
        "timezone": "UTC",
    }
    (await browser.post("/api/signup", {"signup": body})).ok(201)
    assert (await browser.log_in(f"{name}@example.com", "battery 🔋 staple")).status == 401
    assert (await browser.log_in(f"{name}@example.com", "  battery 🔋 staple  ")).status == 201


async def test_every_answer_of_a_session_is_private(api: Api, owner: Browser) -> None:
    await location(api)
    answer = await owner.get("/api/locations")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    same = await owner.call("GET", "/api/locations", None, {"If-None-Match": answer.headers["ETag"]})
    assert (same.status, same.raw) == (304, b"")


async def test_the_database_away_is_a_503(aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant) -> None:
    from app.web.call import POOL

    app = build_app(settings)
    client = await aiohttp_client(app)
    body = {"session": {"email": f"{tenant.username}@example.com", "password": PASSWORD}}
    logged_in = await client.post("/api/session", json=body)
    assert logged_in.status == 201
    await app[POOL].close()
    for answer in [await client.post("/api/session", json=body), await client.get("/api/session")]:
        assert answer.status == 503


async def test_nobody_is_locked_out_of_another_organization(api: Api, conn: db.Connection, vault: Vault) -> None:
    one, other = await make_tenant(conn, vault), await make_tenant(conn, vault)
    assert one.org_id != other.org_id
    for each in (one, other):
        body = {"session": {"email": f"{each.username}@example.com", "password": PASSWORD}}
        assert (await api.client.post("/api/session", json=body)).status == 201
