"""Messages for `/mcp` as nobody means them: valid ones of both revisions, bent.

The one rule: a number makes a message, always the same one, so that what went wrong can be looked at alone. And much of
it gets far: most messages are bent in one place only, and name things that there are.
"""

import base64
import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.agents import ACCEPT, HANDSHAKE, MODERN

Json = Any
Schemas = Mapping[str, Mapping[str, Any]]

_META = "io.modelcontextprotocol/"
_DEEP = 2_000
_LONG = 70_000

ODD: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**63), 10**40, 1e308, -0.0, 1e-300),
    *("", " ", "a", "null", "NaN", "0", "\x00", "a\x00b", "\x1b[31m", "\u202e\u2066", "\ufeff", "\U0001f41d" * 9),
    *("\ud800", "a\udfffb", "\ud83d", "é" * 300, "x" * 5_000, "../../etc/passwd", "' or 1=1 --", "%00", "{{7*7}}"),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": [1]}}, ["x"] * 300, {str(n): n for n in range(150)}),
    *("2026-02-30", "2026-13-01T00:00:00Z", "0000-01-01", "9999-12-31T23:59:60Z", "2026-05-01T10:00:00", "-1-1-1"),
    *("2026-05-01T10:00:00+99:99", "+262144-01-01", "1900-01-01T00:00:00Z", "9999-12-31", "Europe/Nowhere", "UTC\n"),
    *("bkg_", "evt_00000000000000000000000000", "res_zzzzzzzzzzzzzzzzzzzzzzzzzz", "from:", "from:99999999999", "a@b"),
)
METHODS = (
    *("initialize", "ping", "tools/list", "tools/call", "server/discover", "resources/list", "resources/read"),
    *("resources/templates/list", "resources/subscribe", "prompts/list", "prompts/get", "completion/complete"),
    *("logging/setLevel", "subscriptions/listen", "tasks/get", "sampling/createMessage", "elicitation/create"),
    *("roots/list", "notifications/initialized", "notifications/cancelled", "notifications/progress", "rpc.discover"),
    *("", "tools", "TOOLS/LIST", "tools/call ", "__proto__", "tools/\ud800", "x" * 3_000),
)
TYPES = (
    *("application/json; charset=utf-8", "application/json; charset=utf-16", "application/json;;;", "text/plain"),
    *("application/vnd.api+json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"),
)
ACCEPTS = (
    "application/json",
    "text/event-stream",
    "*/*",
    "application/*",
    "text/html",
    "",
    "x",
    "application/json;q=0",
)
REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2026-07-29", "draft", "", "2025-11-25 ", "99999", "é")


@dataclass(frozen=True)
class World:
    """What there is to name. tools: their arguments' schemas, as they are advertised. names: texts by argument."""

    tools: Schemas
    names: Mapping[str, Sequence[Json]]


@dataclass
class Sent:
    """A request in the making. valid: nothing was bent."""

    method: str = "POST"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    tool: str | None = None
    bent: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        return not self.bent


class Maker:
    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed

    def make(self, number: int) -> Sent:
        rng = random.Random(f"{self._seed} {number}")  # noqa: S311 -- to be repeated, not to be secret
        return _Bender(self._world, rng).make()


