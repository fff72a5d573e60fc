"""A request on its way through a face: what every handler is given.

The one rule: one connection per request, acquired once, and one `now`.
"""

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
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
from app.web.body import parse_body, parse_form, parse_query
from app.web.operation import WRAPPED, Operation

Result = TypeVar("Result")
Model = TypeVar("Model", bound=BaseModel)

POOL = web.AppKey("pool", asyncpg.Pool)
SETTINGS = web.AppKey("settings", Settings)
VAULT = web.AppKey("vault", Vault)
WAKER = web.AppKey("waker", Waker)

# Keys seen in the last minute: whose they are and what they may do, which changes with their maker's role only; so this
# is for routes that every role may call. Never that they are alive: their own statements prove that.
KnownKeys = Recent[str, Principal]
KEYS: web.AppKey[KnownKeys] = web.AppKey("keys", Recent)


# Headers of the answer, whatever it becomes: an answer of the handler's, or a problem document.
HEADERS = web.RequestKey("headers", dict[str, str])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that holds no connection to the database: what takes its time first takes one later."""

    request: web.Request
    raw: bytes
    now: datetime
    operation: Operation

    @property
    def vault(self) -> Vault:
        return self.request.app[VAULT]

    @property
    def settings(self) -> Settings:
        return self.request.app[SETTINGS]

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Say in `Server-Timing` how long a part of the answer took (milliseconds)."""
        began = time.perf_counter()
        try:
            yield
        finally:
            headers = self.request[HEADERS]
            timing = f"{part};dur={(time.perf_counter() - began) * 1000:.2f}"
            headers["Server-Timing"] = f"{headers['Server-Timing']}, {timing}" if "Server-Timing" in headers else timing

    def body(self, model: type[Model]) -> Model:
        self._check(model, self.operation.body)
        operation = self.operation
        return parse_body(self.request, self.raw, model, operation.nested, optional=operation.optional)

    def form(self, model: type[Model]) -> Model:
        """The same body from a page's button."""
        self._check(model, self.operation.body)
        return parse_form(self.raw, model)

    def optional_body(self, model: type[Model]) -> Model:
        """For actions whose every field is optional: no body at all is an empty one."""
        if self.raw:
            return self.body(model)
        self._check(model, self.operation.body if self.operation.optional else None)
        return model()

    def envelope(self, shown: Any) -> dict[str, Any]:
        """The thing as the route's face wraps it; flat where the operation names no wrapping."""
        answer = self.operation.answer
        wrapped: dict[str, Any] = answer.wrap(shown) if isinstance(answer, WRAPPED) else {"success": True, **shown}
        return wrapped

    def answer(self, shown: Any) -> web.Response:
        return json_response(self.envelope(shown), self.operation.status)

    def query(self, model: type[Model]) -> Model:
        self._check(model, self.operation.query)
        return parse_query(self.request, model)

    def _check(self, read: type[BaseModel], documented: type[BaseModel] | None) -> None:
        """A handler that reads something else than the document says is a bug of ours."""
        if read is not documented:
            # not the path: it may hold a token, and this is logged
            raise RuntimeError(f"'{self.operation.summary}' documents {documented}, not {read}")

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

    def wake(self) -> None:
        self.request.app[WAKER].wake()


@dataclass(frozen=True, slots=True)
class Visit(Asked):
    """A request to what needs no credential: the handler finds out by itself whose page or link it is."""

    conn: Connection

    async def write(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction (once more as a whole when the database refuses it for a conflict), then wake
        the worker, which may be owed something now."""
        result = await db.run(self.conn, work)
        self.wake()
        return result


@dataclass(frozen=True, slots=True)
class Call(Visit):
    """A request by somebody with a key, or with a session."""

    principal: Principal


def json_response(value: Any, status: int = 200) -> web.Response:
    return raw_response(orjson.dumps(value), status)


def raw_response(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
