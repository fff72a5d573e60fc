"""Our own processes, started by tests as an operator would start them, and ended by pid."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from app import launch


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One `python -m …` with its standard error in a file. It dies with us, however we end (see `launch.wrap`)."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                launch.wrap([sys.executable, "-m", *arguments], death_signal=signal.SIGKILL),
                env=dict(environment),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def ended(self, seconds: float = 15.0) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.popen.wait), timeout=seconds)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.ended()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        if self.popen.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                await self.ended()
            except TimeoutError:
                await self.kill()


@asynccontextmanager
async def running(arguments: list[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[Process]:
    process = Process(arguments, environment, log)
    try:
        yield process
    finally:
        await process.stop()


async def ready(url: str, process: Process, seconds: float = 20.0) -> None:
    """Wait until /readyz answers 200."""
    async with aiohttp.ClientSession() as session:
        for _ in range(int(seconds / 0.05)):
            assert process.popen.poll() is None, process.log.read_text()
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.05)
    raise AssertionError(process.log.read_text())
