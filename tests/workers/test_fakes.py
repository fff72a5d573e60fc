"""The fakes are as strict as what they stand for: to pass against one that allows anything proves nothing."""

import base64
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from tests.fakes.google import FakeGoogle
from tests.fakes.oauth import OAuth
from tests.workers.googling import HOST, HOUR, NINE

BACK = "https://slotwire.example/back"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
CLIENT = {"client_id": "slotwire", "client_secret": "fake-client-secret"}
ASK = {
    "client_id": "slotwire",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "calendar",
    "state": "a state",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "access_type": "offline",
    "prompt": "consent",
    "login_hint": HOST,
}


class Trial:
    def __init__(self, fake: FakeGoogle, url: str, session: aiohttp.ClientSession) -> None:
        self.fake, self.url, self.session = fake, url, session
        self.token, self.refresh_token = fake.oauth.issue(HOST)

    async def api(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        address = f"{self.url}/calendar/v3/{path}"
        async with self.session.request(method, address, headers=headers, **options) as response:
            return response.status, await response.json() if response.content_type == "application/json" else None

    async def post(self, path: str, **form: str) -> tuple[int, Any]:
        async with self.session.post(self.url + path, data={**CLIENT, **form}) as response:
            return response.status, await response.json()

    async def consent(self, **changes: str) -> dict[str, str]:
        """What comes back in the redirect; {} where there is none."""
        params = {**ASK, **changes}
        async with self.session.get(self.url + "/o/oauth2/v2/auth", params=params, allow_redirects=False) as response:
            return dict(parse_qsl(urlsplit(response.headers.get("Location", "")).query))

    async def refresh(self, token: str) -> tuple[int, Any]:
        return await self.post("/token", grant_type="refresh_token", refresh_token=token)

    async def tokens(self, **changes: str) -> Any:
        code = (await self.consent(**changes))["code"]
        status, body = await self.exchange(code)
        assert status == 200, body
        return body

    async def exchange(self, code: str, verifier: str = VERIFIER) -> tuple[int, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": verifier}
        return await self.post("/token", **form)


@pytest.fixture
async def trial() -> AsyncIterator[Trial]:
    fake = FakeGoogle([HOST], oauth=OAuth())
    url = await fake.start()
    async with aiohttp.ClientSession() as session:
        yield Trial(fake, url, session)
    await fake.stop()


async def test_consent_needs_pkce_and_gives_the_state_back(trial: Trial) -> None:
    back = await trial.consent()
    assert back["state"] == "a state"
    status, body = await trial.exchange(back["code"], verifier="w" * 43)
    assert (status, body["error"]) == (400, "invalid_grant")
    _, body = await trial.exchange(back["code"])
    assert trial.fake.oauth.account_of(body["access_token"]) == HOST
    assert body["refresh_token"]
    status, body = await trial.exchange(back["code"])
    assert (status, body["error"]) == (400, "invalid_grant")
    assert (await trial.consent(deny="1"))["error"] == "access_denied"
    assert "refresh_token" not in await trial.tokens(access_type="online")
    for wrong in ({"code_challenge_method": "plain"}, {"state": ""}, {"redirect_uri": "http://evil.example/"}):
        assert await trial.consent(**wrong) == {}
    async with trial.session.get(trial.url + "/o/oauth2/v2/auth", params={**ASK, "login_hint": ""}) as page:
        assert f"Allow as {HOST}" in await page.text()


@pytest.mark.parametrize("grace", [True, False])
async def test_rotation_ends_the_old_token(trial: Trial, grace: bool) -> None:
    trial.fake.oauth.rotates, trial.fake.oauth.grace = True, grace
    old = (await trial.tokens())["refresh_token"]
    _, body = await trial.refresh(old)
    status, _ = await trial.refresh(old)
    assert status == (200 if grace else 400)
    await trial.refresh(body["refresh_token"])
    status, refused = await trial.refresh(old)
    assert (status, refused["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("one_grant", [True, False])
async def test_revoking_ends_every_token(trial: Trial, one_grant: bool) -> None:
    trial.fake.oauth.one_grant = one_grant
    body = await trial.tokens()
    assert (await trial.post("/revoke", token=body["refresh_token"]))[0] == 200
    assert trial.fake.oauth.account_of(body["access_token"]) is None
    assert (await trial.refresh(body["refresh_token"]))[1]["error"] == "invalid_grant"
    assert (await trial.api("GET", "calendars/primary"))[0] == (401 if one_grant else 200), "another consent"
    trial.fake.oauth.revoke(HOST)
    assert (await trial.api("GET", "calendars/primary"))[0] == 401


async def test_what_google_does_not_describe_is_a_violation(trial: Trial) -> None:
    assert (await trial.api("GET", "calendars/primary/events", params={"maxresults": "1"}))[0] == 500
    body = {"start": {"dateTime": NINE.isoformat()}, "end": {"dateTime": (NINE + HOUR).isoformat()}}
    assert (await trial.api("POST", "calendars/primary/events", json={**body, "title": "x"}))[0] == 500
    assert (await trial.api("POST", "calendars/primary/events", json={"start": body["start"]}))[0] == 500
    trial.fake.add_event(HOST, NINE, NINE + HOUR, nonsense=True)
    assert (await trial.api("GET", "calendars/primary/events"))[0] == 500
    assert len(trial.fake.violations) == 4


async def test_ids_etags_and_moves(trial: Trial) -> None:
    events = "calendars/primary/events"
    body = {"start": {"dateTime": NINE.isoformat()}, "end": {"dateTime": (NINE + HOUR).isoformat()}}
    for wrong in ("abcd", "wxyz12", "ABCDE"):
        assert (await trial.api("POST", events, json={**body, "id": wrong}))[0] == 400
    _, made = await trial.api("POST", events, json={**body, "id": "abcde"})
    assert (await trial.api("POST", events, json={**body, "id": "abcde"}))[0] == 409
    patch = {"summary": "Once"}
    match = {"If-Match": made["etag"]}
    assert (await trial.api("PATCH", f"{events}/abcde", json=patch, headers=match))[0] == 200
    assert (await trial.api("PATCH", f"{events}/abcde", json=patch, headers=match))[0] == 412
    assert (await trial.api("PATCH", f"{events}/abcde", json={"start": {"date": "2026-06-10"}}))[0] == 400
    _, there = await trial.api("PUT", f"{events}/abcde", json=body)
    assert "summary" not in there
    trial.fake.add_calendar(HOST, "other")
    _, moved = await trial.api("POST", f"{events}/abcde/move", params={"destination": "other"})
    assert (moved["id"], moved["organizer"]["email"]) == ("abcde", "other")
    assert (await trial.api("GET", f"{events}/abcde"))[1]["status"] == "cancelled"
    assert (await trial.api("DELETE", f"{events}/abcde"))[0] == 410
    assert (await trial.api("POST", events, json={**body, "id": "abcde"}))[0] == 409
    assert trial.fake.violations == []


async def test_sync_tokens_are_for_one_list(trial: Trial) -> None:
    events = "calendars/primary/events"
    for number in range(300):
        trial.fake.add_event(HOST, NINE + number * HOUR, NINE + (number + 1) * HOUR)
    _, page = await trial.api("GET", events, params={"singleEvents": "true"})
    assert len(page["items"]) == 250
    assert "nextSyncToken" not in page
    _, page = await trial.api("GET", events, params={"singleEvents": "true", "pageToken": page["nextPageToken"]})
    assert len(page["items"]) == 50
    asked = {"singleEvents": "true", "syncToken": page["nextSyncToken"]}
    assert (await trial.api("GET", events, params=asked))[1]["items"] == []
    for wrong in ({"timeMin": "2026-06-01T00:00:00Z"}, {"showDeleted": "false"}, {"singleEvents": "false"}):
        assert (await trial.api("GET", events, params={**asked, **wrong}))[0] == 400
    trial.fake.expire_sync_tokens()
    status, body = await trial.api("GET", events, params=asked)
    assert (status, body["error"]["errors"][0]["reason"]) == (410, "fullSyncRequired")


async def test_pushes_can_be_lost_doubled_and_reordered(trial: Trial) -> None:
    fake = trial.fake
    asked = {"type": "web_hook", "id": "channel", "address": "http://127.0.0.1:1/", "token": "t"}
    assert (await trial.api("POST", "calendars/primary/events/watch", json=asked))[0] == 200
    await fake.settled()

    def numbers() -> list[str]:
        return [each.headers["X-Goog-Message-Number"] for each in fake.pushes]

    fake.lose_pushes = True
    fake.add_event(HOST, NINE, NINE + HOUR)
    fake.lose_pushes, fake.duplicate_pushes = False, True
    fake.add_event(HOST, NINE, NINE + HOUR)
    await fake.settled()
    assert numbers() == ["1", "3", "3"]
    fake.duplicate_pushes, fake.held = False, []
    for number in range(2):
        fake.add_event(HOST, NINE + number * timedelta(days=1), NINE + number * timedelta(days=1) + HOUR)
    fake.release(backwards=True)
    await fake.settled()
    assert sorted(numbers()) == ["1", "3", "3", "4", "5"]
    fake.expire_channels()
    fake.push_to(HOST)
    await fake.settled()
    assert len(numbers()) == 5
