"""Passwords: argon2id with the library's own defaults (RFC 9106, section 4)."""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

_HASHER = PasswordHasher()


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def is_password(hashed: str, password: str) -> bool:
    """False for a wrong password and for a hash that cannot be read."""
    try:
        return _HASHER.verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False
