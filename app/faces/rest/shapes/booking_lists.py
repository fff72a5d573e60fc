"""The queries of lists and counts of bookings."""

from datetime import date, datetime, timedelta

from typing_extensions import TypedDict

from app.core.shown import Date, EventTypeRef, UserRef
from app.core.times import from_epoch
from app.domain.availability.windows import day_start
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.lists import Filters
from app.web.fields import Email, EventTypeId, Moment, QueryModel, ResourceId, UserId, ZoneName
from app.web.paging import NumberedPage

_ONE_DAY = timedelta(days=1)


def first_instant(first: date | datetime | None, zone: str) -> datetime | None:
    """Where a period begins: the instant itself, or the date's first one in the zone."""
    return first if first is None or isinstance(first, datetime) else from_epoch(day_start(zone, first))


def end_instant(last: date | datetime | None, zone: str) -> datetime | None:
    """Where a period ends, which is not in it: the instant itself, or the end of the date in the zone."""
    if last is None or isinstance(last, datetime):
        return last
    return from_epoch(day_start(zone, last + _ONE_DAY))


class Period(QueryModel):
    """Of starts. Instants are half-open; dates are inclusive, and meant in `timezone`."""

    start_date: Moment | None = None
    end_date: Moment | None = None
    timezone: ZoneName = "UTC"

    @property
    def starts_from(self) -> datetime | None:
        return first_instant(self.start_date, self.timezone)

    @property
    def starts_before(self) -> datetime | None:
        return end_instant(self.end_date, self.timezone)


class BookingsQuery(NumberedPage, Period):
    """status may be given several times."""

    status: list[Status] | None = None
    event_type_id: EventTypeId | None = None
    assigned_to_id: UserId | None = None
    attendee_email: Email | None = None
    resource_id: ResourceId | None = None

    @property
    def filters(self) -> Filters:
        return Filters(
            statuses=self.status,
            event_type_id=self.event_type_id,
            assigned_to_id=self.assigned_to_id,
            attendee_email=self.attendee_email,
            resource_id=self.resource_id,
            starts_from=self.starts_from,
            starts_before=self.starts_before,
        )


class StatsQuery(Period):
    """timezone: whose days `by_day` counts by, too."""


ByStatus = TypedDict("ByStatus", {status.value: int for status in Status})  # type: ignore[misc]


class EventTypeCount(TypedDict):
    event_type_id: EventTypeRef
    code: str
    count: int


class HostCount(TypedDict):
    user_id: UserRef
    count: int


class DayCount(TypedDict):
    date: Date
    count: int


class CountsShown(TypedDict):
    """The most frequent first, days in their order. A booking of several hosts counts for each."""

    total: int
    by_status: ByStatus
    by_event_type: list[EventTypeCount]
    by_host: list[HostCount]
    by_day: list[DayCount]
