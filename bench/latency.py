"""Webhooks: how long an event takes from the commit to the receiver, alone and beside a receiver that hangs.

The one rule: what is compared has the same load in turns, so that whatever else the machine does is in both.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import islice

import orjson

from bench.client import HOST, ask, paced, request
from bench.creates import creating
from bench.dataset import Tenant, first_start
from bench.deliveries import arrived, forget_outbox, reset
from bench.report import Line, median
from bench.stage import Served, Stage

_HOSTS = 16
_CONNECTIONS = 16
_RATE = 200.0
_WARM_UP_SECONDS = 1
_SECONDS = 6
# Each with a second receiver that is well, and with one that hangs, in turns.
_ROUNDS = 4
_ROUND_SECONDS = 4


async def measure(stage: Stage) -> list[Line]:
    tenant, _ = await stage.tenant("latency", hosts=_HOSTS)
    web, receiver = await stage.web(), await stage.receiver()
    await stage.subscribe(tenant, f"http://{HOST}:{receiver.port}/hook")
    await forget_outbox(stage)
    await stage.worker()
    wanted = creating(tenant, first_start())
    await lags(stage, web, receiver, wanted, seconds=_WARM_UP_SECONDS)
    await stage.settle()
    found = await lags(stage, web, receiver, wanted, seconds=_SECONDS)
    what = f"webhooks, commit to receipt at {_RATE:.0f}/s"
    return [
        Line(f"{what}, p50", median(found), "ms", below=50.0),
        Line(f"{what}, p99", p99(found), "ms", below=250.0),
        await _beside(stage, tenant, web, receiver, wanted),
    ]


async def _beside(stage: Stage, tenant: Tenant, web: Served, receiver: Served, wanted: Iterator[bytes]) -> Line:
    """What a second receiver that hangs does to the first."""
    rounds: dict[str, list[float]] = {"/hook": [], "/hang": []}
    other = await stage.receiver("other receiver")
    for _ in range(_ROUNDS):
        for path, figures in rounds.items():
            await stage.settle()
            async with _subscribed(tenant, web, other, path):
                figures.append(p99(await lags(stage, web, receiver, wanted, seconds=_ROUND_SECONDS)))
    well, hanging = median(rounds["/hook"]), median(rounds["/hang"])
    return Line(
        *("webhooks, p99 while another receiver hangs", hanging, "ms", well, "while it is well"),
        ratio_below=1.2,
        detail={"rounds": {"well": rounds["/hook"], "hanging": rounds["/hang"]}},
    )


@asynccontextmanager
async def _subscribed(tenant: Tenant, web: Served, other: Served, path: str) -> AsyncIterator[None]:
    """A webhook of one round, so that none begins with what the worker knows of the one before."""
    body = orjson.dumps({"url": f"http://{HOST}:{other.port}{path}"})
    made = await ask(web.port, request("POST", "/v1/webhooks", key=tenant.api_key, body=body), expect=201)
    webhook_id = orjson.loads(made)["webhook"]["id"]
    yield
    await ask(web.port, request("DELETE", f"/v1/webhooks/{webhook_id}", key=tenant.api_key), expect=204)
    # lets go of what hangs there: it would outlast the next round
    await reset(other)


async def lags(
    stage: Stage, web: Served, receiver: Served, wanted: Iterator[bytes], *, rate: float = _RATE, seconds: int
) -> list[float]:
    """Milliseconds from each 201 to the receipt of its event, sorted."""
    await reset(receiver)
    requests = list(islice(wanted, int(rate * seconds)))
    answers = await paced(web.port, requests, expect=201, rate=rate, connections=_CONNECTIONS)
    answered = {orjson.loads(answer.body)["booking"]["id"]: answer.at for answer in answers}
    await arrived(stage, receiver, len(requests))
    received = dict(orjson.loads(await ask(receiver.port, request("GET", "/received"))))
    return sorted((received[booking_id] - at) * 1000 for booking_id, at in answered.items())


def p99(found: list[float]) -> float:
    """Of sorted figures."""
    return found[int(len(found) * 0.99)]
