"""What providers may tell us: with the secret of the calendar's own channel, and without it nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from app.core import db
from app.core.quota import Quota
from app.core.settings import Settings
from app.core.vault import digest
from app.main import build_app
from tests.conftest import AiohttpClient
from tests.connecting import caldav_account
from tests.support import Answer, Api, Tenant

SECRET = "the-secret-of-this-channel"
CHANNEL = {"id": "sub-1", "resource": None, "expires_at": "2030-01-01T00:00:00Z"}


@dataclass
class Hook:
    """A calendar with a push channel that is next looked at in an hour."""

    api: Api
    conn: db.Connection
    org_id: UUID
    id: UUID
    address: str = ""

    async def set(self) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        await self.conn.execute(
            """
            update calendars
            set hook_id = $2, hook_secret_hash = $3, channel = $4, channel_due_at = $5, next_poll_at = $5
            where org_id = $1
            """,
            *(self.org_id, self.id, digest(SECRET), CHANNEL, later),
        )

    async def row(self) -> Any:
        return await self.conn.fetchrow(
            """
            select next_poll_at <= now() as due, channel is not null as pushed, channel_due_at <= now() as renewed
            from calendars where org_id = $1
            """,
            self.org_id,
        )

    async def is_due(self) -> bool:
        return bool((await self.row())["due"])

    async def by_google(self, token: str, state: str = "exists", path: str = "") -> Answer:
        told = {"X_Goog_Channel_Token": token, "X_Goog_Resource_State": state}
        whence = {"X_Forwarded_For": self.address} if self.address else {}
        return await self.api.call("POST", f"/hooks/calendars/{self.id}{path}", Authorization="", **told, **whence)

    async def by_microsoft(self, *items: Any, path: str = "") -> Answer:
        return await self.api.post(f"/hooks/calendars/{self.id}{path}", {"value": list(items)}, Authorization="")


@pytest.fixture
async def hook(api: Api, conn: db.Connection, tenant: Tenant) -> Hook:
    await caldav_account(api)
    made = Hook(api, conn, tenant.org_id, uuid4())
    await made.set()
    return made


@pytest.mark.parametrize("state", ["sync", "exists", "not_exists", "something new"])
async def test_google_has_the_calendar_looked_at(hook: Hook, state: str) -> None:
    answer = await hook.by_google(SECRET, state)
    assert (answer.status, answer.raw) == (204, b"")
    assert await hook.is_due()


@pytest.mark.parametrize("token", ["", "wrong", SECRET + "x", SECRET.upper(), "\N{SNOWMAN}"])
async def test_a_wrong_secret_does_nothing(hook: Hook, token: str) -> None:
    assert (await hook.by_google(token)).ok(404)["code"] == "not_found"
    told = {"clientState": token, "subscriptionId": "sub-1"}
    assert (await hook.by_microsoft(told)).status == 404
    assert not await hook.is_due()


async def test_an_unknown_hook_is_answered_alike(hook: Hook) -> None:
    known, hook.id = await hook.by_google("wrong"), uuid4()
    unknown = await hook.by_google(SECRET)
    parts = ("type", "title", "status", "code", "detail")
    assert [known.json[part] for part in parts] == [unknown.json[part] for part in parts]
    for path in ("x", str(hook.id)[:-1]):
        assert (await hook.api.post(f"/hooks/calendars/{path}")).status == 404


async def test_microsoft_has_the_calendar_looked_at(hook: Hook) -> None:
    wrong, right = {"clientState": "wrong"}, {"clientState": SECRET, "subscriptionId": "sub-1", "changeType": "updated"}
    assert (await hook.by_microsoft(wrong)).status == 404
    assert not await hook.is_due()
    answer = await hook.by_microsoft(wrong, right)
    assert (answer.status, answer.raw) == (202, b"")
    assert await hook.is_due()


@pytest.mark.parametrize(
    ("event", "pushed", "renewed"),
    [
        ("missed", True, False),
        ("reauthorizationRequired", True, True),
        ("subscriptionRemoved", False, None),
        ("something new", True, False),
    ],
)
async def test_a_subscription_says_what_becomes_of_it(
    hook: Hook, event: str, pushed: bool, renewed: bool | None
) -> None:
    for secret, status in (("wrong", 404), (SECRET, 202)):
        told = {"clientState": secret, "subscriptionId": "sub-1", "lifecycleEvent": event}
        assert (await hook.by_microsoft(told, path="/lifecycle")).status == status
        if status == 404:
            assert dict(await hook.row()) == {"due": False, "pushed": True, "renewed": False}
    assert dict(await hook.row()) == {"due": True, "pushed": pushed, "renewed": renewed}


@pytest.mark.parametrize("path", ["", "/lifecycle"])
async def test_the_handshake_gives_the_token_back_and_nothing_else(hook: Hook, path: str) -> None:
    """Before the subscription is known, so to any address of this kind."""
    token = "Validation: Testing client application <script>alert(1)</script>+%"
    answer = await hook.api.call(
        "POST", f"/hooks/calendars/{uuid4()}{path}?validationToken={quote(token)}", Authorization=""
    )
    assert (answer.status, answer.raw.decode()) == (200, token)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for wrong in ("", "%0d%0aSet-Cookie:%20a=b", "a" * 4097, "%7f"):
        refused = await hook.api.call("POST", f"/hooks/calendars/{hook.id}{path}?validationToken={wrong}")
        assert refused.status == 400, wrong
    assert not await hook.is_due()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"value": 1}', b'{"value": [1, null, {}]}', b'{"value": [{"clientState": 1}]}', b"\xff"],
)
async def test_what_says_nothing_is_no_notification(hook: Hook, body: bytes) -> None:
    assert (await hook.api.call("POST", f"/hooks/calendars/{hook.id}", body)).status == 404
    assert not await hook.is_due()


async def test_a_body_that_is_too_large_is_not_read(hook: Hook) -> None:
    big = b'{"value": [{"clientState": "' + b"a" * (256 * 1024) + b'"}]}'
    assert (await hook.api.call("POST", f"/hooks/calendars/{hook.id}", big)).ok(413)["code"] == "body_too_large"


async def test_providers_are_not_limited_and_whoever_guesses_is(
    aiohttp_client: AiohttpClient, settings: Settings, hook: Hook
) -> None:
    # an address of this test's own: other tests count theirs in the same Redis
    proxies = Settings(env="development", trusted_proxies="127.0.0.0/8").trusted_proxies
    changes = {"limit_public": Quota(3, 60), "trusted_proxies": proxies}
    hook.api = Api(await aiohttp_client(build_app(settings.model_copy(update=changes))), "")
    hook.address = f"2001:db8::{uuid4().hex[:4]}"
    guesses = [(await hook.by_google("guess")).status for _ in range(5)]
    assert guesses == [404, 404, 404, 429, 429]
    assert {(await hook.by_google(SECRET)).status for _ in range(10)} == {204}


async def test_a_calendar_that_nobody_reads_is_not_read_for_a_push(hook: Hook) -> None:
    await hook.conn.execute("update calendars set next_poll_at = null where org_id = $1", hook.org_id)
    assert (await hook.by_google(SECRET)).status == 204
    assert (await hook.row())["due"] is None
