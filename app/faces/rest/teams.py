"""`/v1/teams`: people who are bookable under one address."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.identity import teams
from app.domain.identity.teams import Team, TeamFields
from app.faces.rest.shapes.teams import TeamIn, TeamPatch, team_out
from app.web import idempotency
from app.web.auditing import note
from app.web.call import Call
from app.web.paging import list_page


async def create(call: Call) -> web.Response:
    given = call.body(TeamIn)
    fields = TeamFields(slug=given.slug, name=given.name, user_ids=given.user_ids)

    async def make(conn: Connection) -> dict[str, Any]:
        made = await teams.create_team(conn, call.principal.org_id, fields, call.now)
        await note(conn, call, "team.created", encode(Kind.TEAM, made.id), slug=made.slug)
        return call.envelope(team_out(made))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    team = await teams.get_team(call.conn, call.principal.org_id, call.path_id(Kind.TEAM))
    return call.answer(team_out(team))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.TEAM, teams.list_teams, team_out)


async def update(call: Call) -> web.Response:
    given, team_id = call.body(TeamPatch), call.path_id(Kind.TEAM)
    changes = {name: getattr(given, name) for name in given.model_fields_set}

    async def change(conn: Connection) -> Team:
        await note(conn, call, "team.changed", encode(Kind.TEAM, team_id), fields=sorted(changes))
        return await teams.update_team(conn, call.principal.org_id, team_id, changes, call.now)

    team = await call.write(change)
    return call.answer(team_out(team))


async def delete(call: Call) -> web.Response:
    team_id = call.path_id(Kind.TEAM)

    async def remove(conn: Connection) -> None:
        await teams.delete_team(conn, call.principal.org_id, team_id)
        await note(conn, call, "team.deleted", encode(Kind.TEAM, team_id))

    await call.write(remove)
    return web.Response(status=204)
