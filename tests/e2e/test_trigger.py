"""`slotwire trigger` against a real server, and what it and `slotwire listen` say to mistakes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.cli import main
from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.webhooks.subscriptions import EVENTS
from tests.listeners import call, one_line, run, serving, slotwire
from tests.processes import free_port
from tests.support import Servers, Tenant, make_tenant, settings_for

KEY = "slw_live_anything"


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated, port=free_port(), processes=1)


@pytest.fixture
async def real(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    async with serving(settings, tmp_path / "web.log"):
        yield f"http://127.0.0.1:{settings.port}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--api", "127.0.0.1:8000"], "--api: '127.0.0.1:8000' is no server's address"),
        (["--api", "ftp://127.0.0.1"], "is no server's address"),
        (["--api", "http://jane:secret@127.0.0.1"], "is no server's address"),
        (["--key", "a b"], "--key is no API key"),
        (["--events", "booking.exploded"], "--events: 'booking.exploded' is no event; there are booking.created, "),
        (["--forward-to", ""], "--forward-to: expected a URL"),
        (["--forward-to", "ftp://localhost/"], "such as localhost:3000/hooks"),
        (["--forward-to", "http://jane:secret@localhost/"], "must not contain a user name or password"),
        (["--forward-to", "localhost:99999"], "--forward-to: expected a URL"),
        (["--header", "nonsense"], "has no colon"),
        (["--header", "Host: example.com"], "is set by us"),
        (["--header", "X-Signature: t=1"], "is set by us"),
        (["--header", "X-A: b\nX-C: d"], "visible ASCII"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", "--key", KEY, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in one_line(err.splitlines())


@pytest.mark.parametrize("command", [["listen"], ["trigger", "booking.created"]])
@pytest.mark.parametrize("arguments", [[], ["--api", "http://book.invalid"]])
def test_without_a_key(
    command: list[str], arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo's is for this machine only."""
    if arguments:
        (tmp_path / "demo.json").write_text(json.dumps({"api_key": KEY}))
    assert main([*command, *arguments, "--data-dir", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert one_line(err.splitlines()).startswith("slotwire: no API key: name one with --key or SLOTWIRE_API_KEY")


@pytest.mark.parametrize("command", [["listen"], ["trigger", "booking.created"]])
async def test_nobody_or_somebody_else_answers(command: list[str]) -> None:
    nobody = await run(*command, "--key", KEY, "--api", f"http://127.0.0.1:{free_port()}")
    assert nobody[:2] == (2, [])
    assert "does not answer" in one_line(nobody[2])
    assert "start `slotwire up`, or name the server's address with --api" in nobody[2][0]
    async with TestServer(web.Application(), host="127.0.0.1") as server:
        stranger = await run(*command, "--key", KEY, "--api", str(server.make_url("")))
    assert stranger[:2] == (2, [])
    assert "is no Slotwire" in one_line(stranger[2])


async def test_a_wrong_key_and_one_that_may_not(real: str, conn: db.Connection, vault: Vault) -> None:
    reader = (await make_tenant(conn, vault, scopes=("bookings:read",))).api_key
    for command, scope in ((["listen"], "webhooks:read"), (["trigger", "booking.created"], "webhooks:write")):
        wrong = await run(*command, SLOTWIRE_API_URL=real, SLOTWIRE_API_KEY="slw_live_nobody")
        assert wrong[:2] == (2, [])
        assert "does not accept this key; name another with --key" in one_line(wrong[2])
        assert "slw_live_nobody" not in wrong[2][0]
        lacking = await run(*command, SLOTWIRE_API_URL=real, SLOTWIRE_API_KEY=reader)
        assert lacking[:2] == (2, [])
        assert one_line(lacking[2]).startswith(f"slotwire: this key lacks {scope}; make one")


# Trigger.


async def test_a_sample_is_heard_and_delivered(real: str, tenant: Tenant, tmp_path: Path) -> None:
    """And the server is found as `slotwire up` leaves word of it."""
    (tmp_path / "run.json").write_text(json.dumps({"base_url": real}))
    (tmp_path / "demo.json").write_text(json.dumps({"api_key": tenant.api_key}))
    made = json.loads(await call(real, tenant.api_key, "POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/hook"}))
    webhook = made["webhook"]["id"]
    async with slotwire("listen", SLOTWIRE_DATA_DIR=str(tmp_path)) as command:
        await command.says("listening to every event of")
        code, out, err = await run("trigger", "booking.no_show", "--webhook", webhook, "--data-dir", str(tmp_path))
        assert (code, err) == (0, [])
        (line,) = out
        assert line.startswith("booking.no_show [evn_")
        assert line.endswith(f"]: `slotwire listen` hears it, and {webhook} gets it")
        await command.says(line.split(":")[0])
    owed = json.loads(await call(real, tenant.api_key, "GET", f"/v1/webhooks/{webhook}/deliveries"))["deliveries"]
    assert [each["event_id"] for each in owed] == [line.split("[")[1].split("]")[0]]


def test_events_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trigger", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == list(EVENTS)


async def test_mistakes_of_trigger(real: str, tenant: Tenant) -> None:
    where = ("--api", real, "--key", tenant.api_key)
    paused = json.loads(
        await call(real, tenant.api_key, "POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/", "active": False})
    )["webhook"]["id"]
    for arguments, said in (
        (["booking.exploded"], f"'booking.exploded' is no event; there are {', '.join(EVENTS)}"),
        ([], "name an event, such as booking.created; `slotwire trigger --list` prints all"),
        (["booking.created", "--webhook", "whk_01h2xcejqtf2nbrexx3vqjhp41"], "no such webhook in this organization"),
        (["booking.created", "--webhook", "nonsense"], "webhook_id: "),
        (["booking.created", "--webhook", paused], "This webhook is paused"),
    ):
        code, out, err = await run("trigger", *arguments, *where)
        assert (code, out) == (2, [])
        assert said in one_line(err)
