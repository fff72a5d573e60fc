"""The slots query."""

from pydantic import Field

from app.faces.v1.shapes.kinds import Minutes
from app.web.fields import (
    QueryModel,
    UserId,
    ZoneName,
)


class SlotsQuery(QueryModel):
    """start and end: dates (inclusive, in `timezone`) or instants (half-open on the slot's start)."""

    event_type: str = Field(max_length=100)
    start: str = Field(max_length=40)
    end: str = Field(max_length=40)
    timezone: ZoneName | None = None
    duration: Minutes | None = None
    host_id: UserId | None = None
