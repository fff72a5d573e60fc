"""`/v1/slots`: the open starts of an event type, grouped by local date."""

import dataclasses
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from aiohttp import hdrs, web

from app.core.errors import InvalidInput
from app.core.ids import Kind, decode
from app.core.recent import Recent
from app.core.times import EARLIEST, LATEST, epoch, from_epoch, parse_instant
from app.domain.availability.explain import Explainer, load_blockers
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
from app.domain.bookings.decide import route_on, verdict_on
from app.faces.v1.listing import Listing
from app.faces.v1.shapes.slots import SlotsQuery
from app.web.call import Call, raw_response
from app.web.fields import parse_day
from app.web.routing import etag_of

Bound = date | datetime
"""A local date, or an instant (which is a date too, to Python: ask for datetime first)."""

# Without `timezone`, dates are meant in the host's zone, which is known only when the inputs are there: no zone is
# further than this from UTC.
_ZONE_REACH = timedelta(hours=26)
_ONE_DAY = timedelta(days=1)
# Starts times hosts that are worth an answer: it is made in one go, while other callers of the process wait.
_MOST_SLOTS, _MOST_EXPLAINED = 200_000, 40_000


async def list_slots(call: Call) -> web.Response:
    query = call.query(SlotsQuery)
    first, last = _bound("start", query.start), _bound("end", query.end)
    reach = timedelta(0) if query.timezone else _ZONE_REACH
    start, end = _edges(first, last, query.timezone or "UTC")
    _check_range(start, end, empty=isinstance(first, datetime) or isinstance(last, datetime))
    event_type = decode(Kind.EVENT_TYPE, query.event_type) or query.event_type
    span = (from_epoch(start) - reach, from_epoch(end) + reach)
    answers = [answer.model_dump() for answer in query.answers]
    if query.explain:
        return await _explained(call, query, event_type, (first, last), span, answers)
    inputs = await load_inputs(call.conn, call.principal.caller, event_type, *span, busy=True, now=call.now)
    verdict = verdict_on(inputs, answers, held=True)
    asked = _ask(inputs, query, verdict)
    zone = query.timezone or _zone_of(inputs)
    start, end = _edges(first, last, zone)
    check_size(inputs, asked, start, end, most=_MOST_SLOTS)
    # what is asked, what it is answered from, and what the tokens say besides
    key = (zone, start, end, query.service_id, expiry(call.now), question(inputs, asked, start, end, call.now))
    answer = _ANSWERS.recall(key, call.now)
    if answer is None:
        listing = Listing(inputs, asked, query.service_id, zone, call.principal.secret, call.now)
        made = listing.serialize(open_slots(inputs, asked, start, end, call.now))
        answer = (made, etag_of(made))
        if len(made) <= _LARGEST_KEPT:
            _ANSWERS.remember(key, answer, call.now)
    body, etag = answer
    response = raw_response(body)
    response.headers[hdrs.ETAG] = etag
    return response


async def _explained(
    call: Call,
    query: SlotsQuery,
    event_type: UUID | str,
    bounds: tuple[Bound, Bound],
    span: tuple[datetime, datetime],
    answers: list[dict[str, Any]],
) -> web.Response:
    """The open slots and, beside them, every refused start with its reasons."""
    org_id = call.principal.org_id
    # one snapshot, so that the explanation speaks of what the decision saw
    async with call.conn.transaction(isolation="repeatable_read", readonly=True):
        inputs = await load_inputs(call.conn, call.principal.caller, event_type, *span, busy=True, now=call.now)
        blockers = await load_blockers(call.conn, org_id, inputs, *span, call.now)
    verdict = route_on(inputs, answers)
    asked = _ask(inputs, query, verdict)
    zone = query.timezone or _zone_of(inputs)
    start, end = _edges(*bounds, zone)
    check_size(inputs, asked, start, end, most=_MOST_EXPLAINED)
    found = open_slots(inputs, asked, start, end, call.now)
    if verdict.rejected is not None:
        found = dataclasses.replace(found, starts=[], lists=[])
    explainer = Explainer(inputs, asked, start, end, blockers, verdict, call.now)
    listing = Listing(inputs, asked, query.service_id, zone, call.principal.secret, call.now)
    return raw_response(listing.serialize(found, explainer.refused(found.starts)))


def _ask(inputs: Inputs, query: SlotsQuery, verdict: Verdict) -> Asked:
    return ask(
        inputs,
        duration=query.duration,
        service_id=query.service_id,
        host_id=query.host_id,
        among=verdict.host_ids,
    )


def _zone_of(inputs: Inputs) -> str:
    """The first host's own."""
    return next((host.hours.zone for host in inputs.hosts if host.hours), "UTC")


# The last answers, by everything they depend on. The inputs are read afresh for every request; what is spared is
# computing and writing the same thousand slots for the next visitor of the same page.
_ANSWERS: Recent[object, tuple[bytes, str]] = Recent(most=48, age=timedelta(days=1))
_LARGEST_KEPT = 512 * 1024


def _bound(name: str, text: str) -> Bound:
    """A date or an instant. Raises InvalidInput."""
    try:
        value: Bound = parse_day(text) if len(text) == len("2026-05-01") else parse_instant(text)
    except ValueError:
        wanted = "expected a date such as 2026-05-01, or a time with its offset such as 2026-05-01T00:00:00Z"
        hint = " (a + is written %2B in a URL)" if " " in text else ""
        raise InvalidInput.of(name, wanted + hint) from None
    day = value.date() if isinstance(value, datetime) else value
    if not EARLIEST.date() < day < LATEST.date():
        raise InvalidInput.of(name, "expected a time between 1970 and 2200")
    return value


def _edges(first: Bound, last: Bound, zone: str) -> tuple[int, int]:
    """[start, end) in epoch seconds: dates from their first instant in the zone to the end of the last one."""
    start = epoch(first) if isinstance(first, datetime) else day_start(zone, first)
    return start, epoch(last) if isinstance(last, datetime) else day_start(zone, last + _ONE_DAY)


def _check_range(start: int, end: int, *, empty: bool) -> None:
    """empty: whether a range without an instant may be asked for; days are inclusive, so there is at least one."""
    if end < start or (end == start and not empty):
        raise InvalidInput.of("end", "must not lie before start")
    # an hour more: 62 local days may hold the hour that a clock went back
    if end - start > MAXIMUM_RANGE_DAYS * DAY + 3600:
        raise InvalidInput.of("end", f"at most {MAXIMUM_RANGE_DAYS} days can be asked for at once")
