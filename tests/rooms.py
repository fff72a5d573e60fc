"""What tests of resources share: places, rooms, their units, and somebody who holds one."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import db
from app.core.ids import Kind, decode, new_id
from tests.support import Api, Tenant


async def location(api: Api, zone: str = "Europe/Berlin") -> str:
    made = (await api.post("/v1/locations", {"name": "Here", "timezone": zone})).ok(201)["location"]
    return str(made["id"])


async def room(api: Api, location_id: str, **fields: Any) -> Any:
    body = {"name": "Room", "kind": "room", "location_id": location_id, **fields}
    return (await api.post("/v1/resources", body)).ok(201)["resource"]


async def hours_of(api: Api, resource_id: str, zone: str, weekly: list[tuple[str, str, str]], **fields: Any) -> Any:
    """Give a resource without a schedule the hours `[(day, start, end)]`."""
    windows = [{"day": day, "start": start, "end": end} for day, start, end in weekly]
    body = {"name": "Hours", "timezone": zone, "owner": {"resource_id": resource_id}, "weekly": windows, **fields}
    return (await api.post("/v1/schedules", body)).ok(201)["schedule"]


async def units(conn: db.Connection, tenant: Tenant, resource_id: str) -> dict[int, int]:
    """The active units by number, with their subjects."""
    rows = await conn.fetch(
        """
        select unit_no, subject_no from resource_units
        where org_id = $1 and resource_id = $2 and retired_at is null order by unit_no
        """,
        tenant.org_id,
        decode(Kind.RESOURCE, resource_id),
    )
    return {row["unit_no"]: row["subject_no"] for row in rows}


async def hold(
    conn: db.Connection,
    tenant: Tenant,
    resource_id: str,
    unit: int,
    start: datetime,
    end: datetime,
    *,
    expires_at: datetime | None = None,
) -> UUID:
    """A booking of the resource whose allocation is on this unit."""
    booking_id = new_id()
    await conn.execute(
        """
        insert into bookings (org_id, id, code, status, resource_id, starts_at, ends_at, timezone, local_start,
                              ical_uid, created_at, updated_at)
        values ($1, $2, $3, 'SCHEDULED', $4, $5, $6, 'UTC', $7, $3, $5, $5)
        """,
        tenant.org_id,
        booking_id,
        booking_id.hex,
        decode(Kind.RESOURCE, resource_id),
        start,
        end,
        start.replace(tzinfo=None),
    )
    await conn.execute(
        """
        insert into allocations (org_id, id, subject_no, during, booking_id, expires_at)
        values ($1, $2, $3, tstzrange($4, $5), $6, $7)
        """,
        tenant.org_id,
        new_id(),
        (await units(conn, tenant, resource_id))[unit],
        start,
        end,
        booking_id,
        expires_at,
    )
    return booking_id
