"""Handing a mail to a mail server, or to a folder where there is none.

The one rule: it is written down that a mail is sent before its last line is. The server takes a mail over only with
the line that ends it (RFC 5321, section 4.2.5), so a worker that is killed before has sent nothing, and no other sends
it twice. One that is killed in the instant between the two loses the mail: the price of never sending two.
"""

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
from aiosmtplib import SMTPResponse
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from app.core.loopback import LOOPBACK
from app.core.settings import Settings
from app.domain.notifications.plain import one_line

SMTP_SECONDS = 30.0
# It may look at the whole mail before it answers, and whoever gives up sooner sends it again (RFC 5321, 4.5.3.2.6).
_LAST_ANSWER_SECONDS = 600.0
# a server may count what comes through one connection
_MOST_BY_CONNECTION = 200
_GO_ON = 354
_CLOSING = 421
_OUR_SENDER = 530
_HUNG_UP = "it hung up before the end of the mail"
# The server did not understand us, or wants to know who we are: nothing that is wrong with the recipient.
_OURS = frozenset({500, 501, 502, 503, 504, 530, 534, 535, 538, 555})
# Nor is what the enhanced code (RFC 3463) says of the sender, the mail system, the protocol, the content or a policy:
# relays report so at RCPT whatever is wrong with us.
_NOT_OF_THE_RECIPIENT = re.compile(r"5\.(1\.[78]|[03567]\.\d+)\b")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)

Settle = Callable[[], AbstractAsyncContextManager[bool]]
"""Writes down that the mail is sent, when it is entered; False: somebody else has it, so it must not be. Within it the
line that ends the mail is written, and nothing else is done: a worker that is killed between the two loses the mail."""


class MailServerAway(Exception):
    """There is no connection, so no mail can be sent just now; its text says why, without a password."""


class MailBroken(Exception):
    """The connection ended, or the server fell silent, in the middle of this mail. handed_over: the server had all of
    it by then, so nobody knows whether it took it."""

    def __init__(self, words: str, *, handed_over: bool) -> None:
        super().__init__(words)
        self.handed_over = handed_over


class NotOurs(Exception):
    """Another worker has this mail by now."""


