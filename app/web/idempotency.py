"""Idempotency-Key: a creating POST that can be retried without creating twice.

The one rule: the key's row commits with what it stands for. The key is held by an advisory lock while the first call
runs, so a repeat meanwhile is told so instead of waiting; the row is read under that lock.

Source: seed 001, "Idempotency"; draft-ietf-httpapi-idempotency-key-header (the quoted form).
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web

from app.core import idempotency
from app.core.db import Connection
from app.core.errors import InvalidInput
from app.domain.identity.models import Principal
from app.web.body import parse_json
from app.web.call import Call, Visit, raw_response
from app.web.routing import IDEMPOTENCY_KEY

_REPLAYED = "Idempotent-Replayed"
_MARK = b'{"idempotent_replay":true,'
_LONGEST = 255
_WORDS = idempotency.Words(
    running="The first request with this Idempotency-Key is still running; retry in a second.",
    reused="This Idempotency-Key was used for another request within 24 hours. Use a new key for a new request.",
)


def idempotency_key(request: web.Request) -> str | None:
    """The key, unquoted, or None. Raises InvalidInput for an empty, overlong, doubled or unprintable one."""
    given = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not given:
        return None
    key = given[0].strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        # a Structured Fields string (RFC 8941, section 3.3.3) escapes quotes and backslashes
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    visible = key.isascii() and all("!" <= character <= "~" for character in key)
    if len(given) > 1 or not 1 <= len(key) <= _LONGEST or not visible:
        raise InvalidInput.of(IDEMPOTENCY_KEY, f"expected one key of 1 to {_LONGEST} visible characters")
    return key


async def create(
    call: Call,
    make: Callable[[Connection], Awaitable[dict[str, Any]]],
    *,
    status: int = 201,
    one_statement: bool = False,
) -> web.Response:
    """Answer with what `make` returns, or replay the first answer of the same Idempotency-Key.

    one_statement: `make` writes with a single statement, which is a transaction by itself; two round trips to begin
    and commit around it would halve the rate of creates. With a key there is always a transaction.
    """
    key = idempotency_key(call.request)
    kept_as = None if key is None else f"{_owner(call.principal)}{key}"
    return await _create(call, call.principal.org_id, kept_as, make, status, one_statement=one_statement)


def _owner(principal: Principal) -> str:
    """In front of the keys of whoever may see less than the organization: they neither meet nor find out anybody
    else's. A replay would show a key with a budget the links that it must not see."""
    if principal.budget is not None:
        return f"key {principal.key_id} "
    if principal.session_id is not None or principal.only_own_user_id is not None:
        return f"user {principal.user_id} "
    return ""


async def create_publicly(
    visit: Visit,
    org_id: UUID,
    make: Callable[[Connection], Awaitable[dict[str, Any]]],
    *,
    status: int = 201,
    one_statement: bool = False,
) -> web.Response:
    """The same for a visitor. Their keys are kept under a name that no key can have, so that they neither meet nor find
    out those of the organization itself."""
    key = idempotency_key(visit.request)
    kept_as = None if key is None else f"public {key}"
    return await _create(visit, org_id, kept_as, make, status, one_statement=one_statement)


async def _create(
    visit: Visit,
    org_id: UUID,
    key: str | None,
    make: Callable[[Connection], Awaitable[dict[str, Any]]],
    status: int,
    *,
    one_statement: bool,
) -> web.Response:
    if key is not None:
        return await visit.write(lambda conn: _create_once(conn, visit, org_id, key, make, status))
    if not one_statement:
        return raw_response(orjson.dumps(await visit.write(make)), status)
    made = await make(visit.conn)
    visit.wake()
    return raw_response(orjson.dumps(made), status)


async def _create_once(
    conn: Connection,
    visit: Visit,
    org_id: UUID,
    key: str,
    make: Callable[[Connection], Awaitable[dict[str, Any]]],
    status: int,
) -> web.Response:
    async def write(conn: Connection) -> bytes:
        return orjson.dumps(await make(conn))

    about = (org_id, key, _fingerprint(visit), write, visit.vault)
    body, is_replay = await idempotency.once(conn, *about, words=_WORDS, now=visit.now)
    if not is_replay:
        return raw_response(body, status)
    replay = raw_response(_MARK + body[1:], 200)
    replay.headers[_REPLAYED] = "true"
    return replay


def _fingerprint(visit: Visit) -> bytes:
    """The same request: same method, path and equal JSON, however it is spaced or ordered."""
    parsed = parse_json(visit.request, visit.raw) if visit.raw else None
    canonical = orjson.dumps(parsed, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(f"{visit.request.method} {visit.request.path}\n".encode() + canonical).digest()
