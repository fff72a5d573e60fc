"""`python -m bench`: every measurement in one run on one machine, as a table of ratios.

The one rule: it measures and judges nothing else. A figure below what was expected is printed, not an error; the exit
code is 1 only when something failed to run.

To add a measurement, write `async def measure(stage) -> list[Line]` in a module of its own and name it in MEASURES.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from app.core import db
from app.core.settings import ConfigurationError
from bench import (
    backlog,
    calendars,
    contention,
    creates,
    deliveries,
    latency,
    memory,
    million,
    reminders,
    rounds,
    slots,
)
from bench.client import BenchError
from bench.noise import usage
from bench.report import Line, company, machine, table, write_json
from bench.stage import Stage

# A run takes seven to eight minutes, and half as long again where others take part of the cores.
_LONGEST_SECONDS = 740

# In the order of the run: memory last, after all the load.
MEASURES: dict[str, Callable[[Stage], Awaitable[list[Line]]]] = {
    "create": creates.measure,
    "slots": slots.measure,
    "rounds": rounds.measure,
    "contention": contention.measure,
    "million": million.measure,
    "webhooks": deliveries.measure_rate,
    "latency": latency.measure,
    "backlog": backlog.measure,
    "reminders": reminders.measure,
    "calendars": calendars.measure,
    "memory": memory.measure,
}


@dataclass
class Run:
    """What has been measured so far. others: by measurement, the share of the CPU that other programs took."""

    machine: str = ""
    lines: list[Line] = field(default_factory=list)
    others: dict[str, float] = field(default_factory=dict)

    async def all(self, stage: Stage, names: Sequence[str]) -> None:
        async with db.open_pool(stage.settings.database_url, size=10, name="bench") as stage.pool:
            for name in (name for name in MEASURES if name in names):
                began, before = time.monotonic(), usage()
                self.lines += await MEASURES[name](stage)
                stage.check()
                self.others[name] = usage().others_since(before)
                print(f"bench: {name} took {time.monotonic() - began:.0f} s", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Slotwire beside plain references.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(MEASURES)} (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    unknown = set(options.names) - set(MEASURES)
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    run, code = Run(), 0
    try:
        with Stage() as stage:
            run.machine = machine(stage.postgres.binaries / "postgres")
            uvloop.run(asyncio.wait_for(run.all(stage, options.names or list(MEASURES)), timeout=_LONGEST_SECONDS))
    except (BenchError, ConfigurationError, OSError, TimeoutError) as error:
        print(f"bench: {error or type(error).__name__}", file=sys.stderr)
        code = 1
    # what was measured before a failure is worth reading all the same
    if run.lines:
        print(f"{run.machine}\n\n{table(run.lines)}\n\n{company(run.others)}")
        if options.json:
            write_json(options.json, run.machine, run.lines, run.others)
    return code


if __name__ == "__main__":
    sys.exit(main())
