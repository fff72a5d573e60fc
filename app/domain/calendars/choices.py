"""Connected calendars as their owners see them: which count as busy, which one is written, and what waits for a word.

The one rule: a choice changes what is read and written from now on, and never a booking. Only what a host approves
does, and then by the same rules as everything else.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from typing_extensions import TypedDict

from app.core import sql
from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import Kind, encode
from app.core.shown import CalendarRef, Link, Time, UserRef, Zone, one_of
from app.core.times import iso
from app.domain.calendars.access import IN_USE
from app.domain.calendars.connections import Account, save_account
from app.domain.calendars.outbound import plan_missing
from app.domain.calendars.provider import RemoteCalendar
from app.domain.identity.models import Principal

SQL = sql.load("calendars")
SYNC = sql.load("calendar_sync")

PROVIDERS = ("google", "microsoft", "caldav")
STATUSES = ("active", "needs_reauth", "paused", "disconnected")
POLICIES = ("fail_closed", "fail_open", "warn")
StalePolicy = Literal["fail_closed", "fail_open", "warn"]

_MOST = 10_000
NO_SUCH = "No such calendar in this organization."
_NOTHING_WAITS = "Nothing waits for your word here: no change of this account's calendars is held back."
_NOT_WRITABLE = "this calendar can only be read; choose another one of the account, or get the right to change it there"


@dataclass(frozen=True, slots=True)
class Calendar:
    """is_primary: the account's main one. fresh_until: so long what was read last is believed; known_until: so far
    ahead. changes_held: of our events, that wait for their owner's word; writes_failed: entries that could not be
    written, and are tried again. next_poll_at: None for one that nobody reads."""

    org_id: UUID
    id: UUID
    connection_id: UUID
    user_id: UUID
    provider: str
    account: str
    status: str
    status_reason: str | None
    name: str
    timezone: str | None
    is_primary: bool
    is_writable: bool
    read_busy: bool
    is_write_target: bool
    stale_policy: str
    synced_at: datetime | None
    fresh_until: datetime | None
    known_until: datetime | None
    next_poll_at: datetime | None
    error: str | None
    has_push: bool
    changes_held: int
    writes_failed: int
    created_at: datetime
    updated_at: datetime


Provider = Annotated[str, one_of(*PROVIDERS)]


class ConnectedCalendar(TypedDict):
    """account: as the provider names it. status: of the account; `needs_reauth`: its owner has to connect it again;
    `paused`: one sync would have changed more bookings than allowed, so changes wait for `apply` or `restore`.
    read_busy: what it says is taken counts. is_write_target: bookings are entered here. stale_policy: what its host is
    while it could not be read: `fail_closed` busy, `fail_open` free, `warn` free with a warning. fresh: what it says is
    believed now; known_until: so far ahead. push: changes are told at once; else they are looked for. error: of the
    last reading."""

    id: CalendarRef
    user_id: UserRef
    provider: Provider
    account: str
    name: str
    timezone: Zone | None
    status: Annotated[str, one_of(*STATUSES)]
    status_reason: str | None
    read_busy: bool
    is_write_target: bool
    is_writable: bool
    is_primary: bool
    stale_policy: Annotated[str, one_of(*POLICIES)]
    synced_at: Time | None
    fresh: bool
    known_until: Time | None
    push: bool
    error: str | None
    changes_held: int
    writes_failed: int
    created_at: Time
    updated_at: Time


class CalendarEntryShown(TypedDict):
    """How a booking stands in one host's calendar. `failed`: it is tried again at next_attempt_at; null: no more, until
    something changes."""

    user_id: UserRef
    calendar_id: CalendarRef
    provider: Provider
    status: Annotated[str, one_of("written", "writing", "failed", "removing")]
    error: str | None
    attempts: int
    next_attempt_at: Time | None
    meeting_url: Link | None


def represent_calendar(calendar: Calendar, now: datetime) -> ConnectedCalendar:
    believed = calendar.fresh_until is not None and calendar.fresh_until > now
    return {
        "id": encode(Kind.CALENDAR, calendar.id),
        "user_id": encode(Kind.USER, calendar.user_id),
        "provider": calendar.provider,
        "account": calendar.account,
        "name": calendar.name,
        "timezone": calendar.timezone,
        "status": calendar.status,
        "status_reason": calendar.status_reason,
        "read_busy": calendar.read_busy,
        "is_write_target": calendar.is_write_target,
        "is_writable": calendar.is_writable,
        "is_primary": calendar.is_primary,
        "stale_policy": calendar.stale_policy,
        "synced_at": _iso(calendar.synced_at),
        "fresh": believed and calendar.status in IN_USE,
        "known_until": _iso(calendar.known_until),
        "push": calendar.has_push,
        "error": calendar.error,
        "changes_held": calendar.changes_held,
        "writes_failed": calendar.writes_failed,
        "created_at": iso(calendar.created_at),
        "updated_at": iso(calendar.updated_at),
    }


async def list_calendars(
    conn: Connection,
    org_id: UUID,
    after: UUID | None,
    limit: int,
    *,
    of_user_id: UUID | None = None,
    connection_id: UUID | None = None,
) -> list[Calendar]:
    """Up to `limit` calendars, the first connected ones first, after the one that the cursor names."""
    rows = await conn.fetch(SQL.list_calendars, org_id, after, limit, of_user_id, None, connection_id)
    return [_calendar(row) for row in rows]


async def connect_account(
    conn: Connection, org_id: UUID, user_id: UUID, account: Account, found: Sequence[RemoteCalendar], now: datetime
) -> list[Calendar]:
    """Connect an account, or connect it again; its calendars. In a transaction of the caller's. Raises Conflict for too
    many accounts."""
    await conn.fetchval(SQL.lock_owner, org_id, user_id)
    connection_id = await save_account(conn, org_id, user_id, account, found, now)
    return await list_calendars(conn, org_id, None, _MOST, connection_id=connection_id)


async def get_calendar(conn: Connection, principal: Principal, calendar_id: UUID) -> Calendar:
    """Raises NotFound, for somebody else's too where the caller manages only their own."""
    about = (principal.org_id, None, 1, principal.only_own_user_id, calendar_id, None)
    row = await conn.fetchrow(SQL.list_calendars, *about)
    if row is None:
        raise NotFound(NO_SUCH)
    return _calendar(row)


