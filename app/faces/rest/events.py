"""`/v1/events`: what happened, as the bytes that webhooks carry; for catching up after an outage."""

import asyncio

import orjson
from aiohttp import web

from app.core import db
from app.core.ids import Kind
from app.domain.webhooks.log import LoggedEvent, Narrowing, get_event, has_unsettled, list_events
from app.faces.rest.shapes.events import EventsQuery
from app.web.call import Call
from app.web.paging import cursor_id, page_response

# An event that was committed a moment ago is worth the wait: whoever has just booked wants to see it.
_LOOKS, _PAUSE_SECONDS = 5, 0.02


async def list_all(call: Call) -> web.Response:
    """Oldest first; the cursor is the last event seen, also tomorrow."""
    query, org_id = call.query(EventsQuery), call.principal.org_id
    narrowing = Narrowing(query.type, query.booking_id, query.since)
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
