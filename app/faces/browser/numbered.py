"""Lists that other faces page through by cursor, and `/api` by number: resources, waiting lists, deliveries."""

from aiohttp import web

from app.core import db
from app.core.ids import Kind
from app.domain.bookings.entries import represent_entry
from app.domain.bookings.waitlist import Narrowing, count_entries, list_entries
from app.domain.resources.resources import count_resources, list_resources
from app.domain.webhooks.journal import count_deliveries, list_deliveries
from app.faces.browser.shapes import SessionDeliveriesQuery, SessionResourcesQuery, WaitlistNumbers
from app.faces.rest.shapes.deliveries import delivery_out
from app.faces.rest.shapes.resources import resource_out
from app.web.call import Call
from app.web.paging import numbered_response


async def resources(call: Call) -> web.Response:
    query, org_id = call.query(SessionResourcesQuery), call.principal.org_id
    found = await list_resources(call.conn, org_id, query.wanted, None, query.skipped + query.limit)
    total = await count_resources(call.conn, org_id, query.wanted, only_active=False)
    return numbered_response(call, [resource_out(each) for each in found[query.skipped :]], query, total)


async def waitlist(call: Call) -> web.Response:
    """Oldest first; a member sees those who wait for them."""
    query, org_id = call.query(WaitlistNumbers), call.principal.org_id
    only = Narrowing(query.event_type_id, query.status, call.principal.only_own_user_id)
    async with db.snapshot(call.conn):
        rows = await list_entries(call.conn, org_id, only, None, query.limit, query.skipped)
        total = await count_entries(call.conn, org_id, only)
    return numbered_response(call, [represent_entry(row) for row in rows], query, total)


async def deliveries(call: Call) -> web.Response:
    """Newest first."""
    query, org_id, webhook_id = call.query(SessionDeliveriesQuery), call.principal.org_id, call.path_id(Kind.WEBHOOK)
    asked = (org_id, webhook_id, query.status)
    async with db.snapshot(call.conn):
        rows = await list_deliveries(call.conn, *asked, None, query.limit, query.skipped)
        total = await count_deliveries(call.conn, *asked)
    return numbered_response(call, [delivery_out(row) for row in rows], query, total)
