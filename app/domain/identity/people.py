"""The people of an organization: make, read, edit, remove.

The one rule: nobody is deleted. Whoever is removed is disabled: bookings, the e-mail and the username stay theirs. And
an organization always has an owner who is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, Forbidden, NotFound
from app.core.ids import new_id
from app.domain.identity.models import MEMBER, OWNER, RANKS, Principal, User
from app.domain.identity.organizations import check_handle, take_free_username, user_of, username_from_email

SQL = sql.load("people")
_IDENTITY = sql.load("identity")


@dataclass(frozen=True, slots=True)
class PersonFields:
    """What a caller may set. An empty username: one made from the e-mail that is free. locale: of mails; None for the
    organization's."""

    email: str
    name: str
    username: str
    timezone: str
    role: str
    locale: str | None = None


def check_role(principal: Principal, role: str) -> None:
    """Raises Forbidden where the caller would give somebody a role above their own, themselves included."""
    if RANKS.index(role) > RANKS.index(principal.role):
        raise Forbidden(f"Only an {role} makes somebody an {role}.")


async def create_person(conn: Connection, org_id: UUID, fields: PersonFields, now: datetime) -> User:
    """Make a person, invited and without a password. Raises Conflict for a taken e-mail (of somebody removed, too) and
    for a username that was asked for and is taken."""
    if fields.username:
        check_handle("username", fields.username)
    user_id, username = new_id(), fields.username or username_from_email(fields.email)
    created = await conn.fetchval(
        _IDENTITY.insert_user,
        *(org_id, user_id, fields.email, fields.name, username, fields.timezone, fields.role),
        *(None, now, now, fields.locale),
    )
    if created is None:
        raise _taken_email(fields.email)
    if not fields.username:
        await take_free_username(conn, org_id, user_id, fields.email)
    elif await conn.fetchval(_IDENTITY.take_username, org_id, user_id, username) is None:
        raise _taken_username(username)
    return await get_person(conn, org_id, user_id)


async def get_person(conn: Connection, org_id: UUID, user_id: UUID) -> User:
    """Raises NotFound, for somebody who was removed too."""
    return _found(await conn.fetchrow(SQL.get_person, org_id, user_id))


async def list_people(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> list[User]:
    """Up to `limit` people, oldest first, after the one that the cursor names."""
    return [user_of(row) for row in await conn.fetch(SQL.list_people, org_id, after, limit)]


async def update_person(
    conn: Connection, principal: Principal, user_id: UUID, changes: Mapping[str, Any], now: datetime
) -> User:
    """Merge the given fields (names of PersonFields) into a person. Raises Forbidden for what the caller's role may not
    change, Conflict for a taken e-mail or username, and when nobody would be left as an owner."""
    org_id = principal.org_id
    before = await _lock(conn, org_id, user_id, with_owners="role" in changes)
    _check_rank(principal, before, changes)
    merged = PersonFields(
        **{name: changes.get(name, getattr(before, name)) for name in PersonFields.__dataclass_fields__}
    )
    if merged.role != OWNER:
        await _check_an_owner_stays(conn, org_id, before)
    try:
        await conn.execute(
            SQL.update_person,
            *(org_id, user_id, merged.email, merged.name, merged.username, merged.timezone, merged.role),
            *(merged.locale, now),
        )
    except asyncpg.UniqueViolationError:
        raise _taken_email(merged.email) from None
    if merged.username != before.username:
        check_handle("username", merged.username)
        try:
            await conn.execute(SQL.move_handle, org_id, user_id, merged.username)
        except asyncpg.UniqueViolationError:
            raise _taken_username(merged.username) from None
    if merged.name != before.name:
        await conn.execute(SQL.raise_versions_of_host, org_id, user_id)
    return await get_person(conn, org_id, user_id)


async def remove_person(conn: Connection, principal: Principal, user_id: UUID, now: datetime) -> None:
    """Disable a person: their keys and sessions end, they leave their teams, and event types offer them no more.

    Raises Conflict for the caller's own person, and for the only owner.
    """
    org_id = principal.org_id
    if user_id == principal.user_id:
        raise Conflict("Nobody removes themselves. Let somebody else do it, or use a key of somebody else's.")
    leaving = await _lock(conn, org_id, user_id, with_owners=True)
    _check_rank(principal, leaving, {})
    await _check_an_owner_stays(conn, org_id, leaving)
    await conn.execute(SQL.disable_person, org_id, user_id, now)
    await conn.execute(SQL.revoke_keys_of_person, org_id, user_id, now)
    await conn.execute(SQL.leave_teams, org_id, user_id)
    await conn.execute(SQL.raise_versions_of_host, org_id, user_id)


# what members change of themselves
_OWN_FIELDS = frozenset({"name", "username", "timezone", "locale"})


def _check_rank(principal: Principal, person: User, changes: Mapping[str, Any]) -> None:
    """Raises Forbidden: a member changes how they themselves are called and where they live, an admin everybody but the
    owners, whose account a new e-mail would open."""
    if principal.only_own_user_id not in {None, person.id}:
        raise Forbidden("Members change nobody but themselves; ask an owner or an admin.")
    if principal.only_own_user_id is not None and not _OWN_FIELDS.issuperset(changes):
        raise Forbidden("Members change their own name, username, timezone and locale; ask an owner or an admin.")
    if person.role == OWNER and principal.role != OWNER:
        raise Forbidden("Only an owner changes an owner's account.")
    check_role(principal, changes.get("role", MEMBER))


async def _lock(conn: Connection, org_id: UUID, user_id: UUID, *, with_owners: bool) -> User:
    """The person as they are now and stay until the commit; with_owners: and so does who owns the organization."""
    if with_owners:
        await conn.fetchval(SQL.lock_organization, org_id)
    return _found(await conn.fetchrow(SQL.lock_person, org_id, user_id))


async def _check_an_owner_stays(conn: Connection, org_id: UUID, leaving: User) -> None:
    if leaving.role == OWNER and not await conn.fetchval(SQL.has_other_owner, org_id, leaving.id):
        raise Conflict("This is the organization's only owner; make somebody else an owner first.")


def _found(row: sql.Row | None) -> User:
    if row is None:
        raise NotFound("No such user in this organization.")
    return user_of(row)


def _taken_email(email: str) -> Conflict:
    return Conflict(f"A user with the e-mail {email} exists already.")


def _taken_username(username: str) -> Conflict:
    return Conflict(f"The username '{username}' is taken; choose another.")
