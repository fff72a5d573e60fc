"""API keys: `slw_live_` + 43 base-62 characters of randomness (256 bits) + 6 of CRC32.

The one rule: the key itself is shown once and never stored. The checksum lets secret scanners, and this server, reject
a typo without a look-up.
"""

import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound, Unauthorized
from app.core.ids import new_id
from app.core.vault import Vault, digest
from app.domain.identity.budgets import Budget, budget_of
from app.domain.identity.models import KEY_ENDED, Principal
from app.domain.identity.roles import SCOPES_OF_ROLES
from app.domain.identity.scopes import granted_to

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
        raise Unauthorized(KEY_ENDED)
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
        granted=_granted(row),
        secret=vault.unseal_cached(row["secret_sealed"]),
        own_limit=row["limits"].get("requests"),
        tools=None if row["tools"] is None else tuple(row["tools"]),
        own_budget=budget_of(row["limits"]),
    )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that lives, as it is listed. key_start: its first characters. tools: which of the MCP server's it sees;
    None: those of its scopes. user_id: who made it, and whose doing its requests are. budget: what it may do at
    most."""

    id: UUID
    name: str
    key_start: str
    scopes: tuple[str, ...]
    tools: tuple[str, ...] | None
    user_id: UUID
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    budget: Budget | None


def _granted(row: sql.Row) -> frozenset[str]:
    tools = None if row["tools"] is None else frozenset(row["tools"])
    return granted_to(frozenset(row["scopes"]), tools, SCOPES_OF_ROLES[row["role"]])


async def create_key(
    conn: Connection,
    org_id: UUID,
    user_id: UUID,
    *,
    name: str,
    scopes: tuple[str, ...],
    tools: tuple[str, ...] | None = None,
    expires_at: datetime | None = None,
    limit: str | None = None,
    budget: Budget | None = None,
    now: datetime,
) -> tuple[UUID, str]:
    """Make a key; return its id and, for the only time, the key itself. limit: a number of requests of its own, such as
    `600/m`. budget: what it may book at most, of event types that the organization has. Raises InvalidInput for a key
    that would be over before it was used."""
    if expires_at is not None and expires_at <= now:
        raise InvalidInput.of("expires_at", "must lie in the future")
    key_id, key = new_id(), mint_key()
    limits = ({"requests": limit} if limit else {}) | (budget.kept() if budget else {})
    values = (name, digest(key), key[:_SHOWN], list(dict.fromkeys(scopes)), limits, now)
    narrowed = list(dict.fromkeys(tools)) if tools is not None else None
    await conn.execute(SQL.insert_key, org_id, key_id, user_id, *values, narrowed, expires_at)
    return key_id, key


async def get_key(conn: Connection, org_id: UUID, key_id: UUID) -> ApiKey:
    """Raises NotFound, for a revoked one too."""
    row = await conn.fetchrow(SQL.get_key, org_id, key_id)
    if row is None:
        raise NotFound("No such API key in this organization; it may have been revoked.")
    return _key(row)


async def list_keys(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[ApiKey]:
    """Up to `limit` keys that were not revoked, oldest first, after the one that the cursor names."""
    return [_key(row) for row in await conn.fetch(SQL.list_keys, org_id, after, limit)]


async def revoke_key(conn: Connection, org_id: UUID, key_id: UUID, now: datetime) -> str:
    """From the next request on, in every process. Returns its name. Raises NotFound."""
    name: str | None = await conn.fetchval(SQL.revoke_key, org_id, key_id, now)
    if name is None:
        raise NotFound("No such API key in this organization; it may have been revoked.")
    return name


def _key(row: sql.Row) -> ApiKey:
    tools = tuple(row["tools"]) if row["tools"] is not None else None
    plain = {name: row[name] for name in ApiKey.__dataclass_fields__ if name not in {"scopes", "tools", "budget"}}
    return ApiKey(scopes=tuple(row["scopes"]), tools=tools, budget=budget_of(row["limits"]), **plain)
