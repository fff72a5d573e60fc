"""Routes that providers of calendars call: each address has a secret of its own, which the handler checks.

The one rule: whoever proves it is never limited, since one provider calls for everybody from few addresses; whoever
does not is told nothing, and counted by address.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from aiohttp import web

from app.core import db
from app.core.errors import NotFound
from app.web.body import read_body
from app.web.call import POOL, SETTINGS, Visit
from app.web.limits import Limit, address_of
from app.web.routing import CLOSED, LIMITER, Answering, PublicRoute, check_path


@dataclass(frozen=True, slots=True)
class HookRoute(PublicRoute):
    """The handler raises NotFound for an unknown address and for a wrong secret alike."""

    access: ClassVar[str] = CLOSED

    def guarded(self) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            check_path(request)
            raw = await read_body(request) if request.body_exists else b""
            try:
                async with db.acquire(request.app[POOL]) as conn:
                    return await self.handler(Visit(request, raw, datetime.now(UTC), self.operation, conn))
            except NotFound:
                settings = request.app[SETTINGS]
                address = address_of(request, settings.trusted_proxies)
                await request.app[LIMITER].check(request, Limit("address", address, settings.limit_public))
                raise

        return answer
