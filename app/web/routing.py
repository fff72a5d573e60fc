"""Routes that say what they need: a handler gets a Call only after the credential and the scope were checked.

The one rule: a route without a declared scope does not exist. `Route` has no default for it, and a test walks the
table.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol, TypeVar

from aiohttp import HttpVersion11, hdrs, web

from app.core import db
from app.core.errors import MethodNotAllowed, NotFound, SlotTaken, SlotUnavailable, SlotwireError, Unauthorized
from app.core.quota import Quota, parse_quota
from app.domain.identity.keys import authenticate
from app.domain.identity.models import Principal
from app.web.body import read_body
from app.web.call import KEYS, POOL, SETTINGS, VAULT, Call, Visit
from app.web.cors import allow, preflight
from app.web.limits import Limit, Limiter, address_of
from app.web.operation import Operation

IDEMPOTENCY_KEY = "Idempotency-Key"
PUBLIC = "public"
"""In the place of a scope: nobody is asked for a key."""

OPEN, CONFIGURED, CLOSED = "open", "configured", "closed"
"""Which sites' JavaScript may call a route: every one, those that the operator names, none but our own."""

LIMITER = web.AppKey("limiter", Limiter)

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]
Handler = Callable[[Call], Awaitable[web.StreamResponse]]
PublicHandler = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ByToken:
    """Who answers a route of keys where the request brings a token, which is its own credential. takes: whether it
    does. pattern: what tokens in the place of the path's id look like."""

    takes: Callable[[web.Request], bool]
    pattern: str
    handler: PublicHandler
    operation: Operation


@dataclass(frozen=True, slots=True)
class Route:
    """scope: one of `app.domain.identity.scopes`, or `any` for every valid key. proves_key: whatever the
    handler answers follows from a statement that proves the key by itself (`load_inputs`, or the claim), so that a key
    seen in the last minute costs no round trip of its own. A test revokes a remembered key and asks every route."""

    method: str
    path: str
    handler: Handler
    scope: str
    operation: Operation
    proves_key: bool = False
    by_token: ByToken | None = None
    # another one that will do as well
    or_scope: str = ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Any of them."""
        return (self.scope, self.or_scope) if self.or_scope else (self.scope,)

    access: ClassVar[str] = CONFIGURED

    def is_for_token(self, request: web.Request) -> bool:
        return self.by_token is not None and self.by_token.takes(request)

    def guarded(self) -> Answering:
        return counting_strangers(_guarded(self))


@dataclass(frozen=True, slots=True)
class PublicRoute:
    """A route that nobody needs a key for. It is counted by address; JavaScript of every site may call it."""

    method: str
    path: str
    handler: PublicHandler
    operation: Operation
    access: ClassVar[str] = OPEN

    @property
    def scope(self) -> str:
        return PUBLIC

    def guarded(self) -> Answering:
        return _open(self)


class AnyRoute(Protocol):
    """What every kind of route has. access: which sites' JavaScript may call it."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def operation(self) -> Operation: ...
    @property
    def access(self) -> str: ...
    def guarded(self) -> Answering: ...


