"""Bookings: what creates and changes one."""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.ids import Kind, decode
from app.domain.bookings.holds import LONGEST_SECONDS
from app.domain.bookings.models import BookingShown
from app.domain.calendars.choices import CalendarEntryShown
from app.faces.rest.shapes.kinds import Reference
from app.web.fields import (
    Email,
    Instant,
    JsonObject,
    Name,
    Phone,
    Text,
    UserId,
    WireModel,
    ZoneName,
    missing,
    refusal,
    refuse_nulls,
    stating,
)
from app.web.shapes import AnswerIn, Chosen, GuestIn, Minutes, SlotTokenText


class AttendeeIn(WireModel):
    name: Name
    email: Email
    phone: Phone | None = None
    timezone: ZoneName


_ALWAYS_KNOWN = ("name", "email", "timezone")


class AttendeePatch(WireModel):
    """What is left out stays; a phone may be taken away with null."""

    model_config = ConfigDict(json_schema_extra=stating(never_null=_ALWAYS_KNOWN))

    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    timezone: ZoneName | None = None

    @model_validator(mode="after")
    def _names_who_comes(self) -> "AttendeePatch":
        refuse_nulls(self, _ALWAYS_KNOWN)
        return self


class BookingPatch(WireModel):
    """Times, status and assignment change by actions of their own."""

    attendee: AttendeePatch = Field(default_factory=AttendeePatch)

    @property
    def changes(self) -> dict[str, Any]:
        return {name: getattr(self.attendee, name) for name in self.attendee.model_fields_set}


_LEFT_OUT_OR_GIVEN = ("attendee", "requested_time", "slot_token", "link_code")


class BookingIn(WireModel):
    """The event type by id or by code, and a time; or a slot token, which says what and when; or a link, which says
    what."""

    model_config = ConfigDict(
        json_schema_extra=stating(
            never_null=_LEFT_OUT_OR_GIVEN,
            needs=(
                (("attendee",), ("hold_seconds",)),
                (
                    ("slot_token",),
                    ("requested_time", "event_type_id"),
                    ("requested_time", "event_type"),
                    ("requested_time", "link_code"),
                ),
            ),
        )
    )

    event_type_id: Reference | None = None
    event_type: Reference | None = None
    requested_time: Instant | None = None
    slot_token: SlotTokenText | None = None
    link_code: Reference | None = None
    hold_seconds: int | None = Field(default=None, ge=1, le=LONGEST_SECONDS)
    attendee: AttendeeIn | None = None
    custom_fields: JsonObject = Field(default_factory=dict)
    metadata: JsonObject = Field(default_factory=dict)
    answers: list[AnswerIn] = Field(default_factory=list, max_length=100)
    host_id: UserId | None = None
    duration: Minutes | None = None
    service_id: Chosen | None = None
    guests: list[GuestIn] = Field(default_factory=list, max_length=50)
    notes: Text | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "BookingIn":
        if self.event_type_id is not None and self.event_type is not None:
            raise refusal("event_type", "give either event_type_id or event_type")
        refuse_nulls(self, _LEFT_OUT_OR_GIVEN)
        wanted = ["attendee"] if self.attendee is None and self.hold_seconds is None else []
        if self.slot_token is None:
            wanted += [] if self.event_type_id or self.event_type or self.link_code else ["event_type_id"]
            wanted += ["requested_time"] if self.requested_time is None else []
        if wanted:
            raise missing(*wanted)
        return self

    @property
    def named_event_type(self) -> UUID | str | None:
        """The id, or the code; None leaves it to the slot token or the link. A text that is neither finds nothing, like
        any other unknown one."""
        text = self.event_type_id or self.event_type
        if text is None:
            return None
        return decode(Kind.EVENT_TYPE, text) or ("" if self.event_type_id else text)


class FinishIn(WireModel):
    """What completes a hold; what it brought already may be left out."""

    attendee: AttendeeIn | None = None
    custom_fields: JsonObject | None = None
    metadata: JsonObject | None = None
    answers: list[AnswerIn] | None = Field(default=None, max_length=100)
    guests: list[GuestIn] | None = Field(default=None, max_length=50)
    notes: Text | None = None


class BookingReadShown(BookingShown):
    """calendar_events: how it stands in its hosts' calendars."""

    calendar_events: list[CalendarEntryShown]


class RescheduleIn(WireModel):
    start_time: Instant
    timezone: ZoneName | None = None
    reason: Text | None = None
