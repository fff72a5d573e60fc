"""`slotwire audit` as an operator meets it: whose log it prints, how it is narrowed, what it says about mistakes."""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import pytest

from app.cli import main
from app.core import db
from app.core.ids import Kind, encode, new_id
from app.core.migrate import migrate
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.identity.audit import Doer, note
from tests.browsers import Browser
from tests.e2e.test_cli import bootstrap
from tests.support import Servers, Tenant, environment_for, make_tenant, settings_for, unique_name

BEGAN = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


def email_of(tenant: Tenant) -> str:
    return f"{tenant.username}@example.com"


async def log(conn: db.Connection, tenant: Tenant) -> None:
    """Three entries of the third of June, an hour apart."""
    person, key = Doer("user", tenant.user_id, "203.0.113.7"), Doer("api_key", new_id())
    entries: list[tuple[Doer, str, dict[str, Any]]] = [
        (person, "key.created", {"name": "Zoë's\x1b[2J key"}),
        (key, "webhook.created", {"host": "example.com"}),
        (Doer("system"), "key.revoked", {}),
    ]
    for hour, (doer, action, details) in enumerate(entries):
        await note(conn, tenant.org_id, doer, action, f"key_{hour}", details, BEGAN + hour * timedelta(hours=1))


BOOTSTRAPPED = ["organization.created", "key.created"]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def audit(settings: Settings, *arguments: str, **changes: str) -> Done:
    """The command in a thread of this process, which is a second faster than one of its own."""
    out, err = io.StringIO(), io.StringIO()

    def run() -> int:
        try:
            return main(["audit", *arguments])
        except SystemExit as misuse:
            return int(misuse.code or 0)

    environment = patch.dict(os.environ, {**environment_for(settings), **changes})
    with environment, redirect_stdout(out), redirect_stderr(err), ThreadPoolExecutor(1) as thread:
        code = thread.submit(run).result()
    return Done(code, out.getvalue(), err.getvalue())