def add_routes(app: web.Application, routes: Iterable[AnyRoute]) -> None:
    """Routes, a 405 with `Allow` for every other method of their paths, and the answer to a browser's preflight."""
    by_path: dict[str, list[AnyRoute]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    for path, group in by_path.items():
        resource = app.router.add_resource(path)
        for route in group:
            handler = route.guarded()
            resource.add_route(route.method, handler, expect_handler=_expected)
            if route.method == hdrs.METH_GET:
                resource.add_route(hdrs.METH_HEAD, handler)
        methods = [route.method for route in resource]
        resource.add_route(hdrs.METH_ANY, _refusing(methods, _access(group)), expect_handler=_expected)


def _guarded(route: Route) -> Answering:
    async def answer(request: web.Request) -> web.StreamResponse:
        if route.by_token is not None and route.by_token.takes(request):
            response = await _visit(request, route.by_token.handler, route.by_token.operation)
            return with_etag(request, response) if route.method == hdrs.METH_GET else response
        allow(request, public=False)
        key = bearer(request)
        check_path(request)
        raw = await read_body(request) if request.body_exists else b""
        now = datetime.now(UTC)
        async with db.acquire(request.app[POOL]) as conn:
            # a replay is answered from what was kept, by statements that prove nothing
            provable = route.proves_key and IDEMPOTENCY_KEY not in request.headers
            principal = request.app[KEYS].recall(key, now) if provable else None
            known = principal is not None
            if principal is None:
                principal = await authenticate(conn, key, request.app[VAULT], now)
                request.app[KEYS].remember(key, principal, now)
            try:
                limit = Limit("key", str(principal.key_id), quota_of(request, principal))
                await request.app[LIMITER].check(request, limit)
                principal.require(*route.scopes)
                response = await route.handler(Call(request, raw, now, route.operation, conn, principal))
            except SlotwireError as error:
                # that a slot is gone was found out by a statement that proves the key
                if known and not isinstance(error, SlotTaken | SlotUnavailable):
                    # a key that has ended is told that, and nothing else
                    await authenticate(conn, key, request.app[VAULT], now)
                raise
        return with_etag(request, response) if route.method == hdrs.METH_GET else response

    return answer


def counting_strangers(answer: Answering) -> Answering:
    """Whoever guesses keys or cookies is counted by address, like everybody who has none."""

    async def counted(request: web.Request) -> web.StreamResponse:
        try:
            return await answer(request)
        except Unauthorized:
            settings = request.app[SETTINGS]
            address = address_of(request, settings.trusted_proxies)
            await request.app[LIMITER].check(request, Limit("address", address, settings.limit_public))
            raise

    return counted


def quota_of(request: web.Request, principal: Principal) -> Quota | None:
    return parse_quota(principal.own_limit) if principal.own_limit else request.app[SETTINGS].limit_key


def _open(route: PublicRoute) -> Answering:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = await _visit(request, route.handler, route.operation)
        return with_etag(request, response) if route.method == hdrs.METH_GET else response

    return answer


async def _visit(request: web.Request, handler: PublicHandler, operation: Operation) -> web.StreamResponse:
    """Without a credential: counted before anything is read, and before a connection is taken."""
    allow(request, public=True)
    settings = request.app[SETTINGS]
    address = address_of(request, settings.trusted_proxies)
    await request.app[LIMITER].check(request, Limit("address", address, settings.limit_public))
    check_path(request)
    raw = await read_body(request) if request.body_exists else b""
    async with db.acquire(request.app[POOL]) as conn:
        return await handler(Visit(request, raw, datetime.now(UTC), operation, conn))


async def _expected(request: web.Request) -> None:
    """Ask for the body of whoever waits to be asked. Any other expectation is ignored, as RFC 9110 (section 10.1.1)
    allows: the framework's refusal would be no problem document."""
    if request.headers[hdrs.EXPECT].lower() == "100-continue" and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def check_path(request: web.Request) -> None:
    """Raises NotFound for what no id or code can be, and the database could not even be asked for."""
    for value in request.match_info.values():
        if not value.isprintable():
            raise NotFound("There is nothing at this path.")


def _access(group: Iterable[AnyRoute]) -> Callable[[web.Request], str]:
    """Whose JavaScript a request to this path, or what a browser asks leave for, may be. Where keys and tokens share a
    method, it is the one's or the other's by what the address holds."""
    by_method = {route.method: route for route in group}
    # an unknown method is refused to whoever may use all the others
    strictest = max((route.access for route in by_method.values()), key=(OPEN, CONFIGURED, CLOSED).index)

    def access(request: web.Request) -> str:
        route = by_method.get(request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD, request.method))
        if route is None:
            return strictest
        return OPEN if isinstance(route, Route) and route.is_for_token(request) else route.access

    return access


def _refusing(allowed: list[str], access: Callable[[web.Request], str]) -> Answering:
    async def refuse(request: web.Request) -> web.StreamResponse:
        whose = access(request)
        if whose != CLOSED:
            if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
                return preflight(request, sorted(allowed), public=whose == OPEN)
            allow(request, public=whose == OPEN)
        raise MethodNotAllowed(f"{request.method} is not possible here.", allowed=allowed)

    return refuse


def bearer(request: web.Request) -> str:
    """Raises Unauthorized. A key in the query string is not looked for: query strings end up in logs."""
    scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorized("Send an API key as 'Authorization: Bearer slw_live_…'.", given=False)
    return key.strip()


def etag_of(body: bytes) -> str:
    return f'W/"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def with_etag(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """A weak ETag over the body; 304 when the caller has it (RFC 9110, section 13.1.2)."""
    body = response.body if isinstance(response, web.Response) else None
    if response.status != 200 or not isinstance(body, bytes):
        return response
    tag = response.headers.get(hdrs.ETAG) or etag_of(body)
    return _tagged(web.Response(status=304) if _is_known(request, tag) else response, tag)


def unchanged(request: web.Request, tag: str) -> web.Response | None:
    """The 304 for a caller who has what this ETag is of, so that it need not be made; None for everybody else."""
    return _tagged(web.Response(status=304), tag) if _is_known(request, tag) else None


def _is_known(request: web.Request, tag: str) -> bool:
    seen = ",".join(request.headers.getall(hdrs.IF_NONE_MATCH, []))
    known = {"W/" + each.strip().removeprefix("W/") for each in seen.split(",")}
    return seen.strip() == "*" or tag in known


Answer = TypeVar("Answer", bound=web.StreamResponse)


def _tagged(response: Answer, tag: str) -> Answer:
    response.headers[hdrs.ETAG] = tag
    response.headers[hdrs.CACHE_CONTROL] = "private, no-cache"
    return response
