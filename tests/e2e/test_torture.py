"""`slotwire torture` against a real server, against servers that break every promise, and against none at all."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from tests.processes import free_port, ready, running
from tests.support import Servers, Tenant, environment_for, eventually, make_tenant, settings_for

CLIENTS = 40
KEY = "slw_live_anything"


@dataclass
class Done:
    code: int
    out: str
    err: str

    def row(self, name: str) -> str:
        (found,) = [line for line in self.out.splitlines() if line.startswith(name)]
        return " ".join(found.split())


class Command:
    """A running `slotwire torture`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def done(self) -> Done:
        out, err = await asyncio.wait_for(self.process.communicate(), timeout=60)
        return Done(self.process.returncode or 0, out.decode(), err.decode())


async def start(*arguments: str, **environment: str) -> Command:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "torture", *arguments),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Command(process)


async def torture(*arguments: str, **environment: str) -> Done:
    return await (await start(*arguments, **environment)).done()


@pytest.fixture
def settings(migrated: Servers) -> Settings:
    return settings_for(migrated, port=free_port(), processes=2)


@pytest.fixture
async def real(settings: Settings, tmp_path: Path) -> AsyncIterator[str]:
    url, log = f"http://127.0.0.1:{settings.port}", tmp_path / "web.log"
    async with running(["app.cli", "web"], environment_for(settings), log) as process:
        await ready(url, process)
        yield url
    assert '"unexpected"' not in log.read_text()


async def test_everything_holds_and_nothing_is_left(real: str, conn: db.Connection, tenant: Tenant) -> None:
    done = await torture("--url", real, "--key", tenant.api_key, "--clients", str(CLIENTS))
    assert (done.code, done.err) == (0, ""), done.out + done.err
    for name, winners in {"slot": 1, "cap": 5, "seats": 10, "units": 5, "round_robin": 8}.items():
        found = re.fullmatch(rf"{name} 40 callers (\d+) x 201 .* (\d+) x 409 .* 0 other ok", done.row(name))
        assert found is not None, done.out
        assert (int(found[1]), int(found[2])) == (winners, CLIENTS - winners)
    assert done.out.splitlines()[-1] == "everything held"
    left = await conn.fetchrow(
        """
        select (select count(*) from bookings where org_id = $1) as made,
               (select count(*) from bookings where org_id = $1 and status <> 'CANCELLED') as bookings,
               (select count(*) from allocations where org_id = $1) as allocations,
               (select count(*) from event_types where org_id = $1 and archived_at is null) as event_types,
               (select count(*) from resources where org_id = $1 and archived_at is null) as resources,
               (select count(*) from locations where org_id = $1 and archived_at is null) as locations,
               (select count(*) from schedules where org_id = $1 and name like 'torture-%') as schedules,
               (select count(*) from users where org_id = $1 and disabled_at is null) as users
        """,
        tenant.org_id,
    )
    assert left is not None
    assert dict(left) == {**dict.fromkeys(left.keys(), 0), "made": 29, "users": 1}


async def test_a_key_that_may_not_do_it_is_told_before_anything_is_made(
    real: str, conn: db.Connection, vault: Vault
) -> None:
    tenant = await make_tenant(conn, vault, scopes=("bookings:write", "event_types:write"))
    done = await torture("--url", real, SLOTWIRE_API_KEY=tenant.api_key)
    assert (done.code, done.out) == (2, "")
    assert one_line(done).startswith("slotwire: this key lacks resources:write, users:write; make one")


async def test_a_wrong_key_is_told(real: str) -> None:
    done = await torture("--url", real, "--key", "slw_live_nobody")
    assert (done.code, done.out) == (2, "")
    assert "does not accept this key; name another with --key" in one_line(done)
    assert "slw_live_nobody" not in done.err


def one_line(done: Done) -> str:
    (line,) = done.err.splitlines()
    return line


