"""What joining a waiting list and the offer's link take and give: flat objects.

The one rule: an answer to whoever joins says what they have said and nothing else. It has no id, and whether somebody
of that address was in line before cannot be told from it.
"""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from app.core.shown import Date, Mail, Time, Zone, one_of
from app.core.times import iso
from app.domain.bookings.doors import Door
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Booking, Tokens
from app.faces.public.shapes import LinkedBookingShown, opened_out
from app.web.fields import Email, JsonObject, Name, Phone, Text, UserId, ZoneName
from app.web.shapes import AnswerIn, Chosen, Minutes
from app.web.waiting import AwaitedIn

OfferState = Literal["open", "accepted", "over"]


class PublicWaitlistIn(AwaitedIn):
    """A start that is taken, or a date, in `timezone`, on which nothing is open any more."""

    attendee_name: Name
    attendee_email: Email
    timezone: ZoneName
    notes: Text | None = None
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)
    attendee_phone: Phone | None = None
    duration: Minutes | None = None
    service_id: Chosen | None = None
    host_id: UserId | None = None
    custom_fields: JsonObject = Field(default_factory=dict)


class PublicWaitlistShown(TypedDict):
    """What was asked for. A mail comes when a place is free, with the link to take it."""

    status: Annotated[str, one_of("waiting")]
    attendee_name: str
    attendee_email: Mail
    start_time: Time | None
    date: Date | None
    timezone: Zone


class OfferShown(LinkedBookingShown):
    """A place that is held for somebody who waited. offer: open until offer_expires_at, or over once they have left it
    or that time has passed. The tokens stand in the answer to whoever accepts."""

    offer: Annotated[str, one_of("open", "accepted", "over")]
    offer_expires_at: Time | None


def joined_out(given: PublicWaitlistIn) -> PublicWaitlistShown:
    return {
        "status": "waiting",
        "attendee_name": given.attendee_name,
        "attendee_email": given.attendee_email,
        "start_time": iso(given.start_time) if given.start_time else None,
        "date": given.date.isoformat() if given.date else None,
        "timezone": given.timezone,
    }


def offer_out(door: Door, booking: Booking, state: OfferState, tokens: Tokens | None = None) -> OfferShown:
    expires = booking.hold_expires_at if booking.status is Status.DRAFT else None
    return {
        **opened_out(door, booking, tokens),
        "offer": state,
        "offer_expires_at": iso(expires) if expires else None,
    }
