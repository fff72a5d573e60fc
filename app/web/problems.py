"""Domain errors as RFC 9457 problem documents. The only file that knows statuses.

`type` is a relative reference to the page that explains the code; `code` is the stable member that programs switch on.
"""

from typing import Any

import orjson
from aiohttp import web

from app.core import errors

STATUSES: dict[type[errors.SlotwireError], int] = {
    errors.InvalidInput: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.LinkExpired: 410,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.IdempotencyKeyReused: 422,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
}

CONTENT_TYPE = "application/problem+json"
# where every answer says whether it is a success
_OURS = ("/v1/", "/feeds/", "/invite/", "/password/")


def says_success(path: str) -> bool:
    """Whether answers at this path tell in a member of their own whether they are a success."""
    return path.startswith(_OURS)


# a challenge that says where one logs in; draft-broyer-http-cookie-auth
_COOKIE = 'Cookie realm="slotwire", form-action="/api/session"'


def status_of(kind: type[errors.SlotwireError]) -> int:
    return next(STATUSES[each] for each in kind.__mro__ if each in STATUSES)


def facts_of(error: errors.SlotwireError) -> dict[str, Any]:
    """What programs act on: code, detail, and what the error brings besides."""
    facts: dict[str, Any] = {"code": error.error_code, "detail": error.detail, **error.extra}
    if isinstance(error, errors.InvalidInput):
        facts["errors"] = [{"field": e.field, "code": e.code, "message": e.message} for e in error.errors]
    return facts


def problem(error: errors.SlotwireError, *, request_id: str, path: str) -> web.Response:
    """The answer to a request that met this error."""
    status = status_of(type(error))
    members: dict[str, Any] = {
        "type": f"/docs/errors#{error.error_code}",
        "title": error.title,
        "status": status,
        "request_id": request_id,
        **facts_of(error),
    }
    if says_success(path):
        members = {"success": False, **members}
    response = web.Response(body=orjson.dumps(members), status=status, content_type=CONTENT_TYPE)
    if isinstance(error, errors.LoggedOut):
        response.headers["WWW-Authenticate"] = _COOKIE
    elif isinstance(error, errors.Unauthorized):
        because = ', error="invalid_token"' if error.given else ""
        response.headers["WWW-Authenticate"] = f'Bearer realm="slotwire"{because}'
    elif isinstance(error, errors.InsufficientScope):
        response.headers["WWW-Authenticate"] = 'Bearer realm="slotwire", error="insufficient_scope"'
    elif isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.allowed)
    elif isinstance(error, errors.RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = "1"
    return response


class Unexpected(errors.SlotwireError):
    """A bug of ours. The detail says nothing of what happened: that is in the log, under the request's id."""

    code = "internal_error"
    title = "Something went wrong on our side"


STATUSES[Unexpected] = 500
