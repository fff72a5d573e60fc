"""Signatures that three families of libraries verify unchanged.

`X-Signature` is Stripe's scheme: `t=<unix seconds>,v1=<hex hmac-sha256(secret, "<t>.<body>")>`, one `v1` per live
secret. The trio `webhook-id`, `webhook-timestamp`, `webhook-signature` is Standard Webhooks:
`v1,<base64 hmac-sha256(key, "<id>.<t>.<body>")>`, separated by spaces.

The trap, and the one rule: one printed secret gives two keys. Stripe's scheme uses the whole string, `whsec_` included;
Standard Webhooks uses the bytes that the part after `whsec_` decodes to.
"""

import base64
import functools
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"


def new_signing_secret() -> str:
    """32 random bytes as `whsec_<base64>` (Standard Webhooks allows 24 to 64)."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def x_signature(signing_secrets: Sequence[str], timestamp: int, body: bytes) -> str:
    """Lower-case hex and no space after commas, as Stripe's libraries want it. timestamp: unix seconds."""
    signed = b"%d." % timestamp + body
    return f"t={timestamp}," + ",".join(
        "v1=" + hmac.digest(secret.encode(), signed, "sha256").hex() for secret in signing_secrets
    )


def standard_signature(signing_secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_decoded(secret), signed, "sha256")).decode() for secret in signing_secrets
    )


@functools.lru_cache(maxsize=4096)
def _decoded(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX))
