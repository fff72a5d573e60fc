"""`slotwire listen` against servers that are no Slotwire for a while, and on terminals that cannot show everything."""

import asyncio
import io
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app import listen
from app.cli import main
from app.core.ids import Kind, encode, new_id
from app.listen import Wish
from app.remote import Away, Server
from tests.listeners import listening, one_line, slotwire
from tests.support import Receiver

KEY = "slw_live_anything"
EVENT = {"id": encode(Kind.EVENT, new_id()), "type": "booking.created", "sequence": 1, "data": {}}
Answer = Callable[[int], web.StreamResponse]


def page(*events: object, more: object = False) -> web.Response:
    return web.json_response({"events": events, "pagination": {"has_more": more}})


def text(body: str, status: int = 200, **headers: str) -> web.Response:
    return web.Response(text=body, status=status, headers=headers)


@asynccontextmanager
async def pretending(answer: Answer, organization: str = "Acme") -> AsyncIterator[tuple[str, list[float]]]:
    """A server that greets as ours does, and answers each question for events by `answer(number)`; its address, and
    when it was asked."""
    asked: list[float] = []

    async def me(_request: web.Request) -> web.Response:
        return web.json_response({"organization": {"name": organization}, "key": {"scopes": ["webhooks:read"]}})

    async def events(_request: web.Request) -> web.StreamResponse:
        asked.append(time.monotonic())
        return answer(len(asked))

    app = web.Application()
    app.add_routes([web.get("/v1/users/me", me), web.get("/v1/events", events)])
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")), asked


