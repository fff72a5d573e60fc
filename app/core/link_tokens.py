"""Tokens of links that prove themselves: whose organization, what thing, and 160 bits of HMAC over it.

The one rule: nothing is stored, not even a hash. A token names its organization and its thing, and proves itself under
a key derived from the organization's secret, one for each purpose; so it can be shown again later, needs no index, and
tells a sharded database where to look.
"""

import base64
import binascii
import hmac
from functools import lru_cache
from uuid import UUID

from app.core.vault import derive

_MAC_BYTES = 20
# organization, thing and proof in URL-safe base64, without padding
LENGTH = 70


@lru_cache(maxsize=4096)
def _key(secret: bytes, purpose: str) -> bytes:
    return derive(secret, purpose)


def prove(secret: bytes, purpose: str, message: bytes) -> bytes:
    return hmac.digest(_key(secret, purpose), message, "sha256")[:_MAC_BYTES]


def proves(proof: bytes, secret: bytes, purpose: str, message: bytes) -> bool:
    """In constant time."""
    return hmac.compare_digest(proof, prove(secret, purpose, message))


def write(org_id: UUID, thing_id: UUID, proof: bytes, prefix: str = "") -> str:
    """The token: `LENGTH` URL-safe characters behind the prefix."""
    return prefix + _written(org_id.bytes + thing_id.bytes + proof)


def read(text: str, prefix: str = "") -> tuple[UUID, UUID, bytes] | None:
    """(org_id, thing_id, proof) of a text that has the form of a token, or None. It is not yet proven."""
    body = text.removeprefix(prefix)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 32 + _MAC_BYTES or not text.startswith(prefix) or _written(raw) != body:
        return None  # other letters that mean the same bytes, too
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), raw[32:]


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
