"""`/api/keys`: API keys of the organization. A key is shown once, when it is made.

The one rule: nobody makes a key that may more than they themselves.
"""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.event_types.service import check_event_types
from app.domain.identity import keys
from app.domain.identity.budgets import Budget
from app.faces.browser.shapes import KeyIn, key_out
from app.faces.rest.shapes.users import limits_out
from app.web import idempotency
from app.web.auditing import note
from app.web.call import Call
from app.web.paging import list_page


async def create(call: Call) -> web.Response:
    given, principal = call.body(KeyIn), call.principal
    for scope in given.scopes:
        principal.require(scope)

    async def make(conn: Connection) -> dict[str, Any]:
        budget = given.budget
        await check_event_types(conn, principal.org_id, budget.event_type_ids or (), "limits.event_type_ids")
        key_id, secret = await keys.create_key(
            conn,
            principal.org_id,
            principal.user_id,
            name=given.name,
            scopes=tuple(given.scopes),
            tools=None if given.tools is None else tuple(given.tools),
            expires_at=given.expires_at,
            budget=budget,
            now=call.now,
        )
        about = {"name": given.name, "scopes": sorted(given.scopes), **_bounds(budget)}
        await note(conn, call, "key.created", encode(Kind.KEY, key_id), **about)
        return call.envelope({**key_out(await keys.get_key(conn, principal.org_id, key_id)), "secret": secret})

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    return call.answer(key_out(await keys.get_key(call.conn, call.principal.org_id, call.path_id(Kind.KEY))))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.KEY, keys.list_keys, key_out)


async def revoke(call: Call) -> web.Response:
    key_id, org_id = call.path_id(Kind.KEY), call.principal.org_id

    async def end(conn: Connection) -> None:
        name = await keys.revoke_key(conn, org_id, key_id, call.now)
        await note(conn, call, "key.revoked", encode(Kind.KEY, key_id), name=name)

    await call.write(end)
    return web.Response(status=204)


def _bounds(budget: Budget) -> dict[str, Any]:
    """What the audit log tells of it: no more than there is."""
    limits = {name: value for name, value in limits_out(budget).items() if value is not None}
    return {
        **({"limits": limits} if limits else {}),
        **({"requires_approval": True} if budget.requires_approval else {}),
    }
