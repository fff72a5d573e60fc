"""What a key may do: the scopes of the API contract, and the one umbrella among them.

The one rule: a scope grants nothing but itself, except `mcp`, which covers three others (seed 004).
"""

SCOPES = (
    "slots:read",
    "bookings:read",
    "bookings:write",
    "event_types:read",
    "event_types:write",
    "resources:read",
    "resources:write",
    "webhooks:read",
    "webhooks:write",
    "users:read",
    "users:write",
    "calendars:read",
    "calendars:write",
    "mcp",
)

_COVERED_BY_MCP = frozenset({"slots:read", "bookings:read", "bookings:write"})


def covers(granted: frozenset[str], scope: str) -> bool:
    """Whether keys with the granted scopes may do what needs this one. `any` needs only a valid key."""
    return scope in granted or scope == "any" or ("mcp" in granted and scope in _COVERED_BY_MCP)
