"""Whether a large table makes anything slower: one host's slots, and creates, among ten thousand bookings and among a
million.

The one rule: only the size of the tables differs. Each size has a database and a web process of its own, and they are
asked in turns, so that whatever else the machine does meets both. The asked host has the same bookings in both,
scattered over the table as two years would leave them.
"""

import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from app.core import db
from app.core.db import Connection
from app.core.times import iso
from app.domain.availability.inputs import load_inputs
from app.domain.availability.service import find_open_slots
from app.domain.bookings.create import create_booking
from app.domain.bookings.models import Actor
from app.domain.bookings.orders import NewBooking
from app.domain.identity.models import Principal
from bench.client import BenchError, ask, request
from bench.dataset import Tenant, booking_body, first_start
from bench.filling import Place, Span, book, indexed_afterwards, places_of
from bench.report import Line, median
from bench.stage import Served, Stage
from bench.statement import ATTENDEE, SLOT, Counting

SMALL, LARGE = 10_000, 1_000_000
ORGANIZATIONS = 10
HOSTS = 100
DAYS = 30
OWN = 300
_RATIO_BELOW = 1.2
_ROUNDS = 8
_SECONDS = 0.7
_STATEMENTS = 50
_CHECKPOINT_SECONDS = 60
_HISTORY_DAYS = 730
_MEETING = timedelta(minutes=30)
# Bookings lie between 8 and 18 o'clock; what is created lies between 20 and 24, among them.
_MORNING, _EVENING = timedelta(hours=8), timedelta(hours=20)
_MEETINGS_A_DAY, _CREATES_A_DAY = 20, 16


@dataclass(frozen=True, slots=True)
class Site:
    """A database with so many bookings, and who is asked there. slots, inputs, creates: milliseconds of each round."""

    stage: Stage
    web: Served
    tenant: Tenant
    principal: Principal
    asking: Iterator[bytes]
    creating: Iterator[bytes]
    slots: list[float] = field(default_factory=list)
    inputs: list[float] = field(default_factory=list)
    creates: list[float] = field(default_factory=list)

    @property
    def code(self) -> str:
        """The event type whose slots are asked for. The last one is for counting statements, the rest for creates."""
        return self.tenant.codes[0]


async def measure(stage: Stage) -> list[Line]:
    async with stage.beside("few_bookings") as few, stage.beside("many_bookings") as many:
        small, large = await _open(few, SMALL), await _open(many, LARGE)
        async with db.acquire(stage.pool) as conn:
            # what filling left to be written would be written meanwhile
            await conn.execute("checkpoint", timeout=_CHECKPOINT_SECONDS)
        for _ in range(_ROUNDS + 1):
            for site in (small, large):
                await _round(site)
        counts, expected = await _count(large), await _count(small)
    if counts != expected:
        raise BenchError(f"statements per request among {LARGE:,} bookings: {counts}, among {SMALL:,}: {expected}")
    return _lines(small, large, counts)


def _lines(small: Site, large: Site, counts: Mapping[str, int]) -> list[Line]:
    """The first round warms up."""
    against = f"among {SMALL:,}"

    def p50(name: str, many: Sequence[float], few: Sequence[float], *, below: float | None = None) -> Line:
        rounds: dict[str, object] = {"many": many[1:], "few": few[1:]}
        what = f"{name} p50 among {LARGE:,} bookings"
        return Line(what, median(many[1:]), "ms", median(few[1:]), against, ratio_below=below, detail=rounds)

    return [
        p50(f"slots, {DAYS} days,", large.slots, small.slots, below=_RATIO_BELOW),
        p50("their statement alone,", large.inputs, small.inputs),
        p50("create,", large.creates, small.creates, below=_RATIO_BELOW),
        *(
            Line(f"statements per {request} among {LARGE:,} bookings", count, "", count, against)
            for request, count in counts.items()
        ),
    ]


async def _open(stage: Stage, size: int) -> Site:
    """A database with so many bookings."""
    made = [await stage.tenant(f"million-{number}", hosts=HOSTS) for number in range(ORGANIZATIONS)]
    async with db.acquire(stage.pool) as conn:
        places = [place for tenant, _ in made for place in await places_of(conn, tenant)]
    began = time.monotonic()
    async with indexed_afterwards(stage.pool):
        await book(stage.pool, _spans(places, size))
    await stage.settle()
    print(f"bench: {size:,} bookings took {time.monotonic() - began:.0f} s", file=sys.stderr)
    tenant, principal = made[0]
    site = Site(stage, await stage.web(), tenant, principal, _asking(tenant), _creating(tenant))
    await _check(site)
    return site


