"""What more than one face takes and gives in the same words: answers, guests, the slots of a range.

The one rule: faces share values here, never each other.
"""

from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import BeforeValidator, Field, StringConstraints
from typing_extensions import TypedDict

from app.core.shown import EventTypeRef, Looks, Time, UserRef, Zone, one_of
from app.web.fields import AskedNumber, Email, Moment, Name, QueryModel, Text, UserId, WireModel, ZoneName

Minutes = Annotated[int, Field(ge=1, le=1440)]
QuestionId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
# of something that the service knows: what it does not know is refused with the choices there are
Chosen = Annotated[str, StringConstraints(max_length=100)]
SlotTokenText = Annotated[str, StringConstraints(max_length=1024)]


class AnswerIn(WireModel):
    question_id: Chosen
    answer: Any


def _answers(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError("expected a JSON list of {question_id, answer}") from None


# of queries, where the list comes as JSON
AskedAnswers = Annotated[tuple[AnswerIn, ...], Field(max_length=100), BeforeValidator(_answers)]


class GuestIn(WireModel):
    email: Email
    name: Name | None = None


class ReasonIn(WireModel):
    """For steps that may say why."""

    reason: Text | None = None


class SlotsRange(QueryModel):
    """start and end: dates (inclusive, in `timezone`) or instants (half-open on the slot's start). answers: the list
    that a booking takes, as JSON, so that what routing leaves is what is listed."""

    start: Moment
    end: Moment
    timezone: ZoneName | None = None
    duration: Annotated[AskedNumber, Field(ge=1, le=1440)] | None = None
    service_id: Chosen | None = None
    host_id: UserId | None = None
    answers: AskedAnswers = ()


class SlotShown(TypedDict):
    """seats_left: of event types with seats. host_ids: who could take it, where there is a choice. token: books exactly
    this slot, as `slot_token` of a booking."""

    start: Time
    end: Time
    seats_left: NotRequired[int]
    host_ids: NotRequired[list[UserRef]]
    token: str


class SlotWarningShown(TypedDict):
    """calendar_stale: the host's calendar could not be read lately, and they take bookings all the same; what is shown
    as open may be taken there."""

    code: Annotated[str, one_of("calendar_stale")]
    host_id: UserRef


ByDay = Looks({"propertyNames": {"format": "date"}})


class OpenSlotsShown(TypedDict):
    """By local date. warnings: only where there are any."""

    success: Literal[True]
    event_type_id: EventTypeRef
    timezone: Zone
    duration_minutes: int
    warnings: NotRequired[list[SlotWarningShown]]
    slots: Annotated[dict[str, list[SlotShown]], ByDay]
