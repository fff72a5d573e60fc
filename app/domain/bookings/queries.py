"""Reading bookings. Rows become frozen dataclasses here, at the room's edge."""

from collections.abc import Sequence
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.errors import NotFound
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Attendee, BookedHost, Booking, Step

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
