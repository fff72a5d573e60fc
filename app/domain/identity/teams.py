"""Teams: people who are bookable under one address. Make, read, edit, delete.

The one rule: a team's slug is a handle like a username, so the two never clash.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.core import sql
from app.core.db import Connection, affected
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id
from app.domain.identity.organizations import check_handle

SQL = sql.load("teams")


@dataclass(frozen=True, slots=True)
class TeamFields:
    """What a caller may set."""

    slug: str
    name: str
    user_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class Team(TeamFields):
    """user_ids: oldest person first."""

    id: UUID
    created_at: datetime
    updated_at: datetime


async def create_team(conn: Connection, org_id: UUID, fields: TeamFields, now: datetime) -> Team:
    """Raises Conflict for a taken slug, InvalidInput for a person that this organization lacks."""
    check_handle("slug", fields.slug)
    await _check_people(conn, org_id, fields.user_ids)
    team_id = new_id()
    await conn.execute(SQL.insert_team, org_id, team_id, fields.slug, fields.name, now)
    if await conn.fetchval(SQL.claim_handle_for_team, fields.slug, org_id, team_id) is None:
        raise _taken(fields.slug)
    await conn.execute(SQL.insert_members, org_id, team_id, fields.user_ids)
    return await get_team(conn, org_id, team_id)


async def get_team(conn: Connection, org_id: UUID, team_id: UUID) -> Team:
    row = await conn.fetchrow(SQL.get_team, org_id, team_id)
    if row is None:
        raise NotFound("No such team in this organization.")
    return _team(row)


async def list_teams(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[Team]:
    """Up to `limit` teams, oldest first, after the one that the cursor names."""
    return [_team(row) for row in await conn.fetch(SQL.list_teams, org_id, after, limit)]


async def update_team(conn: Connection, org_id: UUID, team_id: UUID, changes: Mapping[str, Any], now: datetime) -> Team:
    """Merge the given fields (names of TeamFields) into a team. Raises like `create_team`."""
    # the row first: two edits at once must not each overwrite what the other one set
    await conn.fetchval(SQL.lock_team, org_id, team_id)
    before = await get_team(conn, org_id, team_id)
    merged = TeamFields(**{name: changes.get(name, getattr(before, name)) for name in TeamFields.__dataclass_fields__})
    await conn.execute(SQL.update_team, org_id, team_id, merged.slug, merged.name, now)
    if merged.slug != before.slug:
        check_handle("slug", merged.slug)
        try:
            await conn.execute(SQL.move_handle_of_team, org_id, team_id, merged.slug)
        except asyncpg.UniqueViolationError:
            raise _taken(merged.slug) from None
    if "user_ids" in changes:
        await _check_people(conn, org_id, merged.user_ids)
        await conn.execute(SQL.delete_other_members, org_id, team_id, merged.user_ids)
        await conn.execute(SQL.insert_members, org_id, team_id, merged.user_ids)
    return await get_team(conn, org_id, team_id)


async def delete_team(conn: Connection, org_id: UUID, team_id: UUID) -> None:
    """Raises Conflict for a team that event types belong to, archived ones included: the foreign key decides."""
    try:
        deleted = affected(await conn.execute(SQL.delete_team, org_id, team_id))
    except asyncpg.ForeignKeyViolationError:
        raise Conflict(
            "Event types belong to this team (archived ones count, since their bookings stay), so it cannot be "
            "deleted. It can be renamed, and its members can be taken out."
        ) from None
    if not deleted:
        raise NotFound("No such team in this organization.")


async def _check_people(conn: Connection, org_id: UUID, wanted: Iterable[UUID]) -> None:
    ids = list(wanted)
    known = {row["id"] for row in await conn.fetch(SQL.find_people, org_id, ids)}
    for number, user_id in enumerate(ids):
        if user_id not in known:
            raise InvalidInput.of(f"user_ids.{number}", "no such user in this organization", "unknown_id")


def _taken(slug: str) -> Conflict:
    return Conflict(f"The slug '{slug}' is taken by a person or another team; choose another.")


def _team(row: sql.Row) -> Team:
    return Team(**{name: row[name] for name in Team.__dataclass_fields__})
