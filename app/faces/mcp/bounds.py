"""What a key's budget keeps an agent from seeing: event types that it could not book anyway."""

from uuid import UUID

from app.core.errors import NotFound
from app.domain.identity.models import Principal


def sees_event_type(principal: Principal, event_type_id: UUID) -> bool:
    bound = principal.budget.event_type_ids if principal.budget else None
    return bound is None or event_type_id in bound


def check_event_type(principal: Principal, event_type_id: UUID) -> None:
    """Raises NotFound `event_type_not_found`."""
    if not sees_event_type(principal, event_type_id):
        raise NotFound("This key does not reach that event type; ask a person.", code="event_type_not_found")
