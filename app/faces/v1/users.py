"""`/v1/users`: who is behind the key."""

from aiohttp import web

from app.domain.identity.organizations import get_user
from app.faces.v1.shapes.users import me_out
from app.web.call import Call, json_response


async def me(call: Call) -> web.Response:
    return json_response(me_out(call.principal, await get_user(call.conn, call.principal)))
