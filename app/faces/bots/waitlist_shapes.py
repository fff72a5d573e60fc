"""What `/api/v1/waitlist` takes and gives: flat objects, the words of seed 002.

The one rule: an entry has every member, always.
"""

from typing import Any, Self, cast

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from app.core.ids import Kind, encode
from app.core.shown import BookingRef, Date, EntryRef, EventTypeRef, Mail, Time, UserRef, Zone
from app.core.times import iso
from app.domain.bookings.entries import Entry, EntryStatusShown
from app.domain.bookings.models import AnswerShown
from app.domain.event_types.booking_links import BookingLink
from app.faces.bots.shapes import LINK, check_complete
from app.web.fields import Day, Email, Instant, Name, Phone, Text, WireModel, ZoneName, stating
from app.web.shapes import AnswerIn, Chosen
from app.web.waiting import AWAITED, check_awaited

_NEEDED = ("contact_name", "contact_email")


class BotWaitlistIn(WireModel):
    """The booking link by its id or by its slug; a start that is taken, or a date, in client_timezone, on which nothing
    is open any more. Without client_timezone, times are told to the contact in the zone of the link's first host."""

    model_config = ConfigDict(
        json_schema_extra=stating(needs=([[name] for name in LINK], [[name] for name in AWAITED]))
    )

    booking_link_id: Chosen | None = None
    slug: Chosen | None = None
    contact_name: Name
    contact_email: Email
    start_time: Instant | None = None
    date: Day | None = None
    contact_phone: Phone | None = None
    notes: Text | None = None
    service_id: Chosen | None = None
    staff_id: Chosen | None = None
    client_timezone: ZoneName | None = None
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)

    @model_validator(mode="before")
    @classmethod
    def _is_complete(cls, given: Any) -> Any:
        return check_complete(given, _NEEDED, AWAITED)

    @model_validator(mode="after")
    def _says_for_what(self) -> Self:
        check_awaited(self.start_time, self.date)
        return self


class BotEntryShown(TypedDict):
    """Either start_time or date, which is meant in client_timezone. booking_id: what is held for the contact while it
    is offered, until offer_expires_at, and theirs once it is booked. staff_id: of the host who is waited for."""

    id: EntryRef
    booking_link_id: EventTypeRef
    slug: str
    link_title: str
    status: EntryStatusShown
    contact_name: str
    contact_email: Mail
    contact_phone: str | None
    start_time: Time | None
    date: Date | None
    client_timezone: Zone
    notes: str | None
    service_id: str | None
    staff_id: UserRef | None
    answers: list[AnswerShown]
    booking_id: BookingRef | None
    offer_expires_at: Time | None
    created_at: Time


def entry_out(entry: Entry, link: BookingLink) -> BotEntryShown:
    return {
        "id": encode(Kind.WAITLIST_ENTRY, entry.id),
        "booking_link_id": encode(Kind.EVENT_TYPE, link.id),
        "slug": link.slug,
        "link_title": link.title,
        "status": entry.status.value,
        "contact_name": entry.attendee.name,
        "contact_email": entry.attendee.email,
        "contact_phone": entry.attendee.phone,
        "start_time": iso(entry.starts_at) if entry.starts_at else None,
        "date": entry.local_date.isoformat() if entry.local_date else None,
        "client_timezone": entry.timezone,
        "notes": entry.notes,
        "service_id": entry.service_id,
        "staff_id": encode(Kind.USER, entry.host_id) if entry.host_id else None,
        "answers": cast("list[AnswerShown]", entry.answers),
        "booking_id": encode(Kind.BOOKING, entry.booking_id) if entry.booking_id else None,
        "offer_expires_at": iso(entry.offer_expires_at) if entry.offer_expires_at else None,
        "created_at": iso(entry.created_at),
    }
