"""What a key may do at most, beside its scopes: how much, what, how far ahead, for whom, and whether a person decides.

The one rule: a budget holds wherever its key does, on every face; a key without one is not asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Budget:
    """None: no such bound. bookings_per_day: made, held or moved, of a UTC day. event_type_ids: the only ones that it
    books. max_lead_days: how far ahead a start may lie. attendee_domains: of the e-mails of attendees and guests, in
    lower case. requires_approval: its bookings start as PENDING_CONFIRMATION, whatever the event type says."""

    bookings_per_day: int | None = None
    event_type_ids: tuple[UUID, ...] | None = None
    max_lead_days: int | None = None
    attendee_domains: tuple[str, ...] | None = None
    requires_approval: bool = False

    def kept(self) -> dict[str, Any]:
        """As the key's row has it: what is bounded, and nothing else."""
        ids = self.event_type_ids
        values = {
            "bookings_per_day": self.bookings_per_day,
            "event_type_ids": None if ids is None else [str(each) for each in ids],
            "max_lead_days": self.max_lead_days,
            "attendee_domains": None if self.attendee_domains is None else list(self.attendee_domains),
            "requires_approval": self.requires_approval or None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def allows_address(self, address: str) -> bool:
        """Whether an e-mail's domain is one of the attendee domains, or lies below one."""
        domain = address.rpartition("@")[2].lower().rstrip(".")
        return self.attendee_domains is None or any(
            domain == each or domain.endswith(f".{each}") for each in self.attendee_domains
        )


def budget_of(limits: Mapping[str, Any]) -> Budget | None:
    """The budget in a key's `limits`; None where nothing is bounded."""
    ids, domains = limits.get("event_type_ids"), limits.get("attendee_domains")
    budget = Budget(
        bookings_per_day=limits.get("bookings_per_day"),
        event_type_ids=None if ids is None else tuple(UUID(each) for each in ids),
        max_lead_days=limits.get("max_lead_days"),
        attendee_domains=None if domains is None else tuple(domains),
        requires_approval=bool(limits.get("requires_approval")),
    )
    return None if budget == Budget() else budget
