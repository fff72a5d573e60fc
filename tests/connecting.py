"""What tests of connected calendars share: a fake Google that the service knows, and the way through its consent."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from app.core import db
from app.core.ids import Kind, decode, encode
from app.core.settings import Settings
from app.domain.calendars import choices
from app.domain.calendars.access import Login, seal_login
from app.domain.calendars.connections import Account
from app.domain.calendars.provider import RemoteCalendar
from app.web.call import POOL, VAULT
from tests.browsers import Browser
from tests.fakes.google import FakeGoogle
from tests.support import Answer, Api

HOST = "host@example.com"


@asynccontextmanager
async def google_for(settings: Settings) -> AsyncIterator[tuple[FakeGoogle, Settings]]:
    """A fake Google with two accounts, and settings that know it. Whatever it is asked is as Google describes it."""
    fake = FakeGoogle([HOST, "other@example.com"])
    url = await fake.start()
    known = {
        "google_client_id": fake.oauth.client_id,
        "google_client_secret": fake.oauth.client_secret,
        "google_base_url": url,
        "google_oauth_base_url": url,
    }
    try:
        yield fake, settings.model_copy(update=known)
    finally:
        await fake.stop()
    assert fake.violations == []


async def consent(authorization_url: str, **choice: str) -> str:
    """What the provider sends the person back to, as a path of ours. choice: `login_hint`, or `deny`."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(authorization_url, params=choice or {"login_hint": HOST}, allow_redirects=False) as response,
    ):
        assert response.status == 302, await response.text()
        back = urlsplit(response.headers["Location"])
    return f"{back.path}?{back.query}"


async def asked(caller: Api | Browser, **fields: Any) -> str:
    """The address of the consent page."""
    body = {"provider": "google", **fields}
    if isinstance(caller, Browser):
        answer = (await caller.post("/api/calendars/connect", {"calendar": body})).ok()
        return str(answer["data"]["authorization_url"])
    return str((await caller.post("/v1/calendars/connect", body)).ok()["authorization_url"])


async def returned(caller: Api | Browser, path: str, **headers: str) -> Answer:
    """As a browser comes back, and presses the button where one is shown; without a key."""
    given = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Site": "cross-site", **headers}
    if isinstance(caller, Browser):
        return await caller.call("GET", path, headers=given)
    response = await caller.client.get(path, headers=given, allow_redirects=False)
    fields = hidden_fields((await response.read()).decode())
    if fields:
        response = await caller.client.post(urlsplit(path).path, data=fields, headers=given, allow_redirects=False)
    return Answer(response.status, response.headers, await response.read())


def hidden_fields(page: str) -> dict[str, str]:
    """What the page's button sends along."""
    return {
        name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    }


async def connected(caller: Api | Browser, account: str = HOST) -> Any:
    """Connect an account of the fake's; its calendars."""
    back = await consent(await asked(caller), login_hint=account)
    answer = await returned(caller, back)
    assert answer.status == 200, answer.raw
    if isinstance(caller, Browser):
        found = (await caller.get("/api/calendars")).ok()["data"]
    else:
        found = (await caller.get("/v1/calendars")).ok()["calendars"]
    return [each for each in found if each["account"] == account]


async def caldav_account(api: Api) -> str:
    """The id of a calendar of an account whose server is not there; it counts as nothing."""
    app = api.client.app
    me = (await api.get("/v1/users/me")).ok()
    org_id, user_id = decode(Kind.ORGANIZATION, me["organization"]["id"]), decode(Kind.USER, me["user"]["id"])
    assert org_id is not None
    assert user_id is not None
    sealed = seal_login(Login("ana", "secret"), app[VAULT])
    account = Account("caldav", "ana@127.0.0.1:9", sealed, "http://127.0.0.1:9/")
    there = [RemoteCalendar("http://127.0.0.1:9/ana/work/", "Work", "UTC", primary=True, writable=True)]
    async with db.acquire(app[POOL]) as conn, conn.transaction():
        (calendar,) = await choices.connect_account(conn, org_id, user_id, account, there, datetime.now(UTC))
    shown = encode(Kind.CALENDAR, calendar.id)
    (await api.call("PATCH", f"/v1/calendars/{shown}", {"read_busy": False})).ok()
    return shown
