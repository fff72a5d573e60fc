"""The official clients, all with one face: this year's and last year's Python, and TypeScript."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2
from mcp import Client as NewerClient
from mcp.client.streamable_http import streamable_http_client

from tests.agents import HANDSHAKE, MODERN
from tests.conformance.suite import PACKAGES
from tests.e2e.test_verifiers import node

HERE = Path(__file__).parent
# where the Makefile installs the older one: beside the environment that runs the tests
OLDER = Path(sys.prefix) / "clients" / "mcp1"
_SECONDS = 30


@dataclass(frozen=True)
class Called:
    """What came of a call, after the client looked at it. structured: what matches the tool's own schema, by the
    client's word."""

    is_error: bool
    structured: Any
    texts: list[str]


class Client(Protocol):
    """revision: what it and the server agreed on."""

    revision: str
    library: str

    async def tools(self) -> list[dict[str, Any]]: ...
    async def call(self, tool: str, **arguments: Any) -> Called: ...


class _Newer:
    def __init__(self, client: NewerClient) -> None:
        self._client = client
        self.revision = client.protocol_version
        self.library = sys.modules[NewerClient.__module__].__file__ or ""

    async def tools(self) -> list[dict[str, Any]]:
        listed = await self._client.list_tools()
        return [tool.model_dump(mode="json", by_alias=True) for tool in listed.tools]

    async def call(self, tool: str, **arguments: Any) -> Called:
        result = await self._client.call_tool(tool, arguments)
        texts = [getattr(part, "text", "") for part in result.content]
        return Called(bool(result.is_error), result.structured_content, texts)


class _Program:
    """A client in a process of its own. Raises AssertionError for what the client itself did not accept."""

    def __init__(self, process: asyncio.subprocess.Process, about: dict[str, Any]) -> None:
        self._process = process
        self.revision = str(about["revision"])
        self.library = str(about.get("library", PACKAGES))

    async def tools(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await ask(self._process, {}))["tools"]
        return listed

    async def call(self, tool: str, **arguments: Any) -> Called:
        said = await ask(self._process, {"tool": tool, "arguments": arguments})
        return Called(said["is_error"], said["structured"], said["texts"])


async def ask(process: asyncio.subprocess.Process, what: dict[str, Any] | None) -> dict[str, Any]:
    """One line there, where there is anything to ask, and one back."""
    assert process.stdin is not None
    assert process.stdout is not None
    if what is not None:
        process.stdin.write(json.dumps(what).encode() + b"\n")
        await process.stdin.drain()
    line = await asyncio.wait_for(process.stdout.readline(), timeout=_SECONDS)
    if not line:
        assert process.stderr is not None
        raise AssertionError(f"the client ended: {(await process.stderr.read()).decode()}")
    said: dict[str, Any] = json.loads(line)
    assert "failed" not in said, said
    return said


@asynccontextmanager
async def newer(url: str, key: str, mode: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS) as http,
        NewerClient(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield _Newer(client)


@asynccontextmanager
async def _program(command: list[str], environment: dict[str, str]) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # a list of tools is one line
        limit=2**20,
    )
    try:
        yield _Program(process, await ask(process, None))
    finally:
        await _end(process)
    assert process.returncode == 0


async def _end(process: asyncio.subprocess.Process) -> None:
    """It ends when nothing more will be asked."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), timeout=_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _older(url: str, key: str) -> AbstractAsyncContextManager[Client]:
    assert OLDER.exists(), "the older client is not installed: run make test, which installs it"
    return _program([sys.executable, str(HERE / "older.py"), url, key], {"PYTHONPATH": str(OLDER)})


def _typescript(url: str, key: str) -> AbstractAsyncContextManager[Client]:
    assert PACKAGES.exists(), "the TypeScript client is not installed: run make test, which installs it"
    return _program([node(), str(HERE / "typescript.mjs"), url, key], {})


@dataclass(frozen=True)
class Kind:
    """One client, and the revision that it comes to speak with us."""

    name: str
    revision: str
    connect: Callable[[str, str], AbstractAsyncContextManager[Client]]

    def __str__(self) -> str:
        return self.name


KINDS = (
    Kind("python-2", MODERN, lambda url, key: newer(url, key, "auto")),
    Kind("python-2-handshake", HANDSHAKE, lambda url, key: newer(url, key, "legacy")),
    Kind("python-1", HANDSHAKE, _older),
    Kind("typescript", HANDSHAKE, _typescript),
)
