"""`slotwire audit`: an organization's audit log on the terminal, oldest first, for operators who have no browser there.

The one rule: it shows what `GET /api/audit` shows, no more.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import db, sql
from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound
from app.core.ids import Kind, decode, encode
from app.core.settings import Settings
from app.core.times import iso
from app.domain.identity.audit import Entry, Narrowing, list_entries
from app.domain.identity.organizations import find_user_by_email

SQL = sql.load("identity")

_ACTORS = {"user": Kind.USER, "api_key": Kind.KEY}
_NAMELESS = {"user": "somebody", "api_key": "a key", "attendee": "an attendee", "system": "the system"}


@dataclass(frozen=True, slots=True)
class Asked:
    """org: an id; email: of anybody in it. Without both: the only organization that there is."""

    org: str | None
    email: str | None
    action: str | None
    since: datetime | None
    limit: int
    as_json: bool


def run_audit(settings: Settings, asked: Asked) -> int:
    """Print the last entries. Raises NotFound and InvalidInput for an organization that is not clear."""
    for entry in asyncio.run(_read(settings, asked)):
        print(json.dumps(_shown(entry)) if asked.as_json else _line(entry))
    return 0


async def _read(settings: Settings, asked: Asked) -> list[Entry]:
    async with db.open_pool(settings.database_url, size=1, name="slotwire-audit") as pool, db.acquire(pool) as conn:
        org_id = await _organization(conn, asked)
        only = Narrowing(action=asked.action, since=asked.since)
        entries, _ = await list_entries(conn, org_id, only, 0, asked.limit)
    return entries[::-1]


async def _organization(conn: Connection, asked: Asked) -> UUID:
    if asked.org is not None:
        org_id = decode(Kind.ORGANIZATION, asked.org)
        if org_id is None or await conn.fetchrow(SQL.get_organization, org_id) is None:
            raise NotFound(f"No organization {asked.org}; look for its id (org_…) in GET /api/session, or use --email.")
        return org_id
    if asked.email is not None:
        found = await find_user_by_email(conn, asked.email)
        if found is None:
            raise NotFound(f"Nobody has the e-mail {asked.email}. Name anybody of the organization, or --org.")
        return found[0]
    first = await conn.fetch(SQL.list_first_organizations)
    if len(first) != 1:
        raise InvalidInput(
            "There is no organization yet."
            if not first
            else "There are several organizations: name one by --email of anybody in it, or by --org."
        )
    only: UUID = first[0]["id"]
    return only


def _shown(entry: Entry) -> dict[str, Any]:
    return {
        "at": iso(entry.at),
        "actor_kind": entry.actor_kind,
        "actor": _actor(entry),
        "action": entry.action,
        "target": entry.target,
        "address": entry.address,
        "details": entry.details,
    }


def _line(entry: Entry) -> str:
    details = " ".join(f"{name}={value}" for name, value in entry.details.items() if value)
    parts = (
        iso(entry.at),
        entry.action,
        entry.target,
        "by",
        _actor(entry) or _NAMELESS[entry.actor_kind],
        entry.address,
        details,
    )
    # what people called themselves must not move the cursor of a terminal
    return " ".join(part for part in parts if part).encode("unicode_escape").decode()


def _actor(entry: Entry) -> str | None:
    kind = _ACTORS.get(entry.actor_kind)
    return encode(kind, entry.actor_id) if kind and entry.actor_id else None
