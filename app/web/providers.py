"""The way from a request to a provider of calendars: sessions that are opened once, and a few requests at a time.

The one rule: whoever waits for somebody else's server takes no place from those who do not. Few requests call one at
all, and so few at once that most connections to the database stay free.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from app.core.errors import Unavailable
from app.domain.calendars.access import Roads
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import open_session
from app.web.call import POOL, SETTINGS, VAULT, Asked

ROADS = web.AppKey("roads", Roads)
_TURNS = web.AppKey("turns", asyncio.Semaphore)

# each may hold two connections to the database: its own, and that of a refresh
_AT_ONCE = 3
_PATIENCE_SECONDS = 2.0
_LONGEST_SECONDS = 60.0
_TIMEOUT_SECONDS = 15.0
_BUSY = "Too many requests wait for calendar providers just now; try again in a moment."
_SLOW = "The calendar's provider takes too long to answer. Try again in a few minutes."


async def open_roads(app: web.Application) -> AsyncIterator[None]:
    """For as long as the application runs. Without cookies: the accounts of different people share the sessions."""
    settings = app[SETTINGS]
    guarded = open_session(guard=Guard.of(settings), concurrency=_AT_ONCE, timeout_seconds=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, guarded:
        app[ROADS] = Roads(app[POOL], app[VAULT], settings, session, guarded, lambda: datetime.now(UTC))
        app[_TURNS] = asyncio.Semaphore(_AT_ONCE)
        yield


@asynccontextmanager
async def reaching_out(asked: Asked) -> AsyncIterator[Roads]:
    """The roads, by the request's clock, when it is its turn, for a minute. Raises Unavailable when its turn does not
    come soon, and when the minute is over."""
    app = asked.request.app
    turns = app[_TURNS]
    try:
        await asyncio.wait_for(turns.acquire(), timeout=_PATIENCE_SECONDS)
    except TimeoutError:
        raise Unavailable(_BUSY) from None
    deadline = asyncio.timeout(_LONGEST_SECONDS)
    try:
        async with deadline:
            yield dataclasses.replace(app[ROADS], clock=lambda: asked.now)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Unavailable(_SLOW) from None
    finally:
        turns.release()
