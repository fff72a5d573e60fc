"""What a caller asks for, before anything is decided."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.errors import InvalidInput
from app.core.times import epoch, from_epoch
from app.domain.availability.slot_tokens import SlotToken, read_token
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Attendee, Booking


@dataclass(frozen=True, slots=True)
class NewBooking:
    """`event_type` is an id or a code, `duration_minutes` one of its durations. Either a slot token says event type and
    start, or they are given; a link says the event type too. hold_seconds: keep the slot as DRAFT for so long; then
    attendee and answers may come with `finish_booking`, unless it is said that the answers are complete.
    requires_approval: a person decides, whatever the event type says."""

    event_type: UUID | str | None
    start: datetime | None
    attendee: Attendee | None
    duration_minutes: int | None = None
    service_id: str | None = None
    host_id: UUID | None = None
    guests: list[dict[str, Any]] = field(default_factory=list)
    custom_fields: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    notes: str | None = None
    slot_token: str | None = None
    hold_seconds: int | None = None
    is_answered: bool = False
    link_code: str | None = None
    requires_approval: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """The booking that a new one takes the place of. The new one keeps its length, its host where it can, and its place
    in the attendee's calendar. status: of the new one. requires_approval: that is decided by a person, and so is every
    move of the attendee's that follows, whatever the event type says."""

    old: Booking
    status: Status
    requires_approval: bool = False

    @property
    def minutes(self) -> int:
        return round((self.old.ends_at - self.old.starts_at).total_seconds() / 60)


@dataclass(frozen=True, slots=True)
class Order:
    """A new booking whose event type and start are known."""

    wanted: NewBooking
    event_type: UUID | str
    start: datetime
    token: SlotToken | None = None
    moved: Moved | None = None
    link_id: UUID | None = None


def order_of(wanted: NewBooking, secret: bytes) -> Order:
    """Raises InvalidInput for a slot token that was not made here, or that says something else than the rest."""
    if wanted.slot_token is None:
        assert wanted.event_type is not None  # noqa: S101 -- the wire asks for both, or for a token
        assert wanted.start is not None  # noqa: S101
        return Order(wanted, wanted.event_type, wanted.start)
    token = read_token(secret, wanted.slot_token)
    if isinstance(wanted.event_type, UUID) and wanted.event_type != token.event_type_id:
        raise InvalidInput.of("slot_token", "is a token of another event type")
    if wanted.start is not None and (wanted.start.microsecond or epoch(wanted.start) != token.start):
        raise InvalidInput.of("requested_time", "is not the time of the slot_token; one of them is enough")
    if wanted.duration_minutes not in {None, token.minutes}:
        raise InvalidInput.of("duration", f"the slot_token is for {token.minutes} minutes")
    return Order(wanted, token.event_type_id, from_epoch(token.start), token)
