"""What a run says: one line per figure, beside what it was measured against in the same run.

The one rule: a ratio inside one run means something, a stopwatch number little; so every expectation that can be is
one of a ratio, and a figure without a reference says so.
"""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_HEADINGS = ("what", "measured", "reference", "ratio", "expected", "verdict")
# So much of the machine may go to others before its figures are doubtful.
_QUIET = 0.05


@dataclass(frozen=True, slots=True)
class Line:
    """measured and reference: in `unit`. at_least, ratio_below: of the ratio. below: of the measured figure.

    detail: whatever else is worth keeping, such as the rounds that the medians come from.
    """

    what: str
    measured: float
    unit: str
    reference: float | None = None
    against: str = ""
    at_least: float | None = None
    ratio_below: float | None = None
    below: float | None = None
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.measured / self.reference if self.reference else None

    @property
    def verdict(self) -> str:
        if self.at_least is None and self.ratio_below is None and self.below is None:
            return ""
        kept = self.below is None or self.measured < self.below
        kept = kept and (self.at_least is None or (self.ratio is not None and self.ratio >= self.at_least))
        kept = kept and (self.ratio_below is None or (self.ratio is not None and self.ratio < self.ratio_below))
        return "ok" if kept else "BELOW"

    def cells(self) -> tuple[str, ...]:
        expected = []
        if self.at_least is not None:
            expected.append(f">= {self.at_least:.0%}")
        if self.ratio_below is not None:
            expected.append(f"< {self.ratio_below:.0%}")
        if self.below is not None:
            expected.append(f"< {self.below:g} {self.unit}".rstrip())
        reference = f"{self._figure(self.reference)} {self.against}" if self.reference else self.against
        ratio = "" if self.ratio is None else f"{self.ratio:.0%}"
        return (self.what, self._figure(self.measured), reference, ratio, " ".join(expected), self.verdict)

    def _figure(self, value: float) -> str:
        return f"{_number(value)} {self.unit}".rstrip()


def median(figures: Sequence[float]) -> float:
    return statistics.median(figures)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(lines: Sequence[Line]) -> str:
    rows = [_HEADINGS, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def machine(postgres: Path) -> str:
    """What it ran on, in one line. postgres: the binary."""
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ": unknown")
    memory = next((line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "MemTotal: 0")
    version = subprocess.run([str(postgres), "--version"], capture_output=True, text=True, check=True).stdout
    return (
        f"{len(os.sched_getaffinity(0))} cores of {cpu.split(':', 1)[1].strip()}, "
        f"{int(memory.split()[1]) / 2**20:.0f} GiB, Python {platform.python_version()}, "
        f"PostgreSQL {version.split()[-1]}, {platform.system()} {platform.release()}"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def company(others: Mapping[str, float]) -> str:
    """What else ran. others: by measurement, the share of the machine's CPU that went to other programs."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in others.items())
    advice = " (repeat it when the machine is idle)" if max(others.values(), default=0.0) > _QUIET else ""
    return f"CPU that other programs took meanwhile: {shares}{advice}"


def write_json(path: Path, ran_on: str, lines: Sequence[Line], others: Mapping[str, float]) -> None:
    figures = [{**asdict(line), "ratio": line.ratio, "verdict": line.verdict} for line in lines]
    path.write_text(json.dumps({"machine": ran_on, "others": dict(others), "figures": figures}, indent=2) + "\n")
