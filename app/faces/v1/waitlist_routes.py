"""The part of `/v1`'s table that is about waiting lists."""

from app.domain.bookings.entries import EntryShown
from app.faces.rest import waitlist
from app.faces.rest.shapes.waitlist import WaitlistIn, WaitlistQuery
from app.web.operation import Many, One, Operation
from app.web.routing import Route

_ENTRY = One("waitlist_entry", EntryShown)
_REFUSED = ("waitlist_closed", "slot_unavailable", "routing_rejected", "event_type_not_found", "forbidden")
_LIMITS = ("budget_exceeded",)

ROUTES = (
    Route(
        "GET",
        "/v1/waitlist",
        waitlist.list_all,
        "bookings:read",
        Operation(
            "List who waits",
            query=WaitlistQuery,
            answer=Many("waitlist_entries", EntryShown),
            name="list_waitlist_entries",
        ),
    ),
    Route(
        "POST",
        "/v1/waitlist",
        waitlist.create,
        "bookings:write",
        Operation(
            "Wait for a slot, or for a day",
            body=WaitlistIn,
            answer=_ENTRY,
            status=201,
            problems=(*_REFUSED, *_LIMITS),
            replays=True,
            name="join_waitlist",
        ),
    ),
    Route(
        "GET",
        "/v1/waitlist/{id}",
        waitlist.read,
        "bookings:read",
        Operation("Read who waits for what", answer=_ENTRY, name="get_waitlist_entry"),
    ),
    Route(
        "DELETE",
        "/v1/waitlist/{id}",
        waitlist.delete,
        "bookings:write",
        Operation(
            "Leave the line, or an offer",
            status=204,
            problems=("invalid_transition", *_LIMITS),
            name="leave_waitlist",
        ),
    ),
)
