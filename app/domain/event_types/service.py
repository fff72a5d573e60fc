"""Event types: make, read, edit, archive.

The one rule: bookings keep what they were made for. An edit raises the configuration's version and touches no booking;
a delete archives, which frees the code and the slug for another event type.
"""

import dataclasses
import itertools
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, FieldError, InvalidInput, NotFound
from app.core.ids import new_id
from app.domain.event_types.models import EventType, EventTypeFields, HostRef

SQL = sql.load("event_types")

_COLUMNS = tuple(name for name in EventTypeFields.__dataclass_fields__ if name != "hosts")
_SLUG_TRIES = 50
_CODE_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
_TAKEN = {
    "event_types_code": "code",
    "event_types_slug_of_user": "slug",
    "event_types_slug_of_team": "slug",
}


def new_code() -> str:
    """A public handle for an event type whose caller did not name one."""
    return "".join(secrets.choice(_CODE_ALPHABET) for _ in range(8))


async def create_event_type(conn: Connection, org_id: UUID, fields: EventTypeFields, now: datetime) -> EventType:
    """Make an event type. Its first host's page is where it stands. An empty slug: one made from the title that is
    free there.

    Raises Conflict for a taken code or slug, InvalidInput for a host or schedule that this organization lacks.
    """
    return await _create(conn, org_id, fields, None, now)


async def _create(
    conn: Connection, org_id: UUID, fields: EventTypeFields, copy_of: EventType | None, now: datetime
) -> EventType:
    """copy_of: whose hosts may stay though they have left, and whose slug the new one is like."""
    event_type_id = new_id()
    await _check_references(conn, org_id, fields, copy_of.hosts if copy_of else ())
    if fields.slug:
        try:
            await _insert(conn, org_id, event_type_id, fields, now)
        except asyncpg.UniqueViolationError as error:
            raise _taken(error, fields) from None
    else:
        await _insert_with_free_slug(
            conn, org_id, event_type_id, fields, copy_of.slug if copy_of else fields.title, now
        )
    await _set_hosts(conn, org_id, event_type_id, fields.hosts)
    return await get_event_type(conn, org_id, event_type_id)


async def check_event_types(conn: Connection, org_id: UUID, ids: Sequence[UUID], field: str) -> None:
    """Raises InvalidInput that names each place in the field where there is an id of nothing, or of something
    archived."""
    known = {row["id"] for row in await conn.fetch(SQL.find_event_types, org_id, list(ids))}
    unknown = [place for place, each in enumerate(ids) if each not in known]
    if unknown:
        message = "no such event type in this organization"
        errors = [FieldError(f"{field}.{place}", "unknown_id", message) for place in unknown]
        raise InvalidInput(f"{errors[0].field}: {message}", errors=errors)


async def duplicate_event_type(
    conn: Connection, org_id: UUID, handle: UUID | str, changes: Mapping[str, Any], now: datetime
) -> EventType:
    """A copy with a code and a slug of its own. changes: names of EventTypeFields; without `active`, nobody can book
    the copy yet. Raises NotFound, and Conflict for a taken code or slug.
    """
    before = await get_event_type(conn, org_id, handle)
    fields = {name: getattr(before, name) for name in EventTypeFields.__dataclass_fields__}
    fields |= {"code": new_code(), "slug": "", "active": False, **changes}
    return await _create(conn, org_id, EventTypeFields(**fields), before, now)


async def get_event_type(conn: Connection, org_id: UUID, handle: UUID | str) -> EventType:
    """By id or by code. Raises NotFound `event_type_not_found`, for an archived one too."""
    by_id, by_code = (handle, None) if isinstance(handle, UUID) else (None, handle)
    row = await conn.fetchrow(SQL.get_event_type, org_id, by_id, by_code)
    if row is None:
        raise NotFound("No such event type in this organization.", code="event_type_not_found")
    return _event_type(row)


