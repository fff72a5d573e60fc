"""Bodies that say that they are packed: refused, and the connection goes on, whatever they hold."""

import asyncio
import gzip

import aiohttp.log
import pytest

from app.core.settings import Settings
from tests.http.test_mcp_leaving import serving
from tests.support import Api

PACKED = {"none": b"x" * 30, "cut": gzip.compress(b"{}" * 500)[:30], "whole": gzip.compress(b"{}" * 500)}
PATHS = {"/v1/bookings": 415, "/mcp": 415, "/v1/book/a/b": 415, "/api/v1/bookings": 415, "/nothing": 404}


async def answered(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, which is read whole."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=5)
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(head.split()[1])


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("late", [False, True])
async def test_what_is_packed_is_refused_and_the_connection_goes_on(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch, packed: str, *, late: bool
) -> None:
    """late: the body comes when the refusal is on its way already."""
    logged: list[object] = []
    monkeypatch.setattr(aiohttp.log.server_logger, "exception", lambda *args, **_: logged.append(args))
    body = PACKED[packed]
    async with serving(settings) as (_, port):
        for path, status in PATHS.items():
            head = (
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.key}\r\n"
                "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(3):
                writer.write(head if late else head + body)
                if late:
                    await writer.drain()
                    await asyncio.sleep(0.05)
                    writer.write(body)
                assert await answered(reader) == status, path
            writer.close()
    assert logged == []
