"""`/v1/event-types/{code}/links` and `/v1/event-links`: doors that open a few times, usually once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.event_types.service import get_event_type
from app.domain.links import service
from app.domain.links.models import EventLink, NewLink
from app.faces.rest.own import check_link, event_type_of
from app.faces.rest.shapes.links import LinkIn, link_out
from app.web import idempotency
from app.web.auditing import note
from app.web.call import Call
from app.web.paging import list_page


async def create(call: Call) -> web.Response:
    given = call.optional_body(LinkIn)
    wanted, event_type = NewLink(given.max_uses, given.expires_at), await event_type_of(call)

    async def make(conn: Connection) -> dict[str, Any]:
        org_id = call.principal.org_id
        link = await service.create_link(conn, org_id, event_type, wanted, call.vault, call.now)
        await note(conn, call, "link.created", encode(Kind.LINK, link.id), event_type=link.event_type_code)
        return call.envelope(link_out(link, call.settings.public_url))

    return await idempotency.create(call, make)


async def list_all(call: Call) -> web.Response:
    event_type = await get_event_type(call.conn, call.principal.org_id, await event_type_of(call))

    async def fetch(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> Sequence[EventLink]:
        return await service.list_links(conn, org_id, event_type.id, after, limit, call.vault, call.now)

    base = call.settings.public_url
    return await list_page(call, Kind.LINK, fetch, lambda link: link_out(link, base))


async def revoke(call: Call) -> web.Response:
    code = call.request.match_info["link_code"]
    await check_link(call, code)

    async def revoke_it(conn: Connection) -> None:
        link_id = await service.revoke_link(conn, call.principal.org_id, code, call.now)
        await note(conn, call, "link.revoked", encode(Kind.LINK, link_id))

    await call.write(revoke_it)
    return web.Response(status=204)