def lines(settings: Settings, *arguments: str) -> list[str]:
    done = audit(settings, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def entries(settings: Settings, *arguments: str) -> list[Any]:
    return [json.loads(line) for line in lines(settings, "--json", *arguments)]


def actions(settings: Settings, *arguments: str) -> list[str]:
    return [each["action"] for each in entries(settings, *arguments)]


async def test_by_somebodys_email_or_by_the_organization(
    settings: Settings, conn: db.Connection, tenant: Tenant, vault: Vault
) -> None:
    await log(conn, tenant)
    other = await make_tenant(conn, vault)
    wanted = ["key.created", "webhook.created", "key.revoked", *BOOTSTRAPPED]
    assert actions(settings, "--email", email_of(tenant)) == wanted, "oldest first; the last are of the tenant's start"
    assert actions(settings, "--email", email_of(tenant).upper()) == wanted
    assert actions(settings, "--org", encode(Kind.ORGANIZATION, tenant.org_id)) == wanted
    assert actions(settings, "--email", email_of(other)) == BOOTSTRAPPED, "nobody else's"


async def test_a_line_says_when_what_and_who(settings: Settings, conn: db.Connection, tenant: Tenant) -> None:
    await log(conn, tenant)
    first, second, third = lines(settings, "--email", email_of(tenant))[:3]
    person = encode(Kind.USER, tenant.user_id)
    begin = f"2026-06-03T12:00:00Z key.created key_0 by {person} 203.0.113.7 name="
    assert first.startswith(begin)
    assert "\x1b" not in first, "a name must not move the cursor"
    assert "[2J" in first
    assert second.startswith("2026-06-03T13:00:00Z webhook.created key_1 by key_")
    assert second.endswith(" host=example.com")
    assert third == "2026-06-03T14:00:00Z key.revoked key_2 by the system"


async def test_json_is_one_object_a_line_with_what_the_api_shows(
    settings: Settings, conn: db.Connection, tenant: Tenant, owner: Browser
) -> None:
    await log(conn, tenant)
    shown = (await owner.get("/api/audit")).ok()["data"]
    printed = entries(settings, "--email", email_of(tenant))
    assert printed == [{name: value for name, value in each.items() if name != "id"} for each in shown[::-1]]
    assert printed[0]["details"] == {"name": "Zoë's\x1b[2J key"}
    assert (printed[2]["actor_kind"], printed[2]["actor"], printed[2]["address"]) == ("system", None, None)


async def test_it_can_be_narrowed(settings: Settings, conn: db.Connection, tenant: Tenant) -> None:
    await log(conn, tenant)
    whose = ("--email", email_of(tenant))
    assert actions(settings, *whose, "--action", "key") == ["key.created", "key.revoked", "key.created"]
    assert actions(settings, *whose, "--action", "key.created") == ["key.created", "key.created"]
    assert actions(settings, *whose, "--action", "nothing.such") == []
    assert actions(settings, *whose, "--since", "2026-06-03T15:00:00+02:00", "--limit", "10000")[:2] == [
        "webhook.created",
        "key.revoked",
    ]
    assert actions(settings, *whose, "--since", "2199-01-01T00:00:00Z") == []
    assert actions(settings, *whose, "--limit", "3") == ["key.revoked", *BOOTSTRAPPED], "the last ones"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There are several organizations: name one by --email of anybody in it, or by --org."),
        (["--email", "nobody@nowhere.example"], "Nobody has the e-mail nobody@nowhere.example."),
        (["--org", "org_x"], "No organization org_x;"),
        (["--org", "usr_01h2xcejqtf2nbrexx3vqjhp41"], "No organization usr_"),
        (["--org", encode(Kind.ORGANIZATION, new_id())], "No organization org_"),
    ],
)
async def test_an_organization_that_is_not_clear_is_one_line(
    settings: Settings, conn: db.Connection, vault: Vault, arguments: list[str], said: str
) -> None:
    for _ in range(2):
        await make_tenant(conn, vault)
    done = audit(settings, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"slotwire: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--limit", "0"], "'0' is no number of entries; expected 1 to 10000"),
        (["--limit", "many"], "'many' is no number of entries"),
        (["--since", "yesterday"], "expected an ISO 8601 time with its offset"),
        (["--since", "2026-06-03T12:00:00"], "offset"),
        (["--org", "org_x", "--email", "a@b.example"], "not allowed with argument --org"),
    ],
)
def test_a_mistyped_argument_is_a_usage_error(settings: Settings, arguments: list[str], said: str) -> None:
    done = audit(settings, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_database_is_one_line(settings: Settings, tmp_path: Path) -> None:
    done = audit(settings, "--data-dir", str(tmp_path), SLOTWIRE_DATABASE_URL="")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "no `slotwire up` runs on" in line


async def test_whoever_reads_may_stop(settings: Settings, conn: db.Connection, tenant: Tenant) -> None:
    """`slotwire audit | head -1`, with more than a pipe holds."""
    for _ in range(40):
        await note(conn, tenant.org_id, Doer("system"), "key.created", None, {"name": "x" * 4000}, BEGAN)
    command = [sys.executable, "-m", "app.cli", "audit", "--email", email_of(tenant)]

    def read_a_little() -> tuple[bytes, int, bytes]:
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=environment_for(settings), **pipes) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            first = process.stdout.read(10)
            process.stdout.close()
            said = process.stderr.read()
        return first, process.returncode, said

    assert await asyncio.to_thread(read_a_little) == (b"2026-06-03", 1, b"")


@pytest.fixture
def alone(servers: Servers) -> Iterator[Settings]:
    """A database in which nobody has been yet."""
    name = f"alone_{unique_name().replace('-', '_')}"

    async def run(statement: str) -> None:
        conn = await asyncpg.connect(servers.database_url)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    asyncio.run(run(f"create database {name}"))
    url = servers.database_url
    before, _, query = url.partition("?")
    mine = before.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
    asyncio.run(migrate(mine))
    yield settings_for(Servers(mine, servers.redis_url))
    asyncio.run(run(f"drop database {name} with (force)"))


def test_the_only_organization_need_not_be_named(alone: Settings) -> None:
    none = audit(alone)
    assert (none.returncode, none.stdout, none.stderr) == (2, "", "slotwire: There is no organization yet.\n")
    made = bootstrap(alone, "ana@acme.example")
    _, entry = entries(alone)
    assert (entry["action"], entry["actor_kind"], entry["details"]["name"]) == ("key.created", "system", "bootstrap")
    assert made["api_key"] not in json.dumps(entry), "ids and names, never a secret"
    bootstrap(alone, "bo@other.example")
    assert audit(alone).returncode == 2
    assert len(lines(alone, "--email", "bo@other.example")) == 2
