"""What can be waited for, and whether it can be had now.

The one rule: nothing is decided here either. `open_slots` says what is open, and what would be if nobody had booked:
only what other bookings, full seats or reached caps close is worth waiting for. A host's calendar, their hours, notice
and window are nobody's to give back.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from app.core.db import Connection
from app.core.times import epoch, from_epoch
from app.domain.availability.inputs import Inputs, load_inputs
from app.domain.availability.service import DAY, Asked, ask, open_slots
from app.domain.availability.windows import day_start
from app.domain.identity.models import Caller

_ONE_DAY = timedelta(days=1)
# so far apart wants are answered from one look at the database
_FAR = 31 * DAY


@dataclass(frozen=True, slots=True)
class Want:
    """One start, or any on a day in a zone, of what an event type offers."""

    starts_at: datetime | None
    local_date: date | None
    timezone: str | None
    duration_minutes: int | None
    service_id: str | None
    host_id: UUID | None

    @property
    def span(self) -> tuple[int, int]:
        """The starts that would do: [since, until), epoch seconds."""
        if self.starts_at is not None:
            since = epoch(self.starts_at)
            return since, since + 1
        assert self.local_date is not None  # noqa: S101 -- the database holds it: one of the two
        assert self.timezone is not None  # noqa: S101
        return day_start(self.timezone, self.local_date), day_start(self.timezone, self.local_date + _ONE_DAY)

    @property
    def closes_at(self) -> datetime:
        """From when on nothing of it can be had."""
        return self.starts_at or from_epoch(self.span[1])

    def ask(self, inputs: Inputs, among: frozenset[UUID] | None = None) -> Asked:
        """among: the hosts whom routing leaves. Raises InvalidInput for what the event type does not offer."""
        return ask(
            inputs,
            duration=self.duration_minutes,
            service_id=self.service_id,
            host_id=self.host_id,
            among=among,
        )

    def open_starts(self, inputs: Inputs, asked: Asked, now: datetime) -> Sequence[int]:
        """In epoch seconds, sorted."""
        return open_slots(inputs, asked, *self.span, now).starts

    def would_be_open(self, inputs: Inputs, asked: Asked, now: datetime) -> bool:
        """Whether there is a start that only bookings close."""
        hosts = tuple(dataclasses.replace(host, held=(), full=()) for host in asked.hosts)
        units = tuple(dataclasses.replace(unit, held=()) for unit in inputs.units)
        empty = dataclasses.replace(inputs, units=units, sittings={})
        return bool(self.open_starts(empty, dataclasses.replace(asked, hosts=hosts), now))


async def load_for(
    conn: Connection, caller: Caller, event_type_id: UUID, wants: Iterable[Want], now: datetime
) -> Inputs:
    """The inputs of an event type that answer for all of these. Raises NotFound `event_type_not_found`."""
    spans = [want.span for want in wants]
    start, end = from_epoch(min(since for since, _ in spans)), from_epoch(max(until for _, until in spans))
    return await load_inputs(conn, caller, event_type_id, start, end, busy=True, now=now)


def together(wants: Iterable[Want]) -> Iterator[list[Want]]:
    """In the order of time, those that are near enough to be answered at once."""
    group: list[Want] = []
    for want in sorted(wants, key=lambda each: each.span):
        if group and want.span[1] - group[0].span[0] > _FAR:
            yield group
            group = []
        group.append(want)
    if group:
        yield group