async def test_nobody_listening_is_told() -> None:
    done = await torture("--url", f"http://127.0.0.1:{free_port()}", "--key", KEY)
    assert (done.code, done.out) == (2, "")
    assert one_line(done).startswith("slotwire: nobody answers on http://127.0.0.1:")
    assert "start `slotwire up`" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "https://book.example.com"], "is not this machine"),
        (["--url", "http://10.0.0.1:8000"], "is not this machine"),
        (["--url", "http://127.0.0.1.example.com"], "is not this machine"),
        (["--url", "http://[2001:db8::1]"], "is not this machine"),
        (["--url", "http://localhost@10.0.0.1"], "is no server's address"),
        (["--url", "http://jane:secret@127.0.0.1"], "is no server's address"),
        (["--url", "127.0.0.1:8000"], "is no server's address"),
        (["--url", "ftp://127.0.0.1"], "is no server's address"),
        (["--url", "http://127.0.0.1:http"], "is no server's address"),
        (["--key", "a b"], "is no API key"),
    ],
)
async def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = await torture("--key", KEY, "--data-dir", str(tmp_path), *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in one_line(done)


async def test_the_demos_key_is_for_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(json.dumps({"api_key": KEY}))
    done = await torture("--data-dir", str(tmp_path), "--yes-remote", "--url", "http://book.invalid")
    assert done.code == 2
    assert one_line(done).startswith("slotwire: no API key")


@pytest.mark.parametrize(
    "arguments", [["--clients", "19"], ["--clients", "1001"], ["--only", "slot,pigs"], ["--only", ""]]
)
async def test_what_is_out_of_bounds_is_a_usage_error(arguments: list[str]) -> None:
    done = await torture(*arguments)
    assert done.code == 2
    assert "error: argument" in done.err


Verdict = Callable[[int, str], web.Response]


def booked(number: int, **fields: Any) -> web.Response:
    booking = {
        "id": f"bkg_{number}",
        "start_time": f"start {number}",
        "assigned_to_id": f"usr_{number}",
        "resources": [{"unit": number}],
        **fields,
    }
    return web.json_response({"success": True, "booking": booking}, status=201)


def problem(status: int, code: str) -> web.Response:
    return web.json_response({"code": code, "detail": "So it is."}, status=status)


def honest(number: int, scenario: str) -> web.Response:
    winners = {"slot": 1, "cap": 5, "seats": 10, "units": 5, "round_robin": 8}[scenario]
    return booked(number) if number < winners else problem(409, "slot_taken")


@dataclass
class Pretender:
    """A server that speaks as much of `/v1` as torture asks for. verdict: what the caller of this number is told.
    stubborn: the collections that it adds nothing to, with the problem it has. keeps: those that it removes nothing
    from. slow: how many seconds a booking takes. gone_after: after so many calls for bookings it answers nobody."""

    verdict: Verdict = honest
    stubborn: dict[str, web.Response] = field(default_factory=dict)
    keeps: frozenset[str] = frozenset()
    slow: float = 0.0
    gone_after: int = 1000
    alive: set[str] = field(default_factory=set)
    callers: dict[str, int] = field(default_factory=dict)
    made: int = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/v1/users/me", self._me)
        app.router.add_post("/v1/bookings", self._book)
        app.router.add_post("/v1/bookings/{id}/cancel", self._remove)
        app.router.add_post("/v1/{things}", self._make)
        app.router.add_patch("/v1/{things}/{id}", self._patch)
        app.router.add_delete("/v1/{things}/{id}", self._remove)
        async with TestServer(app, host="127.0.0.1") as server:
            yield str(server.make_url("")).rstrip("/")

    def is_asked_for(self, scenario: str) -> Callable[[], Awaitable[bool]]:
        async def check() -> bool:
            return scenario in self.callers

        return check

    async def _me(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        scopes = ["users:write", "event_types:write", "bookings:write", "resources:write"]
        return web.json_response({"organization": {"name": "Pretence"}, "key": {"scopes": scopes}})

    async def _make(self, request: web.Request) -> web.Response:
        things = request.match_info["things"]
        if things in self.stubborn:
            return self.stubborn[things]
        self.made += 1
        thing = f"{things}-{self.made}"
        self.alive.add(thing)
        body = await request.json()
        noun = things.removesuffix("s").replace("-", "_")
        return web.json_response({noun: {"id": thing, "code": body.get("code", thing)}}, status=201)

    async def _book(self, request: web.Request) -> web.Response:
        scenario = (await request.json())["event_type"].split("-")[-1]
        number = self.callers[scenario] = self.callers.get(scenario, -1) + 1
        if number >= self.gone_after:
            return hang_up(request)
        answer = self.verdict(number, scenario)
        if answer.status == 201:
            assert isinstance(answer.body, bytes)
            self.alive.add(json.loads(answer.body)["booking"]["id"])
        if self.slow:
            await asyncio.sleep(self.slow)
        return answer

    async def _patch(self, request: web.Request) -> web.Response:
        assert await request.json() == {"schedule_id": None}
        assert request.match_info["things"] == "event-types"
        return web.json_response({})

    async def _remove(self, request: web.Request) -> web.Response:
        if any(count >= self.gone_after for count in self.callers.values()):
            return hang_up(request)
        if request.match_info.get("things") in self.keeps:
            return problem(409, "conflict")
        self.alive.discard(request.match_info["id"])
        return web.json_response({})


def hang_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def run_against(pretender: Pretender, *arguments: str) -> Done:
    async with pretender.serving() as url:
        done = await torture("--url", url, "--key", KEY, "--clients", "20", *arguments)
    assert set(pretender.callers.values()) <= {19}, "one request per caller and scenario"
    return done


async def test_without_arguments_it_finds_a_running_up(tmp_path: Path) -> None:
    pretender = Pretender()
    async with pretender.serving() as url:
        (tmp_path / "run.json").write_text(json.dumps({"port": int(url.rpartition(":")[2])}))
        (tmp_path / "demo.json").write_text(json.dumps({"api_key": KEY}))
        done = await torture(SLOTWIRE_DATA_DIR=str(tmp_path), SLOTWIRE_API_KEY="")
    assert (done.code, done.err) == (0, "")
    assert pretender.alive == set()
    assert set(pretender.callers.values()) == {199}


@pytest.mark.parametrize(
    ("only", "verdict", "said"),
    [
        ("slot", lambda number, _: booked(number), "FAILED: expected 1 x 201"),
        ("slot", lambda *_: problem(409, "slot_taken"), "FAILED: expected 1 x 201"),
        ("slot", lambda n, _: booked(n) if n == 0 else problem(500, "internal_error"), "19 other FAILED: 19 x 500"),
        ("slot", lambda n, _: booked(n) if n == 0 else problem(403, "forbidden"), "19 x 403 forbidden"),
        ("slot", lambda n, _: booked(n) if n == 0 else problem(429, "rate_limited"), "19 x 429 rate_limited"),
        ("cap", lambda n, _: booked(n) if n < 6 else problem(409, "slot_unavailable"), "expected 5 x 201"),
        (
            "cap",
            lambda n, _: booked(n, start_time="noon") if n < 5 else problem(409, "slot_taken"),
            "FAILED: 5 winners share 1 start",
        ),
        ("seats", lambda n, _: booked(n) if n < 11 else problem(409, "slot_taken"), "expected 10 x 201"),
        (
            "units",
            lambda n, _: booked(n, resources=[{"unit": n % 4}]) if n < 5 else problem(409, "slot_taken"),
            "FAILED: 5 winners share 4 units",
        ),
        (
            "round_robin",
            lambda n, _: booked(n, assigned_to_id=f"usr_{n % 7}") if n < 8 else problem(409, "slot_taken"),
            "FAILED: 8 winners share 7 hosts",
        ),
    ],
)
async def test_what_does_not_hold_is_told(only: str, verdict: Verdict, said: str) -> None:
    pretender = Pretender(verdict)
    done = await run_against(pretender, "--only", only)
    assert done.code == 1
    assert said in done.row(only)
    assert done.out.splitlines()[-1] == "1 of 1 did not hold"
    assert ("rate limit" in done.err) == ("429" in said)
    assert pretender.alive == set()


async def test_what_cannot_be_prepared_keeps_nobody_else_waiting() -> None:
    pretender = Pretender(stubborn={"resources": problem(500, "internal_error")})
    done = await run_against(pretender)
    assert done.code == 1
    assert "FAILED: it cannot be prepared: POST /v1/resources: 500 internal_error" in done.row("units")
    assert done.row("round_robin").endswith("ok")
    assert done.out.splitlines()[-1] == "1 of 5 did not hold"
    assert pretender.alive == set()


async def test_a_server_without_people_is_one_line() -> None:
    pretender = Pretender(stubborn={"users": problem(503, "unavailable")})
    done = await run_against(pretender)
    assert done.code == 1
    assert one_line(done) == "slotwire: POST /v1/users: 503 unavailable So it is."
    assert pretender.alive == set()


async def test_another_server_is_no_slotwire() -> None:
    async with TestServer(web.Application(), host="127.0.0.1") as server:
        done = await torture("--url", str(server.make_url("/")), "--key", KEY)
    assert (done.code, done.out) == (2, "")
    assert "is no Slotwire (404)" in one_line(done)


async def test_what_cannot_be_removed_is_told() -> None:
    pretender = Pretender(keeps=frozenset({"locations"}))
    done = await run_against(pretender, "--only", "units")
    assert done.code == 0
    assert re.fullmatch(r"slotwire: left behind: location locations-\d+ \(409 conflict So it is\.\)", one_line(done))
    assert [name.split("-")[0] for name in pretender.alive] == ["locations"]


async def test_ctrl_c_waits_for_what_is_under_way_and_removes_it() -> None:
    pretender = Pretender(slow=0.5)
    async with pretender.serving() as url:
        command = await start("--url", url, "--key", KEY, "--clients", "20")
        await eventually(pretender.is_asked_for("seats"))
        command.process.send_signal(signal.SIGINT)
        done = await command.done()
    assert done.code == 130
    assert one_line(done) == "slotwire: stopping; what was made is being removed"
    assert "seats" not in done.out
    assert pretender.callers["seats"] == 19
    assert pretender.alive == set()


async def test_a_second_ctrl_c_does_not_wait() -> None:
    pretender = Pretender(slow=30)
    async with pretender.serving() as url:
        command = await start("--url", url, "--key", KEY, "--clients", "20", "--only", "slot")
        await eventually(pretender.is_asked_for("slot"))
        for _ in range(2):
            command.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.3)
        done = await command.done()
    assert done.code == 130
    stopping, left = done.err.splitlines()
    assert stopping == "slotwire: stopping; what was made is being removed"
    assert left == "slotwire: left behind: whatever 20 unanswered calls have booked"
    assert pretender.alive == {"bkg_0"}


async def test_a_server_that_goes_away_is_told() -> None:
    pretender = Pretender(gone_after=10)
    done = await run_against(pretender, "--only", "slot")
    assert done.code == 1
    assert "1 x 201" in done.row("slot")
    assert "10 other FAILED: 10 x no answer" in done.row("slot")
    told = [line.removeprefix("slotwire: left behind: ") for line in done.err.splitlines()]
    assert [line.split()[0] for line in told] == ["booking", "event", "user", "schedule", "whatever"]