STRANGE: dict[str, Callable[[], web.StreamResponse]] = {
    "a page": lambda: text("<html>Welcome to nginx</html>"),
    "a proxy's 404": lambda: text("<html>404</html>", 404),
    "a proxy's 404 in JSON": lambda: web.json_response({"message": "no route"}, status=404),
    "a proxy's 403": lambda: web.json_response({"code": 1020}, status=403),
    "a redirect": lambda: text("", 301, Location="https://elsewhere.example/"),
    "a redirect that says it is a problem": lambda: web.json_response({"code": "x", "detail": "y"}, status=302),
    "nothing": lambda: text(""),
    "no content": lambda: web.Response(status=204),
    "a list": lambda: web.json_response([]),
    "events that are none": lambda: page("a", 5, None),
    "an id that is a number": lambda: page({**EVENT, "id": 5}),
    "an id of something else": lambda: page({**EVENT, "id": "bkg_01h2xcejqtf2nbrexx3vqjhp41"}),
    "a type that is a number": lambda: page({**EVENT, "type": 5}),
    "a type of two lines": lambda: page({**EVENT, "type": "a\nX-Evil: b"}),
    "no pagination": lambda: web.json_response({"events": []}),
    "deep": lambda: text("[" * 100_000),
    "lone surrogates": lambda: text(json.dumps({"events": [{**EVENT, "n": "\ud800"}], "pagination": {}})),
    "not a number": lambda: text('{"events":[],"n":NaN,"pagination":{}}'),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
async def test_what_is_no_slotwire_any_more_is_waited_for(strange: Callable[[], web.StreamResponse]) -> None:
    async with (
        pretending(lambda n: strange() if n == 2 else page(*([EVENT] if n == 3 else []))) as (url, _),
        listening(url, KEY) as command,
    ):
        assert "(what answers there is no Slotwire (" in await command.says("the server is away")
        await command.says("the server is back")
        await command.says(str(EVENT["id"]))
        assert await command.interrupt() == 130
    assert command.err == []


async def test_a_problem_of_ours_ends_it() -> None:
    problem = {"code": "invalid_input", "detail": "Bad.", "errors": [{"field": "cursor", "message": "no such event"}]}
    async with pretending(lambda _: web.json_response(problem, status=400)) as (url, _), listening(url, KEY) as command:
        assert await command.ended() == 2
    assert one_line(command.err) == "slotwire: cursor: no such event"


async def test_a_number_without_end_is_passed_on() -> None:
    body = json.dumps({"events": [{**EVENT, "n": int("1" * 30)}], "pagination": {"has_more": False}})
    async with (
        pretending(lambda n: text(body) if n == 1 else page()) as (url, _),
        listening(url, KEY, "--print-json") as command,
    ):
        line = await command.says(str(EVENT["id"]))
    assert json.loads(line)["n"] == pytest.approx(1.111e29, rel=0.01)


async def test_somebody_elses_words_move_no_cursor() -> None:
    async with pretending(lambda _: page(), "Evil\x1b[2J\nline") as (url, _), listening(url, KEY) as command:
        assert "of Evil [2J line on" in await command.says("listening to")


@pytest.mark.parametrize(("asked", "waited"), [(5.0, 5.0), (60.0, 60.0), (61.0, 60.0), (float("inf"), 60.0)])
def test_nobody_is_waited_for_longer_than_a_minute_at_a_time(asked: float, waited: float) -> None:
    assert Away("it answers 429", asked).wait_seconds == waited


async def test_a_retry_after_without_end() -> None:
    def answer(number: int) -> web.Response:
        return text("", 429, **{"Retry-After": "9" * 400}) if number == 1 else page()

    async with pretending(answer) as (url, _), listening(url, KEY) as command:
        await command.says("it answers 429")
        await asyncio.sleep(0.3)
        assert await command.interrupt() == 130
    assert command.err == []


# How often it asks.


async def test_a_quiet_log_is_asked_less_often_until_something_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(listen, "_QUIET_POLL_SECONDS", 0.5)
    monkeypatch.setattr(listen, "_QUIET_SECONDS", 0.4)
    happened = asyncio.Event()

    def answer(_number: int) -> web.Response:
        if happened.is_set():
            happened.clear()
            return page(EVENT)
        return page()

    async with pretending(answer) as (url, asked):
        task = asyncio.create_task(listen._listen(Wish(Server(url, KEY))))  # noqa: SLF001 -- `run_listen` has a loop of its own
        await asyncio.sleep(2.2)
        happened.set()
        count = len(asked)
        await asyncio.sleep(0.8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert max(pauses[:4]) < 0.3, "quickly at first"
    assert min(pauses[count - 3 : count - 1]) > 0.4, "slowly when nothing comes"
    assert min(pauses[count:]) < 0.3, "quickly again"


# Where it forwards to.


async def test_a_port_alone_and_a_name_that_only_this_machine_knows() -> None:
    receiver = Receiver()
    await receiver.start()
    assert receiver.server is not None
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    try:
        async with pretending(lambda n: page(EVENT) if n == 1 else page()) as (url, _):
            forwarding = ("--since", hour_ago, "--forward-to", str(receiver.server.port))
            async with listening(url, KEY, *forwarding) as command:
                await command.says("POST http://localhost:")
                assert await command.interrupt() == 130
    finally:
        await receiver.stop()


async def test_names_of_receivers_resolve_as_the_system_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the neighbourhood, too, of which no name server knows."""
    look_up = socket.getaddrinfo

    def look_up_here(host: str, *rest: object, **more: object) -> object:
        return look_up("127.0.0.1" if host == "printer.local" else host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    receiver = Receiver()
    await receiver.start()
    assert receiver.server is not None
    try:
        url = f"http://printer.local:{receiver.server.port}/hook"
        async with listen.open_session() as session, session.post(url, data=b"{}") as response:
            assert response.status == 200
    finally:
        await receiver.stop()


# Terminals.


async def test_a_terminal_that_lacks_a_letter() -> None:
    """It shows them as it can, and goes on."""
    async with pretending(lambda n: page(EVENT) if n == 2 else page(), "\u0141\u00f3d\u017a \U0001f41d") as (url, _):
        small = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
        async with slotwire("listen", "--api", url, "--key", KEY, **small) as command:
            assert "of \\u0141\\xf3d\\u017a \\U0001f41d on" in await command.says("listening to")
            await command.says(str(EVENT["id"]))
            assert await command.interrupt() == 130
    assert command.err == []


async def test_help_on_a_terminal_that_lacks_its_letters() -> None:
    async with slotwire("trigger", "--help", PYTHONIOENCODING="latin-1", PYTHONUTF8="0") as command:
        assert await command.ended() == 0
    assert command.err == []
    assert "whk_\\u2026" in "".join(command.out)


def test_a_stream_that_is_no_terminal_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    assert main(["trigger", "--list"]) == 0
    assert "booking.created" in out.getvalue()
