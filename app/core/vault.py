"""Secrets: sealed under the key ring when they must be read again, hashed when they need only be recognized.

The one rule: nothing in the database opens anything by itself. The ring comes from SLOTWIRE_SECRET_KEYS; its first key
seals, every key unseals (Fernet: AES-128-CBC and HMAC-SHA256).
"""

import base64
import functools
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.core.settings import ConfigurationError

_LOST = "SLOTWIRE_SECRET_KEYS no longer holds the key that sealed this secret"


class SealBroken(Exception):
    """No key of the ring opens this: the ring was changed without keeping the old key."""


class Vault:
    """The key ring at work. Raises ConfigurationError without a single key: nothing could be sealed."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        if not keys:
            raise ConfigurationError("SLOTWIRE_SECRET_KEYS is needed (`slotwire up` makes one for its data directory)")
        self._ring = MultiFernet([Fernet(key) for key in keys])
        # webhook and organization secrets are unsealed on every use, and there are few of them
        self.unseal_cached = functools.lru_cache(maxsize=4096)(self.unseal)

        self._keys = keys

    def opener(self, sealed: bytes) -> int | None:
        """Which key of the ring opens this, counted from 0; None: none does."""
        for number, key in enumerate(self._keys):
            try:
                Fernet(key).decrypt(sealed)
            except InvalidToken:
                continue
            return number
        return None

    def reseal(self, sealed: bytes) -> bytes:
        """The same under the first key. Raises SealBroken when no key of the ring fits."""
        try:
            return self._ring.rotate(sealed)
        except InvalidToken:
            raise SealBroken(_LOST) from None

    def derived_ring(self, purpose: str) -> list[bytes]:
        """A Fernet key of its own for this purpose out of each key of the ring, in their order."""
        return [base64.urlsafe_b64encode(derive(key.encode(), purpose)) for key in self._keys]

    def seal(self, plain: bytes) -> bytes:
        return self._ring.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises SealBroken when no key of the ring fits."""
        try:
            return self._ring.decrypt(sealed)
        except InvalidToken:
            raise SealBroken(_LOST) from None


def digest(secret: str) -> bytes:
    """What is stored of a key or token: SHA-256, which is enough for secrets of 128 bits and more."""
    return hashlib.sha256(secret.encode()).digest()


def derive(secret: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, so that a token of one kind can never serve as another."""
    return hmac.digest(secret, purpose.encode(), "sha256")


def new_secret() -> bytes:
    return secrets.token_bytes(32)
