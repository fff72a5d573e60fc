"""The references as a process: what the same machine does without us.

The one rule: the same aiohttp, uvloop, pool and client settings as the service, and nothing else of it: no
authentication, no validation, no middleware, no log.

`POST /create` runs the writing statement, `GET /point` one select by primary key, and `POST /posts?url=…&count=…`
sends signed POSTs as the worker does and answers when all of them were answered.
"""

import argparse
import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
import orjson
import uvloop
from aiohttp import web

from app.core import db
from app.core.ids import new_id
from app.core.settings import Settings, load_settings
from app.core.vault import Vault
from app.domain.bookings.claim import SQL, Outcome
from app.domain.bookings.events import CREATED
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import Delivery, open_session, signed_headers
from app.domain.webhooks.signing import new_signing_secret
from bench.client import BenchError
from bench.dataset import Tenant, first_start, principal_of
from bench.receiver import serve
from bench.statement import Statement, record

# Where the bare handler books: beyond whatever the service is asked for.
_LANE = timedelta(days=50 * 365)
_POINT = "select title from event_types where org_id = $1 and id = $2"
_ANY_EVENT_TYPE = "select id from event_types where org_id = $1 limit 1"
TENANT_VARIABLE = "BENCH_TENANT"


class References:
    """The handlers; `open` is what they need while they run."""

    def __init__(self, settings: Settings, tenant: Tenant) -> None:
        self._settings = settings
        self._tenant = tenant
        self._numbers = itertools.count()
        self._statement: Statement

    async def open(self, _app: web.Application) -> AsyncIterator[None]:
        settings = self._settings
        async with db.open_pool(settings.database_url, size=settings.pool_size, name="bench-bare") as self._pool:
            async with db.acquire(self._pool) as conn:
                principal = await principal_of(conn, Vault(settings.secret_keys), self._tenant)
                self._statement = await record(conn, principal, self._tenant.codes, first_start())
                self._event_type_id = await conn.fetchval(_ANY_EVENT_TYPE, self._tenant.org_id)
            self._session = open_session(
                guard=Guard.of(settings),
                concurrency=settings.webhook_concurrency,
                timeout_seconds=settings.webhook_timeout_seconds,
            )
            yield
            await self._session.close()

    async def create(self, request: web.Request) -> web.Response:
        await request.read()
        arguments = self._statement.arguments(next(self._numbers), _LANE)
        async with db.acquire(self._pool) as conn:
            outcome = await conn.fetchval(SQL.create_booking, *arguments)
        status = 201 if outcome == Outcome.WON else 409
        return web.Response(body=b'{"success":true}', status=status, content_type="application/json")

    async def point(self, _request: web.Request) -> web.Response:
        async with db.acquire(self._pool) as conn:
            title = await conn.fetchval(_POINT, self._tenant.org_id, self._event_type_id)
        return web.Response(body=orjson.dumps({"title": title}), content_type="application/json")

    async def posts(self, request: web.Request) -> web.Response:
        url, secrets, webhook_id, now = request.query["url"], (new_signing_secret(),), new_id(), datetime.now(UTC)
        numbers = iter(range(int(request.query["count"])))

        def delivery() -> Delivery:
            return Delivery(
                org_id=self._tenant.org_id,
                id=new_id(),
                event_id=new_id(),
                webhook_id=webhook_id,
                event_type=CREATED,
                body=self._statement.body,
                url=url,
                secrets=secrets,
                attempts=0,
                retry_no=0,
                event_at=now,
            )

        async def repeat() -> None:
            for _ in numbers:
                await _post(self._session, delivery())

        await asyncio.gather(*(repeat() for _ in range(self._settings.webhook_concurrency)))
        return web.Response()


async def _post(session: aiohttp.ClientSession, delivery: Delivery) -> None:
    headers = signed_headers(delivery, int(time.time()))
    async with session.post(delivery.url, data=delivery.body, headers=headers, allow_redirects=False) as response:
        await response.read()
        if response.status != 200:
            raise BenchError(f"the receiver answered {response.status}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.references")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    given = orjson.loads(os.environ[TENANT_VARIABLE])
    references = References(load_settings(), Tenant(UUID(given["org_id"]), given["api_key"], tuple(given["codes"])))
    app = web.Application()
    app.cleanup_ctx.append(references.open)
    app.add_routes(
        [
            web.post("/create", references.create),
            web.get("/point", references.point),
            web.post("/posts", references.posts),
        ]
    )
    uvloop.run(serve(app, port))


if __name__ == "__main__":
    main()
