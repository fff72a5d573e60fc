"""`slotwire trigger` against a real server, and what it and `slotwire listen` say to mistakes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.cli import main
from app.core import db
from app.core.settings import ConfigurationError, Settings
from app.core.vault import Vault
from app.domain.webhooks.subscriptions import EVENTS
from app.listen import receiver_url
from app.remote import Server, find_server
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
        (["--api", "http://a..b"], "--api: 'http://a..b' is no server's address"),
        (["--api", f"http://{'a' * 64}.example"], "is no server's address"),
        (["--api", "http://a b"], "is no server's address"),
        (["--api", "http://127.0.0.1:99999"], "is no server's address"),
        (["--events", ","], "--events names none; leave it away for all"),
        (["--events", ""], "--events names none"),
        (["--events", "booking.exploded"], "--events: 'booking.exploded' is no event; there are booking.created, "),
        (["--forward-to", ""], "--forward-to: '' is no receiver's address; expected one such as localhost:3000/hooks"),
        (["--forward-to", "ftp://localhost/"], "or 3000 for that port of this machine"),
        (["--forward-to", "http://jane:secret@localhost/"], "without a user name (--header gives an Authorization)"),
        (["--forward-to", "localhost:99999"], "is no receiver's address"),
        (["--forward-to", "99999"], "is no receiver's address"),
        (["--forward-to", "http://a..b/"], "is no receiver's address"),
        (["--forward-to", f"{'a' * 64}.local:3000"], "is no receiver's address"),
        (["--forward-to", "http://127.1/"], "is no receiver's address"),
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
    assert "SLOTWIRE_WEBHOOK" not in err, "nobody's operator is asked for anything"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("3000", "http://localhost:3000"),
        ("localhost:3000/hooks", "http://localhost:3000/hooks"),
        ("https://[::1]:8443/a?b=c", "https://[::1]:8443/a?b=c"),
        ("192.168.1.5", "http://192.168.1.5"),
        ("printer.local:80", "http://printer.local"),
    ],
)
def test_where_it_forwards_to(given: str, meant: str) -> None:
    assert receiver_url(given) == meant


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"port": 8123, "base_url": "https://book.example.com"}, "http://127.0.0.1:8123"),
        ({"port": 8123, "host": "127.0.0.1"}, "http://127.0.0.1:8123"),
        ({"port": 8123, "host": "192.0.2.7"}, "http://192.0.2.7:8123"),
        ({"port": 8123, "host": "::1"}, "http://[::1]:8123"),
    ],
)
def test_a_running_up_is_found_where_it_listens(told: dict[str, object], meant: str, tmp_path: Path) -> None:
    """Its base URL may lead through a proxy, or nowhere; and the demo key is for it."""
    (tmp_path / "run.json").write_text(json.dumps(told))
    (tmp_path / "demo.json").write_text(json.dumps({"api_key": KEY}))
    assert find_server(None, None, tmp_path) == Server(meant, KEY)
    assert find_server(None, "slw_live_mine", tmp_path) == Server(meant, "slw_live_mine")
    assert find_server("http://10.0.0.1/", "slw_live_mine", tmp_path) == Server("http://10.0.0.1", "slw_live_mine")
    with pytest.raises(ConfigurationError, match="no API key"):
        find_server("http://10.0.0.1", None, tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"port": null}', "[" * 100_000, '"\\ud800"'])
def test_a_run_file_that_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    assert find_server(None, KEY, tmp_path).url == "http://127.0.0.1:8000"


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
    line = one_line(err.splitlines())
    assert line.startswith("slotwire: no API key: name one with --key or SLOTWIRE_API_KEY")
    assert "--data-dir or SLOTWIRE_DATA_DIR" in line


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


ODD_GREETINGS = {
    "no organization": {"organization": None, "key": {"scopes": []}},
    "no scopes": {"organization": {"name": "A"}, "key": {"scopes": None}},
    "scopes that are a text": {"organization": {"name": "A"}, "key": {"scopes": "webhooks:read webhooks:write"}},
    "a name that is a number": {"organization": {"name": 5}, "key": {"scopes": ["webhooks:read", "webhooks:write"]}},
    "a key that is a list": {"organization": {"name": "A"}, "key": []},
    "deep": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "lone surrogates": '{"organization":{"name":"\\ud800"},"key":{"scopes":["webhooks:read","webhooks:write"]}}',
    "a page": "<html>hello</html>",
    "nothing": "",
}


def greeting(answer: object, status: int = 200) -> web.Application:
    async def me(_request: web.Request) -> web.Response:
        return web.Response(text=answer if isinstance(answer, str) else json.dumps(answer), status=status)

    app = web.Application()
    app.router.add_get("/v1/users/me", me)
    return app


@pytest.mark.parametrize("answer", ODD_GREETINGS.values(), ids=ODD_GREETINGS)
async def test_a_server_whose_greeting_is_odd(answer: object) -> None:
    async with TestServer(greeting(answer), host="127.0.0.1") as server:
        code, out, err = await run("listen", "--key", KEY, "--api", str(server.make_url("")))
    assert (code, out) == (2, [])
    assert "is no Slotwire; name the server's address with --api" in one_line(err)


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ({"code": "x", "detail": "The detail.", "errors": 5}, "The detail."),
        ({"code": "x", "detail": "The detail.", "errors": [5, None]}, "The detail."),
        ({"code": "x", "detail": "", "errors": [{"field": "a", "message": "b\u001b[2J\nc"}]}, "a: b [2J c"),
        ({"code": "x", "detail": None}, "is no Slotwire"),
        ({"code": 5, "detail": "y"}, "is no Slotwire"),
    ],
)
async def test_a_problem_is_one_line_whatever_it_says(problem: object, said: str) -> None:
    async with TestServer(greeting(problem, 400), host="127.0.0.1") as server:
        code, out, err = await run("trigger", "booking.created", "--key", KEY, "--api", str(server.make_url("")))
    assert (code, out) == (2, [])
    assert said in one_line(err)


async def test_a_sample_that_was_not_made() -> None:
    async def test(_request: web.Request) -> web.Response:
        return web.json_response({"event": {"id": 5}}, status=201)

    app = greeting({"organization": {"name": "A"}, "key": {"scopes": ["webhooks:write"]}})
    app.router.add_post("/v1/events/test", test)
    async with TestServer(app, host="127.0.0.1") as server:
        code, out, err = await run("trigger", "booking.created", "--key", KEY, "--api", str(server.make_url("")))
    assert (code, out) == (2, [])
    assert "does not answer (what answers there is no Slotwire (201)); try again" in one_line(err)


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
    (tmp_path / "run.json").write_text(
        json.dumps({"port": int(real.rpartition(":")[2]), "base_url": "https://book.example"})
    )
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
