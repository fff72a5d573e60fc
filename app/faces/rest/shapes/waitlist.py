"""Waiting lists: who joins, which entries are listed, and what one looks like."""

from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.ids import Kind, decode
from app.domain.bookings.entries import EntryStatus
from app.domain.bookings.models import Attendee
from app.domain.bookings.waitlist import NewEntry
from app.faces.rest.shapes.bookings import AttendeeIn
from app.faces.rest.shapes.kinds import Reference
from app.web.fields import EventTypeId, JsonObject, Text, UserId, missing, refusal, refuse_nulls, stating
from app.web.paging import Page
from app.web.shapes import AnswerIn, Chosen, Minutes
from app.web.waiting import AWAITED, AwaitedIn

_NAMED = ("event_type_id", "event_type")


class WaitlistIn(AwaitedIn):
    """The event type by id or by code; a start that is taken, or a date, in the attendee's time zone, on which nothing
    is open any more. Where this e-mail address waits for the same thing already, it keeps its place: the answer has
    that one's id, status and times, and everything else as it was sent."""

    model_config = ConfigDict(
        json_schema_extra=stating(
            never_null=(*AWAITED, *_NAMED), needs=([[name] for name in _NAMED], [[name] for name in AWAITED])
        )
    )

    event_type_id: Reference | None = None
    event_type: Reference | None = None
    attendee: AttendeeIn
    duration: Minutes | None = None
    service_id: Chosen | None = None
    host_id: UserId | None = None
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)
    notes: Text | None = None
    custom_fields: JsonObject = Field(default_factory=dict)
    metadata: JsonObject = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_an_event_type(self) -> Self:
        refuse_nulls(self, _NAMED)
        if self.event_type_id is not None and self.event_type is not None:
            raise refusal("event_type", "give either event_type_id or event_type")
        if self.event_type_id is None and self.event_type is None:
            raise missing("event_type_id")
        return self

    @property
    def _event_type(self) -> UUID | str:
        text = self.event_type_id or self.event_type or ""
        return decode(Kind.EVENT_TYPE, text) or ("" if self.event_type_id else text)

    @property
    def wanted(self) -> NewEntry:
        who = self.attendee
        return NewEntry(
            event_type=self._event_type,
            starts_at=self.start_time,
            local_date=self.date,
            attendee=Attendee(who.name, who.email, who.phone, who.timezone),
            duration_minutes=self.duration,
            service_id=self.service_id,
            host_id=self.host_id,
            answers=[answer.model_dump() for answer in self.answers],
            notes=self.notes,
            custom_fields=self.custom_fields,
            metadata=self.metadata,
        )


class WaitlistQuery(Page):
    """status may be given several times."""

    event_type_id: EventTypeId | None = None
    status: list[EntryStatus] | None = None
