"""What is done after the answer, so that how long the answer takes tells nothing of it.

The one rule: nothing that anybody was promised is done here; a process that is killed loses it.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from aiohttp import web

from app.core.logs import logger

LATER: web.AppKey[set[asyncio.Task[None]]] = web.AppKey("later", set)
_PATIENCE_SECONDS = 5
_log = logger("later")


def do_later(app: web.Application, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(_watched(work))
    app[LATER].add(task)
    task.add_done_callback(app[LATER].discard)


async def finish(app: web.Application) -> AsyncIterator[None]:
    """Let the last ones end before the database is closed."""
    yield
    unfinished: set[asyncio.Task[None]] = app[LATER]
    if unfinished:
        await asyncio.wait(list(unfinished), timeout=_PATIENCE_SECONDS)


async def _watched(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 -- nobody waits for it: the log is where it is told
        _log.exception("later_failed")