class _Bender:
    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.sent = Sent()
        self.modern = rng.random() < 0.5

    def make(self) -> Sent:
        message: Json = self._message()
        self.sent.headers = self._headers(message)
        for _ in range(self.rng.choices((0, 1, 2, 3), (20, 55, 15, 10))[0]):
            bend = self.rng.choices(*zip(*_BENDS, strict=True))[0]
            if isinstance(message, bytes) and bend not in _OF_HEADERS:
                continue
            message = bend(self, message)
            self.sent.bent.append(bend.__name__)
        if any(bend.__name__ in self.sent.bent for bend in _OF_HEADERS):
            # what is broken as HTTP ends its connection, and with it what others would send on it
            self.sent.headers.append(("Connection", "close"))
        # half characters become escapes, as every JSON library writes them
        self.sent.body = json.dumps(message).encode() if not isinstance(message, bytes) else message
        return self.sent

    # --- what is valid

    def _message(self) -> dict[str, Json]:
        method = self.rng.choices(
            ("tools/call", "tools/list", "initialize", "server/discover", "ping", "notifications/initialized"),
            (80, 6, 3, 3, 2, 2),
        )[0]
        params: dict[str, Json] = {}
        if method == "tools/call":
            self.sent.tool = self.rng.choice(list(self.world.tools))
            params = {"name": self.sent.tool, "arguments": self._arguments(self.sent.tool)}
        elif method == "initialize":
            about = {"name": "fuzz", "version": "1"}
            params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": about}
        if self.modern:
            params["_meta"] = {f"{_META}protocolVersion": MODERN, f"{_META}clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        return message if method.startswith("notifications/") else {**message, "id": self.rng.randrange(10**6)}

    def _headers(self, message: Mapping[str, Json]) -> list[tuple[str, str]]:
        headers = [("Content-Type", "application/json"), ("Accept", ACCEPT)]
        headers.append(("MCP-Protocol-Version", MODERN if self.modern else HANDSHAKE))
        if self.modern:
            headers.append(("Mcp-Method", message["method"]))
            if self.sent.tool:
                headers.append(("Mcp-Name", self.sent.tool))
        return headers

    def _arguments(self, tool: str) -> dict[str, Json]:
        schema = self.world.tools[tool]
        needed = schema.get("required", ())
        return {
            name: self._value(name, each)
            for name, each in schema["properties"].items()
            if name in needed or self.rng.random() < 0.25
        }

    def _value(self, name: str, schema: Mapping[str, Any]) -> Json:
        if name in self.world.names:
            return copy.deepcopy(self.rng.choice(self.world.names[name]))
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        made: dict[str, Callable[[], Json]] = {
            "integer": lambda: self.rng.randint(schema.get("minimum", 0), min(schema.get("maximum", 100), 100)),
            "boolean": lambda: self.rng.random() < 0.5,
            "array": lambda: [self._value("", schema.get("items", {})) for _ in range(self.rng.randrange(3))],
            "object": lambda: {each: self._value(each, inner) for each, inner in schema.get("properties", {}).items()},
        }
        return made.get(schema.get("type", ""), self._text)()

    def _text(self) -> str:
        return self.rng.choice(("Jane", "Zoë \U0001f41d", "a", "why", "1"))

    # --- what is not

    def odd(self) -> Json:
        return copy.deepcopy(self.rng.choice(ODD))

    def an_argument(self, message: Json) -> Json:
        """One of a tool's arguments is something else, or is missing, or is one more."""
        params = message.get("params") if isinstance(message, dict) else None
        arguments = params.get("arguments") if isinstance(params, dict) else None
        if not isinstance(arguments, dict):
            return self.any_place(message)
        how = self.rng.random()
        if how < 0.75 and arguments:
            arguments[self.rng.choice(list(arguments))] = self.odd()
        elif how < 0.9 and arguments:
            del arguments[self.rng.choice(list(arguments))]
        else:
            arguments[self.rng.choice((*self.world.names, "x", "", "__proto__", "\ud800", "a.b"))] = self.odd()
        return message

    def any_place(self, message: Json) -> Json:
        """Anything in the message is something else, or is gone."""
        places = list(_places(message))
        if not places:
            return self.odd()
        holder, key = self.rng.choice(places)
        if self.rng.random() < 0.25:
            del holder[key]
        else:
            holder[key] = self.odd()
        return message

    def another_method(self, message: Json) -> Json:
        if isinstance(message, dict):
            message["method"] = self.rng.choice(METHODS)
            wanted = str(message["method"])
            if self.rng.random() < 0.5 and wanted.isascii() and wanted.strip():
                self.sent.headers = [each for each in self.sent.headers if each[0] != "Mcp-Method"]
                self.sent.headers.append(("Mcp-Method", wanted))
        return message

    def another_tool(self, message: Json) -> Json:
        """With the header that says the same, so that it gets as far as the tools."""
        name = self.rng.choice((*self.world.tools, "rm", "", "List_Slots", "list_slots ", "x" * 300, "__class__"))
        if isinstance(message, dict) and isinstance(message.get("params"), dict):
            message["params"]["name"] = name
            self.sent.headers = [each for each in self.sent.headers if each[0] != "Mcp-Name"] + [("Mcp-Name", name)]
        return message

    def another_id(self, message: Json) -> Json:
        if isinstance(message, dict):
            message["id"] = self.odd()
            if self.rng.random() < 0.2:
                del message["id"]
        return message

    def a_batch(self, message: Json) -> Json:
        return [message] * self.rng.choice((0, 1, 2, 50))

    def no_envelope(self, _message: Json) -> Json:
        return self.rng.choice(({"jsonrpc": "2.0", "id": 1, "result": {}}, self.odd(), {"id": 1, "method": "ping"}))

    def too_much(self, message: Json) -> Json:
        """Deeper or longer than anybody means."""
        deep: Json = "x" * _LONG
        if self.rng.random() < 0.5:
            raw = b'{"a":' * _DEEP + b"1" + b"}" * _DEEP
            return b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":' + raw + b"}"
        if isinstance(message, dict):
            message[self.rng.choice(("params", "id", "extra"))] = deep
        return message

    def the_bytes(self, message: Json) -> Json:
        """What is no JSON, or only nearly."""
        raw = json.dumps(message).encode()
        place = self.rng.randrange(len(raw) + 1)
        bends: tuple[Callable[[], bytes], ...] = (
            lambda: raw[:place],
            lambda: raw[:place] + bytes([self.rng.randrange(256)]) + raw[place + 1 :],
            lambda: b"\xef\xbb\xbf" + raw,
            lambda: raw.decode().encode("utf-16"),
            lambda: raw + raw,
            lambda: raw.replace(b'"2.0"', b'"2.0","jsonrpc":"1.0"'),
            lambda: raw.replace(b'"id": ', b'"id": 1, "id": '),
            lambda: raw.replace(b'"id": ', b'"id": ' + b"9" * 5_000),
            lambda: raw.replace(b'"2.0"', b"NaN"),
            lambda: raw.replace(b'"params": {', b'"params": {"x": 1e999, "y": -Infinity, '),
            lambda: b"",
            lambda: b"\x00" * 64,
        )
        return self.rng.choice(bends)()

    def a_header_less(self, message: Json) -> Json:
        if self.sent.headers:
            self.sent.headers.pop(self.rng.randrange(len(self.sent.headers)))
        return message

    def a_header_twice(self, message: Json) -> Json:
        if self.sent.headers:
            name, value = self.rng.choice(self.sent.headers)
            self.sent.headers.append((name, self.rng.choice((value, "another", value.upper()))))
        return message

    def a_header_wrong(self, message: Json) -> Json:
        name, values = self.rng.choice(
            (
                ("Content-Type", TYPES),
                ("Accept", ACCEPTS),
                ("MCP-Protocol-Version", REVISIONS),
                ("Mcp-Method", ("tools/list", "TOOLS/CALL", "x" * 2_000, "é", "")),
                ("Mcp-Name", (*self.world.tools, "é", f"=?base64?{base64.b64encode(b'list_slots').decode()}?=")),
                ("Mcp-Session-Id", ("1", "x" * 500, "é")),
                ("Mcp-Param-Booking", ("=?base64?!!!?=", "x")),
                ("Last-Event-ID", ("1", "é")),
                ("Content-Encoding", ("gzip", "br", "identity")),
                ("Expect", ("100-continue", "200-ok")),
            )
        )
        self.sent.headers = [each for each in self.sent.headers if each[0] != name]
        self.sent.headers.append((name, self.rng.choice(values)))
        return message

    def another_verb(self, message: Json) -> Json:
        self.sent.method = self.rng.choice(("GET", "DELETE", "PUT", "OPTIONS", "PATCH", "TRACE", "QUERY"))
        return message


def _places(value: Json) -> list[tuple[Any, Any]]:
    """Every place in a JSON value that something else could stand in, as its holder and the key."""
    if isinstance(value, dict):
        return [place for key, each in value.items() for place in ((value, key), *_places(each))]
    if isinstance(value, list):
        return [place for key, each in enumerate(value) for place in ((value, key), *_places(each))]
    return []


Bend = Callable[[_Bender, Json], Json]
_OF_HEADERS = (_Bender.a_header_less, _Bender.a_header_twice, _Bender.a_header_wrong, _Bender.another_verb)
_BENDS: tuple[tuple[Bend, int], ...] = (
    (_Bender.an_argument, 45),
    (_Bender.any_place, 12),
    (_Bender.another_method, 5),
    (_Bender.another_tool, 4),
    (_Bender.another_id, 5),
    (_Bender.a_batch, 3),
    (_Bender.no_envelope, 3),
    (_Bender.too_much, 1),
    (_Bender.the_bytes, 6),
    (_Bender.a_header_less, 4),
    (_Bender.a_header_twice, 4),
    (_Bender.a_header_wrong, 7),
    (_Bender.another_verb, 1),
)
