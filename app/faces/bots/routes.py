"""The table of `/api/v1`: every route of conversational bots, with its scope, and what it reads and answers."""

from app.faces.bots import availability, bookings, waitlist
from app.faces.bots.shapes import (
    AvailabilityShown,
    BotAvailabilityQuery,
    BotBookingIn,
    BotBookingShown,
    BotBookingsQuery,
    CancelledShown,
)
from app.faces.bots.waitlist_shapes import BotEntryShown, BotWaitlistIn
from app.web.operation import BotPage, Data, Operation
from app.web.routing import Route
from app.web.shapes import ReasonIn

_BOOKING = Data(BotBookingShown)
_NO_LINK = ("booking_link_not_found",)
# of a key with limits of its own
_LIMITS = ("budget_exceeded",)

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/api/v1/availability",
        availability.show,
        "bookings:read",
        Operation(
            "List the open slots of a day",
            query=BotAvailabilityQuery,
            answer=Data(AvailabilityShown),
            problems=(*_NO_LINK, "routing_rejected"),
        ),
        or_scope="slots:read",
    ),
    Route(
        "POST",
        "/api/v1/bookings",
        bookings.create,
        "bookings:write",
        Operation(
            "Book a slot for a contact",
            body=BotBookingIn,
            answer=_BOOKING,
            status=201,
            problems=(*_NO_LINK, "slot_taken", "slot_unavailable", "routing_rejected", *_LIMITS),
            replays=True,
        ),
    ),
    Route(
        "GET",
        "/api/v1/bookings",
        bookings.list_all,
        "bookings:read",
        Operation("List bookings by pages", query=BotBookingsQuery, answer=BotPage(BotBookingShown), problems=_NO_LINK),
    ),
    Route("GET", "/api/v1/bookings/{id}", bookings.read, "bookings:read", Operation("Read a booking", answer=_BOOKING)),
    Route(
        "PATCH",
        "/api/v1/bookings/{id}/cancel",
        bookings.cancel,
        "bookings:write",
        Operation(
            "Cancel a booking once",
            body=ReasonIn,
            optional=True,
            answer=Data(CancelledShown),
            problems=("already_cancelled", "invalid_transition", *_LIMITS),
        ),
    ),
    Route(
        "POST",
        "/api/v1/waitlist",
        waitlist.create,
        "bookings:write",
        Operation(
            "Put a contact in line for a slot, or for a day",
            body=BotWaitlistIn,
            answer=Data(BotEntryShown),
            status=201,
            problems=(*_NO_LINK, "waitlist_closed", "slot_unavailable", "routing_rejected", "forbidden", *_LIMITS),
            replays=True,
            name="bot_join_waitlist",
        ),
    ),
    Route(
        "GET",
        "/api/v1/waitlist/{id}",
        waitlist.read,
        "bookings:read",
        Operation("See how a contact stands in line", answer=Data(BotEntryShown), name="bot_get_waitlist_entry"),
    ),
    Route(
        "DELETE",
        "/api/v1/waitlist/{id}",
        waitlist.delete,
        "bookings:write",
        Operation(
            "Take a contact out of line, or decline an offer",
            status=204,
            problems=("invalid_transition", *_LIMITS),
            name="bot_leave_waitlist",
        ),
    ),
)
