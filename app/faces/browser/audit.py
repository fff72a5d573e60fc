"""`/api/audit`: who did what to accounts, keys, people and webhooks, newest first."""

from aiohttp import web

from app.core import db
from app.domain.identity.audit import Narrowing, list_entries
from app.faces.browser.shapes import AuditQuery, entry_out
from app.web.call import Call
from app.web.paging import numbered_response


async def list_all(call: Call) -> web.Response:
    query = call.query(AuditQuery)
    only = Narrowing(query.action, query.target, query.user_id, query.since, query.until)
    async with db.snapshot(call.conn):
        rows, total = await list_entries(call.conn, call.principal.org_id, only, query.skipped, query.limit)
    return numbered_response(call, [entry_out(row) for row in rows], query, total)
