"""Slot tokens: what was listed, as an opaque string that books exactly that.

The one rule: a token promises nothing but what it says. It is signed under the organization's secret, so what comes
back is what was listed; whether it can still be had is decided like any other booking.

Layout, before base64url: version (1 byte), event type (16), start (8, epoch seconds), duration (2, minutes), service
(1: 0 for none, else its place), configuration (8), expiry (8, epoch seconds), hosts (one bit each, in the event type's
order), and the first 16 bytes of a keyed BLAKE2b over all that (RFC 7693).
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from struct import Struct
from uuid import UUID

from app.core.errors import InvalidInput
from app.core.vault import derive
from app.domain.availability.inputs import Host, Inputs, Rules

_VERSION = 1
_HEAD = Struct(">B16sqHBqq")
_MAC_BYTES = 16
_LONGEST = 1024
_MOST_REMEMBERED = 4096

# Listed within an hour, tokens are the same bytes, so that a page that did not change keeps its ETag; each is good for
# one hour at least, and two at most.
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class SlotToken:
    """What a token says. service: its place in the event type's list, or None. hosts: the bits."""

    event_type_id: UUID
    start: int
    minutes: int
    service: int | None
    config_version: int
    expires: int
    hosts: int

    def among(self, hosts: tuple[Host, ...]) -> frozenset[UUID]:
        """Which of the event type's hosts are meant."""
        return frozenset(host.user_id for number, host in enumerate(hosts) if self.hosts >> number & 1)


class Minter:
    """Makes the tokens of one configuration within one hour: everything but start and hosts is the same in all of them,
    and so they are remembered, since the next visitor sees the same slots."""

    def __init__(self, secret: bytes, about: tuple[UUID, int, int, int, int], width: int) -> None:
        event_type_id, *tail = about
        self._mac = hashlib.blake2b(key=_key(secret), digest_size=_MAC_BYTES)
        self._event_type, self._tail, self._width = event_type_id.bytes, tail, width
        self._made: dict[int, bytes] = {}

    def mint(self, start: int, hosts: int) -> bytes:
        """hosts: one bit each, in the event type's order."""
        slot = start << (8 * self._width) | hosts
        token = self._made.get(slot)
        if token is None:
            if len(self._made) >= _MOST_REMEMBERED:
                self._made.clear()
            token = self._made[slot] = self._mint(start, hosts)
        return token

    def _mint(self, start: int, hosts: int) -> bytes:
        head = _HEAD.pack(_VERSION, self._event_type, start, *self._tail)
        said = head + hosts.to_bytes(self._width, "big")
        mac = self._mac.copy()
        mac.update(said)
        return base64.urlsafe_b64encode(said + mac.digest()).rstrip(b"=")


def minter_of(secret: bytes, inputs: Inputs, minutes: int, service_id: str | None, now: datetime) -> Minter:
    """The tokens of a listing for so many minutes, of a service if one is named."""
    rules = inputs.rules
    about = (rules.event_type_id, minutes, _place(rules, service_id), rules.config_version, expiry(now))
    return _minter(secret, about, (len(inputs.hosts) + 7) // 8)


_minter = lru_cache(maxsize=32)(Minter)


def expiry(now: datetime) -> int:
    """Until when tokens that are listed now can be used, in epoch seconds."""
    return (int(now.timestamp()) // _HOUR + 2) * _HOUR


def read_token(secret: bytes, text: str) -> SlotToken:
    """What a token says; it may be out of date. Raises InvalidInput for one that was not made here."""
    wrong = InvalidInput.of("slot_token", "is not a token of a listed slot; pass it on unchanged, or leave it out")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != text.encode():
        raise wrong  # other letters that mean the same bytes
    said, proof = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    expected = hashlib.blake2b(said, key=_key(secret), digest_size=_MAC_BYTES).digest()
    if len(text) > _LONGEST or len(said) < _HEAD.size or not hmac.compare_digest(proof, expected):
        raise wrong
    _, event_type, start, minutes, service, version, expires = _HEAD.unpack_from(said)
    hosts = int.from_bytes(said[_HEAD.size :], "big")
    return SlotToken(UUID(bytes=event_type), start, minutes, service - 1 if service else None, version, expires, hosts)


def service_of(token: SlotToken, rules: Rules) -> str | None:
    """The service that a token means, as long as the configuration is the one that it was made for."""
    return None if token.service is None else str(rules.services[token.service]["id"])


def _place(rules: Rules, service_id: str | None) -> int:
    ids = [service["id"] for service in rules.services]
    return 0 if service_id is None else ids.index(service_id) + 1


@lru_cache(maxsize=1024)
def _key(secret: bytes) -> bytes:
    return derive(secret, "slot-token")
