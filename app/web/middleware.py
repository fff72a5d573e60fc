"""Around every request: its id, its log line, its metrics, and the translation of whatever went wrong.

The one rule: no request leaves without an answer that a program can read, and no answer leaves without an id.
"""

import re
import time

import asyncpg
from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars, clear_contextvars

from app.core.db import AWAY
from app.core.errors import Conflict, InvalidInput, MethodNotAllowed, NotFound, SlotwireError, TooLarge, Unavailable
from app.core.ids import new_id
from app.core.logs import logger
from app.core.metrics import REQUEST_SECONDS, REQUESTS
from app.web.call import HEADERS
from app.web.problems import Unexpected, problem

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", flags=re.ASCII)
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_FAULT = "This is a fault of ours. The log has more, under the request_id."
_log = logger("http")


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    began = time.perf_counter()
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _SANE_ID.fullmatch(given) else f"req_{new_id().hex}"
    clear_contextvars()
    bind_contextvars(request_id=request_id)
    request[HEADERS] = {}
    response = await _answer(request, handler, request_id)
    response.headers.update(request[HEADERS])
    response.headers["X-Request-Id"] = request_id
    _note(request, response.status, time.perf_counter() - began)
    return response


async def _answer(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 -- the last resort: whatever it is, it is answered as a problem
        return problem(told(error), request_id=request_id, path=request.path)


def told(error: Exception) -> SlotwireError:
    """What to tell the caller of whatever went wrong. What nobody foresaw is logged whole."""
    if isinstance(error, SlotwireError):
        return error
    if isinstance(error, web.HTTPException):
        return _from_aiohttp(error)
    if isinstance(error, asyncpg.ForeignKeyViolationError):
        return Conflict("Something that this refers to was removed meanwhile, or is still in use. Look again.")
    # a deadlock or a clash was tried once more already; the driver's complaint about an argument of ours is no outage
    away = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, *AWAY)
    if isinstance(error, away) and not isinstance(error, ValueError):
        _log.warning("database_away", error=type(error).__name__)
        return Unavailable("The database is away or overloaded; try again in a moment.")
    _log.error("unexpected", exc_info=error)
    return Unexpected(_FAULT)


def _from_aiohttp(error: web.HTTPException) -> SlotwireError:
    """What the framework itself refuses: unknown paths, methods, bodies."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed("This method is not possible here.", allowed=sorted(error.allowed_methods))
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("The body is too large.")
    if error.status == 404:
        return NotFound("There is nothing at this path. The API begins at /v1; /docs describes it.")
    if error.status < 500:
        return InvalidInput("The request cannot be read.", code="invalid_request")
    return Unexpected(_FAULT)


def _note(request: web.Request, status: int, seconds: float) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "(none)"
    # methods come from outside: only known ones may become a label
    method = request.method if request.method in _METHODS else "OTHER"
    REQUESTS.labels(method, route, status).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)
    if route not in _QUIET:
        _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 2))


_METHODS = frozenset({"GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT"})
