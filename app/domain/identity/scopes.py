"""What a key may do: the scopes of the API contract, and the one umbrella among them.

The one rule: a scope grants nothing but itself, except `mcp`, which covers three others (seed 004).
"""

from functools import cache

GRANTS = {
    "slots:read": "See open slots and availability.",
    "bookings:read": "List and read bookings, and count them.",
    "bookings:write": "Make, change, move, decide and cancel bookings.",
    "event_types:read": "See event types, schedules and booking links.",
    "event_types:write": "Make, change and remove event types, schedules and booking links.",
    "resources:read": "See locations and resources, and which are free.",
    "resources:write": "Make, change and archive locations and resources.",
    "webhooks:read": "See webhooks, their deliveries and the event log.",
    "webhooks:write": "Make, change, test and remove webhooks; deliver again.",
    "users:read": "See people and teams.",
    "users:write": "Add, change and remove people and teams.",
    "calendars:read": "See connected calendars.",
    "calendars:write": "Connect, change and disconnect calendars.",
    "mcp": "Use the MCP server; covers slots:read, bookings:read and bookings:write everywhere.",
}
SCOPES = tuple(GRANTS)

# The tools of the MCP server: seed 004's seven, and those of resources (seed 000).
TOOLS = (
    "list_event_types",
    "list_slots",
    "create_booking",
    "cancel_booking",
    "reschedule_booking",
    "list_bookings",
    "get_booking",
    "list_locations",
    "list_resources",
    "get_resource",
    "check_availability",
    "book_resource",
)

_COVERED_BY_MCP = frozenset({"slots:read", "bookings:read", "bookings:write"})


@cache
def granted_to(scopes: frozenset[str], tools: frozenset[str] | None, allowed: frozenset[str]) -> frozenset[str]:
    """What a key may do: its scopes, and those that `mcp` covers unless it is narrowed to tools, which are all that it
    has then; never more than the role of whoever made it allows by now."""
    return (_with_covered(scopes) if tools is None else scopes) & allowed


def covers(granted: frozenset[str], scope: str) -> bool:
    """Whether keys with the granted scopes may do what needs this one. `any` needs only a valid key."""
    return scope == "any" or scope in _with_covered(granted)


def _with_covered(scopes: frozenset[str]) -> frozenset[str]:
    return scopes | _COVERED_BY_MCP if "mcp" in scopes else scopes
