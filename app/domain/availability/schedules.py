"""Schedules: the weekly hours of a person or a resource, with the dates that differ. CRUD; what they mean is in
`windows`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.core import sql
from app.core.db import Connection, affected
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id

SQL = sql.load("schedules")

_OFFICE_HOURS = [{"day": day, "start": "09:00", "end": "17:00"} for day in ("MO", "TU", "WE", "TH", "FR")]


@dataclass(frozen=True, slots=True)
class Schedule:
    """weekly: `[{day, start, end}]`, overrides: `[{date, windows: [{start, end}]}]`, as the API shows them."""

    id: UUID
    name: str
    timezone: str
    user_id: UUID | None
    resource_id: UUID | None
    is_default: bool
    weekly: list[dict[str, Any]]
    overrides: list[dict[str, Any]]
    valid_from: date | None
    valid_until: date | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ScheduleFields:
    """What a caller may set."""

    name: str
    timezone: str
    is_default: bool
    weekly: list[dict[str, Any]]
    overrides: list[dict[str, Any]]
    valid_from: date | None
    valid_until: date | None


async def create_schedule(
    conn: Connection, org_id: UUID, user_id: UUID, fields: ScheduleFields, now: datetime
) -> Schedule:
    """Make a schedule of a user. A person's first one is their default, whatever is asked; a new default
    takes the place of the old one."""
    # two first schedules at once would both want to be the default: the person's row puts them in order
    if await conn.fetchval(SQL.lock_owner, org_id, user_id) is None:
        raise InvalidInput.of("owner.user_id", "no such user", "unknown_id")
    schedule_id = new_id()
    has_default = await conn.fetchval(SQL.find_default, org_id, user_id) is not None
    if fields.is_default and has_default:
        await conn.execute(SQL.clear_default, org_id, user_id, now)
    values = (fields.name, fields.timezone, fields.is_default or not has_default, fields.weekly, fields.overrides)
    await conn.execute(
        SQL.insert_schedule, org_id, schedule_id, user_id, *values, fields.valid_from, fields.valid_until, now
    )
    return await get_schedule(conn, org_id, schedule_id)


async def create_default_schedule(
    conn: Connection, org_id: UUID, user_id: UUID, timezone: str, now: datetime
) -> Schedule:
    """The hours that a new person starts with: Monday to Friday, nine to five in their zone."""
    hours = ScheduleFields(
        name="Working hours",
        timezone=timezone,
        is_default=True,
        weekly=_OFFICE_HOURS,
        overrides=[],
        valid_from=None,
        valid_until=None,
    )
    return await create_schedule(conn, org_id, user_id, hours, now)


async def create_resource_schedule(
    conn: Connection, org_id: UUID, resource_id: UUID, fields: ScheduleFields, now: datetime
) -> Schedule:
    """Make a schedule of a resource, which it opens by when it has none yet. Only people have defaults."""
    if await conn.fetchval(SQL.lock_resource_owner, org_id, resource_id) is None:
        raise InvalidInput.of("owner.resource_id", "no such resource in this organization", "unknown_id")
    if fields.is_default:
        raise _no_default()
    schedule_id = new_id()
    values = (fields.name, fields.timezone, fields.weekly, fields.overrides, fields.valid_from, fields.valid_until)
    await conn.execute(SQL.insert_resource_schedule, org_id, schedule_id, resource_id, *values, now)
    await conn.execute(SQL.adopt_schedule, org_id, resource_id, schedule_id, now)
    return await get_schedule(conn, org_id, schedule_id)


async def get_schedule(conn: Connection, org_id: UUID, schedule_id: UUID) -> Schedule:
    row = await conn.fetchrow(SQL.get_schedule, org_id, schedule_id)
    if row is None:
        raise NotFound("No such schedule.")
    return _schedule(row)


async def list_schedules(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[Schedule]:
    """Up to `limit` schedules, oldest first, after the one that the cursor names."""
    return [_schedule(row) for row in await conn.fetch(SQL.list_schedules, org_id, after, limit)]


async def update_schedule(
    conn: Connection, org_id: UUID, schedule_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Schedule:
    """Merge the given fields (names of ScheduleFields) into a schedule. Raises Conflict when it would leave its owner
    without a default: without one, nobody could tell the owner's hours."""
    before = await get_schedule(conn, org_id, schedule_id)
    # the owner's row first: two edits at once must not each overwrite what the other one set
    if before.user_id is not None:
        await conn.fetchval(SQL.lock_owner, org_id, before.user_id)
    else:
        await conn.fetchval(SQL.lock_resource_owner, org_id, before.resource_id)
    before = await get_schedule(conn, org_id, schedule_id)
    merged = {name: changes.get(name, getattr(before, name)) for name in ScheduleFields.__dataclass_fields__}
    if before.is_default and not merged["is_default"]:
        raise Conflict("A default schedule stays one until another is made the default.")
    if merged["valid_from"] and merged["valid_until"] and merged["valid_until"] < merged["valid_from"]:
        raise InvalidInput.of("valid_until", "must not lie before valid_from")
    if merged["is_default"] and before.user_id is None:
        raise _no_default()
    if merged["is_default"] and not before.is_default:
        await conn.execute(SQL.clear_default, org_id, before.user_id, now)
    await conn.execute(SQL.update_schedule, org_id, schedule_id, *merged.values(), now)
    return await get_schedule(conn, org_id, schedule_id)


async def delete_schedule(conn: Connection, org_id: UUID, schedule_id: UUID) -> None:
    """Raises Conflict for a default schedule, and for one that event types or resources use."""
    schedule = await get_schedule(conn, org_id, schedule_id)
    if schedule.is_default:
        raise Conflict("A default schedule cannot be deleted; make another one the default first.")
    try:
        deleted = affected(await conn.execute(SQL.delete_unused_schedule, org_id, schedule_id))
    except asyncpg.ForeignKeyViolationError:
        deleted = 0  # somebody began to use it just now
    if not deleted:
        raise Conflict("This schedule is in use by an event type or a resource; give those another one first.")


def _no_default() -> InvalidInput:
    return InvalidInput.of("is_default", "only a person has a default; give the resource this schedule instead")


def _schedule(row: sql.Row) -> Schedule:
    return Schedule(**{name: row[name] for name in Schedule.__dataclass_fields__})
