"""What races share: one `slotwire web` with two processes, and a connection of its own for each request."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from app.core.settings import Settings
from tests.processes import free_port, ready, running
from tests.race.callers import CALLERS
from tests.support import Servers, Tenant, environment_for, settings_for


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated, port=free_port(), processes=2)


@pytest.fixture
async def two_processes(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    """`slotwire web` with two processes on one port; every request on a connection of its own reaches either."""
    url = f"http://127.0.0.1:{settings.port}"
    log = tmp_path / "web.log"
    before = await _deadlocks(settings)
    async with running(["app.cli", "web"], environment_for(settings), log) as process:
        await ready(url, process)
        yield url
    assert '"unexpected"' not in log.read_text()
    # a session reports what it saw when it ends
    assert await _deadlocks(settings) == before


@pytest.fixture
async def http(two_processes: str, tenant: Tenant) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    connector = aiohttp.TCPConnector(limit=CALLERS, force_close=True)
    async with aiohttp.ClientSession(two_processes, headers=headers, connector=connector) as session:
        yield session


async def _deadlocks(settings: Settings) -> int:
    conn = await asyncpg.connect(settings.database_url)
    try:
        query = "select deadlocks from pg_stat_database where datname = current_database()"
        return int(await conn.fetchval(query))
    finally:
        await conn.close()
