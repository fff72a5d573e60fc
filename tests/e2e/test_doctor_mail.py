"""What `slotwire doctor` says about mail: of servers that are there, that are not, and of none at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from app.core.settings import Settings
from app.doctor import Finding, examine
from tests.postbox import Postbox, listening


async def found(settings: Settings, **changes: Any) -> Finding:
    (mail,) = [each async for each in examine(settings.model_copy(update=changes)) if each.subject == "mail"]
    return mail


@asynccontextmanager
async def elsewhere() -> AsyncIterator[int]:
    """A server at an address that is not known to be this machine's."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Postbox(), hostname="mail.test", loop=loop), "127.0.0.2", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def test_a_server_that_takes_mails(settings: Settings) -> None:
    async with listening() as box:
        mail = await found(settings, smtp_url=box.url, mail_from="bookings@acme.example")
    assert (mail.state, mail.detail) == ("ok", "127.0.0.1 takes mails; they come from bookings@acme.example")
    assert box.arrived == [], "it looks, and sends nothing"


async def test_a_server_that_is_not_there(settings: Settings) -> None:
    mail = await found(settings, smtp_url="smtp://user:hunter2@127.0.0.1:9")
    assert mail.state == "fail"
    assert "hunter2" not in mail.detail + mail.advice
    assert "SLOTWIRE_SMTP_URL" in mail.advice


async def test_a_server_that_does_not_know_us(settings: Settings) -> None:
    async with listening() as box:
        mail = await found(settings, smtp_url=box.url.replace("//", "//user:hunter2@"))
    assert mail.state == "fail"
    assert "hunter2" not in mail.detail + mail.advice


async def test_a_server_that_says_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.doctor._SMTP_SECONDS", 0.2)
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        mail = await asyncio.wait_for(found(settings, smtp_url=f"smtp://127.0.0.1:{port}"), timeout=5)
        await asyncio.wait_for(gone.wait(), timeout=5)
    assert mail.state == "fail"


async def test_what_goes_unencrypted_is_told(settings: Settings) -> None:
    async with elsewhere() as port:
        open_to_all = await found(settings, smtp_url=f"smtp://127.0.0.2:{port}")
        password = await found(settings, smtp_url=f"smtp://user:hunter2@127.0.0.2:{port}")
    assert (open_to_all.state, "without encryption" in open_to_all.detail) == ("warn", True)
    assert (password.state, "must not go without" in password.detail) == ("fail", True)
    assert "hunter2" not in password.detail + password.advice


async def test_nobody_gets_mail(settings: Settings, tmp_path: Path) -> None:
    alone = await found(settings, env="production")
    assert (alone.state, "nobody gets mail" in alone.detail) == ("warn", True)
    kept = await found(settings, env="production", mail_dir=tmp_path)
    assert (kept.state, str(tmp_path) in kept.detail) == ("warn", True)
    assert (await found(settings)).state == "ok", "who develops need not send any"
    assert (await found(settings, mail_dir=tmp_path)).state == "ok"
