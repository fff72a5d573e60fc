"""The part of `/api`'s table that is about event types, what can be booked, and bookings."""

from typing import Any

from app.domain.bookings.entries import EntryShown
from app.faces.browser import bookables, bookings, numbered
from app.faces.browser.booking_shapes import (
    BookablesQuery,
    HistoryShown,
    ReservationIn,
    ReservationShown,
    SessionBookingReadShown,
    SessionBookingShown,
    SessionBookingsQuery,
)
from app.faces.browser.shapes import WaitlistNumbers
from app.faces.rest import booking_lists, event_types, links, waitlist
from app.faces.rest.shapes.booking_lists import CountsShown, StatsQuery
from app.faces.rest.shapes.bookings import BookingPatch, RescheduleIn
from app.faces.rest.shapes.event_types import DuplicateIn, EventTypeIn, EventTypePatch, EventTypeShown
from app.faces.rest.shapes.links import LinkIn, LinkShown
from app.faces.rest.shapes.resources import VacancyShown
from app.faces.rest.shapes.waitlist import WaitlistIn
from app.web.browser import route
from app.web.operation import Data, DataList, DataPage
from app.web.paging import Numbers
from app.web.shapes import ReasonIn

_EVENT_TYPE, _BOOKING = Data(EventTypeShown), Data(SessionBookingShown)
_NO_EVENT_TYPE = ("event_type_not_found",)
_OWN = (*_NO_EVENT_TYPE, "forbidden")
_BOOKED = ("slot_taken", "slot_unavailable")
_STEP: dict[str, Any] = {"body": ReasonIn, "nested": "booking", "optional": True, "problems": ("invalid_transition",)}


_EVENT_TYPES = (
    route(
        *("GET", "event-types", event_types.list_all, "event_types:read", "List event types"),
        query=Numbers,
        answer=DataPage(EventTypeShown),
    ),
    route(
        *("POST", "event-types", event_types.create, "event_types:write", "Make an event type"),
        body=EventTypeIn,
        nested="event_type",
        answer=_EVENT_TYPE,
        status=201,
        replays=True,
    ),
    route(
        *("GET", "event-types/{code}", event_types.read, "event_types:read", "Read an event type"),
        answer=_EVENT_TYPE,
        problems=_NO_EVENT_TYPE,
    ),
    route(
        *("PATCH", "event-types/{code}", event_types.update, "event_types:write", "Change an event type"),
        body=EventTypePatch,
        nested="event_type",
        answer=_EVENT_TYPE,
        problems=_OWN,
    ),
    route(
        *("DELETE", "event-types/{code}", event_types.archive, "event_types:write", "Archive an event type"),
        status=204,
        problems=_OWN,
    ),
    route(
        *("POST", "event-types/{code}/duplicate", event_types.duplicate, "event_types:write", "Copy an event type"),
        body=DuplicateIn,
        nested="event_type",
        optional=True,
        answer=_EVENT_TYPE,
        status=201,
        replays=True,
        problems=_OWN,
        name="session_duplicate_event_type",
    ),
    route(
        *("GET", "event-types/{code}/links", links.list_all, "event_types:read", "List an event type's links"),
        query=Numbers,
        answer=DataPage(LinkShown),
        problems=_OWN,
    ),
    route(
        *("POST", "event-types/{code}/links", links.create, "event_types:write", "Make a link that books it once"),
        body=LinkIn,
        nested="link",
        optional=True,
        answer=Data(LinkShown),
        status=201,
        replays=True,
        problems=_OWN,
    ),
    route(
        *("DELETE", "event-links/{link_code}", links.revoke, "event_types:write", "Revoke a link"),
        status=204,
        problems=("link_not_found", "forbidden"),
    ),
)

_BOOKINGS = (
    route(
        *("GET", "bookables", bookables.list_all, "resources:read", "List what can be booked, and whether it is free"),
        query=BookablesQuery,
        answer=DataPage(VacancyShown),
    ),
    route(
        *("GET", "stats", booking_lists.stats, "bookings:read", "Count bookings"),
        query=StatsQuery,
        answer=Data(CountsShown),
        name="session_get_stats",
    ),
    route(
        *("GET", "bookings", bookings.list_all, "bookings:read", "List bookings; a member's own"),
        query=SessionBookingsQuery,
        answer=DataPage(SessionBookingShown),
    ),
    route(
        *("POST", "bookings", bookings.create, "bookings:write", "Reserve a resource"),
        body=ReservationIn,
        nested="booking",
        answer=Data(ReservationShown),
        status=201,
        replays=True,
        problems=_BOOKED,
    ),
    route(
        "GET", "bookings/{id}", bookings.read, "bookings:read", "Read a booking", answer=Data(SessionBookingReadShown)
    ),
    route(
        *("GET", "bookings/{id}/history", bookings.history, "bookings:read", "Read a booking's history"),
        answer=DataList(HistoryShown),
        name="session_get_booking_history",
    ),
    route(
        *("PATCH", "bookings/{id}", bookings.update, "bookings:write", "Change the attendee's data"),
        body=BookingPatch,
        nested="booking",
        answer=_BOOKING,
        problems=("invalid_transition",),
    ),
    route(
        *("DELETE", "bookings/{id}", bookings.cancel, "bookings:write", "Cancel a booking"),
        answer=Data(ReservationShown),
        **_STEP,
    ),
    *(
        route(*("POST", f"bookings/{{id}}/{word}", handler, "bookings:write", summary), answer=_BOOKING, **_STEP)
        for word, handler, summary in (
            ("confirm", bookings.confirm, "Confirm a pending booking"),
            ("decline", bookings.decline, "Decline a pending booking"),
            ("complete", bookings.complete, "Say that it took place"),
            ("no-show", bookings.no_show, "Say that nobody came"),
        )
    ),
    route(
        *("POST", "bookings/{id}/reschedule", bookings.reschedule, "bookings:write", "Move a booking"),
        body=RescheduleIn,
        nested="booking",
        answer=_BOOKING,
        replays=True,
        problems=(*_BOOKED, "event_type_not_found", "invalid_transition"),
    ),
)

_WAITLIST = (
    route(
        *("GET", "waitlist", numbered.waitlist, "bookings:read", "List who waits; for a member: for them"),
        query=WaitlistNumbers,
        answer=DataPage(EntryShown),
        name="session_list_waitlist_entries",
    ),
    route(
        *("POST", "waitlist", waitlist.create, "bookings:write", "Let somebody wait for a slot, or for a day"),
        body=WaitlistIn,
        nested="waitlist_entry",
        answer=Data(EntryShown),
        status=201,
        replays=True,
        problems=("waitlist_closed", "slot_unavailable", "routing_rejected", *_OWN),
        name="session_join_waitlist",
    ),
    route(
        *("GET", "waitlist/{id}", waitlist.read, "bookings:read", "Read who waits for what"),
        answer=Data(EntryShown),
        name="session_get_waitlist_entry",
    ),
    route(
        *("DELETE", "waitlist/{id}", waitlist.delete, "bookings:write", "Take somebody out of the line"),
        status=204,
        problems=("invalid_transition",),
        name="session_leave_waitlist",
    ),
)

ROUTES = (*_EVENT_TYPES, *_BOOKINGS, *_WAITLIST)
