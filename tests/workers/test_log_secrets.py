"""The logs of real processes, after a story in which every kind of secret was used: none of them is in there."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from app.core.settings import Settings
from tests.postbox import Postbox
from tests.processes import free_port, ready, running
from tests.support import environment_for, unique_name

PASSWORD, NEW_PASSWORD, WRONG = "correct-horse-9413", "battery-staple-7711", "guessed-password-3325"
ATTENDEE = {"name": "Quintessa Mirabel", "email": "quintessa.mirabel@guests.example", "phone": "+49 30 5550142"}


class Story:
    """Somebody with a browser and a key; `secrets` is whatever a log must not hold."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url
        self.secrets = {PASSWORD, NEW_PASSWORD, WRONG, *ATTENDEE.values()}

    async def call(self, method: str, path: str, body: Any = None, status: int = 0, **headers: str) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, self._url + path, json=body, headers=given) as response:
            raw = await response.read()
            assert response.status == status or not status, (method, path, response.status, raw[:500])
            for cookie in response.cookies.values():
                self.secrets.add(cookie.value)
            found = re.findall(rb'"(?:secret|cancel_token|reschedule_token|link_code)":"([^"]+)"', raw)
            self.secrets.update(each.decode() for each in found)
            return await response.json() if response.content_type.endswith("json") else raw


async def tell(story: Story, box: Postbox, email: str) -> None:
    log_in = {"session": {"email": email, "password": PASSWORD}}
    who = {"organization": "Acme", "name": "Ana", "email": email, "password": PASSWORD, "timezone": "UTC"}
    await story.call("POST", "/api/signup", {"signup": who}, 201)
    await story.call("POST", "/api/session", {"session": {"email": email, "password": WRONG}}, 401)
    await story.call("POST", "/api/session", log_in, 201)
    scopes = ["bookings:read", "bookings:write", "event_types:write", "webhooks:write", "webhooks:read", "users:write"]
    key = await story.call("POST", "/api/keys", {"key": {"name": "x", "scopes": scopes}}, 201)
    bearer = {"Authorization": f"Bearer {key['data']['secret']}"}
    hook = {"url": "http://127.0.0.1:9/hook-path-secret-5582"}
    story.secrets.add("hook-path-secret-5582")
    webhook = (await story.call("POST", "/v1/webhooks", hook, 201, **bearer))["webhook"]
    made = await story.call("POST", "/v1/event-types", {"title": "Call", "booking_window_days": None}, 201, **bearer)
    event_type = made["event_type"]
    monday = datetime.now(UTC).replace(hour=10, minute=0, second=0, microsecond=0)
    monday += timedelta(days=14 + (7 - monday.weekday()) % 7)
    wanted = {"event_type": event_type["code"], "requested_time": monday.isoformat()}
    booked = await story.call(
        "POST", "/v1/bookings", {**wanted, "attendee": {**ATTENDEE, "timezone": "UTC"}}, 201, **bearer
    )
    token = booked["booking"]["cancel_token"]
    await story.call("POST", "/v1/bookings", {**wanted, "attendee": {**ATTENDEE, "timezone": "UTC"}}, 409, **bearer)
    await story.call("POST", "/v1/bookings", {**wanted, "attendee": {**ATTENDEE, "nick": "x"}}, 400, **bearer)
    await story.call("GET", f"/v1/bookings?attendee_email={ATTENDEE['email']}", None, 200, **bearer)
    await story.call("GET", f"/v1/cancel/{token}", None, 200)
    await story.call("POST", f"/v1/cancel/{token}/confirm", None, 200)
    await story.call("GET", f"/v1/cancel/{token[:-1]}", None, 404)
    await story.call("POST", "/v1/users", {"email": f"invited-{email}", "name": "Ben"}, 201, **bearer)
    await story.call("POST", f"/v1/event-types/{event_type['code']}/links", {}, 201, **bearer)
    feed = await story.call("GET", "/v1/users/me/feed", None, 200, **bearer)
    story.secrets.add(urlsplit(feed["feed"]["url"]).path.removeprefix("/feeds/").removesuffix(".ics"))
    await story.call("GET", urlsplit(feed["feed"]["url"]).path, None, 200)
    await story.call("POST", "/api/password-resets", {"password_reset": {"email": email}}, 202)
    for mail in await box.wait_for(6, email, f"invited-{email}", ATTENDEE["email"]):
        for path in (urlsplit(each).path for each in re.findall(r"https?://\S+", mail.text)):
            story.secrets.add(path.rsplit("/", 1)[-1])
            if "/password/" in path:
                await story.call("POST", path, {"password": NEW_PASSWORD}, 200)
    for _ in range(100):
        sent = await story.call("GET", f"/v1/webhooks/{webhook['id']}/deliveries", None, 200, **bearer)
        if any(each["attempts"] for each in sent["deliveries"]):
            break
        await asyncio.sleep(0.05)
    assert [each["attempts"] for each in sent["deliveries"]], "an attempt has failed, and was logged if any is"
    await story.call("GET", "/api/session", None, 401)
    await story.call("POST", "/api/session", {"session": {"email": email, "password": NEW_PASSWORD}}, 201)
    await story.call("DELETE", "/api/session", None, 204)
    for path in ["/v1/nothing-4471?token=query-secret-8123", "/api/session?password=query-secret-8123"]:
        await story.call("GET", path)
    story.secrets.add("query-secret-8123")


async def test_no_log_line_holds_a_secret(settings: Settings, box: Postbox, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **environment_for(settings.model_copy(update={"port": port})),
        "SLOTWIRE_LOG_LEVEL": "debug",
        "SLOTWIRE_SMTP_URL": box.url,
        "SLOTWIRE_BASE_URL": f"http://127.0.0.1:{port}",
    }
    logs, url = [tmp_path / "web.log", tmp_path / "worker.log"], f"http://127.0.0.1:{port}"
    email = f"{unique_name()}@owners.example"
    async with (
        running(["app.cli", "web"], environment, logs[0]) as web,
        running(["app.cli", "worker"], environment, logs[1]),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        await ready(url, web)
        story = Story(session, url)
        await tell(story, box, email)
    told = "\n".join(log.read_text() for log in logs)
    assert told.count('"event":"request"') > 20, "the story was told"
    story.secrets |= {email, f"invited-{email}"}
    assert len(story.secrets) > 20
    assert [secret for secret in story.secrets if len(secret) > 5 and secret in told] == []
