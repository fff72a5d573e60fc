"""A million events of one organization wait: what the worker holds in memory, and how long another organization waits.

The one rule: the million are many, not long; what a worker holds of each is the same either way, for as short a time.
"""

from app.core import db
from bench.client import HOST
from bench.creates import creating
from bench.dataset import first_start
from bench.latency import lags, p99
from bench.report import Line, median
from bench.stage import Stage

_EVENTS = 1_000_000
_HOSTS = 16
_RATE, _SECONDS = 50.0, 6
_MEMORY_MIB = 120.0
_COPY = """
with copies as (
    insert into events (org_id, id, type, sequence, at, body)
    select $1, gen_random_uuid(), 'booking.created', 1, now() - interval '1 hour', '{"data":{"booking":{"id":"many"}}}'
    from generate_series(1, $2::int)
    returning org_id, id, at
)
insert into outbox (org_id, topic, ref_id, due_at) select org_id, 'event', id, at from copies
"""


async def measure(stage: Stage) -> list[Line]:
    async with stage.beside("backlog") as other:
        busy, _ = await other.tenant("busy", hosts=1)
        quiet, _ = await other.tenant("quiet", hosts=_HOSTS)
        web, theirs, ours = await other.web(), await other.receiver("other receiver"), await other.receiver()
        await other.subscribe(busy, f"http://{HOST}:{theirs.port}/hook")
        await other.subscribe(quiet, f"http://{HOST}:{ours.port}/hook")
        async with db.acquire(other.pool) as conn:
            await conn.execute(_COPY, busy.org_id, _EVENTS, timeout=120)
        await other.settle()
        worker = await other.worker("worker-backlog")
        wanted = creating(quiet, first_start())
        await lags(other, web, ours, wanted, rate=_RATE, seconds=1)
        found = await lags(other, web, ours, wanted, rate=_RATE, seconds=_SECONDS)
        rss, pss = worker.memory_mib()
        other.kill(worker)
    what = f"webhooks, {_EVENTS:,} events of another organization wait"
    return [
        Line(f"{what}, p50", median(found), "ms"),
        Line(f"{what}, p99", p99(found), "ms"),
        Line("resident memory of that worker", rss, "MiB", below=_MEMORY_MIB, detail={"pss": pss}),
    ]
