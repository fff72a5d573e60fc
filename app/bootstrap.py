"""An organization, its owner and a key, from nothing: what `slotwire bootstrap` and the demo start with.

The one rule: idempotent by e-mail. Whoever runs it twice gets the same organization, and a new key only when asked.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.db import Connection
from app.core.emails import is_email
from app.core.errors import InvalidInput
from app.core.ids import Kind, encode
from app.core.times import is_zone
from app.core.vault import Vault
from app.domain.availability.schedules import create_default_schedule
from app.domain.identity.audit import Doer, note
from app.domain.identity.keys import create_key
from app.domain.identity.organizations import (
    NewOwner,
    create_organization,
    find_user_by_email,
    username_from_email,
)
from app.domain.identity.passwords import hash_password
from app.domain.identity.scopes import SCOPES

_NAME = "bootstrap"


@dataclass(frozen=True, slots=True)
class Wanted:
    """scopes: empty for all of them. username: empty for one made from the e-mail."""

    organization: str
    email: str
    password: str
    username: str = ""
    timezone: str = "UTC"
    scopes: tuple[str, ...] = ()
    new_key: bool = False
    # of the key, in the place of everybody's
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """api_key is None when the organization was there already and no new key was asked for."""

    org_id: UUID
    user_id: UUID
    username: str
    api_key: str | None


async def bootstrap(conn: Connection, wanted: Wanted, vault: Vault, now: datetime) -> Bootstrapped:
    """Make what is missing. Raises InvalidInput for an unknown scope or zone, Conflict for a taken username."""
    for scope in wanted.scopes:
        if scope not in SCOPES:
            raise InvalidInput.of("scopes", f"'{scope}' is not a scope; there are {', '.join(SCOPES)}")
    if not is_zone(wanted.timezone):
        raise InvalidInput.of("timezone", f"'{wanted.timezone}' is not an IANA time zone, such as Europe/Berlin")
    if not is_email(wanted.email):
        raise InvalidInput.of("email", f"'{wanted.email[:300]}' is not an e-mail address")
    if not 1 <= len(wanted.organization.strip()) <= 200 or not wanted.organization.isprintable():
        raise InvalidInput.of("org", "expected a name of 1 to 200 printable characters")
    if not wanted.password:
        raise InvalidInput.of("password", "must not be empty")
    found = await find_user_by_email(conn, wanted.email)
    if found is not None:
        org_id, user = found
        key = await _key(conn, org_id, user.id, wanted, now) if wanted.new_key else None
        return Bootstrapped(org_id, user.id, user.username, key)
    username = wanted.username or username_from_email(wanted.email)
    owner = NewOwner(
        organization=wanted.organization,
        email=wanted.email,
        name=wanted.email.split("@", 1)[0],
        username=username,
        timezone=wanted.timezone,
        password_hash=hash_password(wanted.password),
    )
    org_id, user_id = await create_organization(conn, owner, vault, now)
    await create_default_schedule(conn, org_id, user_id, wanted.timezone, now)
    await note(conn, org_id, Doer("system"), "organization.created", encode(Kind.ORGANIZATION, org_id), {}, now)
    return Bootstrapped(org_id, user_id, username, await _key(conn, org_id, user_id, wanted, now))


async def _key(conn: Connection, org_id: UUID, user_id: UUID, wanted: Wanted, now: datetime) -> str:
    scopes = wanted.scopes or SCOPES
    key_id, key = await create_key(conn, org_id, user_id, name=_NAME, scopes=scopes, limit=wanted.limit, now=now)
    details = {"name": _NAME, "scopes": sorted(scopes)}
    await note(conn, org_id, Doer("system"), "key.created", encode(Kind.KEY, key_id), details, now)
    return key
