"""Reading bookings. Rows become frozen dataclasses here, at the room's edge."""

from collections.abc import Sequence
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Attendee, BookedHost, Booking, Step, TakenStep
from app.domain.identity.models import Principal

SQL = sql.load("bookings")

_PLAIN = (
    "org_id id code event_type_id event_type_code resource_id assigned_to_id starts_at ends_at timezone guests "
    "custom_fields metadata answers notes location requires_confirmation service_id units routing_trace "
    "hold_expires_at auto_complete ical_uid ical_sequence attendee_bounced_at cancelled_at cancelled_by "
    "cancellation_reason rescheduled_from_id rescheduled_to_id token_version event_sequence created_at updated_at"
).split()


async def get_booking(conn: Connection, org_id: UUID, booking_id: UUID) -> Booking:
    """Raises NotFound, for another organization's booking too."""
    row = await conn.fetchrow(SQL.get_bookings, org_id, [booking_id])
    if row is None:
        raise NotFound("No such booking in this organization.")
    return _booking(row)


async def find_booking(conn: Connection, org_id: UUID, handle: UUID | str) -> UUID:
    """The id of a booking, by it or by its code. Raises NotFound; of an id, whoever reads it does."""
    if isinstance(handle, UUID):
        return handle
    found: UUID | None = await conn.fetchval(SQL.find_by_code, org_id, handle)
    if found is None:
        raise NotFound("No such booking in this organization.")
    return found


async def check_part_in(conn: Connection, principal: Principal, booking_id: UUID) -> None:
    """Raises NotFound where the caller is kept to their own bookings, and neither hosts nor made this one."""
    user_id = principal.only_own_user_id
    if user_id is not None and not await conn.fetchval(SQL.has_part_in, principal.org_id, booking_id, user_id):
        raise NotFound("No such booking of yours.")


async def list_steps(conn: Connection, org_id: UUID, booking_id: UUID) -> list[TakenStep]:
    """A booking's history, oldest first, with who took each step. Raises NotFound."""
    await get_booking(conn, org_id, booking_id)
    rows = await conn.fetch(SQL.list_steps, org_id, booking_id)
    return [TakenStep(**{name: row[name] for name in TakenStep.__dataclass_fields__}) for row in rows]


async def get_bookings(conn: Connection, org_id: UUID, booking_ids: Sequence[UUID]) -> list[Booking]:
    """In the order of the ids; what this organization lacks is left out."""
    rows = await conn.fetch(SQL.get_bookings, org_id, booking_ids) if booking_ids else []
    found = {row["id"]: _booking(row) for row in rows}
    return [found[each] for each in booking_ids if each in found]


def _booking(row: sql.Row) -> Booking:
    attendee = None
    if row["attendee_email"] is not None:
        attendee = Attendee(row["attendee_name"], row["attendee_email"], row["attendee_phone"], row["timezone"])
    return Booking(
        status=Status(row["status"]),
        hosts=tuple(BookedHost(UUID(host["user_id"]), host["name"]) for host in row["hosts"] or ()),
        attendee=attendee,
        history=tuple(Step(*step) for step in row["history"] or ()),
        **{name: row[name] for name in _PLAIN},
    )
