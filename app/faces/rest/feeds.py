"""`/v1/users/{id}/feed`: the address under which calendar programs find a person's bookings.

The one rule: an address outlives the key that it was read with, so reading another person's takes what changing people
takes.
"""

from uuid import UUID

from aiohttp import web

from app.core.ids import Kind
from app.domain.feeds.service import feed_address, rotate_feed
from app.web.call import Call, json_response

_ME = "me"
_OF_OTHERS = "users:write"


def _whose(call: Call) -> UUID:
    """A person of the organization, or `me`."""
    return call.principal.user_id if call.request.match_info["id"] == _ME else call.path_id(Kind.USER)


def _answer(call: Call, token: str) -> web.Response:
    return json_response({"success": True, "feed": {"url": f"{call.settings.public_url}/feeds/{token}.ics"}})


async def read(call: Call) -> web.Response:
    principal, user_id = call.principal, _whose(call)
    if user_id != principal.user_id:
        principal.require(_OF_OTHERS)
    return _answer(call, await feed_address(call.conn, principal.org_id, user_id, principal.secret))


async def rotate(call: Call) -> web.Response:
    principal, user_id = call.principal, _whose(call)
    token = await call.write(lambda conn: rotate_feed(conn, principal.org_id, user_id, principal.secret))
    return _answer(call, token)
