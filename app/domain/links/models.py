"""A link: a door to one event type that opens a few times, usually once."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.errors import LinkExpired
from app.domain.identity.models import Visitor


@dataclass(frozen=True, slots=True)
class NewLink:
    max_uses: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventLink:
    """uses: the bookings that came through it, counted when it was read."""

    id: UUID
    code: str
    event_type_id: UUID
    event_type_code: str
    max_uses: int
    uses: int
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime

    def check(self, now: datetime) -> None:
        """Raises LinkExpired for a link that leads nowhere any more."""
        if self.revoked_at is not None:
            raise LinkExpired("This link was revoked. Ask whoever gave it to you for a new one.")
        if self.expires_at is not None and self.expires_at <= now:
            raise LinkExpired("This link has expired. Ask whoever gave it to you for a new one.")
        if self.uses >= self.max_uses:
            raise LinkExpired("This link was used already. Ask whoever gave it to you for a new one.")


@dataclass(frozen=True, slots=True)
class LinkDoor:
    """A link as somebody without a key opens it. active: whether its event type can be booked at all."""

    visitor: Visitor
    link: EventLink
    active: bool
