"""`slotwire listen` and `slotwire trigger` as processes, and the server that they speak to."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from app.core.settings import Settings
from tests.processes import Process, ready, running
from tests.support import environment_for

PATIENCE = 20.0


class Command:
    """A running `slotwire …`; its lines are kept as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._news = asyncio.Condition()
        self._readers = [
            asyncio.create_task(self._read(process.stdout, self.out)),
            asyncio.create_task(self._read(process.stderr, self.err)),
        ]

    async def _read(self, stream: asyncio.StreamReader, kept: list[str]) -> None:
        async for line in stream:
            async with self._news:
                kept.append(line.decode().rstrip("\n"))
                self._news.notify_all()

    async def says(self, part: str, times: int = 1) -> str:
        """The last of so many lines with this in them, on either stream."""

        def found() -> list[str]:
            return [line for line in self.out + self.err if part in line]

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: len(found()) >= times), timeout=PATIENCE)
            except TimeoutError:
                raise AssertionError(f"never said {part!r}: {self.out} {self.err}") from None
            return found()[times - 1]

    async def ended(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), timeout=PATIENCE)
        await asyncio.gather(*self._readers)
        return code

    async def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return await self.ended()


@asynccontextmanager
async def slotwire(*arguments: str, **environment: str) -> AsyncIterator[Command]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "app.cli", *arguments),
        env={**os.environ, "SLOTWIRE_DATA_DIR": "/nonexistent", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    command = Command(process)
    try:
        yield command
    finally:
        if process.returncode is None:
            process.kill()
        await command.ended()


async def run(*arguments: str, **environment: str) -> tuple[int, list[str], list[str]]:
    async with slotwire(*arguments, **environment) as command:
        code = await command.ended()
    return code, command.out, command.err


@asynccontextmanager
async def serving(settings: Settings, log: Path) -> AsyncIterator[Process]:
    async with running(["app.cli", "web"], environment_for(settings), log) as process:
        await ready(f"http://127.0.0.1:{settings.port}", process)
        yield process


async def call(url: str, key: str, method: str, path: str, body: Any = None) -> bytes:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
        session.request(method, url + path, json=body) as response,
    ):
        raw = await response.read()
        assert response.status < 300, raw
        return raw


async def sample(url: str, key: str, event: str = "booking.created", **fields: str) -> str:
    """Its id."""
    answer = json.loads(await call(url, key, "POST", "/v1/events/test", {"event": event, **fields}))
    return str(answer["event"]["id"])


@asynccontextmanager
async def listening(url: str, key: str, *arguments: str) -> AsyncIterator[Command]:
    """Once it listens."""
    async with slotwire("listen", "--api", url, "--key", key, *arguments) as command:
        await command.says("listening to")
        yield command


def one_line(lines: list[str]) -> str:
    (line,) = lines
    assert line.startswith("slotwire: ")
    return line
