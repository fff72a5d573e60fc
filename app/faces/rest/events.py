"""`/v1/events`: what happened, as the bytes that webhooks carry; for catching up after an outage, and for trying."""

import asyncio
from typing import Any

import orjson
from aiohttp import web

from app.core import db
from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound
from app.core.ids import Kind
from app.domain.webhooks.journal import send_sample
from app.domain.webhooks.log import LoggedEvent, Narrowing, get_event, has_unsettled, list_events, record_sample
from app.domain.webhooks.samples import sample_of
from app.faces.rest.shapes.events import EventsQuery, TriggerIn
from app.web import idempotency
from app.web.call import Call
from app.web.paging import cursor_id, page_response

# An event that was committed a moment ago is worth the wait: whoever has just booked wants to see it.
_LOOKS, _PAUSE_SECONDS = 5, 0.02


async def list_all(call: Call) -> web.Response:
    """Oldest first; the cursor is the last event seen, also tomorrow."""
    query, org_id = call.query(EventsQuery), call.principal.org_id
    narrowing = Narrowing(query.type, query.booking_id, query.since, query.samples)
    after = cursor_id(Kind.EVENT, query.cursor)
    rows: list[LoggedEvent] = []
    for _ in range(_LOOKS):
        settled = not await has_unsettled(call.conn, org_id)
        async with db.snapshot(call.conn):
            rows = await list_events(call.conn, org_id, narrowing, after, query.limit + 1)
        if settled or len(rows) > query.limit:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    return page_response(call, Kind.EVENT, rows, query.limit, lambda row: orjson.Fragment(row.body))


async def read(call: Call) -> web.Response:
    event = await get_event(call.conn, call.principal.org_id, call.path_id(Kind.EVENT))
    return call.answer(orjson.Fragment(event.body))


async def trigger(call: Call) -> web.Response:
    """A sample, for whoever listens to the log; and for one webhook, where one is named."""
    given, org_id = call.body(TriggerIn), call.principal.org_id

    async def make(conn: Connection) -> dict[str, Any]:
        event = sample_of(given.event, org_id, call.now)
        if given.webhook_id is None:
            await record_sample(conn, org_id, event, call.now)
        else:
            try:
                await send_sample(conn, org_id, given.webhook_id, event, call.now)
            except NotFound:
                raise InvalidInput.of("webhook_id", "no such webhook in this organization", "unknown_id") from None
        return call.envelope(orjson.Fragment(event.body))

    return await idempotency.create(call, make)
