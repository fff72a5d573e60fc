"""The way in to `/mcp`: whose agent it is, where it comes from, how often; then the message goes to the library.

The one rule: no message is looked into before its key was. Every request proves its key afresh and stands alone, so any
process can answer it, and a revoked key ends at once.

Source: MCP 2026-07-28 and 2025-11-25, "Transports", "Streamable HTTP"; RFC 6750, section 3.
"""

from datetime import UTC, datetime
from typing import ClassVar

import orjson
from aiohttp import hdrs, web

from app.core import db
from app.core.errors import Forbidden, InvalidInput, UnsupportedMediaType
from app.domain.identity.keys import authenticate
from app.faces.mcp.calling import Agent
from app.faces.mcp.engine import ENGINE, INVALID_REQUEST, refusal
from app.web.body import inspect, read_body
from app.web.call import POOL, SETTINGS, VAULT
from app.web.cors import allow
from app.web.limits import Limit
from app.web.operation import Operation
from app.web.routing import CONFIGURED, LIMITER, Answering, bearer, counting_strangers, quota_of
from app.web.sessions import is_loopback_page, is_public_page

PATH, SCOPE = "/mcp", "mcp"
# JSON-RPC 2.0, section 5.1
_PARSE_ERROR = -32700


class McpRoute:
    """The one route of this face. GET (a stream of the server's own) and DELETE (a session) get 405: there are none."""

    method: ClassVar[str] = hdrs.METH_POST
    path: ClassVar[str] = PATH
    scope: ClassVar[str] = SCOPE
    operation: ClassVar[Operation] = Operation("A message of the Model Context Protocol")
    access: ClassVar[str] = CONFIGURED

    def guarded(self) -> Answering:
        return counting_strangers(_answer)


async def _answer(request: web.Request) -> web.StreamResponse:
    allow(request, public=False)
    _check_origin(request)
    key, now = bearer(request), datetime.now(UTC)
    raw = await read_body(request) if request.body_exists else b""
    async with db.acquire(request.app[POOL]) as conn:
        principal = await authenticate(conn, key, request.app[VAULT], now)
    await request.app[LIMITER].check(request, Limit("key", str(principal.key_id), quota_of(request, principal)))
    principal.require(SCOPE)
    if request.content_type.lower() != "application/json":
        raise UnsupportedMediaType("Send the message with 'Content-Type: application/json'.")
    try:
        message = _read(raw)
    except _UnreadableError as error:
        return refusal(error.code, str(error))
    # as it was understood here: another parser would read a number of thirty digits otherwise
    return await request.app[ENGINE].answer(request, orjson.dumps(message), Agent(request, principal, now))


def _check_origin(request: web.Request) -> None:
    """Raises Forbidden for JavaScript of a site that the operator did not name. The host that a browser believes to
    talk to proves nothing here: that is what DNS rebinding is about."""
    origin = request.headers.get(hdrs.ORIGIN)
    settings = request.app[SETTINGS]
    if origin is None or is_public_page(request, origin) or {origin, "*"}.intersection(settings.cors_origins):
        return
    if not (settings.development and is_loopback_page(origin)):
        raise Forbidden("Pages of this origin may not call /mcp; an operator allows it by SLOTWIRE_CORS_ORIGINS.")


class _UnreadableError(Exception):
    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


def _read(raw: bytes) -> object:
    """Raises for what the library would stumble over, or the database: half characters, NULs, bottomless nesting,
    several messages at once, none."""
    try:
        message = orjson.loads(raw)
        inspect(raw, message)
    except orjson.JSONDecodeError:
        raise _UnreadableError(_PARSE_ERROR, "The body is not valid JSON in UTF-8.") from None
    except InvalidInput as error:
        raise _UnreadableError(_PARSE_ERROR, error.detail) from None
    if not _is_message(message):
        wanted = "an object with jsonrpc, id, method and params"
        raise _UnreadableError(INVALID_REQUEST, f"Send one JSON-RPC 2.0 message: {wanted}.")
    return message


def _is_message(message: object) -> bool:
    """A request or a notification; or an answer, which nobody has asked for."""
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return False
    has_id = isinstance(message.get("id"), str | int) and not isinstance(message["id"], bool)
    if "method" in message:
        return isinstance(message["method"], str) and (has_id or "id" not in message) and _has_params(message)
    return has_id and ("result" in message or "error" in message)


def _has_params(message: dict[str, object]) -> bool:
    """Of this protocol: by name, or none."""
    return isinstance(message.get("params", {}), dict)
