"""`/api/session`, `/api/sessions`, `/api/password`: who is logged in, where, and how that ends."""

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.identity import logins, sessions
from app.domain.identity.organizations import get_user
from app.domain.identity.passwords import make_hash
from app.faces.browser.shapes import PasswordChangeIn, device_out, me_out
from app.web.auditing import note
from app.web.call import Call
from app.web.limits import Limit
from app.web.routing import LIMITER
from app.web.sessions import forget, remember, where_of


async def me(call: Call) -> web.Response:
    return call.answer(me_out(call.principal, await get_user(call.conn, call.principal)))


async def log_out(call: Call) -> web.Response:
    """This session, and those of this person's that began before it."""
    principal = call.principal
    assert principal.session_id is not None  # noqa: S101 -- a session route
    session_id = principal.session_id

    async def end(conn: Connection) -> None:
        await sessions.log_out(conn, principal.org_id, principal.user_id, session_id, call.now)
        await note(conn, call, "session.ended", encode(Kind.SESSION, session_id))

    await call.write(end)
    return forget(call.request, web.Response(status=204))


async def list_all(call: Call) -> web.Response:
    principal = call.principal
    found = await sessions.list_sessions(call.conn, principal.org_id, principal.user_id, call.now)
    return call.answer([device_out(each, principal) for each in found])


async def end_one(call: Call) -> web.Response:
    principal, session_id = call.principal, call.path_id(Kind.SESSION)

    async def end(conn: Connection) -> None:
        await sessions.end_session(conn, principal.org_id, principal.user_id, session_id, call.now)
        await note(conn, call, "session.ended", encode(Kind.SESSION, session_id))

    await call.write(end)
    ended = web.Response(status=204)
    return forget(call.request, ended) if session_id == principal.session_id else ended


async def end_all(call: Call) -> web.Response:
    principal = call.principal

    async def end(conn: Connection) -> None:
        await sessions.log_out_everywhere(conn, principal.org_id, principal.user_id, call.now)
        await note(conn, call, "session.all_ended", encode(Kind.USER, principal.user_id))

    await call.write(end)
    return forget(call.request, web.Response(status=204))


async def change_password(call: Call) -> web.Response:
    """Every session ends; this browser gets a new one."""
    given, principal = call.body(PasswordChangeIn), call.principal
    limit = Limit("password", principal.user_id.hex, call.settings.limit_login)
    await call.request.app[LIMITER].check(call.request, limit)
    whose = (principal.org_id, principal.user_id)
    known = await logins.require_password(call.conn, *whose, given.current_password)
    hashed = await make_hash(given.new_password)

    async def change(conn: Connection) -> str:
        await logins.change_password(conn, *whose, known, hashed, call.now)
        where = where_of(call.request)
        _, token = await sessions.begin_session(conn, principal.org_id, principal.user_id, where, None, call.now)
        await note(conn, call, "password.changed", encode(Kind.USER, principal.user_id))
        return token

    token = await call.write(change)
    user = await get_user(call.conn, principal)
    return await remember(call.request, call.answer(me_out(principal, user)), token)
