"""Things that are needed besides people: which units are free at a start, and how they are shared out.

The one rule: every requirement gets a unit of its own. Where two could be met by the same one, they are matched.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from app.domain.availability.inputs import Requirement, Unit
from app.domain.availability.slots import Interval, free_runs, merge, within
from app.domain.availability.windows import open_stretches


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit that would do, and the runs of starts (epoch seconds) that it is free for."""

    unit: Unit
    runs: Sequence[Interval]


Pool = Sequence[Candidate]
"""The candidates for one requirement."""


def pools_of(
    requires: Iterable[Requirement],
    units: Iterable[Unit],
    *,
    duration: int,
    before: int,
    after: int,
    earliest: int,
    latest: int,
) -> list[Pool]:
    """One pool per requirement, for starts in [earliest, latest); all in (epoch) seconds."""
    candidates = []
    for unit in units:
        stretches = open_stretches(unit.hours, earliest, latest, longest=duration)
        facts = {"duration": duration, "before": before, "after": after, "earliest": earliest, "latest": latest}
        candidates.append(Candidate(unit, free_runs(stretches, unit.held, **facts)))
    return [[each for each in candidates if meets(requirement, each.unit)] for requirement in requires]


def meets(requirement: Requirement, unit: Unit) -> bool:
    return (
        unit.kind == requirement.kind
        and unit.capacity >= requirement.min_capacity
        and requirement.location_id in {None, unit.location_id}
    )


def fitting(pools: Sequence[Pool], starts: Sequence[int]) -> list[int]:
    """The starts (sorted) at which every requirement can have a unit of its own."""
    for pool in pools:
        runs = merge(run for candidate in pool for run in candidate.runs)
        starts = [start for start in starts if within(runs, start)]
    if _share_units(pools):
        starts = [start for start in starts if share_out(_nearest(pools, start), start) is not None]
    return list(starts)


def share_out(pools: Sequence[Pool], start: int, order: Callable[[list[Unit]], list[Unit]] = list) -> list[Unit] | None:
    """A unit for each requirement at a start, or None. order: which of the free ones to try first."""
    # more choices than there are requirements never matter
    free = [order([each.unit for each in pool if within(each.runs, start)])[: len(pools)] for pool in pools]
    taken: dict[int, int] = {}  # by subject, the requirement that has it
    chosen: dict[int, Unit] = {}

    def give(number: int, seen: set[int]) -> bool:
        """Let a requirement have a free unit, or one whose present owner can take another (Kuhn's algorithm)."""
        for unit in free[number]:
            if unit.subject_no in seen:
                continue
            seen.add(unit.subject_no)
            owner = taken.get(unit.subject_no)
            if owner is None or give(owner, seen):
                taken[unit.subject_no] = number
                chosen[number] = unit
                return True
        return False

    if all(give(number, set()) for number in range(len(pools))):
        return [chosen[number] for number in range(len(pools))]
    return None


def _nearest(pools: Sequence[Pool], start: int) -> list[Pool]:
    """Of each pool as many free candidates as could ever be needed: enough to know, and there may be thousands."""
    return [list(islice((each for each in pool if within(each.runs, start)), len(pools))) for pool in pools]


def _share_units(pools: Sequence[Pool]) -> bool:
    """Whether two requirements could be met by one and the same unit."""
    subjects = [candidate.unit.subject_no for pool in pools for candidate in pool]
    return len(set(subjects)) < len(subjects)
