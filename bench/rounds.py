"""Asking for 30 days of a round-robin event type with twenty busy hosts: what is computed, not what is remembered.

The one rule: no two of the measured requests ask for the same range, so that none is answered from memory.

The bookings lie evenly over the range. What calendars say lies between them, off the grid, so that each host has other
slots free than the next one.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from aiohttp.test_utils import make_mocked_request

from app.core import db
from app.core.times import iso
from app.domain.availability.inputs import ROUND_ROBIN
from app.domain.identity.models import Principal
from app.faces.rest.shapes.slots import SlotsQuery
from app.faces.rest.slots import list_slots
from app.web.call import HEADERS, Call
from app.web.operation import Operation
from bench.client import BenchError, ask, request
from bench.dataset import Tenant, first_start, offer
from bench.filling import Place, Span, book, mirror, places_of
from bench.report import Line, median
from bench.stage import Served, Stage

HOSTS = 20
DAYS = 30
BOOKINGS = 250
BUSY_BLOCKS = 250
_CODE = "rounds"
_SLOT_MINUTES = 30
_SLOT = timedelta(minutes=_SLOT_MINUTES)
_SLOTS = DAYS * 48
_BUSY_AFTER = 2 * _SLOT + timedelta(minutes=10)
_BUSY = timedelta(minutes=45)
_ROUNDS = 5
_SECONDS = 2.0
_WARM_UP_SECONDS = 1.0
_REPEATS = 10
_BELOW_MS = 30.0
_OPERATION = Operation("List open slots", query=SlotsQuery)


async def measure(stage: Stage) -> list[Line]:
    tenant, principal = await stage.tenant(_CODE, hosts=HOSTS)
    await _fill(stage, tenant)
    await stage.settle()
    web = await stage.web()
    size = await _check(web, tenant)
    fresh, same = _asking(tenant), itertools.repeat(next(_asking(tenant)))
    rounds: dict[str, list[float]] = {"computed": [], "again": [], "cpu_us_per_request": []}
    for number in range(_ROUNDS + 1):
        seconds = _SECONDS if number else _WARM_UP_SECONDS
        computed, cost = await web.load(fresh, expect=200, connections=1, seconds=seconds)
        again, _ = await web.load(same, expect=200, connections=1, seconds=seconds / 4)
        if number:
            rounds["computed"].append(computed.p50_ms)
            rounds["again"].append(again.p50_ms)
            rounds["cpu_us_per_request"].append(cost)
    what = f"round-robin of {HOSTS}, {DAYS} days, {HOSTS * BOOKINGS:,} + {HOSTS * BUSY_BLOCKS:,} busy"
    p50 = median(rounds["computed"])
    return [
        Line(f"{what}, p50", p50, "ms", below=_BELOW_MS, detail={"rounds": rounds}),
        Line(f"{what}, the same again", median(rounds["again"]), "ms", p50, "computed"),
        Line(f"{what}, remembered then", await _remembered(stage, principal), "%"),
        Line(f"{what}, the answer", size / 1024, "KiB"),
    ]


async def _fill(stage: Stage, tenant: Tenant) -> None:
    async with db.acquire(stage.pool) as conn:
        places = await places_of(conn, tenant)
        hosts = [place.user_id for place in places]
        grid = {"slot_interval_minutes": _SLOT_MINUTES, "assignment": ROUND_ROBIN}
        await offer(conn, tenant.org_id, _CODE, hosts, [_SLOT_MINUTES], **grid)
    bookings = [span for number, place in enumerate(places) for span in _bookings(number, place)]
    starts = [(span.place, span.start + _BUSY_AFTER) for span in bookings]
    await book(stage.pool, bookings)
    await mirror(stage.pool, [Span(place, start, start + _BUSY) for place, start in starts])


def _bookings(number: int, place: Place) -> Iterator[Span]:
    """Every fifth or sixth slot, each host's shifted against the one before's."""
    for turn in range(BOOKINGS):
        start = first_start() + (turn * _SLOTS // BOOKINGS + number * _SLOTS // HOSTS) % _SLOTS * _SLOT
        yield Span(place, start, start + _SLOT)


def _asking(tenant: Tenant) -> Iterator[bytes]:
    """Requests for 30 days, each a second later than the one before."""
    for seconds in itertools.count():
        yield request("GET", _path(first_start() + timedelta(seconds=seconds)), key=tenant.api_key)


def _path(start: datetime) -> str:
    return f"/v1/slots?event_type={_CODE}&start={iso(start)}&end={iso(start + timedelta(days=DAYS))}&timezone=UTC"


async def _check(web: Served, tenant: Tenant) -> int:
    """How long the answer is, in bytes. Each booking takes a slot of its host and each busy block two, unless the range
    ends before."""
    body = await ask(web.port, next(_asking(tenant)))
    starts, hosts = body.count(b'"start"'), body.count(b'"usr_')
    free = HOSTS * (_SLOTS - BOOKINGS - 2 * BUSY_BLOCKS)
    if not (starts <= _SLOTS and free <= hosts <= free + 2 * HOSTS):
        raise BenchError(f"{starts} starts with {hosts} hosts are open, which cannot be")
    return len(body)


async def _remembered(stage: Stage, principal: Principal) -> float:
    """How many of a hundred repeats are answered from memory: by the very bytes of the first answer. Asked in this
    process, where that can be seen."""
    asked, now = make_mocked_request("GET", _path(first_start())), datetime.now(UTC)
    asked[HEADERS] = {}
    async with db.acquire(stage.pool) as conn:
        answers = [await list_slots(Call(asked, b"", now, _OPERATION, conn, principal)) for _ in range(_REPEATS + 1)]
    first, *others = (answer.body for answer in answers)
    return 100 * sum(body is first for body in others) / len(others)
