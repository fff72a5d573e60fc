"""Creating bookings: the whole way through one web process, beside the same writing statement with less around it."""

import itertools
from collections.abc import Iterator
from datetime import datetime

from app.core import db
from bench.client import request
from bench.dataset import Tenant, booking_body, first_start
from bench.report import Line, median
from bench.stage import Stage
from bench.statement import SLOT, pgbench, record

CONNECTIONS = 32
HOSTS = 64
_ROUNDS = 3
_SECONDS = 3
_WARM_UP_SECONDS = 1


def creating(tenant: Tenant, start: datetime) -> Iterator[bytes]:
    """Requests for distinct slots without end: hosts take turns, each turn a slot later."""
    for turn in itertools.count():
        for code in tenant.codes:
            yield request("POST", "/v1/bookings", key=tenant.api_key, body=booking_body(code, start + turn * SLOT))


async def measure(stage: Stage) -> list[Line]:
    tenant, principal = await stage.tenant("creates", hosts=HOSTS)
    async with db.acquire(stage.pool) as conn:
        statement = await record(conn, principal, tenant.codes, first_start())
    postgres, folder = stage.postgres, stage.directory
    ours, bare = await stage.web(), await stage.references(tenant)
    wanted, plain = creating(tenant, first_start()), itertools.repeat(request("POST", "/create", body=b"{}"))
    rounds: dict[str, list[float]] = {"ours": [], "bare": [], "pgbench": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": [], "client": []}
    for number in range(_ROUNDS + 1):
        seconds = _SECONDS if number else _WARM_UP_SECONDS
        await stage.settle()
        alone = await pgbench(stage.pool, statement, postgres.binaries, postgres.socket_dir, folder, seconds)
        below, below_cpu = await bare.load(plain, expect=201, connections=CONNECTIONS, seconds=seconds)
        full, full_cpu = await ours.load(wanted, expect=201, connections=CONNECTIONS, seconds=seconds)
        if number:
            rounds["pgbench"].append(alone)
            rounds["bare"].append(below.rate)
            rounds["ours"].append(full.rate)
            cpu["bare"].append(below_cpu)
            cpu["ours"].append(full_cpu)
            cpu["client"].append(full.client_cpu / full.count * 1e6)
    detail: dict[str, object] = {"rounds": rounds, "cpu_us_per_request": cpu}
    rate = median(rounds["ours"])
    what, unit = f"create, {CONNECTIONS} connections, 1 process", "/s"
    return [
        Line(what, rate, unit, median(rounds["bare"]), "bare aiohttp, same statement", at_least=0.5, detail=detail),
        Line(what, rate, unit, median(rounds["pgbench"]), "pgbench, same statement", detail=detail),
        Line("create, web's CPU", median(cpu["ours"]), "µs", median(cpu["bare"]), "bare aiohttp"),
    ]
