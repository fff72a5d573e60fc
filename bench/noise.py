"""How much of the machine's CPU went to programs that are not part of the run: the cores are shared.

The one rule: a figure that was measured beside other work says so.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time since the start of the machine, in its own ticks: in all, not idle, and by us and what we started."""

    whole: int
    busy: int
    ours: int

    def others_since(self, before: "Usage") -> float:
        """The share of all cores that others took since then: 0 to 1."""
        others = (self.busy - before.busy) - (self.ours - before.ours)
        return max(0.0, others / max(1, self.whole - before.whole))


def usage() -> Usage:
    ticks = [int(field) for field in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return Usage(sum(ticks), sum(ticks) - ticks[3] - ticks[4], _ours())


def _ours() -> int:
    """Our process and all that descend from it, with the children that they have waited for."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = sum(int(field) for field in fields[11:15])
    return sum(ticks for pid, ticks in used.items() if _descends(pid, os.getpid(), parents))


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid not in {ancestor, 0}:
        pid = parents.get(pid, 0)
    return pid == ancestor
