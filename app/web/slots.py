"""The open starts of an event type, grouped by local date: the same answer on every face that shows slots.

The one rule: what is spared is work, never a look at the database. The inputs are read afresh for every request; their
answer is made once.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from aiohttp import hdrs, web

from app.core.errors import InvalidInput
from app.core.recent import Recent
from app.core.times import epoch, from_epoch
from app.domain.availability.inputs import Inputs, load_inputs
from app.domain.availability.service import (
    DAY,
    MAXIMUM_RANGE_DAYS,
    Asked,
    Verdict,
    ask,
    check_size,
    open_slots,
    question,
)
from app.domain.availability.slot_tokens import expiry
from app.domain.availability.windows import day_start
from app.domain.bookings.decide import verdict_on
from app.domain.identity.models import Visitor
from app.web.call import Visit, raw_response
from app.web.listing import Listing
from app.web.routing import etag_of
from app.web.shapes import SlotsRange

# Without `timezone`, dates are meant in the host's zone, which is known only when the inputs are there: no zone is
# further than this from UTC.
_ZONE_REACH = timedelta(hours=26)
_ONE_DAY = timedelta(days=1)
# Starts times hosts that are worth an answer: it is made in one go, while other callers of the process wait.
MOST_SLOTS = 200_000


@dataclass(frozen=True, slots=True)
class Range:
    """The bounds of a query that can be answered. span: what to load for it, whatever its zone turns out to be."""

    first: date | datetime
    last: date | datetime
    span: tuple[datetime, datetime]

    def edges(self, zone: str) -> tuple[int, int]:
        """[start, end) in epoch seconds: dates from their first instant in the zone to the end of the last one."""
        return _edges(self.first, self.last, zone)


def range_of(query: SlotsRange) -> Range:
    """Raises InvalidInput for an end before the start, and for more days than can be asked for."""
    first, last = query.start, query.end
    reach = timedelta(0) if query.timezone else _ZONE_REACH
    start, end = _edges(first, last, query.timezone or "UTC")
    _check_range(start, end, empty=isinstance(first, datetime) or isinstance(last, datetime))
    return Range(first, last, (from_epoch(start) - reach, from_epoch(end) + reach))


async def answer_slots(visit: Visit, visitor: Visitor, event_type: UUID | str, query: SlotsRange) -> web.Response:
    """The open slots of one of the visitor's organization's event types. Raises what `load_inputs`, routing and the
    query's own checks raise."""
    asked_for, answers = range_of(query), [answer.model_dump() for answer in query.answers]
    with visit.timed("db"):
        inputs = await load_inputs(visit.conn, visitor.caller, event_type, *asked_for.span, busy=True, now=visit.now)
    with visit.timed("slots"):
        body, etag = _answer(visitor, inputs, query, asked_for, answers, visit.now)
    response = raw_response(body)
    response.headers[hdrs.ETAG] = etag
    return response


def ask_as(inputs: Inputs, query: SlotsRange, verdict: Verdict) -> Asked:
    return ask(
        inputs,
        duration=query.duration,
        service_id=query.service_id,
        host_id=query.host_id,
        among=verdict.host_ids,
    )


def zone_of(inputs: Inputs) -> str:
    """The first host's own."""
    return next((host.hours.zone for host in inputs.hosts if host.hours), "UTC")


# The last answers, by everything they depend on: what is spared is computing and writing the same thousand slots for
# the next visitor of the same page.
_ANSWERS: Recent[object, tuple[bytes, str]] = Recent(most=48, age=timedelta(days=1))
_LARGEST_KEPT = 512 * 1024


def _answer(
    visitor: Visitor,
    inputs: Inputs,
    query: SlotsRange,
    asked_for: Range,
    answers: list[dict[str, Any]],
    now: datetime,
) -> tuple[bytes, str]:
    """The body, and its ETag."""
    asked = ask_as(inputs, query, verdict_on(inputs, answers, held=True))
    zone = query.timezone or zone_of(inputs)
    start, end = asked_for.edges(zone)
    check_size(inputs, asked, start, end, most=MOST_SLOTS)
    # what is asked, what it is answered from, and what the tokens say besides
    unsure = tuple(host.user_id for host in asked.hosts if host.unsure)
    key = (zone, start, end, query.service_id, expiry(now), unsure, question(inputs, asked, start, end, now))
    answer = _ANSWERS.recall(key, now)
    if answer is None:
        listing = Listing(inputs, asked, query.service_id, zone, visitor.secret, now)
        made = listing.serialize(open_slots(inputs, asked, start, end, now))
        answer = (made, etag_of(made))
        if len(made) <= _LARGEST_KEPT:
            _ANSWERS.remember(key, answer, now)
    return answer


def _edges(first: date | datetime, last: date | datetime, zone: str) -> tuple[int, int]:
    """A datetime is a date too, to Python: it is asked for first."""
    start = epoch(first) if isinstance(first, datetime) else day_start(zone, first)
    return start, epoch(last) if isinstance(last, datetime) else day_start(zone, last + _ONE_DAY)


def _check_range(start: int, end: int, *, empty: bool) -> None:
    """empty: whether a range without an instant may be asked for; days are inclusive, so there is at least one."""
    if end < start or (end == start and not empty):
        raise InvalidInput.of("end", "must not lie before start")
    # an hour more: 62 local days may hold the hour that a clock went back
    if end - start > MAXIMUM_RANGE_DAYS * DAY + 3600:
        raise InvalidInput.of("end", f"at most {MAXIMUM_RANGE_DAYS} days can be asked for at once")
