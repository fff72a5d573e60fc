"""The one composition root: settings in, a servable application out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from aiohttp import web

from app.core import db, wake
from app.core.logs import set_up_logs
from app.core.recent import Recent
from app.core.settings import ConfigurationError, Settings
from app.core.vault import Vault
from app.core.wake import Waker
from app.faces import operations
from app.faces.v1.routes import ROUTES as V1_ROUTES
from app.web.body import MAXIMUM_BODY_BYTES
from app.web.call import KEYS, POOL, SETTINGS, VAULT, WAKER
from app.web.limits import Limiter
from app.web.middleware import around
from app.web.routing import LIMITER, add_routes

_WAKER_SECONDS = 3.0


def build_app(settings: Settings) -> web.Application:
    """The web application. What it needs at run time is opened when it starts and closed when it stops.

    Raises ConfigurationError when something that it cannot serve without is not configured.
    """
    if not settings.database_url:
        raise ConfigurationError(
            "SLOTWIRE_DATABASE_URL is not set; `slotwire up` brings its own database, this command needs one"
        )
    set_up_logs(settings.log_level)
    app = web.Application(middlewares=[around], client_max_size=MAXIMUM_BODY_BYTES)
    app[SETTINGS] = settings
    app[VAULT] = Vault(settings.secret_keys)
    app[KEYS] = Recent(most=10_000, age=timedelta(minutes=1))
    app.cleanup_ctx.append(_database)
    app.cleanup_ctx.append(_waker)
    operations.add_routes(app)
    add_routes(app, V1_ROUTES)
    return app


async def _database(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    async with db.open_pool(settings.database_url, size=settings.pool_size, name="slotwire-web") as pool:
        app[POOL] = pool
        yield


async def _waker(app: web.Application) -> AsyncIterator[None]:
    url = app[SETTINGS].redis_url
    redis = wake.connect(url) if url else None
    app[WAKER] = Waker(redis)
    app[LIMITER] = Limiter(redis)
    task = asyncio.create_task(app[WAKER].run())
    yield
    app[WAKER].stop()
    # a publish takes a second at most, by the client's own timeouts
    await asyncio.wait({task}, timeout=_WAKER_SECONDS)
    task.cancel()
    if redis is not None:
        await redis.aclose()
