"""`/v1/locations`: the places that resources stand at."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind
from app.domain.resources import locations
from app.domain.resources.locations import LocationFields
from app.faces.rest.shapes.locations import LocationIn, LocationPatch, location_out
from app.web import idempotency
from app.web.call import Call
from app.web.paging import list_page


async def create(call: Call) -> web.Response:
    given = call.body(LocationIn)
    fields = LocationFields(given.name, given.timezone, given.address)

    async def make(conn: Connection) -> dict[str, Any]:
        return call.envelope(
            location_out(await locations.create_location(conn, call.principal.org_id, fields, call.now))
        )

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    location = await locations.get_location(call.conn, call.principal.org_id, call.path_id(Kind.LOCATION))
    return call.answer(location_out(location))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.LOCATION, locations.list_locations, location_out)


async def update(call: Call) -> web.Response:
    given = call.body(LocationPatch)
    location_id = call.path_id(Kind.LOCATION)
    changes = {name: getattr(given, name) for name in given.model_fields_set}
    location = await call.write(
        lambda conn: locations.update_location(conn, call.principal.org_id, location_id, changes, call.now)
    )
    return call.answer(location_out(location))


async def archive(call: Call) -> web.Response:
    location_id = call.path_id(Kind.LOCATION)
    await call.write(lambda conn: locations.archive_location(conn, call.principal.org_id, location_id, call.now))
    return web.Response(status=204)
