"""Passwords: argon2id with the library's own defaults (RFC 9106, section 4).

The one rule: a hash takes 64 MiB and tens of milliseconds on purpose, so it is made off the event loop, two at a time,
and whoever would have to wait for long is sent away.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from app.core.errors import Unavailable

_HASHER = PasswordHasher()
Result = TypeVar("Result")
_WAITING: set[object] = set()
_MOST_WAITING = 16
_WORKERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")
# what a password is compared with where there is no account, so that the answer takes as long: of nobody's password
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$c2xvdHdpcmUtbm9ib2R5$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"


def hash_password(password: str) -> str:
    return _HASHER.hash(password)


def is_password(hashed: str, password: str) -> bool:
    """False for a wrong password and for a hash that cannot be read."""
    try:
        return _HASHER.verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False


async def make_hash(password: str) -> str:
    """Raises Unavailable."""
    return await _wait_for(hash_password, password)


async def matches(hashed: str | None, password: str) -> bool:
    """Whether it is the password; None: there is no account, or none with a password. It takes as long either way."""
    return await _wait_for(is_password, hashed or _NOBODYS, password) and hashed is not None


async def _wait_for(work: Callable[..., Result], *arguments: str) -> Result:
    if len(_WAITING) >= _MOST_WAITING:
        raise Unavailable("Too many passwords are being looked at; try again in a moment.")
    ticket = object()
    _WAITING.add(ticket)
    try:
        return await asyncio.get_running_loop().run_in_executor(_WORKERS, work, *arguments)
    finally:
        _WAITING.discard(ticket)
