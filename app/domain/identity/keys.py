"""API keys: `slw_live_` + 43 base-62 characters of randomness (256 bits) + 6 of CRC32.

The one rule: the key itself is shown once and never stored. The checksum lets secret scanners, and this server, reject
a typo without a look-up.
"""

import secrets
import zlib
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Unauthorized
from app.core.ids import new_id
from app.core.vault import Vault, digest
from app.domain.identity.models import Principal

SQL = sql.load("identity")

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIXES = ("slw_live_", "slw_test_")
_RANDOM, _CHECK = 43, 6
_SHOWN = 14


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def mint_key(prefix: str = "slw_live_") -> str:
    body = prefix + _base62(secrets.randbits(256), _RANDOM)
    return body + _base62(zlib.crc32(body.encode()), _CHECK)


def is_well_formed(key: str) -> bool:
    """Prefix, length and checksum agree: only then is the database asked."""
    if not key.startswith(_PREFIXES) or len(key) != len(_PREFIXES[0]) + _RANDOM + _CHECK or not key.isascii():
        return False
    return _base62(zlib.crc32(key[:-_CHECK].encode()), _CHECK) == key[-_CHECK:]


async def authenticate(conn: Connection, key: str, vault: Vault, now: datetime) -> Principal:
    """The principal behind a key. Raises Unauthorized for an unknown, revoked or expired one, without saying which.

    A revocation acts on the next request, in every process: what may be remembered of a key is whose it is, never that
    it is alive.
    """
    row = await conn.fetchrow(SQL.find_key, digest(key), now) if is_well_formed(key) else None
    if row is None:
        raise Unauthorized(
            "This API key is not valid (unknown, revoked or expired). Make one with `slotwire bootstrap`."
        )
    if row["stale"]:
        # noted at most once a minute, so that reads do not become writes
        await conn.execute(SQL.touch_key, row["org_id"], row["id"], now)
    return Principal(
        org_id=row["org_id"],
        org_name=row["org_name"],
        user_id=row["user_id"],
        role=row["role"],
        key_id=row["id"],
        key_name=row["name"],
        scopes=frozenset(row["scopes"]),
        secret=vault.unseal_cached(row["secret_sealed"]),
        own_limit=row["requests"],
    )


async def create_key(
    conn: Connection,
    org_id: UUID,
    user_id: UUID,
    *,
    name: str,
    scopes: tuple[str, ...],
    limit: str | None = None,
    now: datetime,
) -> tuple[UUID, str]:
    """Make a key; return its id and, for the only time, the key itself. limit: a number of requests of its own, such as
    `600/m`."""
    key_id, key = new_id(), mint_key()
    limits = {"requests": limit} if limit else {}
    values = (name, digest(key), key[:_SHOWN], list(scopes), limits, now)
    await conn.execute(SQL.insert_key, org_id, key_id, user_id, *values)
    return key_id, key
