"""What a receiver may answer, attempt by attempt: how much of it is read and kept, and what it asks for."""

import ipaddress
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from aiohttp import web

from app.core.ids import new_id
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import Delivery, Outcome, attempt, open_session
from app.domain.webhooks.signing import new_signing_secret
from tests.support import Receiver

# dates that overflow: their year, or their zone
FAR, ODD = "Mon, 01 Jan 99999999999999 00:00:00 GMT", "Mon, 01 Jan 2030 00:00:00 +9999999999999"
GUARD = Guard(development=True, allowed=(ipaddress.ip_network("127.0.0.0/8"),), ports=(), nameservers=())


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(guard=GUARD, concurrency=10, timeout_seconds=2) as made:
        yield made


def delivery(url: str) -> Delivery:
    ids = (new_id(), new_id(), new_id(), new_id())
    return Delivery(
        *ids, "booking.created", b"{}", url, (new_signing_secret(),), attempts=0, retry_no=0, event_at=datetime.now(UTC)
    )


async def answered(session: aiohttp.ClientSession, receiver: Receiver, response: web.Response) -> Outcome:
    async def answer(_request: web.Request) -> web.Response:
        return response

    receiver.behaviour = answer
    url = await receiver.start()
    return await attempt(session, delivery(url), guard=GUARD, now=datetime.now(UTC))


async def ports_after_two(session: aiohttp.ClientSession, receiver: Receiver, size: int) -> tuple[list[int], Outcome]:
    """From which of our ports two deliveries came, whose answers are so many bytes long."""
    ports: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.Response(body=b"x" * size)

    receiver.behaviour = answer
    url = await receiver.start()
    for _ in range(2):
        outcome = await attempt(session, delivery(url), guard=GUARD, now=datetime.now(UTC))
        assert outcome.delivered
    return ports, outcome


async def test_an_answer_that_was_read_leaves_its_connection_for_the_next(
    session: aiohttp.ClientSession, receiver: Receiver
) -> None:
    ports, outcome = await ports_after_two(session, receiver, 60_000)
    assert len(set(ports)) == 1
    assert outcome.response == "x" * 1024


async def test_one_that_is_long_is_not_read_to_its_end(session: aiohttp.ClientSession, receiver: Receiver) -> None:
    ports, outcome = await ports_after_two(session, receiver, 50_000_000)
    assert len(set(ports)) == 2
    assert outcome.response == "x" * 1024


async def test_retry_after_may_be_seconds_or_a_date(session: aiohttp.ClientSession, receiver: Receiver) -> None:
    outcome = await answered(session, receiver, web.Response(status=503, headers={"Retry-After": "120"}))
    assert (outcome.error, outcome.retry_after) == ("http_503", 120)
    await receiver.stop()
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=3), usegmt=True)
    outcome = await answered(session, receiver, web.Response(status=429, headers={"Retry-After": at}))
    assert outcome.retry_after is not None
    assert 175 <= outcome.retry_after <= 180


@pytest.mark.parametrize(
    "nonsense", ["", "soon", "-5", "1.5", "9" * 20, "Tue, 99 Foo 2026", "Mon, 01 Jan 1990 00:00:00 GMT", FAR, ODD]
)
async def test_what_is_neither_counts_as_nothing(
    session: aiohttp.ClientSession, receiver: Receiver, nonsense: str
) -> None:
    outcome = await answered(session, receiver, web.Response(status=503, headers={"Retry-After": nonsense}))
    assert outcome.error == "http_503"
    assert not outcome.retry_after


async def test_what_cannot_be_stored_as_text_is_kept_as_far_as_it_can(
    session: aiohttp.ClientSession, receiver: Receiver
) -> None:
    outcome = await answered(session, receiver, web.Response(status=500, body=b"\x00\xff\xfe\x00ok"))
    assert outcome.response == "\ufffd\ufffd\ufffd\ufffdok"
