"""A real SMTP server (aiosmtpd) on this machine that keeps what arrives, and refuses what a test wants refused."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

Verdict = Callable[[str], str]
"""What the server says to a recipient, or to the mail for one: a line such as `250 OK`."""


@dataclass
class Arrived:
    sender: str
    recipients: list[str]
    raw: bytes
    at: datetime

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def to(self) -> str:
        (recipient,) = self.recipients
        return recipient

    def part(self, media_type: str) -> str | None:
        """The decoded text of the first part of this type."""
        for part in self.message.walk():
            if part.get_content_type() == media_type:
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                return content.decode()
        return None

    @property
    def text(self) -> str:
        return self.part("text/plain") or ""

    @property
    def calendar(self) -> str | None:
        return self.part("text/calendar")


@dataclass
class Postbox:
    """`recipient` and `content` judge; what is taken stands in `arrived`, by the order of arrival."""

    sender: Verdict = lambda _address: "250 OK"
    recipient: Verdict = lambda _address: "250 OK"
    content: Verdict = lambda _address: "250 OK"
    arrived: list[Arrived] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0
    pause: float = 0.0
    # whole mails by recipient, whether or not the client waited for the answer
    begun: Counter[str] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_MAIL(  # noqa: N802 -- the library's name
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        verdict = self.sender(address)
        if verdict.startswith("250"):
            envelope.mail_from = address
        return verdict

    async def handle_RCPT(  # noqa: N802 -- the library's name
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        verdict = self.recipient(address)
        if verdict.startswith("250"):
            envelope.rcpt_tos.append(address)
        return verdict

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- as above
        self.begun[envelope.rcpt_tos[0]] += 1
        await asyncio.sleep(self.pause)
        verdict = self.content(envelope.rcpt_tos[0])
        if verdict.startswith("250"):
            assert isinstance(envelope.original_content, bytes)
            async with self.news:
                self.arrived.append(
                    Arrived(
                        envelope.mail_from or "",
                        list(envelope.rcpt_tos),
                        envelope.original_content,
                        datetime.now(UTC),
                    )
                )
                self.news.notify_all()
        return verdict

    def for_(self, address: str) -> list[Arrived]:
        return [each for each in self.arrived if each.to == address]

    async def wait_for(self, count: int, *addresses: str, seconds: float = 15.0) -> list[Arrived]:
        """What came to these addresses (to all, without one), once there are at least so many."""

        def found() -> list[Arrived]:
            return [each for each in self.arrived if not addresses or each.to in addresses]

        async with self.news:
            try:
                await asyncio.wait_for(self.news.wait_for(lambda: len(found()) >= count), timeout=seconds)
            except TimeoutError:
                subjects = [(each.to, each.message["Subject"]) for each in self.arrived]
                raise AssertionError(f"{len(found())} of {count} mails came: {subjects}") from None
        return found()


@asynccontextmanager
async def listening(**given: Any) -> AsyncIterator[Postbox]:
    """A server on a free port of this machine (port: on this one), until the block ends."""
    box = Postbox(**given)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, hostname="mail.test", loop=loop), "127.0.0.1", box.port)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
