"""Workers take every organization's work, so each file of these tests has servers of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from app.core.migrate import migrate
from app.core.settings import Settings
from app.embedded import Postgres, Redis
from tests.calendaring import ACCOUNT, Room, connect, working
from tests.fakes.google import FakeGoogle
from tests.postbox import Postbox, listening
from tests.support import Api, Receiver, Servers, Tenant, settings_for
from tests.workers.mailing import SENDER


@pytest.fixture(scope="module")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Servers, Redis]]:
    folder = tmp_path_factory.mktemp("workers")
    postgres, redis = Postgres(folder, durable=False), Redis(folder, durable=False)
    try:
        servers = Servers(postgres.start(), redis.start())
        asyncio.run(migrate(servers.database_url))
        yield servers, redis
    finally:
        redis.stop()
        postgres.stop()


@pytest.fixture(scope="module")
def servers(own_servers: tuple[Servers, Redis]) -> Servers:
    return own_servers[0]


@pytest.fixture(scope="module")
def migrated(servers: Servers) -> Servers:
    return servers


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    yield made
    await made.stop()


@pytest.fixture
async def box() -> AsyncIterator[Postbox]:
    async with listening() as box:
        yield box


@pytest.fixture
def with_mail(migrated: Servers, box: Postbox) -> Settings:
    """For files whose `settings` it is."""
    return settings_for(migrated, smtp_url=box.url, mail_from=SENDER)


@pytest.fixture
async def fake() -> AsyncIterator[FakeGoogle]:
    """Whatever is asked and answered is as Google describes it."""
    made = FakeGoogle([ACCOUNT])
    await made.start()
    yield made
    await made.stop()
    assert made.violations == []


@pytest.fixture
def with_google(migrated: Servers, fake: FakeGoogle) -> Settings:
    """For files whose `settings` it is."""
    return settings_for(
        migrated,
        google_client_id=fake.oauth.client_id,
        google_client_secret=fake.oauth.client_secret,
        google_base_url=fake.base_url,
        google_oauth_base_url=fake.base_url,
        # nobody can push to a test's address
        base_url="http://calendars.example.com",
    )


@pytest.fixture
async def room(api: Api, tenant: Tenant, settings: Settings, fake: FakeGoogle) -> AsyncIterator[Room]:
    """A host whose calendar is connected, and was read once."""
    async with working(settings) as worker:
        # those of other tests are of fakes that have ended, and would share the account's grant
        await worker.pool.execute("update calendar_connections set status = 'disconnected', ending_due_at = null")
        schedule = await api.always_open()
        event_type = await api.event_type(schedule_id=schedule["id"], booking_window_days=None)
        made = Room(api, tenant, worker, fake, event_type, await connect(worker, tenant, fake))
        await worker.tend()
        yield made
