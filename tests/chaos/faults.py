"""What breaks while the load runs, and how long it shows.

The one rule: what is measured is what a receiver sees, from the moment of the kill.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.chaos.books import firsts
from tests.chaos.receivers import Receiver
from tests.chaos.stage import Stage

WORKER, WEB, REDIS, POSTGRES = "worker", "web", "redis", "postgres"
SAID = {
    WORKER: "SIGKILL of a worker",
    WEB: "SIGKILL of a web process",
    REDIS: "SIGKILL of Redis, its data lost",
    POSTGRES: "PostgreSQL, immediate shutdown",
}
# Until an event that happened after the kill has arrived; starts of processes take seconds on busy cores.
PATIENCE_SECONDS = 40.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Struck:
    """One fault. at: unix seconds. went_on: seconds until something arrived that happened after it."""

    kind: str
    at: float
    went_on: float


@dataclass
class Faults:
    """Strikes, and waits for the deliveries to go on."""

    stage: Stage
    witness: Receiver
    chance: random.Random
    struck: list[Struck] = field(default_factory=list)

    async def strike(self, kind: str) -> None:
        number = self.chance.randrange(2)
        blows: dict[str, Callable[[], Awaitable[None]]] = {
            WORKER: lambda: self.stage.kill_worker(number),
            WEB: lambda: self.stage.kill_web(number),
            REDIS: self.stage.kill_redis,
            POSTGRES: self.stage.kill_postgres,
        }
        at = time.time()
        await blows[kind]()
        arrived = await self._arrival_after(kind, at)
        self.struck.append(Struck(kind, at, arrived - at))

    async def _arrival_after(self, kind: str, at: float) -> float:
        for _ in range(int(PATIENCE_SECONDS / _POLL_SECONDS)):
            self.stage.check()
            arrived = self.witness.arrived_after(at)
            if arrived is not None:
                return arrived
            await asyncio.sleep(_POLL_SECONDS)
        said = "\n".join(self.stage.complaints()[-5:])
        raise AssertionError(f"after {SAID[kind]} nothing new arrived for {PATIENCE_SECONDS:.0f} s\n{said}")


def interruptions(struck: Sequence[Struck], receivers: Sequence[Receiver]) -> list[float]:
    """For each fault the seconds until everything had arrived that had happened before it, and after the one before; 0
    when it had already."""
    arrivals = [each for receiver in receivers for each in firsts(receiver.receipts).values()]
    found = []
    since = 0.0
    for one in struck:
        late = [each.at - one.at for each in arrivals if since <= each.happened_at < one.at < each.at]
        found.append(max(late, default=0.0))
        since = one.at
    return found
