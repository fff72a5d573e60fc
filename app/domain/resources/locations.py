"""Locations: the places that resources stand at, each in one zone.

The one rule: a place is archived only when nothing stands there any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id

SQL = sql.load("resources")

_UNKNOWN = "No such location in this organization."


@dataclass(frozen=True, slots=True)
class Location:
    id: UUID
    name: str
    timezone: str
    address: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LocationFields:
    """What a caller may set."""

    name: str
    timezone: str
    address: str | None


async def create_location(conn: Connection, org_id: UUID, fields: LocationFields, now: datetime) -> Location:
    location_id = new_id()
    values = (fields.name, fields.timezone, fields.address)
    await conn.execute(SQL.insert_location, org_id, location_id, *values, now)
    return await get_location(conn, org_id, location_id)


async def get_location(conn: Connection, org_id: UUID, location_id: UUID) -> Location:
    """Raises NotFound, for an archived one too."""
    row = await conn.fetchrow(SQL.get_location, org_id, location_id)
    if row is None:
        raise NotFound(_UNKNOWN)
    return _location(row)


async def list_locations(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[Location]:
    """Up to `limit` locations, oldest first, after the one that the cursor names."""
    return [_location(row) for row in await conn.fetch(SQL.list_locations, org_id, after, limit)]


async def find_location(conn: Connection, org_id: UUID, name: str) -> UUID:
    """The id of the one location of this name, whatever its case. Raises InvalidInput where there is none, or more."""
    rows = await conn.fetch(SQL.list_locations_named, org_id, name)
    if len(rows) != 1:
        why = "several locations have this name; give the id" if rows else "no such location in this organization"
        raise InvalidInput.of("location", why, "unknown_id")
    found: UUID = rows[0]["id"]
    return found


async def update_location(
    conn: Connection, org_id: UUID, location_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Location:
    """Merge the given fields (names of LocationFields) into a location."""
    # the row first: two edits at once must not each overwrite what the other one set
    await _lock(conn, org_id, location_id)
    before = await get_location(conn, org_id, location_id)
    values = [changes.get(name, getattr(before, name)) for name in LocationFields.__dataclass_fields__]
    await conn.execute(SQL.update_location, org_id, location_id, *values, now)
    return await get_location(conn, org_id, location_id)


async def archive_location(conn: Connection, org_id: UUID, location_id: UUID, now: datetime) -> None:
    """Raises Conflict while resources stand there."""
    await _lock(conn, org_id, location_id)
    if await conn.fetchval(SQL.find_resource_at, org_id, location_id) is not None:
        raise Conflict("Resources stand at this location; move or archive them first.")
    await conn.execute(SQL.archive_location, org_id, location_id, now)


async def _lock(conn: Connection, org_id: UUID, location_id: UUID) -> None:
    if await conn.fetchval(SQL.lock_location, org_id, location_id) is None:
        raise NotFound(_UNKNOWN)


def _location(row: sql.Row) -> Location:
    return Location(**{name: row[name] for name in Location.__dataclass_fields__})
