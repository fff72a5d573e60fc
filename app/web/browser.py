"""Routes of `/api`: for JavaScript on the service's own pages, by session cookie.

The one rule: a session is good for our own pages only. A request that changes something is asked where it comes from
before anything else, and a browser's other sites get no answer that they could read.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from aiohttp import hdrs, web

from app.core import db
from app.core.errors import InvalidInput, LoggedOut
from app.domain.identity.sessions import authenticate_session
from app.web.body import named_within, read_body
from app.web.call import POOL, SETTINGS, VAULT, Asked, Call
from app.web.limits import Limit, address_of
from app.web.operation import Operation
from app.web.routing import CLOSED, LIMITER, PUBLIC, Answering, Handler, check_path, counting_strangers, with_etag
from app.web.sessions import check_site, session_token, where_of

EntryHandler = Callable[[Asked], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class SessionRoute:
    """scope: what the person's role must grant (`app.domain.identity.roles`), or `any` for everybody who is logged
    in."""

    method: str
    path: str
    handler: Handler
    scope: str
    operation: Operation
    access: ClassVar[str] = CLOSED

    def guarded(self) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            check_site(request)
            check_path(request)
            raw = await read_body(request) if request.body_exists else b""
            token, now = await session_token(request), datetime.now(UTC)
            if token is None:
                raise LoggedOut("Log in first: POST /api/session.", given=False)
            async with db.acquire(request.app[POOL]) as conn:
                principal = await authenticate_session(conn, token, where_of(request), request.app[VAULT], now)
                quota = request.app[SETTINGS].limit_session
                await request.app[LIMITER].check(request, Limit("session", str(principal.session_id), quota))
                principal.require(self.scope)
                try:
                    response = await self.handler(Call(request, raw, now, self.operation, conn, principal))
                except InvalidInput as error:
                    raise named_within(error, self.operation.nested) from None
            return with_etag(request, response) if self.method == hdrs.METH_GET else response

        return counting_strangers(answer)


def route(method: str, path: str, handler: Handler, scope: str, summary: str, **operation: Any) -> SessionRoute:
    """A row of `/api`'s table. path: behind `/api/`; operation: the rest of its `Operation`."""
    return SessionRoute(method, f"/api/{path}", handler, scope, Operation(summary, **operation))


@dataclass(frozen=True, slots=True)
class EntryRoute:
    """The way to a session: log-in, sign-up, asking for a new password. Counted by address, and holding no connection:
    what happens here takes its time on purpose."""

    method: str
    path: str
    handler: EntryHandler
    operation: Operation
    access: ClassVar[str] = CLOSED

    @property
    def scope(self) -> str:
        return PUBLIC

    def guarded(self) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            check_site(request)
            settings = request.app[SETTINGS]
            address = address_of(request, settings.trusted_proxies)
            await request.app[LIMITER].check(request, Limit("login", address, settings.limit_login))
            raw = await read_body(request) if request.body_exists else b""
            try:
                return await self.handler(Asked(request, raw, datetime.now(UTC), self.operation))
            except InvalidInput as error:
                raise named_within(error, self.operation.nested) from None

        return answer