async def update_calendar(
    conn: Connection, principal: Principal, calendar_id: UUID, changes: Mapping[str, Any], now: datetime
) -> Calendar:
    """Merge read_busy, is_write_target, stale_policy. Choosing where bookings are written takes that from the user's
    other calendar; what is to come, and stands nowhere yet, is entered. In a transaction of the caller's. Raises
    NotFound, and InvalidInput for one that cannot be written."""
    found = await get_calendar(conn, principal, calendar_id)
    await conn.fetchval(SQL.lock_owner, principal.org_id, found.user_id)
    before = await get_calendar(conn, principal, calendar_id)
    merged = dataclasses.replace(before, **changes)
    if merged == before:
        return before
    chosen = merged.is_write_target and not before.is_write_target
    if chosen and not before.is_writable:
        raise InvalidInput.of("is_write_target", _NOT_WRITABLE, "not_writable")
    if chosen:
        await conn.execute(SQL.clear_target, principal.org_id, before.user_id, calendar_id, now)
    values = (merged.read_busy, merged.is_write_target, merged.stale_policy, now)
    await conn.execute(SQL.update_calendar, principal.org_id, calendar_id, *values)
    if chosen:
        await plan_missing(conn, principal.org_id, calendar_id, now)
    return await get_calendar(conn, principal, calendar_id)


