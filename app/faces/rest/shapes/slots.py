"""The slots query, and what `/v1` answers besides the open slots."""

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from app.core.shown import Time
from app.web.fields import AskedFlag
from app.web.shapes import ByDay, OpenSlotsShown, SlotsRange


class SlotsQuery(SlotsRange):
    """start and end: dates (inclusive, in `timezone`) or instants (half-open on the slot's start). answers: those that
    a booking takes, as JSON. explain: also what is refused."""

    event_type: str = Field(max_length=100)
    explain: AskedFlag = False


class RefusedShown(TypedDict):
    """reasons: each with a `code` and the object that is in the way."""

    start: Time
    end: Time
    reasons: list[dict[str, Any]]


class SlotsShown(OpenSlotsShown):
    """refused: with `explain=true` only."""

    refused: NotRequired[Annotated[dict[str, list[RefusedShown]], ByDay]]
