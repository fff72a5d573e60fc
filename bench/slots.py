"""Asking for open slots over 1, 7 and 30 days with 0, 100 and 1,000 bookings in them, beside one point query.

The bookings lie evenly over the range. They last a slot, or less where so many would not fit: 1,000 bookings of one day
last a minute each.
"""

import itertools
from dataclasses import dataclass
from datetime import timedelta

from app.core import db
from app.domain.identity.models import Principal
from bench.client import BenchError, ask, request
from bench.dataset import SLOT_MINUTES, Tenant, first_start
from bench.report import Line, median
from bench.stage import Served, Stage
from bench.statement import record, write

CONNECTIONS = 32
_ROUNDS = 3
_SECONDS = 0.6
_WARM_UP_SECONDS = 0.3
_SLOTS_A_DAY = 24 * 60 // SLOT_MINUTES


@dataclass(frozen=True, slots=True)
class Case:
    days: int
    bookings: int

    @property
    def spacing(self) -> timedelta:
        return timedelta(days=self.days) / max(self.bookings, 1)

    @property
    def minutes(self) -> int:
        """How long each of the bookings lasts."""
        return min(SLOT_MINUTES, int(self.spacing.total_seconds() // 60))

    def __str__(self) -> str:
        return f"slots, {self.days} day{'s' if self.days > 1 else ''}, {self.bookings:,} bookings"


CASES = tuple(Case(days, bookings) for days in (1, 7, 30) for bookings in (0, 100, 1000))
# What was promised, by case: of the reference's rate, and in milliseconds at one connection.
_AT_LEAST = {Case(7, 100): 0.5}
_BELOW_MS = {Case(30, 1000): 3.0}


async def measure(stage: Stage) -> list[Line]:
    durations = [sorted({SLOT_MINUTES, case.minutes}, reverse=True) for case in CASES]
    tenant, principal = await stage.tenant("slots", hosts=len(CASES), durations=durations)
    ours, bare = await stage.web(), await stage.references(tenant)
    lines: list[Line] = []
    for number, case in enumerate(CASES):
        await _book(stage, principal, tenant.codes[number], case)
    await stage.settle()
    for number, case in enumerate(CASES):
        wanted = _asking(tenant, tenant.codes[number], case)
        await _check(ours, wanted, case)
        lines += await _measure_case(ours, bare, wanted, case)
    return lines


async def _book(stage: Stage, principal: Principal, code: str, case: Case) -> None:
    async with db.acquire(stage.pool) as conn:
        statement = await record(conn, principal, [code], first_start(), minutes=case.minutes)
    await write(stage.pool, (statement.at(0, number * case.spacing) for number in range(case.bookings)))


def _asking(tenant: Tenant, code: str, case: Case) -> bytes:
    start = first_start().date()
    end = start + timedelta(days=case.days - 1)
    path = f"/v1/slots?event_type={code}&start={start}&end={end}&timezone=UTC&duration={SLOT_MINUTES}"
    return request("GET", path, key=tenant.api_key)


async def _check(ours: Served, wanted: bytes, case: Case) -> None:
    """The bookings lie in the range: without any, every start is open, and each takes at most two starts."""
    found = (await ask(ours.port, wanted)).count(b'"start"')
    most = case.days * _SLOTS_A_DAY
    if not (found == most if not case.bookings else most - 2 * case.bookings <= found < most):
        raise BenchError(f"{case}: {found} of {most} starts are open, which cannot be")


async def _measure_case(ours: Served, bare: Served, wanted: bytes, case: Case) -> list[Line]:
    point = request("GET", "/point")
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    latencies: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(_ROUNDS + 1):
        seconds = _SECONDS if number else _WARM_UP_SECONDS
        for name, served, asked in (("bare", bare, point), ("ours", ours, wanted)):
            again = itertools.repeat(asked)
            many, cost = await served.load(again, expect=200, connections=CONNECTIONS, seconds=seconds)
            one, _ = await served.load(again, expect=200, connections=1, seconds=seconds / 3)
            if number:
                rates[name].append(many.rate)
                latencies[name].append(one.p50_ms)
                cpu[name].append(cost)
    against = "bare aiohttp, point query"
    return [
        Line(
            *(f"{case}, {CONNECTIONS} connections", median(rates["ours"]), "/s", median(rates["bare"]), against),
            at_least=_AT_LEAST.get(case),
            detail={"rounds": rates, "cpu_us_per_request": cpu},
        ),
        Line(
            *(f"{case}, p50 at 1 connection", median(latencies["ours"]), "ms", median(latencies["bare"]), against),
            below=_BELOW_MS.get(case),
            detail={"rounds": latencies},
        ),
    ]
