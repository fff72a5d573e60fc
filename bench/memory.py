"""What the processes hold in memory after all the load before."""

from bench.report import Line
from bench.stage import Stage

_BELOW_MIB = {"web": 120.0}
_OURS = ("web", "worker")


async def measure(stage: Stage) -> list[Line]:
    await stage.web()
    lines = []
    for served in stage.running:
        if served.name in _OURS:
            rss, pss = served.memory_mib()
            below = _BELOW_MIB.get(served.name)
            lines.append(Line(f"resident memory of the {served.name}", rss, "MiB", below=below, detail={"pss": pss}))
    return lines
