"""An agent's request on its way to a tool."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from app.core import db
from app.domain.identity.models import Principal
from app.web.call import POOL, Call
from app.web.operation import Operation

_OPERATION = Operation("A tool's call")


@dataclass(frozen=True, slots=True)
class Agent:
    """Who asks, by a key that has been proven."""

    request: web.Request
    principal: Principal
    now: datetime

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Call]:
        """With a connection, for as long as a tool runs. The message itself holds none: the library may still be busy
        with it when its answer has left."""
        async with db.acquire(self.request.app[POOL]) as conn:
            yield Call(self.request, b"", self.now, _OPERATION, conn, self.principal)
