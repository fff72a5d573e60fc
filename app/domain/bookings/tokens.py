"""Links that an attendee gets: who holds one may cancel, or move, one booking.

The one rule: nothing is stored, not even a hash. A token names its organization and booking and proves itself by
160 bits of HMAC under the organization's secret, so it can be shown again in a later mail, needs no index, and tells
a sharded database where to look. Raising a booking's `token_version` ends its attendee's old links; the host's confirm
link is not the attendee's, and stays.
"""

import base64
import binascii
import hmac
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from app.core.vault import derive
from app.domain.bookings.models import Booking, Tokens

_MAC_BYTES = 20


class Purpose(StrEnum):
    CANCEL = "cancel"
    RESCHEDULE = "reschedule"
    CONFIRM = "confirm"


_PREFIXES = {Purpose.CANCEL: "", Purpose.RESCHEDULE: "", Purpose.CONFIRM: "cft_"}


@lru_cache(maxsize=1024)
def _key(secret: bytes, purpose: Purpose) -> bytes:
    return derive(secret, f"booking token: {purpose}")


def _mac(secret: bytes, purpose: Purpose, booking_id: UUID, version: int) -> bytes:
    counted = 0 if purpose is Purpose.CONFIRM else version
    message = booking_id.bytes + counted.to_bytes(4, "big")
    return hmac.digest(_key(secret, purpose), message, "sha256")[:_MAC_BYTES]


def mint(secret: bytes, purpose: Purpose, org_id: UUID, booking_id: UUID, version: int) -> str:
    """The token of one booking for one purpose: 70 URL-safe characters, with a prefix for confirm links."""
    raw = org_id.bytes + booking_id.bytes + _mac(secret, purpose, booking_id, version)
    return _PREFIXES[purpose] + _written(raw)


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parse(text: str, purpose: Purpose) -> tuple[UUID, UUID, bytes] | None:
    """(org_id, booking_id, proof) of a text that has the form of a token, or None. It is not yet proven."""
    body = text.removeprefix(_PREFIXES[purpose])
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 32 + _MAC_BYTES or not text.startswith(_PREFIXES[purpose]) or _written(raw) != body:
        return None  # other letters that mean the same bytes, too
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:32]), raw[32:]


def proves(proof: bytes, secret: bytes, purpose: Purpose, booking_id: UUID, version: int) -> bool:
    return hmac.compare_digest(proof, _mac(secret, purpose, booking_id, version))


def tokens_of(booking: Booking, secret: bytes) -> Tokens:
    return Tokens(
        cancel=mint(secret, Purpose.CANCEL, booking.org_id, booking.id, booking.token_version),
        reschedule=mint(secret, Purpose.RESCHEDULE, booking.org_id, booking.id, booking.token_version),
    )
