"""`/v1/users`: the people of the organization, and who is behind the key."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.errors import Conflict
from app.core.ids import Kind, encode
from app.domain.availability.schedules import create_default_schedule
from app.domain.calendars.connections import disconnect_all
from app.domain.identity import people
from app.domain.identity.account_tokens import awaits_password
from app.domain.identity.models import User
from app.domain.identity.organizations import get_user
from app.domain.identity.people import PersonFields
from app.domain.notifications import accounts
from app.faces.rest.shapes.users import PersonIn, PersonPatch, me_out, user_out
from app.faces.rest.shapes.webhooks import NothingIn
from app.web import idempotency
from app.web.auditing import note
from app.web.call import Call, json_response
from app.web.paging import list_page

# changes of which the audit log tells what they made of it
_TELLING = frozenset({"email", "role", "username"})


async def me(call: Call) -> web.Response:
    return json_response(me_out(call.principal, await get_user(call.conn, call.principal)))


async def create(call: Call) -> web.Response:
    """A person made so can host at once: they get their hours in the same transaction."""
    given, org_id = call.body(PersonIn), call.principal.org_id

    async def make(conn: Connection) -> dict[str, Any]:
        fields = PersonFields(
            email=given.email,
            name=given.name,
            username=given.username or "",
            timezone=given.timezone or (await get_user(conn, call.principal)).timezone,
            role=given.role,
            locale=given.locale,
        )
        people.check_role(call.principal, given.role)
        user = await people.create_person(conn, org_id, fields, call.now)
        await create_default_schedule(conn, org_id, user.id, user.timezone, call.now)
        await accounts.invite(conn, call.principal, user, call.now)
        await note(conn, call, "member.invited", encode(Kind.USER, user.id), email=user.email, role=user.role)
        return call.envelope(user_out(user))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    user = await people.get_person(call.conn, call.principal.org_id, call.path_id(Kind.USER))
    return call.answer(user_out(user))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.USER, people.list_people, user_out)


async def update(call: Call) -> web.Response:
    given, user_id = call.body(PersonPatch), call.path_id(Kind.USER)
    changes = {name: getattr(given, name) for name in given.model_fields_set}
    org_id = call.principal.org_id

    async def change(conn: Connection) -> User:
        user = await people.update_person(conn, call.principal, user_id, changes, call.now)
        if "email" in changes and await awaits_password(conn, org_id, user_id):
            # the invitation went to another address, or is asked for once more
            await accounts.invite(conn, call.principal, user, call.now)
        said = {name: str(value) for name, value in changes.items() if name in _TELLING}
        await note(conn, call, "member.changed", encode(Kind.USER, user.id), fields=sorted(changes), **said)
        return user

    return call.answer(user_out(await call.write(change)))


async def delete(call: Call) -> web.Response:
    user_id = call.path_id(Kind.USER)

    async def remove(conn: Connection) -> None:
        await people.remove_person(conn, call.principal, user_id, call.now)
        await disconnect_all(conn, call.principal.org_id, user_id, call.now)
        await note(conn, call, "member.removed", encode(Kind.USER, user_id))

    await call.write(remove)
    return web.Response(status=204)


async def invite(call: Call) -> web.Response:
    """Once more, to somebody who has not come yet: the link of before ends."""
    user_id, org_id = call.path_id(Kind.USER), call.principal.org_id
    call.optional_body(NothingIn)

    async def send(conn: Connection) -> User:
        user = await people.get_person(conn, org_id, user_id)
        if not await awaits_password(conn, org_id, user_id):
            raise Conflict("This person has a password already. They can ask for a new one where they log in.")
        await accounts.invite(conn, call.principal, user, call.now)
        await note(conn, call, "member.invited", encode(Kind.USER, user.id), email=user.email, role=user.role)
        return user

    return call.answer(user_out(await call.write(send)))
