"""What tests share: tenants, a client that knows its key, a webhook receiver that is a real server."""

import asyncio
import itertools
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDictProxy

from app.bootstrap import Wanted, bootstrap
from app.core import db
from app.core.ids import new_id
from app.core.settings import Settings
from app.core.vault import Vault

# Any Fernet key; nothing sealed with it leaves the test's database.
SECRET_KEY = "c2xvdHdpcmUtdGVzdHMtdXNlLXRoaXMta2V5LW9ubHk="

_numbers = itertools.count()


@dataclass(frozen=True)
class Servers:
    database_url: str
    redis_url: str


@dataclass(frozen=True)
class Tenant:
    org_id: UUID
    user_id: UUID
    username: str
    api_key: str


def settings_for(servers: Servers, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "env": "development",
        "database_url": servers.database_url,
        "redis_url": servers.redis_url,
        "secret_keys": (SECRET_KEY,),
        "webhook_allow_networks": "127.0.0.0/8,::1/128",
        "pool_size": 10,
        "log_level": "error",
        "limit_key": None,
        "limit_public": None,
        "limit_event_type": None,
        "limit_session": None,
        "limit_login": None,
    }
    return Settings(**values | changes)


def environment_for(settings: Settings) -> dict[str, str]:
    """The same settings for a process of its own."""
    return {
        **os.environ,
        "SLOTWIRE_ENV": settings.env,
        "SLOTWIRE_DATABASE_URL": settings.database_url,
        "SLOTWIRE_REDIS_URL": settings.redis_url,
        "SLOTWIRE_SECRET_KEYS": ",".join(settings.secret_keys),
        "SLOTWIRE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        "SLOTWIRE_WEBHOOK_TIMEOUT_SECONDS": str(settings.webhook_timeout_seconds),
        "SLOTWIRE_HOST": "127.0.0.1",
        "SLOTWIRE_PORT": str(settings.port),
        "SLOTWIRE_PROCESSES": str(settings.processes),
        "SLOTWIRE_LIMIT_KEY": "off",
        "SLOTWIRE_LIMIT_PUBLIC": "off",
        "SLOTWIRE_LIMIT_EVENT_TYPE": "off",
        "SLOTWIRE_LIMIT_SESSION": "off",
        "SLOTWIRE_LIMIT_LOGIN": "off",
    }


def unique_name() -> str:
    """E-mails and handles are unique in the whole installation, which the tests share."""
    return f"t{os.getpid()}-{next(_numbers)}-{new_id().hex[-8:]}"


@contextmanager
def told_of(about: Any) -> Iterator[None]:
    """Where a test walks over many: what fails says which one it was. about: a route, or whatever names it."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"of {about.method} {about.path}" if hasattr(about, "method") else f"of {about}")
        raise


async def make_tenant(conn: db.Connection, vault: Vault, *, scopes: tuple[str, ...] = (), zone: str = "UTC") -> Tenant:
    name = unique_name()
    wanted = Wanted(name, f"{name}@example.com", "correct horse", username=name, timezone=zone, scopes=scopes)
    made = await db.run(conn, lambda conn: bootstrap(conn, wanted, vault, datetime.now(UTC)))
    assert made.api_key is not None
    return Tenant(made.org_id, made.user_id, made.username, made.api_key)


@dataclass
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    def ok(self, status: int = 200) -> Any:
        assert self.status == status, f"{self.status}: {self.raw.decode()[:2000]}"
        return self.json


@dataclass
class Api:
    """`/v1` as one key sees it; `ALWAYS` is a schedule that is open around the clock."""

    client: TestClient[web.Request, web.Application]
    key: str

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        response: ClientResponse = await self.client.request(method, path, data=data, headers=given)
        return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.call("POST", path, body, **headers)

    async def walk(self, path: str, nouns: str, limit: int, **query: Any) -> list[str]:
        """Every id of every page of a list."""
        found: list[str] = []
        while True:
            page = (await self.get(f"{path}?{urlencode({'limit': limit, **query}, doseq=True)}")).ok()
            found += [each["id"] for each in page[nouns]]
            cursor = page["pagination"]["next_cursor"]
            assert page["pagination"]["has_more"] is (cursor is not None)
            if cursor is None:
                return found
            query["cursor"] = cursor

    async def event_type(self, **fields: Any) -> Any:
        return (await self.post("/v1/event-types", {"title": "Call", **fields})).ok(201)["event_type"]

    async def person(self, **fields: Any) -> Any:
        """Somebody with an e-mail that nobody else has."""
        email = f"{unique_name()}@example.com"
        return (await self.post("/v1/users", {"email": email, "name": "Ben", **fields})).ok(201)["user"]

    async def always_open(self, zone: str = "UTC") -> Any:
        """A schedule without a closed minute."""
        weekly = [{"day": day, "start": "00:00", "end": "24:00"} for day in ("MO", "TU", "WE", "TH", "FR", "SA", "SU")]
        body = {"name": "Always", "timezone": zone, "weekly": weekly}
        return (await self.post("/v1/schedules", body)).ok(201)["schedule"]

    async def book(self, event_type: str, start: datetime, **headers: str) -> Answer:
        return await self.post("/v1/bookings", booking_body(event_type, start), **headers)


def booking_body(event_type: str, start: datetime, **changes: Any) -> dict[str, Any]:
    attendee = {"name": "Jane Smith", "email": "jane@example.com", "timezone": "America/New_York"}
    return {"event_type": event_type, "requested_time": start.isoformat(), "attendee": attendee, **changes}


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes
    at: datetime

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """A webhook receiver: keeps what arrives, answers 200 or whatever `behaviour` does."""

    behaviour: Behaviour | None = None
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    server: TestServer | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self.server = TestServer(app, host="127.0.0.1")
        await self.server.start_server()
        return str(self.server.make_url("/hook"))

    async def stop(self) -> None:
        if self.server:
            await self.server.close()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with self.arrived:
            self.received.append(Received(dict(request.headers), body, datetime.now(UTC)))
            self.arrived.notify_all()
        return await self.behaviour(request) if self.behaviour else web.Response()

    async def wait_for(self, count: int, seconds: float = 15.0) -> list[Received]:
        """Everything received, once there are at least so many."""
        async with self.arrived:
            await asyncio.wait_for(self.arrived.wait_for(lambda: len(self.received) >= count), timeout=seconds)
            return list(self.received)


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    """Wait until the check holds, asking every 50 ms."""
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    while not await check():
        assert datetime.now(UTC) < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)
