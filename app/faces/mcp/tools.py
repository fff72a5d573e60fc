"""The tools: seed 004's seven, in its order, and seed 000's for places and things.

The one rule: a description says when to call and what follows, in as few words as do; schemas say the rest.
"""

from app.domain.identity.scopes import TOOLS as NAMES
from app.faces.mcp import answers, shapes
from app.faces.mcp.bookings import cancel_booking, create_booking, get_booking, list_bookings, reschedule_booking
from app.faces.mcp.event_types import list_event_types
from app.faces.mcp.resources import book_resource, check_availability, get_resource, list_locations, list_resources
from app.faces.mcp.slots import list_slots
from app.faces.mcp.tool import Tool

_RESOURCES = ("resources:read",)

TOOLS = (
    Tool(
        "list_event_types",
        "List event types",
        "What can be booked with people: who hosts it, how long it takes, which questions have to be answered.",
        shapes.ListEventTypesIn,
        answers.EventTypesOut,
        list_event_types,
    ),
    Tool(
        "list_slots",
        "Find open times",
        "Open times of an event type, by local day. Only these can be booked. Where there is none, `nearest` has some.",
        shapes.ListSlotsIn,
        answers.SlotsOut,
        list_slots,
    ),
    Tool(
        "create_booking",
        "Book an open time",
        "Book one open time for an attendee, who gets a mail. With hold=true nobody is told and the time is kept for "
        "ten minutes, while you ask your person; then call again with finish. PENDING_CONFIRMATION means that the host "
        "decides.",
        shapes.CreateBookingIn,
        answers.BookingResult,
        create_booking,
        writes=True,
        repeatable=False,
    ),
    Tool(
        "cancel_booking",
        "Cancel a booking",
        "Cancel a booking, or give up a hold. The attendee and the hosts get a mail. It cannot be taken back: to "
        "change the time use reschedule_booking.",
        shapes.CancelBookingIn,
        answers.BookingResult,
        cancel_booking,
        writes=True,
        destroys=True,
    ),
    Tool(
        "reschedule_booking",
        "Move a booking",
        "Move a booking to another open time of its event type. It gets a new id; the attendee and the hosts get a "
        "mail. Where the new time cannot be had, the old one stays.",
        shapes.RescheduleBookingIn,
        answers.BookingResult,
        reschedule_booking,
        writes=True,
        destroys=True,
        repeatable=False,
    ),
    Tool(
        "list_bookings",
        "List bookings",
        "Bookings with the earliest start first. Narrow it: by status, dates of start, the attendee's e-mail.",
        shapes.ListBookingsIn,
        answers.BookingsOut,
        list_bookings,
    ),
    Tool(
        "get_booking",
        "Read a booking",
        "One booking as it is now.",
        shapes.GetBookingIn,
        answers.BookingResult,
        get_booking,
    ),
    Tool(
        "list_locations",
        "List locations",
        "The places that resources stand at.",
        shapes.ListLocationsIn,
        answers.LocationsOut,
        list_locations,
        needs=_RESOURCES,
    ),
    Tool(
        "list_resources",
        "List resources",
        "Desks, rooms and things that can be booked by themselves.",
        shapes.ListResourcesIn,
        answers.ResourcesOut,
        list_resources,
        needs=_RESOURCES,
    ),
    Tool(
        "get_resource",
        "Read a resource",
        "One desk, room or thing.",
        shapes.GetResourceIn,
        answers.ResourceResult,
        get_resource,
        needs=_RESOURCES,
    ),
    Tool(
        "check_availability",
        "Find free resources",
        "Which desks, rooms or things are free for all of a period; taken ones are listed too, as not available.",
        shapes.CheckAvailabilityIn,
        answers.VacanciesOut,
        check_availability,
        needs=_RESOURCES,
    ),
    Tool(
        "book_resource",
        "Book a resource",
        "Reserve a desk, room or thing for a period, for the person whose key this is.",
        shapes.BookResourceIn,
        answers.BookingResult,
        book_resource,
        needs=_RESOURCES,
        writes=True,
        repeatable=False,
    ),
)

assert tuple(tool.name for tool in TOOLS) == NAMES  # noqa: S101 -- keys are narrowed to these names
