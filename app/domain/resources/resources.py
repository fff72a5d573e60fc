"""Resources: desks, rooms and things, and the units that each has alike. Make, read, edit, archive.

The one rule: the active units of a resource are those numbered from 1 to `units`, and none that somebody still holds
is ever retired.
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

_UNKNOWN = "No such resource in this organization."


@dataclass(frozen=True, slots=True)
class Resource:
    """schedule_id: when it is open; None is always. Each of its `units` can be held on its own."""

    id: UUID
    name: str
    kind: str
    location_id: UUID
    capacity: int
    units: int
    attributes: dict[str, Any]
    schedule_id: UUID | None
    active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ResourceFields:
    """What a caller may set."""

    name: str
    kind: str
    location_id: UUID
    capacity: int
    units: int
    attributes: dict[str, Any]
    schedule_id: UUID | None
    active: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which resources somebody looks for; None: whichever."""

    location_id: UUID | None = None
    kind: str | None = None
    min_capacity: int | None = None


_COLUMNS = tuple(name for name in ResourceFields.__dataclass_fields__ if name != "units")


async def create_resource(conn: Connection, org_id: UUID, fields: ResourceFields, now: datetime) -> Resource:
    """Make a resource and its units. Raises InvalidInput for a location or schedule that this organization lacks."""
    resource_id = new_id()
    await _check_references(conn, org_id, fields)
    values = [getattr(fields, name) for name in _COLUMNS]
    await conn.execute(SQL.insert_resource, org_id, resource_id, now, *values)
    await conn.execute(SQL.raise_units, org_id, resource_id, fields.units)
    return await get_resource(conn, org_id, resource_id)


async def get_resource(conn: Connection, org_id: UUID, resource_id: UUID) -> Resource:
    """Raises NotFound, for an archived one too."""
    row = await conn.fetchrow(SQL.get_resource, org_id, resource_id)
    if row is None:
        raise NotFound(_UNKNOWN)
    return read_resource(row)


async def list_resources(
    conn: Connection, org_id: UUID, wanted: Wanted, after: UUID | None, limit: int
) -> list[Resource]:
    """Up to `limit` resources, oldest first, after the one that the cursor names."""
    values = (wanted.location_id, wanted.kind, wanted.min_capacity, after, limit)
    return [read_resource(row) for row in await conn.fetch(SQL.list_resources, org_id, *values)]


async def count_resources(conn: Connection, org_id: UUID, wanted: Wanted, *, only_active: bool) -> int:
    values = (wanted.location_id, wanted.kind, wanted.min_capacity, only_active)
    count: int = await conn.fetchval(SQL.count_resources, org_id, *values)
    return count


async def find_resource(conn: Connection, org_id: UUID, name: str) -> UUID:
    """The id of the one resource of this name, whatever its case. Raises InvalidInput where there is none, or more."""
    rows = await conn.fetch(SQL.list_resources_named, org_id, name)
    if len(rows) != 1:
        why = "several resources have this name; give the id" if rows else "no such resource in this organization"
        raise InvalidInput.of("resource", why, "unknown_id")
    found: UUID = rows[0]["id"]
    return found


async def update_resource(
    conn: Connection, org_id: UUID, resource_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Resource:
    """Merge the given fields (names of ResourceFields) into a resource. Raises InvalidInput for a location or schedule
    that this organization lacks, Conflict for fewer units than are held."""
    await _lock(conn, org_id, resource_id)
    before = await get_resource(conn, org_id, resource_id)
    merged = ResourceFields(
        **{name: changes.get(name, getattr(before, name)) for name in ResourceFields.__dataclass_fields__}
    )
    await _check_references(conn, org_id, merged)
    values = [getattr(merged, name) for name in _COLUMNS]
    await conn.execute(SQL.update_resource, org_id, resource_id, now, *values)
    if merged.units > before.units:
        await conn.execute(SQL.raise_units, org_id, resource_id, merged.units)
    elif merged.units < before.units:
        await _retire_units(conn, org_id, resource_id, merged.units, now)
    return await get_resource(conn, org_id, resource_id)


async def archive_resource(conn: Connection, org_id: UUID, resource_id: UUID, now: datetime) -> None:
    """Retire a resource and all of its units; its bookings stay. Raises Conflict while any of them is held."""
    await _lock(conn, org_id, resource_id)
    await _retire_units(conn, org_id, resource_id, 0, now)
    await conn.execute(SQL.archive_resource, org_id, resource_id, now)


async def _lock(conn: Connection, org_id: UUID, resource_id: UUID) -> None:
    """The row first: two edits at once must not each count units that the other one changes."""
    if await conn.fetchval(SQL.lock_resource, org_id, resource_id) is None:
        raise NotFound(_UNKNOWN)


async def _retire_units(conn: Connection, org_id: UUID, resource_id: UUID, kept: int, now: datetime) -> None:
    """Retire first, then look: what was claimed until then is seen, and Conflict takes the retiring back."""
    await conn.execute(SQL.retire_units, org_id, resource_id, kept, now)
    held = await conn.fetchval(SQL.find_held_unit, org_id, resource_id, kept, now)
    if held is not None:
        raise Conflict(f"Unit {held} of this resource is booked; let its bookings end, or cancel them first.")


async def _check_references(conn: Connection, org_id: UUID, fields: ResourceFields) -> None:
    if await conn.fetchval(SQL.hold_location, org_id, fields.location_id) is None:
        raise InvalidInput.of("location_id", "no such location in this organization", "unknown_id")
    if fields.schedule_id and await conn.fetchval(SQL.hold_schedule, org_id, fields.schedule_id) is None:
        raise InvalidInput.of("schedule_id", "no such schedule in this organization", "unknown_id")


def read_resource(row: sql.Row) -> Resource:
    """A resource out of a row that has its columns among others."""
    return Resource(**{name: row[name] for name in Resource.__dataclass_fields__})