async def list_event_types(
    conn: Connection,
    org_id: UUID,
    after: UUID | None,
    limit: int,
    *,
    only_active: bool = False,
    among: Sequence[UUID] | None = None,
) -> list[EventType]:
    """Up to `limit` event types, oldest first, after the one that the cursor names. among: these; None: whichever."""
    values = (org_id, after, limit, only_active, among)
    return [_event_type(row) for row in await conn.fetch(SQL.list_event_types, *values)]


async def list_hosts_of(
    conn: Connection, org_id: UUID, event_type_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[UUID, str]]]:
    """The hosts of each event type, in its order: (user_id, name)."""
    found: dict[UUID, list[tuple[UUID, str]]] = {each: [] for each in event_type_ids}
    for row in await conn.fetch(SQL.list_hosts_of, org_id, event_type_ids):
        found[row["event_type_id"]].append((row["user_id"], row["name"]))
    return found


async def update_event_type(
    conn: Connection, org_id: UUID, handle: UUID | str, changes: Mapping[str, Any], now: datetime
) -> EventType:
    """Merge the given fields (names of EventTypeFields) into an event type and raise its configuration's version."""
    found = await get_event_type(conn, org_id, handle)
    # the row first: two edits at once must not each overwrite what the other one set
    await conn.fetchval(SQL.lock_event_type, org_id, found.id)
    before = await get_event_type(conn, org_id, found.id)
    changes = {**changes, **_durations(before, changes)}
    merged = EventTypeFields(
        **{name: changes.get(name, getattr(before, name)) for name in EventTypeFields.__dataclass_fields__}
    )
    if all(getattr(merged, name) == getattr(before, name) for name in EventTypeFields.__dataclass_fields__):
        return before
    await _check_references(conn, org_id, merged, before.hosts)
    values = [getattr(merged, name) for name in _COLUMNS]
    derived = (merged.owner_user_id, merged.longest_minutes)
    try:
        await conn.execute(SQL.update_event_type, org_id, before.id, *derived, now, *values)
    except asyncpg.UniqueViolationError as error:
        raise _taken(error, merged) from None
    if merged.hosts != before.hosts:
        await _set_hosts(conn, org_id, before.id, merged.hosts)
    return await get_event_type(conn, org_id, before.id)


async def archive_event_type(conn: Connection, org_id: UUID, handle: UUID | str, now: datetime) -> None:
    event_type = await get_event_type(conn, org_id, handle)
    await conn.execute(SQL.archive_event_type, org_id, event_type.id, now)


async def _insert(conn: Connection, org_id: UUID, event_type_id: UUID, fields: EventTypeFields, now: datetime) -> None:
    values = [getattr(fields, name) for name in _COLUMNS]
    derived = (fields.owner_user_id, fields.longest_minutes)
    await conn.execute(SQL.insert_event_type, org_id, event_type_id, *derived, now, *values)


async def _insert_with_free_slug(
    conn: Connection, org_id: UUID, event_type_id: UUID, fields: EventTypeFields, like: str, now: datetime
) -> None:
    """Nobody asked for this slug, so nobody is told that it is taken: whoever is slower takes the next one."""
    for _ in range(_SLUG_TRIES):
        slug = await _free_slug(conn, org_id, fields.owner_user_id or fields.owner_team_id, like)
        named = dataclasses.replace(fields, slug=slug)
        try:
            async with conn.transaction():
                return await _insert(conn, org_id, event_type_id, named, now)
        except asyncpg.UniqueViolationError as error:
            if _TAKEN.get(error.constraint_name or "") != "slug":
                raise _taken(error, named) from None
    raise Conflict("Too many event types of this title are being made at once; try again, or name a slug.")


async def _free_slug(conn: Connection, org_id: UUID, owner: UUID | None, like: str) -> str:
    """`Intro call` becomes `intro-call`, or `intro-call-2` where that is taken."""
    wanted = re.sub(r"[^a-z0-9]+", "-", like.lower()).strip("-")[:50].strip("-") or "meeting"
    taken = {row["slug"] for row in await conn.fetch(SQL.list_slugs, org_id, owner)}
    candidates = itertools.chain([wanted], (f"{wanted}-{number}" for number in itertools.count(2)))
    return next(slug for slug in candidates if slug not in taken)


