"""What a booking tells the world: event bodies, made once and sent as the same bytes to every receiver, ever.

Shape (the API contract, "Webhooks out"): `{"id", "type", "timestamp", "api_version", "sequence", "data"}`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.ids import Kind, encode, new_id
from app.core.times import iso
from app.domain.bookings.models import Booking

API_VERSION = "2026-11-01"

CREATED = "booking.created"
CANCELLED = "booking.cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """An event about to be written; `sequence` grows by one per event of a booking."""

    id: UUID
    type: str
    sequence: int
    body: str


def event_of(booking: Booking, event_type: str, shown: dict[str, Any], now: datetime) -> Event:
    """The event that follows from the booking's present state; its sequence is the booking's `event_sequence`.

    shown: `represent(booking)`, which whoever asks has at hand or needs anyway.
    """
    event_id = new_id()
    body = {
        "id": encode(Kind.EVENT, event_id),
        "type": event_type,
        "timestamp": iso(now),
        "api_version": API_VERSION,
        "sequence": booking.event_sequence,
        "data": {"booking": shown},
    }
    return Event(event_id, event_type, booking.event_sequence, orjson.dumps(body).decode())
