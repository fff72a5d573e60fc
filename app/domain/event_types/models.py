"""An event type: what is bookable with people. Durations in minutes, the window in days."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class HostRef:
    """A person who may be booked through an event type."""

    user_id: UUID
    weight: int = 1
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeFields:
    """What a caller may set, with the defaults of the API contract. The column names are these names."""

    code: str
    slug: str
    title: str
    description: str | None = None
    duration_minutes: int = 30
    durations_minutes: list[int] = field(default_factory=lambda: [30])
    slot_interval_minutes: int | None = None
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    minimum_notice_minutes: int = 0
    booking_window_days: int | None = 60
    max_per_day: int | None = None
    max_per_week: int | None = None
    max_per_month: int | None = None
    seats: int = 1
    requires_confirmation: bool = False
    auto_complete: bool = True
    assignment: str = "fixed"
    schedule_id: UUID | None = None
    questions: list[dict[str, Any]] = field(default_factory=list)
    # host_ids, and location_id in requires: UUIDs as text
    routing_rules: list[dict[str, Any]] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    requires: list[dict[str, Any]] = field(default_factory=list)
    location: dict[str, Any] | None = None
    waitlist: bool = False
    reminders_minutes_before: list[int] = field(default_factory=lambda: [1440])
    active: bool = True
    # whose page it stands on; None: its first host's
    owner_team_id: UUID | None = None
    hosts: tuple[HostRef, ...]

    @property
    def longest_minutes(self) -> int:
        """How far ahead of a start busy time matters."""
        return max(*self.durations_minutes, *(int(service["duration_minutes"]) for service in self.services), 0)

    @property
    def owner_user_id(self) -> UUID | None:
        return None if self.owner_team_id else self.hosts[0].user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType(EventTypeFields):
    id: UUID
    owner_handle: str | None
    config_version: int
    created_at: datetime
    updated_at: datetime
