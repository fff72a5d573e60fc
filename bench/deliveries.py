"""Webhooks: how many a second leave a backlog."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import quote

import orjson

from app.core import db
from bench.client import HOST, BenchError, ask, request
from bench.dataset import first_start
from bench.report import Line, median
from bench.stage import Served, Stage
from bench.statement import record, write

_EVENTS = 5_000
_ROUNDS = 3
_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05
_HOSTS = 16
# Each backlog is booked in time of its own.
_LANE = timedelta(days=365)


async def measure_rate(stage: Stage) -> list[Line]:
    tenant, principal = await stage.tenant("backlog", hosts=_HOSTS)
    async with db.acquire(stage.pool) as conn:
        statement = await record(conn, principal, tenant.codes, first_start())
    receiver, raw = await stage.receiver(), await stage.references(tenant)
    url = f"http://{HOST}:{receiver.port}/hook"
    await stage.subscribe(tenant, url)
    await forget_outbox(stage)
    worker = await stage.worker()
    rounds: dict[str, list[float]] = {"ours": [], "raw": []}
    for number in range(_ROUNDS + 1):
        await stage.settle()
        plain = await _post(raw, receiver, url, _EVENTS)
        async with _halted(worker):
            await reset(receiver)
            ahead = (number + 1) * _LANE
            await write(stage.pool, (statement.arguments(each, ahead) for each in range(_EVENTS)))
        ours = await arrived(stage, receiver, _EVENTS)
        if number:
            rounds["raw"].append(plain)
            rounds["ours"].append(ours)
    return [
        Line(
            *(f"webhooks, a backlog of {_EVENTS:,}, 1 worker", median(rounds["ours"]), "/s"),
            *(median(rounds["raw"]), "raw signed POSTs"),
            at_least=0.6,
            detail={"rounds": rounds},
        )
    ]


async def _post(raw: Served, receiver: Served, url: str, count: int) -> float:
    """Raw POSTs, measured as ours are."""
    await reset(receiver)
    wanted = request("POST", f"/posts?url={quote(url, safe='')}&count={count}")
    await ask(raw.port, wanted, patience=_PATIENCE_SECONDS)
    state = orjson.loads(await ask(receiver.port, request("GET", "/state")))
    return (int(state["count"]) - 1) / float(state["last"] - state["first"])


async def arrived(stage: Stage, receiver: Served, count: int) -> float:
    """Wait until so many have arrived; how many a second they were, from the first to the last."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        state = orjson.loads(await ask(receiver.port, request("GET", "/state")))
        if state["count"] >= count:
            return (int(state["count"]) - 1) / float(state["last"] - state["first"])
        stage.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{state['count']} of {count} events arrived in {_PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(_POLL_SECONDS)


async def reset(receiver: Served) -> None:
    await ask(receiver.port, request("POST", "/reset"))


async def forget_outbox(stage: Stage) -> None:
    """Events of earlier measurements, which nobody subscribed to, are not part of this one."""
    async with db.acquire(stage.pool) as conn:
        await conn.execute("truncate outbox")


@asynccontextmanager
async def _halted(worker: Served) -> AsyncIterator[None]:
    """Let a backlog grow: the worker stands still meanwhile."""
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGCONT)
