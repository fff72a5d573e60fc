"""Waiting lists: who waits for what, joining and leaving."""

from typing import Any
from uuid import UUID

from aiohttp import web

from app.core import db
from app.core.db import Connection
from app.core.ids import Kind
from app.domain.bookings.entries import represent_entry
from app.domain.bookings.offers import leave
from app.domain.bookings.waitlist import Narrowing, check_hosts, check_hosts_entry, get_entry, join, list_entries
from app.faces.rest.bookings import actor_of
from app.faces.rest.shapes.waitlist import WaitlistIn, WaitlistQuery
from app.web import idempotency
from app.web.call import Call
from app.web.paging import cursor_id, page_response


async def create(call: Call) -> web.Response:
    wanted = call.body(WaitlistIn).wanted

    async def make(conn: Connection) -> dict[str, Any]:
        await check_hosts(conn, call.principal, wanted.event_type)
        with call.timed("join"):
            entry = await join(conn, call.principal, wanted, call.now)
        return call.envelope(represent_entry(entry))

    return await idempotency.create(call, make)


async def list_all(call: Call) -> web.Response:
    """Oldest first; a member sees those who wait for them."""
    query = call.query(WaitlistQuery)
    only = Narrowing(query.event_type_id, query.status, call.principal.only_own_user_id)
    after = cursor_id(Kind.WAITLIST_ENTRY, query.cursor)
    async with db.snapshot(call.conn):
        rows = await list_entries(call.conn, call.principal.org_id, only, after, query.limit + 1)
    return page_response(call, Kind.WAITLIST_ENTRY, rows, query.limit, represent_entry)


async def entry_of(call: Call) -> UUID:
    """The id in the path. A member sees those who wait for them. Raises NotFound."""
    entry_id = call.path_id(Kind.WAITLIST_ENTRY)
    await check_hosts_entry(call.conn, call.principal, entry_id)
    return entry_id


async def read(call: Call) -> web.Response:
    entry = await get_entry(call.conn, call.principal.org_id, await entry_of(call))
    return call.answer(represent_entry(entry))


async def delete(call: Call) -> web.Response:
    about = (call.principal, await entry_of(call), actor_of(call))
    await call.write(lambda conn: leave(conn, *about, call.now))
    return web.Response(status=204)
