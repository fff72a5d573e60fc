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
from app.domain.webhooks.subscriptions import EVENTS
from app.faces import operations
from app.faces.bots.routes import ROUTES as BOT_ROUTES
from app.faces.browser.routes import ROUTES as BROWSER_ROUTES
from app.faces.dev import mail
from app.faces.docs import pages
from app.faces.docs.document import document
from app.faces.mcp import engine
from app.faces.mcp.door import McpRoute
from app.faces.mcp.engine import ENGINE, Engine
from app.faces.public.calendar_routes import HOOKS
from app.faces.public.routes import ROUTES as PUBLIC_ROUTES
from app.faces.public.routes import with_tokens
from app.faces.rest.shapes.events import EventShown
from app.faces.v1.routes import ROUTES as V1_ROUTES
from app.web.body import MAXIMUM_BODY_BYTES
from app.web.call import KEYS, POOL, SETTINGS, VAULT, WAKER
from app.web.later import LATER, finish
from app.web.limits import Limiter
from app.web.middleware import around
from app.web.openapi.webhooks import Sent
from app.web.providers import open_roads
from app.web.routing import LIMITER, AnyRoute, add_routes
from app.web.sessions import STORAGE, storage_of

ROUTES: tuple[AnyRoute, ...] = (*with_tokens(V1_ROUTES), *PUBLIC_ROUTES, *HOOKS, *BOT_ROUTES, *BROWSER_ROUTES)
"""Everything that the OpenAPI document describes, but what webhooks carry."""

SENT = Sent(tuple(name for name in EVENTS if name.startswith(("booking.", "waitlist."))), EventShown)

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
    app[LATER] = set()
    app[STORAGE] = storage_of(settings, app[VAULT])
    app[KEYS] = Recent(most=10_000, age=timedelta(minutes=1))
    app.cleanup_ctx.append(_database)
    app.cleanup_ctx.append(open_roads)
    app.cleanup_ctx.append(_waker)
    app.cleanup_ctx.append(finish)
    app[ENGINE] = Engine()
    app.cleanup_ctx.append(engine.run)
    operations.add_routes(app)
    pages.add_routes(app, settings, openapi())
    mail.add_routes(app, settings)
    add_routes(app, (*ROUTES, McpRoute()))
    return app


def openapi() -> bytes:
    """The OpenAPI document. It needs no settings, and no database."""
    return document(ROUTES, SENT)


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
