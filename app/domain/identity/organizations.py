"""Organizations and their people, as far as a first start needs them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput
from app.core.ids import new_id
from app.core.vault import Vault, new_secret
from app.domain.identity.models import OWNER, Organization, Principal, User, Visitor

SQL = sql.load("identity")

# Usernames are one namespace for the whole installation, so an `info` may well be the thousandth.
_MOST_NAMESAKES = 10_000
_LOOKED_UP_AT_ONCE = 100

_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

# Public addresses begin with a username, so the site's own first path segments are not for people.
RESERVED_HANDLES = frozenset(
    (
        "account admin api app assets auth book calendars cancel confirm dashboard decline dev docs embed feeds "
        "healthz help hooks invite link login logout mcp metrics new oauth openapi pages password pricing privacy "
        "readyz reschedule settings signup slotwire static status support system team teams terms v1 webhooks "
        "well-known www"
    ).split()
)


@dataclass(frozen=True, slots=True)
class NewOwner:
    """What `slotwire bootstrap` and a sign-up know about the person who starts an organization. An empty username: one
    made from the e-mail that is free."""

    organization: str
    email: str
    name: str
    username: str
    timezone: str
    password_hash: str


def username_from_email(email: str) -> str:
    """A proposal: `ana.b@example.com` becomes `ana-b`."""
    proposal = re.sub(r"[^a-z0-9]+", "-", email.split("@", 1)[0].lower()).strip("-")[:60]
    return proposal if proposal and proposal not in RESERVED_HANDLES else f"user-{proposal}".strip("-")


async def take_free_username(conn: Connection, org_id: UUID, user_id: UUID, email: str) -> None:
    """`ana-b`, or `ana-b-2` where that is taken. Nobody asked for it by name, so nobody is told that it is taken:
    whoever is slower takes the next one. Raises Conflict after ten thousand of them."""
    wanted = username_from_email(email)[:57]
    for first in range(1, _MOST_NAMESAKES, _LOOKED_UP_AT_ONCE):
        numbers = range(first, first + _LOOKED_UP_AT_ONCE)
        candidates = [wanted if number == 1 else f"{wanted}-{number}" for number in numbers]
        taken = {row["handle"] for row in await conn.fetch(SQL.list_taken_handles, candidates)}
        for username in candidates:
            if username not in taken and await conn.fetchval(SQL.take_username, org_id, user_id, username):
                return
    raise Conflict("Every username made from this e-mail is taken; name one.")


def check_handle(field: str, handle: str) -> None:
    """Raises InvalidInput, naming the field, for a username or a team's slug that cannot begin a public address."""
    if not _HANDLE.fullmatch(handle):
        raise InvalidInput.of(field, "lower-case letters, digits and hyphens, at most 63, not beginning with a hyphen")
    if handle in RESERVED_HANDLES:
        raise InvalidInput.of(field, f"'{handle}' is reserved for the site's own pages")


async def find_user_by_email(conn: Connection, email: str) -> tuple[UUID, User] | None:
    """The organization and the user with this address, whatever its capitals."""
    row = await conn.fetchrow(SQL.find_user_by_email, email)
    return (row["org_id"], user_of(row)) if row else None


async def get_user(conn: Connection, principal: Principal) -> User:
    row = await conn.fetchrow(SQL.get_user, principal.org_id, principal.user_id)
    assert row is not None, "a key's user cannot be missing: the foreign key holds it"  # noqa: S101
    return user_of(row)


async def create_organization(conn: Connection, owner: NewOwner, vault: Vault, now: datetime) -> tuple[UUID, UUID]:
    """Make an organization with its owner and their default hours (Monday to Friday, nine to five).

    Returns (org_id, user_id). Raises Conflict when the e-mail or the username is taken.
    """
    if owner.username:
        check_handle("username", owner.username)
    org_id, user_id = new_id(), new_id()
    await conn.execute(SQL.insert_organization, org_id, owner.organization, vault.seal(new_secret()), now)
    created = await conn.fetchval(
        SQL.insert_user,
        *(org_id, user_id, owner.email, owner.name, owner.username or username_from_email(owner.email)),
        *(owner.timezone, OWNER),
        *(owner.password_hash, None, now, None),
    )
    if created is None:
        raise Conflict(f"A user with the e-mail {owner.email} exists already.")
    if not owner.username:
        await take_free_username(conn, org_id, user_id, owner.email)
    elif await conn.fetchval(SQL.claim_handle_for_user, owner.username, org_id, user_id) is None:
        raise Conflict(f"The username '{owner.username}' is taken; choose another.")
    return org_id, user_id


async def get_organization(conn: Connection, org_id: UUID) -> Organization:
    return _organization(await conn.fetchrow(SQL.get_organization, org_id))


async def update_organization(
    conn: Connection, org_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Organization:
    """Merge the given fields (names of Organization, but for its id)."""
    settings = {name: value for name, value in changes.items() if name != "name"}
    return _organization(await conn.fetchrow(SQL.update_organization, org_id, changes.get("name"), settings, now))


def _organization(row: sql.Row | None) -> Organization:
    assert row is not None, "a key's organization cannot be missing: the foreign key holds it"  # noqa: S101
    return Organization(**{name: row[name] for name in Organization.__dataclass_fields__})


def visitor_of(row: sql.Row, vault: Vault) -> Visitor:
    """Of a row that a door found: org_id, org_name, secret_sealed."""
    return Visitor(row["org_id"], row["org_name"], vault.unseal_cached(row["secret_sealed"]))


def user_of(row: sql.Row) -> User:
    return User(**{name: row[name] for name in User.__dataclass_fields__})
