"""`/v1/resources`: desks, rooms and things, and which of them are free when."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind
from app.domain.resources import resources
from app.domain.resources.availability import list_vacancies
from app.domain.resources.resources import ResourceFields
from app.faces.rest.shapes.resources import (
    ResourceIn,
    ResourcePatch,
    ResourcesQuery,
    VacanciesQuery,
    resource_out,
    vacancy_out,
)
from app.web import idempotency
from app.web.call import Call
from app.web.paging import cursor_id, page_response


async def create(call: Call) -> web.Response:
    given = call.body(ResourceIn)
    fields = ResourceFields(**{name: getattr(given, name) for name in ResourceFields.__dataclass_fields__})

    async def make(conn: Connection) -> dict[str, Any]:
        return call.envelope(
            resource_out(await resources.create_resource(conn, call.principal.org_id, fields, call.now))
        )

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    resource = await resources.get_resource(call.conn, call.principal.org_id, call.path_id(Kind.RESOURCE))
    return call.answer(resource_out(resource))


async def list_all(call: Call) -> web.Response:
    query = call.query(ResourcesQuery)
    after = cursor_id(Kind.RESOURCE, query.cursor)
    found = await resources.list_resources(call.conn, call.principal.org_id, query.wanted, after, query.limit + 1)
    return page_response(call, Kind.RESOURCE, found, query.limit, resource_out)


async def availability(call: Call) -> web.Response:
    query = call.query(VacanciesQuery)
    found = await list_vacancies(
        call.conn,
        call.principal.org_id,
        query.wanted,
        query.starts_at,
        query.ends_at,
        cursor_id(Kind.RESOURCE, query.cursor),
        query.limit + 1,
        call.now,
    )
    return page_response(call, Kind.RESOURCE, found, query.limit, vacancy_out)


async def update(call: Call) -> web.Response:
    given = call.body(ResourcePatch)
    resource_id = call.path_id(Kind.RESOURCE)
    changes = {name: getattr(given, name) for name in given.model_fields_set}
    resource = await call.write(
        lambda conn: resources.update_resource(conn, call.principal.org_id, resource_id, changes, call.now)
    )
    return call.answer(resource_out(resource))


async def archive(call: Call) -> web.Response:
    resource_id = call.path_id(Kind.RESOURCE)
    await call.write(lambda conn: resources.archive_resource(conn, call.principal.org_id, resource_id, call.now))
    return web.Response(status=204)
