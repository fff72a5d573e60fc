"""The resource tools of seed 000: places and things, which are free, and having one.

The one rule: a name is good for an id as long as it can mean one thing only.
"""

from typing import Any
from uuid import UUID

from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound
from app.core.ids import Kind, decode
from app.core.metrics import BOOKINGS
from app.domain.bookings.reserve import Reservation, reserve
from app.domain.identity.organizations import get_user
from app.domain.resources import availability, locations, resources
from app.domain.resources.resources import Wanted
from app.faces.mcp.answers import booking_out, location_out, page_of, resource_out, unwritten
from app.faces.mcp.shapes import (
    MOST_ON_A_PAGE,
    BookResourceIn,
    CheckAvailabilityIn,
    GetResourceIn,
    ListLocationsIn,
    ListResourcesIn,
)
from app.faces.mcp.writing import is_new, write
from app.faces.rest.bookings import actor_of
from app.web.call import Call
from app.web.paging import cursor_id


async def list_locations(call: Call, given: ListLocationsIn) -> dict[str, Any]:
    after = cursor_id(Kind.LOCATION, given.cursor)
    rows = await locations.list_locations(call.conn, call.principal.org_id, after, MOST_ON_A_PAGE + 1)
    return page_of("locations", Kind.LOCATION, rows, MOST_ON_A_PAGE, location_out)


async def list_resources(call: Call, given: ListResourcesIn) -> dict[str, Any]:
    after = cursor_id(Kind.RESOURCE, given.cursor)
    wanted = await _wanted(call, given)
    rows = await resources.list_resources(call.conn, call.principal.org_id, wanted, after, MOST_ON_A_PAGE + 1)
    return page_of("resources", Kind.RESOURCE, rows, MOST_ON_A_PAGE, resource_out)


async def get_resource(call: Call, given: GetResourceIn) -> dict[str, Any]:
    resource_id = await _resource(call, given.resource)
    return {"resource": resource_out(await resources.get_resource(call.conn, call.principal.org_id, resource_id))}


async def check_availability(call: Call, given: CheckAvailabilityIn) -> dict[str, Any]:
    """All of them, free or not, so that a taken one is not taken for a missing one."""
    after = cursor_id(Kind.RESOURCE, given.cursor)
    wanted, org_id = await _wanted(call, given), call.principal.org_id
    period = (given.starts_at, given.ends_at)
    rows = await availability.list_vacancies(call.conn, org_id, wanted, *period, after, MOST_ON_A_PAGE + 1, call.now)
    return page_of("resources", Kind.RESOURCE, rows, MOST_ON_A_PAGE, _vacancy)


async def book_resource(call: Call, given: BookResourceIn) -> dict[str, Any]:
    """For the person whose key it is."""
    user = await get_user(call.conn, call.principal)

    async def make(conn: Connection) -> dict[str, Any]:
        resource_id = await _resource(call, given.resource)
        wanted = Reservation(resource_id, given.starts_at, given.ends_at, given.notes)
        made = booking_out((await reserve(conn, call.principal, wanted, user, actor_of(call), call.now)).booking)
        return {"booking": unwritten(made) if given.dry_run else made}

    shown = await write(call, "book_resource", given, make)
    if is_new(shown):
        BOOKINGS.inc()
    return shown


def _vacancy(row: availability.Vacancy) -> dict[str, Any]:
    return {**resource_out(row.resource), "available": row.units_free > 0, "units_free": row.units_free}


async def _wanted(call: Call, given: ListResourcesIn) -> Wanted:
    location_id = None if given.location is None else await _location(call, given.location)
    return Wanted(location_id, given.kind, given.min_capacity)


async def _location(call: Call, handle: str) -> UUID:
    """Raises InvalidInput: an empty list would say that there is nothing at this place."""
    org_id, location_id = call.principal.org_id, decode(Kind.LOCATION, handle)
    if location_id is None:
        return await locations.find_location(call.conn, org_id, handle)
    try:
        return (await locations.get_location(call.conn, org_id, location_id)).id
    except NotFound as error:
        raise InvalidInput.of("location", error.detail, "unknown_id") from None


async def _resource(call: Call, handle: str) -> UUID:
    return decode(Kind.RESOURCE, handle) or await resources.find_resource(call.conn, call.principal.org_id, handle)
