"""`/v1/slots`: the open starts of an event type, grouped by local date."""

from bisect import bisect_left
from datetime import date, datetime, timedelta
from functools import lru_cache

import orjson
from aiohttp import hdrs, web

from app.core.errors import InvalidInput
from app.core.ids import Kind, decode, encode
from app.core.recent import Recent
from app.core.times import EARLIEST, LATEST, epoch, from_epoch, iso_epoch, parse_instant
from app.domain.availability.inputs import load_inputs
from app.domain.availability.service import DAY, MAXIMUM_RANGE_DAYS, OpenSlots, open_slots, question
from app.domain.availability.windows import day_start, local_date
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


async def list_slots(call: Call) -> web.Response:
    query = call.query(SlotsQuery)
    first, last = _bound("start", query.start), _bound("end", query.end)
    reach = timedelta(0) if query.timezone else _ZONE_REACH
    start, end = _edges(first, last, query.timezone or "UTC")
    _check_range(start, end, empty=isinstance(first, datetime) or isinstance(last, datetime))
    inputs = await load_inputs(
        call.conn,
        call.principal.caller,
        decode(Kind.EVENT_TYPE, query.event_type) or query.event_type,
        from_epoch(start) - reach,
        from_epoch(end) + reach,
        busy=True,
        now=call.now,
    )
    zone = query.timezone or next((host.hours.zone for host in inputs.hosts if host.hours), "UTC")
    start, end = _edges(first, last, zone)
    duration, host_id = query.duration, query.host_id
    key = (zone, start, end, question(inputs, start, end, duration=duration, host_id=host_id, now=call.now))
    answer = _ANSWERS.recall(key, call.now)
    if answer is None:
        found = open_slots(inputs, start, end, duration=duration, host_id=host_id, now=call.now)
        made = _serialize(found, zone)
        answer = (made, etag_of(made))
        if len(made) <= _LARGEST_KEPT:
            _ANSWERS.remember(key, answer, call.now)
    body, etag = answer
    response = raw_response(body)
    response.headers[hdrs.ETAG] = etag
    return response


# The last answers, by everything they depend on. The inputs are read afresh for every request; what is spared is
# computing and writing the same thousand slots for the next visitor of the same page.
_ANSWERS: Recent[object, tuple[bytes, str]] = Recent(most=128, age=timedelta(days=1))
_LARGEST_KEPT = 128 * 1024


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


def _serialize(found: OpenSlots, zone: str) -> bytes:
    """The body. Slots are joined from remembered pieces of JSON: a dictionary per slot costs more than the search."""
    seconds = found.duration_minutes * 60
    days: list[bytes] = []
    starts, first = found.starts, 0
    while first < len(starts):
        day = local_date(zone, starts[first])
        last = bisect_left(starts, day_start(zone, day + _ONE_DAY), first)
        slots = b",".join([_slot(start, seconds) for start in starts[first:last]])
        days.append(b'"%s":[%s]' % (day.isoformat().encode(), slots))
        first = last
    head = orjson.dumps(
        {
            "success": True,
            "event_type_id": encode(Kind.EVENT_TYPE, found.rules.event_type_id),
            "timezone": zone,
            "duration_minutes": found.duration_minutes,
        }
    )
    return head[:-1] + b',"slots":{' + b",".join(days) + b"}}"


@lru_cache(maxsize=65_536)
def _slot(start: int, seconds: int) -> bytes:
    return orjson.dumps({"start": iso_epoch(start), "end": iso_epoch(start + seconds)})
