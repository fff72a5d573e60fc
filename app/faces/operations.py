"""For operators and load balancers: `/healthz` (the process), `/readyz` (database and migrations), `/metrics`."""

import orjson
from aiohttp import web

from app.core import db, metrics
from app.core.db import AWAY
from app.core.errors import Unavailable
from app.core.migrate import pending
from app.web.call import POOL


async def healthz(_request: web.Request) -> web.Response:
    return web.Response(body=orjson.dumps({"status": "ok"}), content_type="application/json")


async def readyz(request: web.Request) -> web.Response:
    """503 while the database is away or not migrated; Redis is not needed to take bookings, so it is not asked."""
    try:
        async with db.acquire(request.app[POOL]) as conn:
            missing = await pending(conn)
    except AWAY as error:
        raise Unavailable("The database cannot be reached.") from error
    if missing:
        raise Unavailable(f"The database lacks {len(missing)} migrations; run `slotwire migrate`.")
    return web.Response(body=orjson.dumps({"status": "ready"}), content_type="application/json")


async def show_metrics(_request: web.Request) -> web.Response:
    return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def add_routes(app: web.Application) -> None:
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", show_metrics)
