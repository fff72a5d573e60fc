"""A request on its way through a face: what every handler is given.

The one rule: one connection per request, acquired once, and one `now`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson
from aiohttp import web
from pydantic import BaseModel

from app.core import db
from app.core.db import Connection
from app.core.errors import NotFound
from app.core.ids import Kind, decode
from app.core.recent import Recent
from app.core.settings import Settings
from app.core.vault import Vault
from app.core.wake import Waker
from app.domain.identity.models import Principal
from app.web.body import parse_body, parse_query

Result = TypeVar("Result")
Model = TypeVar("Model", bound=BaseModel)

POOL = web.AppKey("pool", asyncpg.Pool)
SETTINGS = web.AppKey("settings", Settings)
VAULT = web.AppKey("vault", Vault)
WAKER = web.AppKey("waker", Waker)

# Keys seen in the last minute: whose they are and what they may do, which never changes; never that they are alive.
# Routes that use this prove that in the statement that answers them.
KnownKeys = Recent[str, Principal]
KEYS: web.AppKey[KnownKeys] = web.AppKey("keys", Recent)


@dataclass(frozen=True, slots=True)
class Call:
    request: web.Request
    conn: Connection
    principal: Principal
    raw: bytes
    now: datetime

    @property
    def vault(self) -> Vault:
        return self.request.app[VAULT]

    @property
    def settings(self) -> Settings:
        return self.request.app[SETTINGS]

    def body(self, model: type[Model]) -> Model:
        return parse_body(self.request, self.raw, model)

    def optional_body(self, model: type[Model]) -> Model:
        """For actions whose every field is optional: no body at all is an empty one."""
        return self.body(model) if self.raw else model()

    def query(self, model: type[Model]) -> Model:
        return parse_query(self.request, model)

    def path_id(self, kind: Kind, name: str = "id") -> UUID:
        """An id in the path. A malformed one, or one of another kind, is not found."""
        value = decode(kind, self.request.match_info[name])
        if value is None:
            raise NotFound(f"No such {kind.name.lower().replace('_', ' ')} in this organization.")
        return value

    def path_id_or_code(self, kind: Kind, name: str) -> UUID | str:
        """An id in the path, or the text itself where the noun has a public code too."""
        text = self.request.match_info[name]
        return decode(kind, text) or text

    async def write(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction (once more as a whole when the database refuses it for a conflict), then wake
        the worker, which may be owed something now."""
        result = await db.run(self.conn, work)
        self.wake()
        return result

    def wake(self) -> None:
        self.request.app[WAKER].wake()


def json_response(value: Any, status: int = 200) -> web.Response:
    return raw_response(orjson.dumps(value), status)


def raw_response(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
