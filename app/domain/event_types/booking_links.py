"""Event types as bots know them: booking links, by their id or by a slug.

The one rule: whoever names a link that is not there is told what there is. A program that reads the refusal can correct
itself.
Source: seed 002; the API contract, "/api/v1".
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import FieldError, InvalidInput, NotFound, listing
from app.core.ids import Kind, encode

SQL = sql.load("booking_links")


@dataclass(frozen=True, slots=True)
class BookingLink:
    """duration_minutes: the usual one. timezone: the first host's own."""

    id: UUID
    slug: str
    title: str
    duration_minutes: int
    timezone: str


async def find_link(
    conn: Connection, org_id: UUID, handle: UUID | str | None, slug: str | None, *, archived: bool = False
) -> BookingLink:
    """By its id or public code, else by its slug. archived: an id may be of one that was archived.

    Raises NotFound `booking_link_not_found`, and InvalidInput where several that can be booked have the slug.
    """
    if handle is None:
        return await _of_slug(conn, org_id, slug or "")
    by_id = handle if isinstance(handle, UUID) else None
    by_code = handle if isinstance(handle, str) else None
    row = await conn.fetchrow(SQL.find_link, org_id, by_id, by_code, archived)
    if row is None:
        raise await no_such_link(conn, org_id)
    return _link(row)


async def describe_links(conn: Connection, org_id: UUID, link_ids: Collection[UUID]) -> dict[UUID, BookingLink]:
    """Those that bookings were made through, archived ones too. Without their time zones."""
    rows = await conn.fetch(SQL.describe_links, org_id, link_ids) if link_ids else []
    return {row["id"]: _link(row) for row in rows}


async def no_such_link(conn: Connection, org_id: UUID) -> NotFound:
    """The refusal, with what there is instead."""
    rows = await conn.fetch(SQL.list_link_slugs, org_id)
    known = listing((row["slug"] for row in rows), rows[0]["total"] if rows else 0)
    instead = f"There are these slugs: {known}." if rows else "There is none that can be booked; make an event type."
    return NotFound(f"No such booking link in this organization. {instead}", code="booking_link_not_found")


async def _of_slug(conn: Connection, org_id: UUID, slug: str) -> BookingLink:
    """The one that can be booked, or else the only one."""
    rows = await conn.fetch(SQL.find_links_of_slug, org_id, slug)
    if not rows:
        raise await no_such_link(conn, org_id)
    active = [row for row in rows if row["active"]]
    if len(active or rows) > 1:
        raise _ambiguous(active or rows, rows[0]["choices"] or len(rows))
    return _link(rows[0])


def _ambiguous(rows: Sequence[sql.Row], total: int) -> InvalidInput:
    each = (f"{encode(Kind.EVENT_TYPE, row['id'])} ({row['title']}, on the page of {row['page']})" for row in rows)
    because = f"several booking links have this slug; give one of these as booking_link_id: {listing(each, total)}"
    return InvalidInput(f"slug: {because}", errors=[FieldError("slug", "ambiguous", because)])


def _link(row: sql.Row) -> BookingLink:
    return BookingLink(row["id"], row["slug"], row["title"], row["duration_minutes"], row["timezone"] or "UTC")
