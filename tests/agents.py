"""An agent as plain HTTP: JSON-RPC messages of either revision, without a library between."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import orjson
from aiohttp import web
from aiohttp.test_utils import TestClient

MODERN, HANDSHAKE = "2026-07-28", "2025-11-25"
REVISIONS = (MODERN, HANDSHAKE)
ACCEPT = "application/json, text/event-stream"
_META = "io.modelcontextprotocol/"


@dataclass(frozen=True)
class Told:
    """What came back. body: parsed where it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def result(self) -> Any:
        assert self.status == 200, (self.status, self.body)
        assert "result" in self.body, self.body
        return self.body["result"]

    @property
    def error(self) -> Any:
        return self.body["error"]


def closed(schema: Any) -> Any:
    """The schema with nothing besides what it names, so that a member it forgets is found."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return {**{name: closed(each) for name, each in schema.items()}, "additionalProperties": False}
    return {name: closed(each) for name, each in schema.items()}


@dataclass
class Agent:
    """client: of the service. key: whose. The handshake of the older revision is optional to a stateless server; these
    agents leave it out."""

    client: TestClient[web.Request, web.Application]
    key: str | None
    revision: str = MODERN
    headers: dict[str, str] = field(default_factory=dict)
    _schemas: dict[str, Any] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> Told:
        sent = {"Content-Type": "application/json", "Accept": ACCEPT, **self.headers, **(headers or {})}
        if self.key is not None:
            sent = {"Authorization": f"Bearer {self.key}", **sent}
        response = await self.client.post("/mcp", data=body, headers=sent)
        raw = await response.read()
        is_json = raw and "json" in response.headers.get("Content-Type", "")
        return Told(response.status, response.headers, orjson.loads(raw) if is_json else raw)

    async def send(
        self, method: str, params: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Told:
        message = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": self.params(params or {})}
        return await self.post(orjson.dumps(message), {**self.routing(method, params or {}), **(headers or {})})

    def params(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.revision != MODERN:
            return params
        meta = {
            f"{_META}protocolVersion": self.revision,
            f"{_META}clientCapabilities": {},
            f"{_META}clientInfo": {"name": "test", "version": "1"},
        }
        return {**params, "_meta": meta}

    def routing(self, method: str, params: dict[str, Any]) -> dict[str, str]:
        if self.revision != MODERN:
            return {"MCP-Protocol-Version": self.revision}
        named = {"Mcp-Name": params["name"]} if method == "tools/call" and "name" in params else {}
        return {"MCP-Protocol-Version": self.revision, "Mcp-Method": method, **named}

    async def tools(self) -> list[str]:
        return [tool["name"] for tool in (await self.send("tools/list")).result["tools"]]

    async def call(self, tool: str, **arguments: Any) -> Any:
        """The whole result of a tool that exists, failed or not; it is what the tool's schema says."""
        if not self._schemas:
            listed = (await self.send("tools/list")).result["tools"]
            self._schemas.update({each["name"]: each["outputSchema"] for each in listed})
        result = (await self.send("tools/call", {"name": tool, "arguments": arguments})).result
        schema = self._schemas[tool]
        jsonschema_rs.validate(schema if result["isError"] else closed(schema), result["structuredContent"])
        (text,) = result["content"]
        assert orjson.loads(text["text"]) == result["structuredContent"]
        return result

    async def ok(self, tool: str, **arguments: Any) -> Any:
        """Its structured content, where it did what it should."""
        result = await self.call(tool, **arguments)
        assert not result.get("isError"), result
        return result["structuredContent"]

    async def refused(self, tool: str, code: str, **arguments: Any) -> Any:
        """The problem, where it did not."""
        result = await self.call(tool, **arguments)
        assert result["isError"] is True, result
        assert result["structuredContent"]["code"] == code, result
        return result["structuredContent"]