async def sync_now(conn: Connection, principal: Principal, calendar_id: UUID, now: datetime) -> Calendar:
    """Have it read at once, also where its provider asked to be left alone for a while. Raises NotFound, and Conflict
    for one that cannot be read, or that nobody reads."""
    found = await get_calendar(conn, principal, calendar_id)
    if found.status not in IN_USE:
        raise Conflict("This account has to be connected again before its calendars can be read.")
    # the connection before its calendars, as everywhere
    await conn.execute(SQL.end_rest, principal.org_id, found.connection_id)
    if await conn.fetchval(SQL.ask_for_sync, principal.org_id, calendar_id, now) is None:
        raise Conflict("This calendar is not read: it does not count, and nothing is written there. Set read_busy.")
    return await get_calendar(conn, principal, calendar_id)


async def approve_changes(
    conn: Connection, principal: Principal, calendar_id: UUID, now: datetime
) -> tuple[Calendar, int]:
    """The owner's word: the next sync follows what it held back of the account's calendars; how many there were. In a
    transaction of the caller's. Raises NotFound, and Conflict where nothing waits."""
    found = await _resume(conn, principal, calendar_id, now)
    approved = await conn.fetch(SQL.approve_changes, principal.org_id, found.connection_id)
    return await get_calendar(conn, principal, calendar_id), len(approved)


async def withdraw_changes(
    conn: Connection, principal: Principal, calendar_id: UUID, now: datetime
) -> tuple[Calendar, int]:
    """The bookings stay: in the account's calendars what was moved goes back, and what was deleted is made again; how
    many there were. In a transaction of the caller's. Raises NotFound, and Conflict where nothing waits."""
    found = await _resume(conn, principal, calendar_id, now)
    withdrawn = await conn.fetch(SQL.withdraw_changes, principal.org_id, found.connection_id)
    for row in withdrawn:
        # what is gone is made again by whoever finds that it is: its owner may have put it back by now
        await conn.execute(SQL.write_back, principal.org_id, row["id"], now)
    return await get_calendar(conn, principal, calendar_id), len(withdrawn)


async def list_standing(conn: Connection, org_id: UUID, booking_id: UUID) -> list[CalendarEntryShown]:
    """How a booking stands in its hosts' calendars."""
    return [_entry(row) for row in await conn.fetch(SQL.list_entries, org_id, booking_id)]


async def _resume(conn: Connection, principal: Principal, calendar_id: UUID, now: datetime) -> Calendar:
    """Go on with the account where it was paused, and have its calendars read. This comes first: whoever reads one
    locks it before what is in it. Raises Conflict where nothing waits."""
    found = await get_calendar(conn, principal, calendar_id)
    about = (principal.org_id, found.connection_id)
    row = await conn.fetchrow(SYNC.lock_connection, *about)
    held = await conn.fetch(SQL.list_held, *about)
    if row is None or (row["status"] != "paused" and not held):
        raise Conflict(_NOTHING_WAITS)
    await conn.execute(SQL.resume_connection, *about, now)
    await conn.execute(SQL.prompt_connection, *about, now)
    return found


def _entry(row: sql.Row) -> CalendarEntryShown:
    return {
        "user_id": encode(Kind.USER, row["user_id"]),
        "calendar_id": encode(Kind.CALENDAR, row["calendar_id"]),
        "provider": row["provider"],
        "status": _standing(row),
        "error": row["error"],
        "attempts": row["attempts"],
        "next_attempt_at": _iso(row["due_at"]),
        "meeting_url": row["meeting_url"],
    }


def _standing(row: sql.Row) -> str:
    if row["error"] is not None:
        return "failed"
    if not row["wanted"]:
        return "removing"
    return "writing" if row["due_at"] is not None or row["written_at"] is None else "written"


def _calendar(row: sql.Row) -> Calendar:
    return Calendar(**{name: row[name] for name in Calendar.__dataclass_fields__})


def _iso(value: datetime | None) -> str | None:
    return None if value is None else iso(value)
