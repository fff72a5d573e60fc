"""Public pages: an event type by its address, for somebody who knows no organization.

The one rule: what a page shows is for everybody. Where a meeting takes place, who is asked what for which reason, and
how busy the hosts are stays inside.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.core.vault import Vault
from app.domain.identity.models import Visitor
from app.domain.identity.organizations import visitor_of

SQL = sql.load("doors")


@dataclass(frozen=True, slots=True)
class PageDoor:
    """active: whether it can be booked at all."""

    visitor: Visitor
    event_type_id: UUID
    active: bool


@dataclass(frozen=True, slots=True)
class Page:
    """name: of the person or the team whose page it is; handle: where it stands. hosts: who may be booked."""

    id: UUID
    handle: str | None
    name: str
    slug: str
    title: str
    description: str | None
    duration_minutes: int
    durations_minutes: list[int]
    questions: list[dict[str, Any]]
    services: list[dict[str, Any]]
    location: dict[str, Any] | None
    requires_confirmation: bool
    seats: int
    assignment: str
    waitlist: bool
    timezone: str
    hosts: tuple[tuple[UUID, str], ...]


_PLAIN = (
    "id handle name slug title description duration_minutes durations_minutes questions services location "
    "requires_confirmation seats assignment waitlist"
).split()


async def find_page(conn: Connection, handle: str, slug: str, vault: Vault) -> PageDoor:
    """Whose page it is, and what stands there. Raises NotFound `event_type_not_found`."""
    row = await conn.fetchrow(SQL.find_page, handle, slug)
    if row is None:
        raise no_page()
    return PageDoor(visitor_of(row, vault), row["event_type_id"], row["active"])


async def show_page(conn: Connection, org_id: UUID, event_type_id: UUID) -> Page:
    """Raises NotFound `event_type_not_found`."""
    row = await conn.fetchrow(SQL.show_page, org_id, event_type_id)
    if row is None:
        raise no_page()
    return Page(
        timezone=row["timezone"] or "UTC",
        hosts=tuple((UUID(host["user_id"]), host["name"]) for host in row["hosts"] or ()),
        **{name: row[name] for name in _PLAIN},
    )


def no_page() -> NotFound:
    return NotFound("There is nothing to book at this address. Check it for typos.", code="event_type_not_found")
