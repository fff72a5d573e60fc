"""Signing and retrying, without a network."""

import base64
import hashlib
import hmac
import itertools

import pytest
import standardwebhooks
import stripe

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
