"""The part of `/v1`'s table that is about slots and bookings."""

from typing import Any

from app.domain.bookings.models import BookingShown
from app.faces.rest import booking_lists, bookings, slots
from app.faces.rest.shapes.booking_lists import BookingsQuery, CountsShown, StatsQuery
from app.faces.rest.shapes.bookings import BookingIn, BookingPatch, BookingReadShown, FinishIn, RescheduleIn
from app.faces.rest.shapes.slots import SlotsQuery, SlotsShown
from app.web.calendars import MEDIA, InviteQuery
from app.web.operation import Many, One, Operation
from app.web.routing import Route
from app.web.shapes import ReasonIn

_BOOKING = One("booking", BookingShown)
# of a key with limits of its own
_LIMITS = ("budget_exceeded",)
_DECIDED = (*_LIMITS, "approval_required")
_BOOKED = ("slot_taken", "slot_unavailable", "routing_rejected", *_LIMITS)
_STEP: dict[str, Any] = {
    "body": ReasonIn,
    "optional": True,
    "answer": _BOOKING,
    "problems": ("invalid_transition", *_LIMITS),
}
_DECISION = {**_STEP, "problems": ("invalid_transition", *_DECIDED)}

ROUTES = (
    Route(
        "GET",
        "/v1/slots",
        slots.list_slots,
        "slots:read",
        Operation(
            "List open slots",
            query=SlotsQuery,
            answer=SlotsShown,
            problems=("event_type_not_found", "routing_rejected"),
        ),
        proves_key=True,
    ),
    Route(
        "POST",
        "/v1/bookings",
        bookings.create,
        "bookings:write",
        Operation(
            "Book a slot, or hold one",
            body=BookingIn,
            answer=_BOOKING,
            status=201,
            problems=(*_BOOKED, "event_type_not_found", "link_not_found", "link_expired"),
            replays=True,
        ),
        proves_key=True,
    ),
    Route(
        "GET",
        "/v1/bookings",
        booking_lists.list_all,
        "bookings:read",
        Operation("List bookings", query=BookingsQuery, answer=Many("bookings", BookingShown, numbered=True)),
    ),
    # before {id}, which would take the word for an id
    Route(
        "GET",
        "/v1/bookings/stats",
        booking_lists.stats,
        "bookings:read",
        Operation("Count bookings", query=StatsQuery, answer=One("stats", CountsShown), name="get_booking_stats"),
    ),
    Route(
        "PATCH",
        "/v1/bookings/{id}",
        bookings.update,
        "bookings:write",
        Operation(
            "Change the attendee's data",
            body=BookingPatch,
            answer=_BOOKING,
            problems=("invalid_transition", *_DECIDED),
        ),
    ),
    Route(
        "GET",
        "/v1/bookings/{id}",
        bookings.read,
        "bookings:read",
        Operation("Read a booking", answer=One("booking", BookingReadShown)),
    ),
    Route(
        "GET",
        "/v1/bookings/{id}/invite.ics",
        bookings.invite,
        "bookings:read",
        Operation("Get a booking's calendar entry", query=InviteQuery, media=MEDIA, name="get_booking_invite"),
    ),
    Route(
        "DELETE",
        "/v1/bookings/{id}",
        bookings.cancel,
        "bookings:write",
        Operation("Cancel a booking", **_STEP, name="delete_booking"),
    ),
    Route(
        "POST",
        "/v1/bookings/{id}/finish",
        bookings.finish,
        "bookings:write",
        Operation(
            "Complete a hold",
            body=FinishIn,
            optional=True,
            answer=_BOOKING,
            problems=(*_BOOKED, "event_type_not_found", "invalid_transition"),
        ),
    ),
    Route(
        "POST",
        "/v1/bookings/{id}/confirm",
        bookings.confirm,
        "bookings:write",
        Operation("Confirm a pending booking", **_DECISION),
    ),
    Route(
        "POST",
        "/v1/bookings/{id}/decline",
        bookings.decline,
        "bookings:write",
        Operation("Decline a pending booking", **_DECISION),
    ),
    Route(
        "POST",
        "/v1/bookings/{id}/complete",
        bookings.complete,
        "bookings:write",
        Operation("Say that it took place", **_STEP),
    ),
    Route(
        "POST",
        "/v1/bookings/{id}/no-show",
        bookings.no_show,
        "bookings:write",
        Operation("Say that nobody came", **_STEP),
    ),
    Route(
        "POST", "/v1/bookings/{id}/cancel", bookings.cancel, "bookings:write", Operation("Cancel a booking", **_STEP)
    ),
    Route(
        "POST",
        "/v1/bookings/{id}/reschedule",
        bookings.reschedule,
        "bookings:write",
        Operation(
            "Move a booking",
            body=RescheduleIn,
            answer=_BOOKING,
            problems=(*_BOOKED, "event_type_not_found", "invalid_transition"),
            replays=True,
        ),
    ),
)
