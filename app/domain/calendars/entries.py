"""What a booking says in its host's calendar.

The one rule: the same words as everywhere, and only what changed is written again. Whatever the host edits there is
theirs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.times import iso
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.meetings import CONFERENCE
from app.domain.calendars.provider import FIELDS, Draft, Person
from app.domain.feeds.entries import feed_entry, published
from app.domain.notifications.language import DEFAULT

SQL = sql.load("calendar_sync")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to stand there, and the booking's side of it. changed_at: when its time or status was last changed.
    is_over: it was cancelled, and no other took its place."""

    draft: Draft
    status: Status
    changed_at: datetime
    is_over: bool


async def wish_of(conn: Connection, org_id: UUID, booking_id: UUID, user_id: UUID) -> Wish:
    """The entry of a booking for one of those who have it."""
    row = await conn.fetchrow(SQL.get_entry, org_id, booking_id, user_id)
    assert row is not None  # noqa: S101 -- the entry's foreign keys hold the booking and the person
    booking = published(row)
    owner = Person(row["user_name"], row["user_email"])
    entry = feed_entry(booking, booking.locale or DEFAULT, owner.email)
    attendee = [Person(booking.attendee_name or "", booking.attendee_email)] if booking.attendee_email else []
    guests = [Person(each.get("name") or "", each["email"]) for each in booking.guests]
    # whoever is asked by their own address would be asked to come to what is theirs
    others = {each.email.lower(): each for each in (*guests, *attendee) if each.email.lower() != owner.email.lower()}
    kind = (booking.location or {}).get("kind")
    draft = Draft(
        uid=entry.uid,
        sequence=entry.sequence,
        summary=entry.summary,
        description=entry.description,
        location=entry.location,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        timezone=row["user_timezone"],
        # one of several hosts makes the meeting, the others get its link
        conference=kind == CONFERENCE and not entry.location and row["leads"],
        organizer=owner,
        attendees=tuple(others.values()),
    )
    is_over = booking.status is Status.CANCELLED and row["rescheduled_to_id"] is None
    return Wish(draft, booking.status, row["changed_at"], is_over)


def as_kept(draft: Draft) -> dict[str, Any]:
    """What of a draft is compared with the next one."""
    return {
        "summary": draft.summary,
        "description": draft.description,
        "location": draft.location,
        "starts_at": iso(draft.starts_at),
        "ends_at": iso(draft.ends_at),
        "attendees": [[each.name, each.email] for each in draft.attendees],
    }


def changed_fields(written: dict[str, Any] | None, draft: Draft) -> frozenset[str]:
    """What is to be written: all of it where it is not known what stands there."""
    kept = as_kept(draft)
    return frozenset(name for name in FIELDS if written is None or written.get(name) != kept[name])