async def _round(site: Site) -> None:
    web = site.web
    asked, _ = await web.load(site.asking, expect=200, connections=1, seconds=_SECONDS)
    site.slots.append(asked.p50_ms)
    async with db.acquire(site.stage.pool) as conn:
        site.inputs.append(median([await _load_inputs(conn, site) for _ in range(_STATEMENTS)]))
    created, _ = await web.load(site.creating, expect=201, connections=1, seconds=_SECONDS)
    site.creates.append(created.p50_ms)


def _spans(places: Sequence[Place], size: int) -> Iterator[Span]:
    """The first host's bookings in the asked range, evenly among everybody else's from a year ago to a year ahead."""
    own, *others = places
    every, turns = size // OWN, -(-size // len(others))
    theirs = itertools.count()
    for number in range(size):
        turn, rest = divmod(number, every)
        if rest == 0 and turn < OWN:
            day, slot, place = turn * DAYS // OWN, 2 * turn % _MEETINGS_A_DAY, own
        else:
            turn, which = divmod(next(theirs), len(others))
            place = others[which]
            day, slot = turn * _HISTORY_DAYS // turns - _HISTORY_DAYS // 2, (7 * turn + which) % _MEETINGS_A_DAY
        start = first_start() + timedelta(days=day) + _MORNING + slot * _MEETING
        yield Span(place, start, start + _MEETING)


def _asking(tenant: Tenant) -> Iterator[bytes]:
    """Requests for 30 days, each a second later than the one before, so that none is answered from memory."""
    for seconds in itertools.count():
        start = first_start() + timedelta(seconds=seconds)
        span = f"start={iso(start)}&end={iso(start + timedelta(days=DAYS))}"
        yield request("GET", f"/v1/slots?event_type={tenant.codes[0]}&{span}&timezone=UTC", key=tenant.api_key)


def _creating(tenant: Tenant) -> Iterator[bytes]:
    """Requests for distinct slots in the evenings: hosts take turns, each turn a slot later."""
    for turn in itertools.count():
        day, slot = divmod(turn, _CREATES_A_DAY)
        start = first_start() + timedelta(days=day) + _EVENING + slot * SLOT
        for code in tenant.codes[1:-1]:
            yield request("POST", "/v1/bookings", key=tenant.api_key, body=booking_body(code, start))


async def _check(site: Site) -> None:
    """Each of the host's bookings takes two starts, or three where it lies across the grid's edge."""
    found = (await ask(site.web.port, next(site.asking))).count(b'"start"')
    most = DAYS * int(timedelta(days=1) / SLOT)
    if not most - 3 * OWN <= found <= most - 2 * OWN:
        raise BenchError(f"{found} of {most} starts are open beside {OWN} bookings, which cannot be")


async def _load_inputs(conn: Connection, site: Site) -> float:
    """What the slots' one statement takes by itself, in milliseconds."""
    start, caller = first_start(), site.principal.caller
    now, began = datetime.now(UTC), time.perf_counter()
    await load_inputs(conn, caller, site.code, start, start + timedelta(days=DAYS), busy=True, now=now)
    return (time.perf_counter() - began) * 1000


async def _count(site: Site) -> dict[str, int]:
    """How many statements requests run. The first create of an event type finds nothing remembered of it."""
    start, now, caller = first_start(), datetime.now(UTC), site.principal.caller
    async with db.acquire(site.stage.pool) as conn:
        counting = Counting(conn)
        counted = cast("Connection", counting)
        end = start + timedelta(days=DAYS)
        await find_open_slots(counted, caller, site.code, start, end, duration=None, host_id=None, now=now)
        marks = [0, counting.statements]
        for number in range(2):
            wanted = NewBooking(site.tenant.codes[-1], start + _EVENING + number * SLOT, ATTENDEE)
            await create_booking(counted, site.principal, wanted, Actor("api", site.principal.key_id), now)
            marks.append(counting.statements)
    counts = [after - before for before, after in itertools.pairwise(marks)]
    return dict(zip(("slots request", "first create", "create"), counts, strict=True))
