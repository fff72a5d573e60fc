"""The page that asks whoever came back by a server's link whose bookings they connect their calendar to."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from app.core import db
from app.core.settings import Settings
from tests.browsers import Browser
from tests.connecting import HOST, asked, consent, google_for, hidden_fields, returned
from tests.fakes.google import FakeGoogle
from tests.support import Answer, Api, Servers, Tenant, settings_for

SHOP = "https://shop.example.com"
PATH = "/calendars/callback"
BROWSER = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "cross-site"}


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


async def looked(api: Api, path: str) -> Answer:
    response = await api.client.get(path, headers=BROWSER, allow_redirects=False)
    return Answer(response.status, response.headers, await response.read())


async def accounts(api: Api) -> list[str]:
    return [each["account"] for each in (await api.get("/v1/calendars")).ok()["calendars"]]


async def test_a_browser_is_asked_first_and_looking_uses_nothing_up(
    api: Api, conn: db.Connection, tenant: Tenant
) -> None:
    await conn.execute("update users set name = 'Eve <b>' where org_id = $1 and id = $2", tenant.org_id, tenant.user_id)
    back = await consent(await asked(api))
    for _ in range(2):
        answer = await looked(api, back)
        page = answer.raw.decode()
        assert answer.status == 200
    organization = (await api.get("/v1/users/me")).ok()["organization"]["name"]
    assert f"Connect your calendar to the bookings of Eve &lt;b&gt; at {organization}?" in page
    assert "close this window" in page
    assert re.findall(r'<form method="post" action="([^"]+)">', page) == [PATH]
    assert page.count("<button") == 1
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "form-action 'self';" in answer.headers["Content-Security-Policy"]
    assert await accounts(api) == [], "nothing was connected by looking"
    pressed = await api.client.post(PATH, data=hidden_fields(page), headers=BROWSER)
    assert pressed.status == 200
    assert "Google is connected" in await pressed.text()
    assert await accounts(api) == [HOST]
    again = await api.client.post(PATH, data=hidden_fields(page), headers=BROWSER)
    assert again.status == 410


async def test_a_program_needs_no_page(api: Api) -> None:
    back = await consent(await asked(api))
    answer = await returned(api, back, Accept="application/json")
    assert answer.ok() == {"provider": "google", "account": HOST}
    query = {name: values[0] for name, values in parse_qs(urlsplit(await consent(await asked(api))).query).items()}
    body = {"state": query["state"], "code": query["code"]}
    posted = await api.client.post(PATH, json=body, headers={"Accept": "application/json"})
    assert (posted.status, await posted.json()) == (200, {"provider": "google", "account": HOST})
    without = await api.client.post(PATH, json={"state": "x"}, headers={"Accept": "application/json"})
    assert without.status == 400


async def test_the_page_may_lead_to_where_the_server_wanted(api: Api) -> None:
    answer = await looked(api, await consent(await asked(api, redirect_to=f"{SHOP}/done")))
    assert f"form-action 'self' {SHOP};" in answer.headers["Content-Security-Policy"]
    fields = hidden_fields(answer.raw.decode())
    pressed = await api.client.post(PATH, data=fields, headers=BROWSER, allow_redirects=False)
    assert (pressed.status, pressed.headers["Location"]) == (303, f"{SHOP}/done?calendar=connected")


async def test_a_session_is_not_asked_and_its_consent_is_of_its_browser(owner: Browser, api: Api) -> None:
    first, second = [await consent(await asked(owner)) for _ in range(2)]
    assert "is connected" in (await returned(owner, first)).raw.decode()
    query = {name: values[0] for name, values in parse_qs(urlsplit(second).query).items()}
    body = {"state": query["state"], "code": query["code"]}
    stolen = await api.client.post(PATH, data=body, headers=BROWSER)
    assert stolen.status == 403


async def test_whoever_said_no_is_asked_nothing(api: Api) -> None:
    assert (await looked(api, await consent(await asked(api), deny="1"))).status == 409
    assert (await looked(api, f"{PATH}?state=made-up&code=x")).status == 410
