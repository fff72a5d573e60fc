"""Everybody wants the same slot at the same instant: who gets it, and how long the others wait for their refusal.

The one rule: the answers are the proof. One booking for one host, as many as there are hosts for a round-robin, and
a 409 for everyone else; anything else ends the run.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core import db
from app.domain.availability.inputs import ROUND_ROBIN
from bench.client import Answer, BenchError, Connection, connect, request
from bench.dataset import SLOT_MINUTES, Tenant, booking_body, first_start, offer
from bench.filling import places_of
from bench.report import Line, median
from bench.stage import Stage
from bench.statement import SLOT

CLIENTS = 200
HOSTS = 20
_CODE = "everybody"
_ROUNDS, _ROUNDS_OF_MANY = 20, 5
_WARM_UPS = 2
_PATIENCE_SECONDS = 30.0
_BELOW_MS = 250.0
_STATISTICS_SECONDS = 1.5
_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds from the question to the answer, sorted: of those who won, and of those who were refused."""

    won: Sequence[float]
    refused: Sequence[float]


async def measure(stage: Stage) -> list[Line]:
    tenant, _ = await stage.tenant("contention", hosts=HOSTS)
    async with db.acquire(stage.pool) as conn:
        hosts = [place.user_id for place in await places_of(conn, tenant)]
        await offer(conn, tenant.org_id, _CODE, hosts, [SLOT_MINUTES], assignment=ROUND_ROBIN)
    web = await stage.web()
    await stage.settle()
    connections = [await connect(web.port) for _ in range(CLIENTS)]
    try:
        before = await _deadlocks(stage, connections, tenant)
        one = await _rounds(connections, tenant, tenant.codes[0], first_start(), rounds=_ROUNDS, winners=1)
        # another day: the first host has bookings of the day before
        many = await _rounds(
            connections, tenant, _CODE, first_start() + timedelta(days=1), rounds=_ROUNDS_OF_MANY, winners=HOSTS
        )
        deadlocks = await _deadlocks(stage, connections, tenant) - before
    finally:
        for connection in connections:
            connection.close()
    return [
        *_lines(f"{CLIENTS} clients at one slot", one, below=_BELOW_MS),
        *_lines(f"{CLIENTS} clients at a slot of {HOSTS} hosts", many),
        Line(f"{CLIENTS} clients at one slot, deadlocks of all rounds", deadlocks, "", below=1),
    ]


def _lines(what: str, rounds: Sequence[Round], *, below: float | None = None) -> list[Line]:
    """The slowest of each round's winners, and the p99 of its refusals: both as the median of the rounds."""
    last = [each.won[-1] for each in rounds]
    p99 = [each.refused[int(len(each.refused) * 0.99)] for each in rounds]
    pooled = sorted(refusal for each in rounds for refusal in each.refused)
    detail: dict[str, object] = {"p99_of_rounds": p99, "p99_pooled": pooled[int(len(pooled) * 0.99)]}
    return [
        Line(f"{what}, {len(rounds[0].won)} x 201, the last", median(last), "ms", detail={"rounds": last}),
        Line(f"{what}, {len(rounds[0].refused)} x 409, p99", median(p99), "ms", below=below, detail=detail),
    ]


async def _rounds(
    connections: Sequence[Connection], tenant: Tenant, code: str, start: datetime, *, rounds: int, winners: int
) -> list[Round]:
    """Each round is about a slot of its own."""
    slots = [start + number * SLOT for number in range(_WARM_UPS + rounds)]
    return [await _round(connections, tenant, code, slot, winners) for slot in slots][_WARM_UPS:]


async def _round(connections: Sequence[Connection], tenant: Tenant, code: str, start: datetime, winners: int) -> Round:
    wanted = request("POST", "/v1/bookings", key=tenant.api_key, body=booking_body(code, start))
    answers = await _at_once(connections, wanted)
    counted = Counter(answer.status for answer, _ in answers)
    if counted != {201: winners, 409: CLIENTS - winners}:
        raise BenchError(f"{CLIENTS} callers for one slot of {winners} were answered {dict(counted)}")
    of = {
        status: sorted(seconds * 1000 for answer, seconds in answers if answer.status == status) for status in counted
    }
    return Round(of[201], of[409])


async def _at_once(connections: Sequence[Connection], wanted: bytes) -> list[tuple[Answer, float]]:
    """The answers, and how many seconds each took."""
    began, waiting = [], []
    for connection in connections:
        began.append(time.monotonic())
        waiting.append(connection.ask(wanted))
    try:
        answers = await asyncio.wait_for(asyncio.gather(*waiting), timeout=_PATIENCE_SECONDS)
    except TimeoutError:
        raise BenchError(f"no answer for {_PATIENCE_SECONDS:.0f} s") from None
    return [(answer, answer.at - asked) for answer, asked in zip(answers, began, strict=True)]


async def _deadlocks(stage: Stage, connections: Sequence[Connection], tenant: Tenant) -> int:
    """How many the server has seen: by its statistics or by its log, whichever knows more."""
    # a session adds to the statistics at the end of a transaction, if it has not done so for a second
    await asyncio.sleep(_STATISTICS_SECONDS)
    day = first_start().date()
    await _at_once(
        connections, request("GET", f"/v1/slots?event_type={_CODE}&start={day}&end={day}", key=tenant.api_key)
    )
    async with db.acquire(stage.pool) as conn:
        counted = int(await conn.fetchval(_DEADLOCKS))
    return max(counted, stage.postgres.log_path.read_text(errors="replace").count("deadlock detected"))