class MailRefused(Exception):
    """The server does not take this mail. bounced: nor will it ever, because of the recipient (5xx). for_good: it says
    so (5xx), but of us."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{code} {words}")
        self.for_good = code >= 500
        ours = code in _OURS or _NOT_OF_THE_RECIPIENT.match(words) is not None
        self.bounced = self.for_good and not ours


@dataclass(frozen=True, slots=True)
class Packed:
    """A mail ready to go: lines end in CRLF, and none is other than ASCII."""

    id: UUID
    sender: str
    recipient: str
    content: bytes
    at: datetime


class Transport(Protocol):
    """One way out, used by one sender at a time."""

    async def send(self, mail: Packed, settle: Settle) -> None:
        """Raises MailServerAway before anything is settled; MailRefused, MailBroken and NotOurs; and what `settle`
        raises, with nothing sent."""

    async def close(self) -> None: ...


def opened(settings: Settings) -> Callable[[], Transport] | None:
    """What makes ways out; None: nobody gets mail."""
    if settings.smtp_url:
        return lambda: _Smtp(settings)
    folder = settings.mail_dir
    return None if folder is None else lambda: _Folder(folder)


async def open_smtp(settings: Settings, seconds: float = SMTP_SECONDS) -> aiosmtplib.SMTP:
    """A connection, encrypted where the server offers it, and logged in. Raises MailServerAway."""
    where = urlsplit(settings.smtp_url)
    host = where.hostname or "localhost"
    near = host in LOOPBACK
    client = aiosmtplib.SMTP(
        hostname=host,
        port=where.port or (465 if where.scheme == "smtps" else 587 if where.username else 25),
        use_tls=where.scheme == "smtps",
        start_tls=None if where.scheme == "smtp" else False,
        # nobody stands between us and this machine, and a relay on it rarely has a certificate of its own
        validate_certs=not near,
        local_hostname=settings.sender.rpartition("@")[2],
        timeout=seconds,
    )
    try:
        await client.connect()
        if where.username:
            if not near and client.get_transport_info("sslcontext") is None:
                raise MailServerAway(f"{host} offers no encryption, and the password must not go without")
            await client.login(unquote(where.username), unquote(where.password or ""))
    except MailServerAway:
        client.close()
        raise
    except SMTPAuthenticationError as error:
        client.close()
        raise MailServerAway(f"{host} refuses the log-in: {error.code} {_line(error.message)}") from None
    except (SMTPException, OSError, ValueError) as error:
        client.close()
        raise MailServerAway(f"{host} cannot be used: {_line(str(error))}") from None
    return client


class _Smtp:
    """A connection that is kept while there are mails."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: aiosmtplib.SMTP | None = None
        self._sent = 0

    async def send(self, mail: Packed, settle: Settle) -> None:
        client = await self._ready()
        try:
            await self._offer(client, mail)
            await self._end(client, settle)
        except SMTPResponseException as error:
            await self._start_over(client, error)
            raise MailRefused(error.code, _line(error.message)) from None
        except BaseException:
            # the server is in the middle of a mail that never ends
            self._drop()
            raise
        self._sent += 1

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(SMTPException, OSError):
                await client.quit()
            client.close()

    async def _ready(self) -> aiosmtplib.SMTP:
        if self._sent >= _MOST_BY_CONNECTION:
            await self.close()
        if self._client is None or not self._client.is_connected:
            self._client, self._sent = await open_smtp(self._settings), 0
        return self._client

    async def _offer(self, client: aiosmtplib.SMTP, mail: Packed) -> None:
        """Everything but the line that ends it."""
        try:
            await self._begin(client, mail.sender)
            await client.rcpt(mail.recipient)
            response = await client.execute_command(b"DATA")
            if response.code != _GO_ON:
                raise SMTPResponseException(response.code, response.message)
            if client.protocol is None:
                raise SMTPServerDisconnected("closed by the server")
            client.protocol.write(_LEADING_DOT.sub(b"..", mail.content))
        except SMTPResponseException:
            raise
        except (SMTPException, OSError) as error:
            raise MailBroken(_line(str(error)), handed_over=False) from None

    async def _begin(self, client: aiosmtplib.SMTP, sender: str) -> None:
        """Nothing has been said of this mail yet: whoever hangs up now wants none."""
        try:
            await client.mail(sender)
        except SMTPResponseException as error:
            if error.code == _CLOSING:
                raise MailServerAway(_line(error.message)) from None
            # what is wrong with the sender is wrong with the configuration: no recipient has bounced
            raise SMTPResponseException(error.code if error.code < 500 else _OUR_SENDER, error.message) from None
        except (SMTPException, OSError) as error:
            raise MailServerAway(f"it hung up: {_line(str(error))}") from None

    async def _end(self, client: aiosmtplib.SMTP, settle: Settle) -> None:
        """Settle it, and write the line that ends it in the same breath: the answer is listened for before."""
        if client.protocol is None:
            raise MailBroken(_HUNG_UP, handed_over=False)
        answer = asyncio.ensure_future(client.protocol.read_response(timeout=_LAST_ANSWER_SECONDS))
        try:
            await asyncio.sleep(0)
            async with settle() as ours:
                if not ours:
                    raise NotOurs
                if answer.done() or client.protocol is None:
                    raise MailBroken(_HUNG_UP, handed_over=False)
                client.protocol.write(b".\r\n")
            response = await self._answered(answer)
        finally:
            answer.cancel()
            with suppress(SMTPException, OSError, asyncio.CancelledError):
                await answer
        if not 200 <= response.code <= 299:
            raise SMTPResponseException(response.code, response.message)

    async def _answered(self, answer: asyncio.Task[SMTPResponse]) -> SMTPResponse:
        try:
            return await answer
        except (SMTPException, OSError) as error:
            raise MailBroken(_line(str(error)), handed_over=True) from None

    async def _start_over(self, client: aiosmtplib.SMTP, error: SMTPResponseException) -> None:
        if error.code == _CLOSING:
            self._drop()
            return
        try:
            await client.rset()
        except (SMTPException, OSError):
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Folder:
    """For a first look without a mail server: one .eml file for each mail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail: Packed, settle: Settle) -> None:
        name = f"{mail.at:%Y%m%dT%H%M%S}-{mail.id.hex}.eml"
        half = self._folder / f".{name}"
        try:
            await asyncio.to_thread(self._write, half, mail.content)
        except OSError as error:
            raise MailServerAway(f"{self._folder} cannot be written: {error.strerror}") from None
        try:
            async with settle() as ours:
                if not ours:
                    raise NotOurs
                half.replace(self._folder / name)
        except OSError as error:
            raise MailBroken(f"{self._folder} cannot be written: {error.strerror}", handed_over=False) from None

    async def close(self) -> None:
        """There is nothing to close."""

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # others on this machine must not read them: they hold links that act
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)


def _line(words: str) -> str:
    """A server may answer in any encoding, with anything in it."""
    return one_line(words, 300)
