"""The event log: its query, and what an event looks like."""

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from app.core.shown import EventRef, Time, one_of
from app.domain.bookings.entries import EntryShown
from app.domain.bookings.events import CalendarShown
from app.domain.bookings.models import BookingShown
from app.domain.webhooks.subscriptions import EVENTS, WebhookShown
from app.faces.rest.shapes.webhooks import GivenEvent
from app.web.fields import AskedFlag, BookingId, Instant, WebhookId, WireModel
from app.web.paging import Page


class EventsQuery(Page):
    """type may be given several times. since: of when it happened. samples: with those that were asked for, which
    never happened and have the sequence 0."""

    type: list[GivenEvent] | None = None
    booking_id: BookingId | None = None
    since: Instant | None = None
    samples: AskedFlag = False


class TriggerIn(WireModel):
    """webhook_id: it is delivered there, too; without one only who reads the log with `samples=true` sees it, such as
    `slotwire listen`."""

    event: GivenEvent
    webhook_id: WebhookId | None = None


class ReminderShown(TypedDict):
    """Which of the event type's reminders it is."""

    minutes_before: int


class EventData(TypedDict):
    """previous: what the event changed, as it was; of a reschedule, the booking whose place the new one takes.
    reminder: of a `booking.reminder`. waitlist_entry: of a `waitlist.offered`, whose booking is the place that is
    held. webhook: of a `webhook.disabled`; calendar: of a `calendar.…`; neither of them is about a booking."""

    booking: NotRequired[BookingShown]
    waitlist_entry: NotRequired[EntryShown]
    reminder: NotRequired[ReminderShown]
    previous: NotRequired[dict[str, Any]]
    webhook: NotRequired[WebhookShown]
    calendar: NotRequired[CalendarShown]


class EventShown(TypedDict):
    """The very bytes that webhooks carry. sequence grows by one per event of a booking; samples have 0."""

    id: EventRef
    type: Annotated[str, one_of(*EVENTS)]
    timestamp: Time
    api_version: str
    sequence: int
    data: EventData
