"""What a role may do in a session: the scopes of keys, and a few powers that no key can have.

The one rule: a role grants scopes and nothing else; what a member does, they do to their own things only (see
`Principal.only_own_user_id`). Owners are for owners: an admin neither makes nor touches one.
"""

from app.domain.identity.models import ADMIN, MEMBER, OWNER
from app.domain.identity.scopes import SCOPES

# A key that could make keys would outlive every limit that was set for it.
KEYS_READ, KEYS_WRITE, AUDIT_READ = "keys:read", "keys:write", "audit:read"
POWERS = (KEYS_READ, KEYS_WRITE, AUDIT_READ)

_EVERYTHING = frozenset({*SCOPES, *POWERS})
_OF_MEMBERS = frozenset(
    {
        "slots:read",
        "bookings:read",
        "bookings:write",
        "event_types:read",
        "event_types:write",
        "resources:read",
        "users:read",
        "calendars:read",
        "calendars:write",
    }
)
SCOPES_OF_ROLES = {OWNER: _EVERYTHING, ADMIN: _EVERYTHING, MEMBER: _OF_MEMBERS}
