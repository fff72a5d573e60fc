"""`slotwire rotate-keys`: all that is sealed comes under the new key while the service runs, and nothing is lost."""

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.core import db
from app.core.ids import Kind, decode, new_id
from app.core.migrate import migrate
from app.core.rotation import SQL, TABLES, Tally, _reseal, count_seals, reseal
from app.core.settings import Settings
from app.core.vault import SealBroken, Vault
from app.doctor import Finding, examine
from app.main import build_app
from tests.conftest import AiohttpClient
from tests.offers import offer
from tests.support import Api, Servers, Tenant, booking_body, environment_for, make_tenant, settings_for

OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))


@pytest.fixture
async def own(servers: Servers) -> AsyncIterator[Settings]:
    """A database that is sealed under the old key, and shared with no other test."""
    name = f"r{new_id().hex}"
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f"create database {name}")
    url = servers.database_url.replace("/slotwire?", f"/{name}?")
    await migrate(url)
    yield settings_for(Servers(url, servers.redis_url), secret_keys=(OLD,))
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest.fixture
async def here(own: Settings) -> AsyncIterator[db.Connection]:
    async with db.open_pool(own.database_url, size=1, name="test") as pool, db.acquire(pool) as connection:
        yield connection


def ring(settings: Settings, *keys: str) -> Settings:
    return settings.model_copy(update={"secret_keys": keys})


async def serve(aiohttp_client: AiohttpClient, settings: Settings, tenant: Tenant) -> Api:
    return Api(await aiohttp_client(build_app(settings)), tenant.api_key)


def rotate_keys(settings: Settings, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "rotate-keys", *arguments],
        env={**environment_for(settings), **changes},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def in_all(found: dict[str, Tally]) -> Tally:
    every = Tally()
    for tally in found.values():
        every.add(tally)
    return every


