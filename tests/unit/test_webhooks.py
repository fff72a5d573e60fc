"""Signing, retrying and the guard, without a network."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import itertools
from datetime import UTC, datetime
from uuid import UUID

import pytest
import standardwebhooks
import stripe

from app.core.errors import InvalidInput
from app.domain.webhooks.addresses import AddressRefused, GuardedResolver, check_url, is_allowed
from app.domain.webhooks.deliver import Delivery, attempt, open_session
from app.domain.webhooks.retry import DELAYS_SECONDS, next_delay
from app.domain.webhooks.signing import new_signing_secret, standard_signature, x_signature

BODY = b'{"id":"evn_1"}'


def test_the_same_printed_secret_gives_two_keys() -> None:
    """The trap that the field's notes warn of: the whole string for one scheme, its decoded bytes for the other."""
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    by_hand = hmac.new(secret.encode(), b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert x_signature([secret], 1_700_000_000, BODY) == f"t=1700000000,v1={by_hand}"
    decoded = hmac.new(b"k" * 32, b"evn_1.1700000000." + BODY, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(decoded).decode()}"
    assert standard_signature([secret], "evn_1", 1_700_000_000, BODY) == expected


def test_while_a_rotation_overlaps_both_secrets_verify() -> None:
    import time

    old, new = new_signing_secret(), new_signing_secret()
    moment = int(time.time())
    header = x_signature([new, old], moment, BODY)
    trio = {
        "webhook-id": "evn_1",
        "webhook-timestamp": str(moment),
        "webhook-signature": standard_signature([new, old], "evn_1", moment, BODY),
    }
    for secret in (old, new):
        assert stripe.WebhookSignature.verify_header(BODY.decode(), header, secret, tolerance=300)
        assert standardwebhooks.Webhook(secret).verify(BODY, trio) == {"id": "evn_1"}
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(BODY.decode(), header, new_signing_secret(), tolerance=300)


def test_secrets_are_32_random_bytes() -> None:
    secret = new_signing_secret()
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != new_signing_secret()


def test_ten_attempts_in_some_75_hours() -> None:
    delays = list(itertools.takewhile(lambda each: each is not None, (next_delay(n, 0.0, None) for n in range(20))))
    assert delays == list(DELAYS_SECONDS)
    assert sum(DELAYS_SECONDS) == 75 * 3600 + 35 * 60 + 5


def test_jitter_and_retry_after() -> None:
    assert next_delay(1, 1.0, None) == pytest.approx(5.5)
    assert next_delay(1, 0.0, 60) == 60
    assert next_delay(2, 0.0, 60) == 300, "a receiver cannot shorten the schedule"
    assert next_delay(1, 0.0, 10**9) == 86_400
    assert next_delay(10, 0.0, 60) is None


PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "198.18.0.1", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_in_every_disguise(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


def test_the_operator_opens_ranges_and_nothing_else() -> None:
    lan = [ipaddress.ip_network("192.168.0.0/16")]
    assert is_allowed(ipaddress.ip_address("192.168.1.5"), lan)
    assert is_allowed(ipaddress.ip_address("::ffff:192.168.1.5"), lan)
    assert not is_allowed(ipaddress.ip_address("10.0.0.1"), lan)
    assert not is_allowed(ipaddress.ip_address("127.0.0.1"), lan)


def test_http_is_for_development_and_credentials_for_nobody() -> None:
    assert check_url("https://example.com/hook", development=False, allowed=())
    assert check_url("http://example.com/hook", development=True, allowed=())
    for url in [
        "http://example.com/hook",
        "https://a:b@example.com/",
        "https://a@example.com/",
        "https://localhost/",
        *DISGUISES,
    ]:
        with pytest.raises(InvalidInput):
            check_url(url, development=False, allowed=())


# what an HTTP client takes for 127.0.0.1 after the normalization of names (UTS 46)
DISGUISES = [
    "https://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "https://127\u30020\u30020\u30021/",
    "https://[::ffff:7f00:1]/",
]


@pytest.mark.parametrize("url", [*DISGUISES, "https://127.1/", "https://2130706433/", "https://0x7f.1/"])
async def test_no_disguise_reaches_a_private_address(url: str) -> None:
    """Through the attempt itself: a listening server on loopback never hears of it."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    delivery = Delivery(
        org_id=UUID(int=1), id=UUID(int=2), event_id=UUID(int=3), webhook_id=UUID(int=4), event_type="booking.created",
        body=BODY, url=f"http{url.removeprefix('https').rstrip('/')}:{port}/", secrets=(new_signing_secret(),),
        attempts=0, retry_no=0, event_at=datetime.now(UTC),
    )  # fmt: skip
    async with open_session(allowed=(), concurrency=1, timeout_seconds=2) as session:
        outcome = await attempt(session, delivery, development=True, allowed=(), now=datetime.now(UTC))
    server.close()
    await server.wait_closed()
    assert outcome.error in {"address_not_allowed", "connection_broken"}
    assert (outcome.status_code, heard) == (None, [])


async def test_a_name_that_resolves_to_a_private_address_is_refused_when_it_is_resolved() -> None:
    with pytest.raises(AddressRefused):
        await GuardedResolver(()).resolve("localhost", 80)
    loopback = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
    found = await GuardedResolver(loopback).resolve("localhost", 80)
    assert {each["host"] for each in found} <= {"127.0.0.1", "::1"}
