"""`/v1/users/{id}/feed`: the address under which calendar programs find a person's bookings.

The one rule: an address outlives the key that it was read with, so reading another person's takes what changing people
takes.
"""

from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.feeds.service import feed_address, rotate_feed
from app.web.auditing import note
from app.web.call import Call

_ME = "me"
_OF_OTHERS = "users:write"


def _whose(call: Call) -> UUID:
    """A person of the organization, or `me`."""
    return call.principal.user_id if call.request.match_info["id"] == _ME else call.path_id(Kind.USER)


def _answer(call: Call, token: str) -> web.Response:
    return call.answer({"url": f"{call.settings.public_url}/feeds/{token}.ics"})


async def read(call: Call) -> web.Response:
    principal, user_id = call.principal, _whose(call)
    if user_id != principal.user_id:
        principal.require(_OF_OTHERS)
    token = await feed_address(call.conn, principal.org_id, user_id, principal.secret)
    if user_id != principal.user_id:
        await note(call.conn, call, "feed.read", encode(Kind.USER, user_id))
    return _answer(call, token)


async def rotate(call: Call) -> web.Response:
    principal, user_id = call.principal, _whose(call)
    if principal.only_own_user_id not in {None, user_id}:
        principal.require(_OF_OTHERS)

    async def make(conn: Connection) -> str:
        await note(conn, call, "feed.rotated", encode(Kind.USER, user_id))
        return await rotate_feed(conn, principal.org_id, user_id, principal.secret)

    return _answer(call, await call.write(make))