async def fill(api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime) -> dict[str, Any]:
    """Something in every sealed column there is."""
    event_type = await offer(api, code="call")
    link = (await api.post("/v1/event-types/call/links")).ok(201)["link"]
    webhook = (await api.post("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})).ok(201)["webhook"]
    rotated = (await api.post(f"/v1/webhooks/{webhook['id']}/rotate-secret")).ok()["webhook"]
    booked = await api.post("/v1/bookings", booking_body("call", soon), Idempotency_Key="first")
    await conn.execute(
        "update webhooks set headers_sealed = $2, old_secret_sealed = $3 where id = $1",
        *(decode(Kind.WEBHOOK, webhook["id"]), vault.seal(b"headers"), vault.seal(b"an old secret")),
    )
    await conn.execute(
        """
        insert into calendar_connections (org_id, id, user_id, provider, account, credentials_sealed, status,
                                          created_at, updated_at)
        values ($1, $2, $3, 'google', 'a@example.com', $4, 'active', now(), now()),
               ($1, $5, $3, 'caldav', 'b@example.com', '', 'active', now(), now())
        """,
        *(tenant.org_id, new_id(), tenant.user_id, vault.seal(b"credentials"), new_id()),
    )
    return {
        "event_type": event_type["id"],
        "link": link["link_code"],
        "secret": rotated["secret"],
        "old secret": webhook["secret"],
        "booked": booked.raw,
    }


async def opened(conn: db.Connection, vault: Vault) -> dict[str, list[bytes]]:
    """The plain values of every sealed column."""
    found: dict[str, list[bytes]] = {}
    for table in TABLES:
        for column in table.columns:
            rows = await conn.fetch(f"select {column} as value from {table.name} order by {column}")  # noqa: S608
            lists = [row["value"] if isinstance(row["value"], list) else [row["value"]] for row in rows]
            plain = [vault.unseal(value) for values in lists for value in values if value]
            found[f"{table.name}.{column}"] = sorted(plain)
    return found


async def test_no_sealed_column_is_forgotten(conn: db.Connection) -> None:
    """The catalog of the database knows them all, whichever migration they came with."""
    rows = await conn.fetch(
        """
        select c.relname as table, a.attname as column
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
        where c.relnamespace = 'public'::regnamespace and not a.attisdropped
          and a.atttypid in ('bytea'::regtype, 'bytea[]'::regtype)
        """
    )
    named = {(row["table"], row["column"]) for row in rows}
    sealed = {(table, column) for table, column in named if column.endswith("_sealed")}
    assert sealed == {(table.name, column) for table in TABLES for column in table.columns}
    others = {column for _, column in named - sealed}
    assert {each for each in others if not each.endswith(("_hash", "fingerprint"))} == set(), "bytes of what kind?"
    elsewhere = await conn.fetch(
        "select table_name from information_schema.columns where table_schema = 'public' "
        "and column_name like '%sealed%' and data_type not in ('bytea', 'ARRAY')"
    )
    assert elsewhere == []


async def test_everything_moves_and_the_old_key_opens_nothing(
    aiohttp_client: AiohttpClient, own: Settings, here: db.Connection, soon: datetime
) -> None:
    old, new, both = Vault((OLD,)), Vault((NEW,)), Vault((NEW, OLD))
    tenant = await make_tenant(here, old)
    made = await fill(await serve(aiohttp_client, own, tenant), here, old, tenant, soon)
    before = await opened(here, old)
    assert all(before.values()), "something in every column, or the test shows nothing"
    touched = await here.fetchval("select max(updated_at) from webhooks")
    first = await reseal(here, both)
    assert in_all(first).moved == in_all(first).older == in_all(first).total == sum(map(len, before.values()))
    assert await opened(here, new) == before
    every = in_all(await count_seals(here, old))
    assert (every.lost, every.total) == (sum(map(len, before.values())),) * 2
    assert await here.fetchval("select max(updated_at) from webhooks") == touched, "nobody has edited anything"
    kept = await here.fetch("select ctid, secret_sealed from webhooks")
    again = in_all(await reseal(here, both))
    assert (again.moved, again.older, again.lost) == (0, 0, 0)
    assert await here.fetch("select ctid, secret_sealed from webhooks") == kept, "a repeat writes nothing"
    alone = await serve(aiohttp_client, ring(own, NEW), tenant)
    assert (await alone.get("/v1/event-types/call/links")).ok()["links"][0]["link_code"] == made["link"]
    replay = await alone.post("/v1/bookings", booking_body("call", soon), Idempotency_Key="first")
    assert replay.raw.replace(b'"idempotent_replay":true,', b"", 1) == made["booked"]
    secrets = await here.fetchrow("select secret_sealed, old_secrets_sealed from webhooks")
    assert secrets is not None
    assert new.unseal(secrets["secret_sealed"]).decode() == made["secret"]
    assert [new.unseal(each).decode() for each in secrets["old_secrets_sealed"]] == [made["old secret"]]


async def test_in_the_middle_of_traffic(
    aiohttp_client: AiohttpClient, own: Settings, here: db.Connection, soon: datetime
) -> None:
    """One process seals with the old key still, another with the new one already; both open everything at any time."""
    tenant = await make_tenant(here, Vault((OLD,)))
    faces = [await serve(aiohttp_client, ring(own, *keys), tenant) for keys in ((OLD, NEW), (NEW, OLD))]
    await fill(faces[0], here, Vault((OLD,)), tenant, soon)
    stopping = asyncio.Event()

    async def traffic(api: Api, number: int) -> int:
        turn = 0
        while not stopping.is_set():
            key, start = f"{number}-{turn}", soon + timedelta(hours=1 + 2 * turn + number)
            bodies = [await api.post("/v1/bookings", booking_body("call", start), Idempotency_Key=key) for _ in "12"]
            assert [each.status for each in bodies] == [201, 200]
            (await api.post("/v1/event-types/call/links")).ok(201)
            (listed,) = (await api.get("/v1/webhooks")).ok()["webhooks"]
            (await api.post(f"/v1/webhooks/{listed['id']}/rotate-secret")).ok()
            (await api.get("/v1/event-types/call/links")).ok()
            turn += 1
        return turn

    running = [asyncio.create_task(traffic(api, number)) for number, api in enumerate(faces)]
    both = Vault((NEW, OLD))
    for _ in range(6):
        assert in_all(await reseal(here, both)).lost == 0
        await asyncio.sleep(0.2)
    stopping.set()
    assert min(await asyncio.gather(*running)) > 1
    await reseal(here, both)
    found = in_all(await count_seals(here, Vault((NEW,))))
    assert (found.lost, found.opened_by[0]) == (0, found.total)
    alone = await serve(aiohttp_client, ring(own, NEW), tenant)
    for number in range(2):
        body = booking_body("call", soon + timedelta(hours=1 + number))
        assert (await alone.post("/v1/bookings", body, Idempotency_Key=f"{number}-0")).status == 200


async def test_many_rows_go_in_batches(here: db.Connection) -> None:
    old = Vault((OLD,))
    tenants = [await make_tenant(here, old) for _ in range(2)]
    kept = [(tenant.org_id, f"k{number}", old.seal(b"{}")) for tenant in tenants for number in range(150)]
    await here.executemany(
        "insert into idempotency_keys (org_id, key, fingerprint, body_sealed, created_at) "
        "values ($1, $2, sha256('x'), $3, now())",
        kept,
    )
    found = (await reseal(here, Vault((NEW, OLD))))["idempotency_keys"]
    assert (found.total, found.moved) == (300, 300)
    assert (await count_seals(here, Vault((NEW,))))["idempotency_keys"].opened_by == {0: 300}


async def test_what_somebody_else_has_written_since_stays(here: db.Connection) -> None:
    old, both = Vault((OLD,)), Vault((NEW, OLD))
    tenant = await make_tenant(here, old)
    (table,) = [each for each in TABLES if each.name == "organizations"]
    rows = [row for row in await here.fetch(SQL.list_organizations, *table.before) if row["id"] == tenant.org_id]
    theirs = both.seal(b"another secret")
    await here.execute("update organizations set secret_sealed = $2 where id = $1", tenant.org_id, theirs)
    assert await _reseal(here, table, [(row, 1) for row in rows], both) == 0
    kept = await here.fetchval("select secret_sealed from organizations where id = $1", tenant.org_id)
    assert kept == theirs


async def test_what_no_key_opens_is_left_and_the_rest_moves(here: db.Connection, own: Settings) -> None:
    lost, ours = await make_tenant(here, Vault((OTHER,))), await make_tenant(here, Vault((OLD,)))
    found = (await reseal(here, Vault((NEW, OLD))))["organizations"]
    assert (found.lost, found.moved) == (1, 1)
    sealed = {
        row["id"]: row["secret_sealed"] for row in await here.fetch("select id, secret_sealed from organizations")
    }
    assert Vault((OTHER,)).unseal(sealed[lost.org_id])
    assert Vault((NEW,)).unseal(sealed[ours.org_id])
    for arguments in ([], ["--check"]):
        done = rotate_keys(ring(own, NEW, OLD), *arguments)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("slotwire: 1 sealed values open with no key (1 in organizations): put the key")
        assert "Not needed" not in done.stdout, "it may be the lost one's"
    assert rotate_keys(ring(own, NEW, OLD, OTHER)).returncode == 0


async def test_the_command_says_what_to_do_next(here: db.Connection, own: Settings) -> None:
    await make_tenant(here, Vault((OLD,)))
    alone = rotate_keys(own)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "put a new one in front" in alone.stdout
    both = ring(own, NEW, OLD, OTHER)
    looked = rotate_keys(both, "--check")
    assert looked.returncode == 0
    assert "organizations" in looked.stdout
    assert "0 under the first key, 1 under key 2" in looked.stdout
    assert "Still needed: key 2." in looked.stdout
    assert "Not needed any more: key 3." in looked.stdout
    assert (await count_seals(here, Vault((OLD,))))["organizations"].lost == 0, "it only looks"
    done = rotate_keys(both)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 under the first key, 1 moved now" in done.stdout
    assert "Not needed any more: keys 2, 3." in done.stdout
    assert "Still needed" not in done.stdout
    again = rotate_keys(both)
    assert "1 under the first key, 0 moved now" in again.stdout
    for secret in (OLD, NEW, OTHER):
        assert secret not in alone.stdout + looked.stdout + done.stdout


async def test_a_database_that_is_not_there_or_not_ready_is_one_line(own: Settings, here: db.Connection) -> None:
    await here.execute("delete from schema_migrations where name = (select max(name) from schema_migrations)")
    for changes, said in (
        ({}, "run `slotwire migrate` first"),
        ({"SLOTWIRE_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/x"}, "cannot be reached"),
        ({"SLOTWIRE_SECRET_KEYS": ""}, "SLOTWIRE_SECRET_KEYS is needed"),
        ({"SLOTWIRE_SECRET_KEYS": f"{NEW},oops"}, "key 2 is not a Fernet key"),
    ):
        done = rotate_keys(own, **changes)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert said in line
        assert "hunter2" not in line


async def seals(settings: Settings) -> Finding:
    (finding,) = [each async for each in examine(settings) if each.subject == "secret keys"]
    return finding


async def test_the_doctor_knows_which_keys_are_needed(here: db.Connection, own: Settings) -> None:
    await make_tenant(here, Vault((OLD,)))
    assert await seals(own) == Finding("ok", "secret keys", "open what is stored")
    both = ring(own, NEW, OLD)
    needed = await seals(both)
    assert (needed.state, needed.detail) == ("warn", "1 sealed values still need an older key than the first")
    assert "rotate-keys" in needed.advice
    await reseal(here, Vault((NEW, OLD)))
    assert await seals(both) == Finding("ok", "secret keys", "open what is stored; only the first is needed any more")
    assert (await seals(own)).state == "fail"


def test_a_vault_knows_its_openers() -> None:
    both, old = Vault((NEW, OLD)), Vault((OLD,))
    sealed = old.seal(b"x")
    assert [both.opener(each) for each in (both.seal(b"x"), sealed, b"", b"garbage", Vault((OTHER,)).seal(b"x"))] == [
        0,
        1,
        None,
        None,
        None,
    ]
    moved = both.reseal(sealed)
    assert (both.opener(moved), both.unseal(moved)) == (0, b"x")
    with pytest.raises(SealBroken):
        old.reseal(moved)
