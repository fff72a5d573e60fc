"""A browser as `/api` sees it: cookies of its own, and the headers that a page's JavaScript sends by itself."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient

from app.core import db
from app.domain.identity.passwords import hash_password
from tests.support import Answer, Api

PASSWORD = "correct horse"
COOKIE = "slotwire_session"


Browsers = Callable[[], "Browser"]


@cache
def _hash() -> str:
    """Made once: it takes its time on purpose."""
    return hash_password(PASSWORD)


async def colleague(api: Api, conn: db.Connection, browsers: Browsers, role: str) -> tuple[Any, "Browser"]:
    """Somebody else of the organization, with a password, who is logged in."""
    person = await api.person(role=role)
    await conn.execute("update users set password_hash = $2 where email = $1", person["email"], _hash())
    browser = browsers()
    (await browser.log_in(person["email"])).ok(201)
    return person, browser


class Browser:
    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self._client = client
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def close(self) -> None:
        await self._session.close()

    @property
    def cookie(self) -> str | None:
        """The session cookie that it holds."""
        return next((each.value for each in self._session.cookie_jar if each.key == COOKIE), None)

    def use_cookie(self, value: str) -> None:
        self._session.cookie_jar.update_cookies({COOKIE: value}, self._client.make_url("/"))

    async def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        given = {"Sec-Fetch-Site": "same-origin", **(headers or {})}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        url = self._client.make_url(path)
        async with self._session.request(method, url, data=data, headers=given, allow_redirects=False) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, headers=headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, headers)

    async def delete(self, path: str) -> Answer:
        return await self.call("DELETE", path)

    async def patch(self, path: str, body: Any) -> Answer:
        return await self.call("PATCH", path, body)

    async def log_in(self, email: str, password: str = PASSWORD) -> Answer:
        return await self.post("/api/session", {"session": {"email": email, "password": password}})
