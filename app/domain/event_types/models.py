"""An event type: what is bookable with people. Durations in minutes, the window in days."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class HostRef:
    """A person who may be booked through an event type."""

    user_id: UUID
    weight: int = 1
    priority: int = 0


@dataclass(frozen=True, slots=True)
class EventTypeFields:
    """What a caller may set. The column names are these names."""

    code: str
    slug: str
    title: str
    description: str | None
    duration_minutes: int
    durations_minutes: list[int]
    slot_interval_minutes: int | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    minimum_notice_minutes: int
    booking_window_days: int | None
    auto_complete: bool
    schedule_id: UUID | None
    questions: list[dict[str, Any]]
    location: dict[str, Any] | None
    reminders_minutes_before: list[int]
    active: bool
    hosts: tuple[HostRef, ...]


@dataclass(frozen=True, slots=True)
class EventType(EventTypeFields):
    id: UUID
    owner_handle: str | None
    max_per_day: int | None
    max_per_week: int | None
    max_per_month: int | None
    seats: int
    requires_confirmation: bool
    assignment: str
    routing_rules: list[dict[str, Any]]
    services: list[dict[str, Any]]
    waitlist: bool
    config_version: int
    created_at: datetime
    updated_at: datetime
