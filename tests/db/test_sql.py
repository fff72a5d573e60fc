"""Every SQL block is prepared on the migrated schema: typos, types and forgotten columns show here."""

import re
from pathlib import Path

import pytest

from app.core import sql
from app.core.db import Connection

ROOT = Path(__file__).parents[2]
BLOCKS = [(room, name) for room in sql.rooms() for name in sql.load(room).blocks]


@pytest.mark.parametrize(("room", "name"), BLOCKS)
async def test_every_block_prepares(conn: Connection, room: str, name: str) -> None:
    await conn.prepare(sql.load(room).blocks[name])


def test_every_block_is_used_and_every_used_block_exists() -> None:
    source = "\n".join(path.read_text() for folder in ("app", "workers") for path in (ROOT / folder).rglob("*.py"))
    used = set(re.findall(r"\b(?:SQL|SYNC)\.([a-z_0-9]+)", source))
    assert used == {name for _, name in BLOCKS}


async def test_tenant_tables_lead_with_org_id(conn: Connection) -> None:
    """Keys and indexes lead with org_id, so that tables can be sharded by tenant; doors and queues are the exceptions,
    and say so in their names."""
    rows = await conn.fetch(
        """
        select c.relname as table, i.relname as index, a.attname as first
        from pg_index x
        join pg_class c on c.oid = x.indrelid
        join pg_class i on i.oid = x.indexrelid
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = x.indkey[0]
        where c.relnamespace = 'public'::regnamespace
        """
    )
    free = {
        "organizations_pkey",
        "schema_migrations_pkey",
        "handles_pkey",
        "outbox_pkey",
        # a gist index over a uuid needs an extension; subject numbers are unique across organizations
        "allocations_no_double_booking",
        "busy_blocks_by_subject",
        # a gin index has no order to lead
        "bookings_by_unit",
    }
    wrong = [
        row["index"] for row in rows
        if row["first"] != "org_id" and row["index"] not in free and not row["index"].endswith(("_door", "_queue"))
    ]  # fmt: skip
    assert wrong == []


async def test_foreign_keys_are_composite(conn: Connection) -> None:
    """A row cannot point into another organization, even when the code is wrong."""
    rows = await conn.fetch(
        """
        select conrelid::regclass::text as table, conname,
               (select array_agg(attname::text order by k.n) from unnest(conkey) with ordinality k (no, n)
                join pg_attribute a on a.attrelid = conrelid and a.attnum = k.no) as columns,
               confrelid::regclass::text as target
        from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace
        """
    )
    assert len(rows) > 40
    assert [row["conname"] for row in rows if row["columns"][0] != "org_id"] == []
    assert [row["conname"] for row in rows if row["target"] != "organizations" and len(row["columns"]) < 2] == []
