"""`/v1/organization`: the organization behind the key, and how its mails look."""

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.identity.models import Organization
from app.domain.identity.organizations import get_organization, update_organization
from app.faces.rest.shapes.organization import OrganizationPatch, organization_out
from app.web.auditing import note
from app.web.call import Call


async def read(call: Call) -> web.Response:
    return call.answer(organization_out(await get_organization(call.conn, call.principal.org_id)))


async def update(call: Call) -> web.Response:
    given, org_id = call.body(OrganizationPatch), call.principal.org_id
    changes = {name: getattr(given, name) for name in given.model_fields_set}

    async def change(conn: Connection) -> Organization:
        target = encode(Kind.ORGANIZATION, org_id)
        await note(conn, call, "organization.changed", target, fields=sorted(changes))
        return await update_organization(conn, org_id, changes, call.now)

    changed = await call.write(change)
    return call.answer(organization_out(changed))
