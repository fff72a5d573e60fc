"""Bookings: what creates and changes one."""

from typing import Any
from uuid import UUID

from pydantic import Field, model_validator

from app.core.ids import Kind, decode
from app.faces.v1.shapes.kinds import Minutes, QuestionId, Reference
from app.web.fields import (
    Email,
    Instant,
    Name,
    Phone,
    Text,
    UserId,
    WireModel,
    ZoneName,
    refusal,
)


class AttendeeIn(WireModel):
    name: Name
    email: Email
    phone: Phone | None = None
    timezone: ZoneName


class AnswerIn(WireModel):
    question_id: QuestionId
    answer: Any


class GuestIn(WireModel):
    email: Email
    name: Name | None = None


class BookingIn(WireModel):
    """Seed 001's body, with the event type by id or by code."""

    event_type_id: Reference | None = None
    event_type: Reference | None = None
    requested_time: Instant
    attendee: AttendeeIn
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)
    host_id: UserId | None = None
    duration: Minutes | None = None
    guests: list[GuestIn] = Field(default_factory=list, max_length=50)
    notes: Text | None = None

    @model_validator(mode="after")
    def _names_one_event_type(self) -> "BookingIn":
        if self.event_type_id is None and self.event_type is None:
            raise refusal("event_type_id", "is required, or event_type with the code", "missing")
        if self.event_type_id is not None and self.event_type is not None:
            raise refusal("event_type", "give either event_type_id or event_type")
        return self

    @property
    def named_event_type(self) -> UUID | str:
        """The id, or the code. A text that is neither finds nothing, like any other unknown one."""
        text = self.event_type_id or self.event_type or ""
        return decode(Kind.EVENT_TYPE, text) or ("" if self.event_type_id else text)


class CancelIn(WireModel):
    reason: Text | None = None