def _durations(before: EventType, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The usual duration is always one of those on offer, whichever of the two a patch names."""
    offered, usual = changes.get("durations_minutes"), changes.get("duration_minutes")
    if offered:
        kept = before.duration_minutes if before.duration_minutes in offered else offered[0]
        usual = usual or kept
        if usual not in offered:
            raise InvalidInput.of("duration_minutes", "must be one of durations")
        return {"duration_minutes": usual}
    if usual is None or usual in before.durations_minutes:
        return {}
    return {
        "durations_minutes": [usual if each == before.duration_minutes else each for each in before.durations_minutes]
    }


async def _check_references(
    conn: Connection, org_id: UUID, fields: EventTypeFields, already: Iterable[HostRef] = ()
) -> None:
    """already: hosts that were there before; whoever has left since is never offered, and may stay."""
    wanted = [host.user_id for host in fields.hosts]
    staying = {host.user_id for host in already}
    known = {row["id"] for row in await conn.fetch(SQL.find_users, org_id, wanted)}
    for number, user_id in enumerate(wanted):
        if user_id not in known and user_id not in staying:
            raise InvalidInput.of(f"hosts.{number}.user_id", "no such user in this organization", "unknown_id")
    if fields.schedule_id and await conn.fetchval(SQL.find_schedule, org_id, fields.schedule_id) is None:
        raise InvalidInput.of("schedule_id", "no such schedule in this organization", "unknown_id")
    if fields.owner_team_id and await conn.fetchval(SQL.find_team, org_id, fields.owner_team_id) is None:
        raise InvalidInput.of("team_id", "no such team in this organization", "unknown_id")
    for number, needed in enumerate(fields.requires):
        place = needed["location_id"]
        if place and await conn.fetchval(SQL.find_location, org_id, UUID(place)) is None:
            raise InvalidInput.of(f"requires.{number}.location_id", "no such location here", "unknown_id")
    _check_rules(fields)


def _check_rules(fields: EventTypeFields) -> None:
    """Rules speak of questions that are asked and of people who host."""
    questions = {question["id"] for question in fields.questions}
    hosts = {str(host.user_id) for host in fields.hosts}
    for number, rule in enumerate(fields.routing_rules):
        if rule["question_id"] not in questions:
            known = ", ".join(sorted(questions)) or "none"
            raise InvalidInput.of(f"routing_rules.{number}.question_id", f"there are: {known}", "unknown_id")
        if not hosts.issuperset(rule["host_ids"]):
            raise InvalidInput.of(f"routing_rules.{number}.host_ids", "only hosts of this event type", "unknown_id")


async def _set_hosts(conn: Connection, org_id: UUID, event_type_id: UUID, hosts: Iterable[HostRef]) -> None:
    """Hosts that stay keep their place in the round-robin's memory."""
    ordered = list(hosts)
    ids = [host.user_id for host in ordered]
    await conn.execute(SQL.delete_other_hosts, org_id, event_type_id, ids)
    weights, priorities = [host.weight for host in ordered], [host.priority for host in ordered]
    await conn.execute(SQL.upsert_hosts, org_id, event_type_id, ids, weights, priorities)


def _taken(error: asyncpg.UniqueViolationError, fields: EventTypeFields) -> Conflict:
    name = _TAKEN.get(error.constraint_name or "", "code")
    return Conflict(f"The {name} '{getattr(fields, name)}' is taken by another event type; choose another.")


def _event_type(row: sql.Row) -> EventType:
    hosts = tuple(HostRef(UUID(host["user_id"]), host["weight"], host["priority"]) for host in row["hosts"] or ())
    names = (field.name for field in dataclasses.fields(EventType) if field.name != "hosts")
    return EventType(hosts=hosts, **{name: row[name] for name in names})
