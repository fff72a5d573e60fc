"""The event log: its query, and what an event looks like."""

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from app.core.shown import EventRef, Time, one_of
from app.domain.bookings.entries import EntryShown
from app.domain.bookings.models import BookingShown
from app.domain.webhooks.subscriptions import EVENTS
from app.faces.rest.shapes.webhooks import GivenEvent
from app.web.fields import BookingId, Instant
from app.web.paging import Page


class EventsQuery(Page):
    """type may be given several times. since: of when it happened."""

    type: list[GivenEvent] | None = None
    booking_id: BookingId | None = None
    since: Instant | None = None


class ReminderShown(TypedDict):
    """Which of the event type's reminders it is."""

    minutes_before: int


class EventData(TypedDict):
    """previous: what the event changed, as it was; of a reschedule, the booking whose place the new one takes.
    reminder: of a `booking.reminder`. waitlist_entry: of a `waitlist.offered`, whose booking is the place that is
    held."""

    booking: BookingShown
    waitlist_entry: NotRequired[EntryShown]
    reminder: NotRequired[ReminderShown]
    previous: NotRequired[dict[str, Any]]


class EventShown(TypedDict):
    """The very bytes that webhooks carry. sequence grows by one per event of a booking."""

    id: EventRef
    type: Annotated[str, one_of(*EVENTS)]
    timestamp: Time
    api_version: str
    sequence: int
    data: EventData
