"""What somebody waits for, as every face takes it: a start, or a day.

The one rule: one of the two, and it is real. Whether it can be waited for, the domain says.
"""

from datetime import date, datetime
from typing import Self

from pydantic import ConfigDict, model_validator

from app.core.times import EARLIEST, LATEST
from app.web.fields import Day, Instant, WireModel, missing, refusal, refuse_nulls, stating

AWAITED = ("start_time", "date")


class AwaitedIn(WireModel):
    """Either start_time or date."""

    model_config = ConfigDict(json_schema_extra=stating(never_null=AWAITED, needs=([[name] for name in AWAITED],)))

    start_time: Instant | None = None
    date: Day | None = None

    @model_validator(mode="after")
    def _says_for_what(self) -> Self:
        refuse_nulls(self, AWAITED)
        check_awaited(self.start_time, self.date)
        return self


def check_awaited(start_time: datetime | None, day: date | None) -> None:
    """Raises what a model's validator may raise."""
    if start_time is None and day is None:
        raise missing("start_time")
    if start_time is not None and day is not None:
        raise refusal("date", "give either start_time or date")
    if day is not None and not EARLIEST.date() < day < LATEST.date():
        raise refusal("date", "expected a date between 1970 and 2200")
