"""The slots query."""

import orjson
from pydantic import Field, field_validator

from app.faces.v1.shapes.bookings import AnswerIn
from app.faces.v1.shapes.kinds import Minutes, QuestionId
from app.web.fields import QueryModel, UserId, ZoneName


class SlotsQuery(QueryModel):
    """start and end: dates (inclusive, in `timezone`) or instants (half-open on the slot's start). answers: the list
    that a booking takes, as JSON, so that what routing leaves is what is listed. explain: also what is refused."""

    event_type: str = Field(max_length=100)
    start: str = Field(max_length=40)
    end: str = Field(max_length=40)
    timezone: ZoneName | None = None
    duration: Minutes | None = None
    service_id: QuestionId | None = None
    host_id: UserId | None = None
    answers: tuple[AnswerIn, ...] = Field(default=(), max_length=100)
    explain: bool = False

    @field_validator("answers", mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError("expected a JSON list of {question_id, answer}") from None
