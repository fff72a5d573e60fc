"""Workers take every organization's work, so each file of these tests has servers of its own."""

import asyncio
from collections.abc import Iterator

import pytest

from app.core.migrate import migrate
from app.embedded import Postgres, Redis
from tests.support import Servers


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
