"""Ten thousand messages to `/mcp` that nobody means: no 5xx, nothing that hangs, and every answer one that its caller
can read.

`make test` sends always the same ones; `make fuzz` others each time, and says by which seed to have them again.
"""

import asyncio
import io
import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from jsonschema_rs import Draft202012Validator

from tests.agents import MODERN, Agent
from tests.conformance.story import WEEK
from tests.fuzz.messages import Maker, Sent, World
from tests.offers import booked, iso, offer
from tests.rooms import hours_of, location, room
from tests.support import Api

FUZZ = os.environ.get("FUZZ")
MESSAGES = 10_000
SEED = random.SystemRandom().randrange(10**9) if FUZZ else 8
AT_ONCE = 8
# each; a message that takes longer than this hangs
DEADLINE_SECONDS = 10.0
# -32603 says of itself that the server is at fault
INTERNAL = -32603


async def a_world(api: Api) -> World:
    made = await offer(api, questions=[{"id": "why", "label": "Why?", "type": "text"}], seats=50)
    start = (datetime.now(UTC) + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)
    bookings = [await booked(api, made, start + timedelta(hours=hour % 24)) for hour in range(200)]
    here = await location(api)
    desk = await room(api, here, name="Desk", kind="desk", units=50)
    await hours_of(api, desk["id"], "Europe/Berlin", WEEK)
    handles = [each[name] for each in bookings for name in ("id", "code")]
    times = [iso(start + timedelta(hours=hour)) for hour in range(48)]
    listed = (await Agent(api.client, api.key).send("tools/list")).result["tools"]
    names: dict[str, list[Any]] = {
        "event_type": [made["code"], made["id"]],
        "start_time": times,
        "starts_at": times[:24],
        "ends_at": times[24:],
        "start": [start.date().isoformat()],
        "end": [(start + timedelta(days=5)).date().isoformat()],
        "timezone": ["UTC", "Europe/Berlin", "Pacific/Chatham"],
        "attendee_email": ["jane@example.com", "zoe@example.com"],
        "attendee_phone": ["+4915112345678"],
        "booking": handles,
        "finish": handles,
        "resource": [desk["id"], "Desk"],
        "location": [here, "Here"],
        "host_id": [made["hosts"][0]["user_id"]],
        "idempotency_key": ["one", "two", "three"],
        "duration": [60],
        "answers": [[{"question_id": "why", "answer": "because"}]],
        "guests": [[], [{"name": "Ben", "email": "ben@example.com"}]],
        "cursor": ["from:1790000000"],
    }
    return World({tool["name"]: tool["inputSchema"] for tool in listed}, names)


class Judge:
    """Looks at every answer. kinds: how many there were of each."""

    def __init__(self, tools: list[Any]) -> None:
        self._schemas = {tool["name"]: Draft202012Validator(tool["outputSchema"]) for tool in tools}
        self.kinds: Counter[str] = Counter()
        self.tools: Counter[tuple[str, str]] = Counter()

    async def look_at(self, sent: Sent, response: ClientResponse) -> None:
        raw = await response.read()
        assert response.status < 500, raw
        kind = response.content_type if raw else ""
        if kind == "application/problem+json":
            problem = orjson.loads(raw)
            assert {"type", "title", "status", "code", "detail"} <= problem.keys(), problem
            assert problem["status"] == response.status
            self.kinds[f"problem {problem['code']}"] += 1
        elif kind == "application/json":
            self._message(sent, response.status, orjson.loads(raw))
        elif kind == "text/plain":
            # below the application: the framework refuses HTTP that is broken, and a packing that it does not know
            broken = "a_header_twice" in sent.bent or ("Content-Encoding", "br") in sent.headers
            assert (response.status, broken) == (400, True), raw
            self.kinds["400, no HTTP"] += 1
        else:
            assert not raw, (kind, raw[:500])
            assert response.status in {202, 204}, response.status
            self.kinds[f"{response.status}, nothing"] += 1

    def _message(self, sent: Sent, status: int, message: Any) -> None:
        assert message["jsonrpc"] == "2.0", message
        assert "id" in message, message
        assert ("result" in message) != ("error" in message), message
        if "error" in message:
            error = message["error"]
            assert isinstance(error["code"], int)
            assert error["code"] != INTERNAL, error
            assert error["message"], error
            self.kinds[f"{status} {error['code']}"] += 1
            return
        assert status == 200
        result = message["result"]
        if "structuredContent" not in result:
            self.kinds["result"] += 1
            return
        self._called(sent, result)

    def _called(self, sent: Sent, result: Any) -> None:
        shown, failed = result["structuredContent"], result["isError"]
        assert orjson.loads(result["content"][0]["text"]) == shown
        self.kinds[f"tool: {shown['code'] if failed else 'done'}"] += 1
        assert "request_id" not in shown, f"the server's own fault: {shown}"
        if sent.tool and not {"another_tool", "any_place", "the_bytes"} & set(sent.bent):
            self._schemas[sent.tool].validate(shown)
            self.tools[sent.tool, "failed" if failed else "done"] += 1


async def test_nothing_that_is_sent_breaks_it(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent(api.client, api.key)
    maker, judge = Maker(await a_world(api), SEED), Judge((await agent.send("tools/list")).result["tools"])
    numbers = iter(range(MESSAGES))
    began = time.monotonic()

    async def keep_sending() -> None:
        for number in numbers:
            sent = maker.make(number)
            headers = [*sent.headers, ("Authorization", f"Bearer {api.key}")]
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    response = await api.client.request(
                        sent.method, "/mcp", data=io.BytesIO(sent.body), headers=headers
                    )
                    await judge.look_at(sent, response)
            except Exception as error:
                raise AssertionError(f"seed {SEED}, message {number}: {error!r} of {sent}"[:4000]) from error

    await asyncio.gather(*(keep_sending() for _ in range(AT_ONCE)))
    with capsys.disabled():
        if FUZZ:
            print(f"\n{MESSAGES} messages of seed {SEED} in {time.monotonic() - began:.0f} s:")
            print("\n".join(f"{count:6} {kind}" for kind, count in judge.kinds.most_common()))
    assert sum(judge.kinds.values()) == MESSAGES
    _got_far(judge)
    assert '"unexpected"' not in capsys.readouterr().out
    # and it still works
    for revision in (MODERN, "2025-11-25"):
        again = Agent(api.client, api.key, revision)
        assert (await again.ok("list_event_types"))["event_types"]


def _got_far(judge: Judge) -> None:
    """What is turned away at the door proves little: every tool did what it does, and refused, many times."""
    seen = {tool for tool, _ in judge.tools}
    assert len(seen) == 12
    for tool in seen:
        assert judge.tools[tool, "done"] >= 10, (tool, judge.tools)
        assert judge.tools[tool, "failed"] >= 10, (tool, judge.tools)


async def test_a_number_makes_the_same_message(api: Api) -> None:
    world = await a_world(api)
    first, second = (Maker(world, 1).make(number) for number in (7, 7))
    assert first == second
    assert Maker(world, 2).make(7) != first
