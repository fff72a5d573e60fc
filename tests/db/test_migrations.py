"""Migrations on real databases: from nothing, twice, many at once, and against a ledger that disagrees."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.core import migrate as module
from app.core.db import refused
from app.core.ids import new_id
from app.core.migrate import Migration, check_ledger, migrate, migrations
from app.core.settings import ConfigurationError
from tests.support import Servers


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[str]:
    """A database of this test's own, with nothing in it."""
    name = f"m{new_id().hex}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f"create database {name}")
    yield servers.database_url.replace("/slotwire?", f"/{name}?")
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


async def test_from_nothing_and_again(empty: str) -> None:
    assert await migrate(empty) == [migration.name for migration in migrations()]
    assert await migrate(empty) == []


async def test_four_hosts_at_once(empty: str) -> None:
    ran = await asyncio.gather(*(migrate(empty) for _ in range(4)))
    assert sorted(len(each) for each in ran) == [0, 0, 0, len(migrations())]


async def test_a_failing_file_leaves_nothing_behind(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = Migration("1.sql", "create table a (x int)"), Migration("2.sql", "create table b (x int); select 1/0")
    monkeypatch.setattr(module, "migrations", lambda: [good, bad])
    with pytest.raises(ConfigurationError, match=r"2\.sql failed and was rolled back: division by zero"):
        await migrate(empty)
    conn = await asyncpg.connect(empty)
    assert await conn.fetchval("select to_regclass('a')") == "a"
    assert await conn.fetchval("select to_regclass('b')") is None
    await conn.close()


def test_an_edited_file_stops_the_start() -> None:
    known = [Migration("1.sql", "select 1"), Migration("2.sql", "select 2")]
    assert check_ledger({"1.sql": known[0].sha256}, known) == known[1:]
    with pytest.raises(ConfigurationError, match=r"1\.sql was edited"):
        check_ledger({"1.sql": "other"}, known)
    with pytest.raises(ConfigurationError, match="newer Slotwire"):
        check_ledger({"1.sql": known[0].sha256, "3.sql": "x"}, known)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:hunter2@127.0.0.1:9/x",
        "postgresql://127.0.0.1:9/x?password=hunter2",
        "postgresql://u:hunt/er2@127.0.0.1/x",
        "postgresql://u:hunter2@[::bad/x",
    ],
)
async def test_an_address_that_does_not_work_is_one_line_without_its_password(dsn: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        await migrate(dsn)
    line = str(found.value)
    assert "\n" not in line
    assert "hunt" not in line
    assert "er2" not in line
    assert "\n" not in refused(dsn, OSError("a\nb"))
