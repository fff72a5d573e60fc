"""Which sites' JavaScript may read our answers (the Fetch standard, "CORS protocol").

The one rule: no credentials, ever. What anybody may call is open to every site; what needs a key, to the sites that the
operator names, since a page that holds a key has to say so itself.
"""

from collections.abc import Iterable

from aiohttp import hdrs, web

from app.web.call import HEADERS, SETTINGS

_ANY = "*"
_EXPOSED = "ETag, Idempotent-Replayed, RateLimit, RateLimit-Policy, Retry-After, Server-Timing, X-Request-Id"
_ASKED = "Content-Type, Idempotency-Key, If-None-Match, X-Request-Id"
# with those of an MCP client that is a page
_ASKED_OF_KEYS = f"Authorization, {_ASKED}, Mcp-Method, Mcp-Name, Mcp-Protocol-Version"
_DAY = "86400"


def allow(request: web.Request, *, public: bool) -> bool:
    """Mark the answer, whatever it becomes, as readable for whoever may. False: not for this origin."""
    given = request.headers.get(hdrs.ORIGIN)
    allowed = (_ANY,) if public else request.app[SETTINGS].cors_origins
    headers = request[HEADERS]
    if _ANY not in allowed and allowed:
        # without an Origin too: a cache must not give the one answer to the other
        headers[hdrs.VARY] = "Origin"
    if given is None or not (_ANY in allowed or given in allowed):
        return False
    headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = _ANY if _ANY in allowed else given
    headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
    return True


def preflight(request: web.Request, methods: Iterable[str], *, public: bool) -> web.Response:
    """The answer to a browser that asks before it sends."""
    response = web.Response(status=204, headers={hdrs.ALLOW: ", ".join(methods)})
    if allow(request, public=public):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = ", ".join(methods)
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _ASKED if public else _ASKED_OF_KEYS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _DAY
    return response
