"""One PostgreSQL and one Redis per test process, started here on sockets of their own; each test makes its own
organization in them, so nothing needs cleaning up and nothing is shared.

`now` is always passed, so the clock is never frozen; the zone of the process is an odd one, so that code that forgets
to name a zone shows itself.
"""

import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

# Another server than the embedded one, to try another version of PostgreSQL: an address with an empty database.
DATABASE_URL = os.environ.get("SLOTWIRE_TEST_DATABASE_URL")

for name in [name for name in os.environ if name.startswith("SLOTWIRE_")]:
    del os.environ[name]
os.environ["TZ"] = "Pacific/Chatham"
time.tzset()

import app.bootstrap  # noqa: E402 -- the environment comes first
from app.core import db  # noqa: E402
from app.core.migrate import migrate  # noqa: E402
from app.core.settings import Settings  # noqa: E402
from app.core.vault import Vault  # noqa: E402
from app.domain.identity import passwords  # noqa: E402
from app.embedded import Postgres, Redis  # noqa: E402
from app.main import build_app  # noqa: E402
from tests.browsers import Browser  # noqa: E402
from tests.queues import Queue  # noqa: E402
from tests.support import Api, Servers, Tenant, make_tenant, settings_for  # noqa: E402

_HERE = Path(__file__).parent
# of these a single file may take a minute or two
_LONG = ("fuzz", "chaos", "conformance", "e2e", "race", "workers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first: begun last, one of them would keep one core busy while the other has nothing to do."""
    items.sort(key=lambda item: item.path.relative_to(_HERE).parts[0] not in _LONG)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A migrated database and a Redis, for everything that this test process runs."""
    folder: Path = tmp_path_factory.mktemp("servers")
    postgres, redis = Postgres(folder, durable=False), Redis(folder, durable=False)
    try:
        yield Servers(DATABASE_URL or postgres.start(), redis.start())
    finally:
        redis.stop()
        postgres.stop()


@pytest.fixture(scope="session", autouse=True)
def _hash_each_password_once() -> Iterator[None]:
    """A hash takes tens of milliseconds on purpose, and nearly every test makes an organization whose owner has the
    same password: they share one hash of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.bootstrap, "hash_password", functools.cache(passwords.hash_password))
        yield


@pytest.fixture(scope="session")
def migrated(servers: Servers) -> Servers:
    import asyncio

    asyncio.run(migrate(servers.database_url))
    return servers


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated)


@pytest.fixture
def vault(settings: Settings) -> Vault:
    return Vault(settings.secret_keys)


@pytest.fixture
async def conn(settings: Settings) -> AsyncIterator[db.Connection]:
    """A connection as the services get it."""
    async with db.open_pool(settings.database_url, size=1, name="test") as pool, db.acquire(pool) as connection:
        yield connection


@pytest.fixture
def now() -> datetime:
    """Wednesday noon in a week without surprises, for tests that pass the time themselves."""
    return datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


@pytest.fixture
async def tenant(conn: db.Connection, vault: Vault) -> Tenant:
    """An organization of this test's own, with a key for everything."""
    return await make_tenant(conn, vault)


@pytest.fixture
def queue(conn: db.Connection, vault: Vault, tenant: Tenant) -> Queue:
    """The tenant's part of the delivery queue, for tests without a worker."""
    return Queue(conn, vault, tenant)


AiohttpClient = Callable[[web.Application], Awaitable[TestClient[web.Request, web.Application]]]


@pytest.fixture
async def api(aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant) -> Api:
    """The service over HTTP, as the tenant's key sees it."""
    return Api(await aiohttp_client(build_app(settings)), tenant.api_key)


@pytest.fixture
async def browsers(api: Api) -> AsyncIterator[Callable[[], Browser]]:
    """Makes browsers, each with cookies of its own, that know nobody yet."""
    opened: list[Browser] = []

    def open_one() -> Browser:
        opened.append(Browser(api.client))
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


@pytest.fixture
async def owner(browsers: Callable[[], Browser], tenant: Tenant) -> Browser:
    """A browser in which the tenant's owner is logged in."""
    browser = browsers()
    (await browser.log_in(f"{tenant.username}@example.com")).ok(201)
    return browser


@pytest.fixture
def soon() -> datetime:
    """A Monday some weeks ahead of the real clock, midnight UTC: HTTP tests run in the present."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=14 + (7 - today.weekday()) % 7)
