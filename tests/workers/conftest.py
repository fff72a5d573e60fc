"""Workers take every organization's work, so each file of these tests has servers of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from app.core.migrate import migrate
from app.core.settings import Settings
from app.embedded import Postgres, Redis
from tests.postbox import Postbox, listening
from tests.support import Receiver, Servers, settings_for
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
