"""Intervals to starts, and the whole way from a schedule to its slots.

The last tests hold the code against the oracle of `tests.unit.hours`, which shares nothing with it.
`--hypothesis-profile` sets how many examples they take.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.domain.availability.slots import Interval, free_runs, intersect, merge, open_starts, unite, within
from app.domain.availability.windows import Hours, Piece, open_stretches, pieces
from tests.unit.hours import CHANGES, DAY, Walked, lies_in_a_window, walk, windows

NINE_TO_FIVE: list[Piece] = [(540, 540, 1020, 1020)]


def found(busy: list[Interval], **more: int) -> list[int]:
    """Starts on a day from 540 to 1020, every 60 for 60, unless `more` says otherwise."""
    facts: dict[str, Any] = {"duration": 60, "interval": 60, "before": 0, "after": 0, "earliest": 0, "latest": 2_000}
    return open_starts(NINE_TO_FIVE, busy, **(facts | more))


def test_a_free_day_is_its_whole_grid() -> None:
    assert found([]) == [540, 600, 660, 720, 780, 840, 900, 960]


def test_the_slot_has_to_end_inside_its_stretch() -> None:
    assert found([], duration=480) == [540]
    assert found([], duration=481) == []
    assert found([], duration=90)[-1] == 900


def test_the_buffers_need_not_lie_inside_the_stretch() -> None:
    assert found([], before=600, after=600) == found([])


def test_touching_is_not_meeting() -> None:
    assert found([(600, 660)]) == [540, 660, 720, 780, 840, 900, 960]
    assert found([(599, 661)]) == [720, 780, 840, 900, 960]


def test_buffers_keep_their_distance_from_what_is_held() -> None:
    assert found([(720, 780)], before=10) == [540, 600, 660, 840, 900, 960]
    assert found([(720, 780)], after=10) == [540, 600, 780, 840, 900, 960]
    assert found([(720, 780)], before=60, after=60) == [540, 600, 840, 900, 960]


def test_what_is_held_just_outside_the_range_counts() -> None:
    assert found([(580, 599)], before=10, earliest=600, latest=720) == [660]
    assert found([(725, 800)], after=10, earliest=600, latest=661) == [600]


def test_what_is_booked_does_not_move_the_grid() -> None:
    assert found([(545, 550)]) == [600, 660, 720, 780, 840, 900, 960]


def test_earliest_is_included_and_latest_is_not() -> None:
    assert found([], earliest=600, latest=720) == [600, 660]
    assert found([], earliest=601, latest=721) == [660, 720]
    assert found([], earliest=720, latest=600) == []


def test_an_empty_or_backward_busy_period_meets_nothing() -> None:
    assert found([(630, 630), (700, 650)], before=5, after=5) == found([])


def test_each_piece_has_its_own_grid() -> None:
    grid: list[Piece] = [(0, 10, 100, 1_000), (7, 100, 200, 1_000), (500, 500, 520, 530)]
    facts: dict[str, Any] = {"duration": 20, "interval": 40, "before": 0, "after": 0, "earliest": 0, "latest": 2_000}
    assert open_starts(grid, [], **facts) == [40, 80, 127, 167, 500]


@pytest.mark.parametrize("wrong", [{"duration": 0}, {"interval": 0}, {"before": -1}, {"after": -1}])
def test_facts_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        found([], **wrong)


def test_merge_unites_what_overlaps_or_touches() -> None:
    assert merge([(5, 9), (1, 3), (3, 4), (6, 7), (9, 9), (20, 10)]) == [(1, 4), (5, 9)]
    assert merge([]) == []


def test_hosts_are_united_or_intersected() -> None:
    assert unite([[1, 3, 5], [2, 3], []]) == [1, 2, 3, 5]
    assert intersect([[1, 3, 5], [3, 5, 7]]) == [3, 5]
    assert intersect([[1, 3], []]) == []
    assert unite([]) == intersect([]) == []


SMALL = st.integers(-40, 140)
INTERVALS = st.lists(st.tuples(SMALL, SMALL), max_size=8)


@given(INTERVALS)
def test_merge_covers_the_same_and_is_as_short_as_can_be(intervals: list[Interval]) -> None:
    merged = merge(intervals)
    assert {n for a, b in merged for n in range(a, b)} == {n for a, b in intervals for n in range(a, b)}
    assert all(a < b for a, b in merged)
    assert all(b < c for (_, b), (c, _) in pairwise(merged))


@given(st.lists(st.lists(SMALL, max_size=20).map(lambda n: sorted(set(n))), max_size=4))
def test_unite_and_intersect_are_those_of_sets(lists: list[list[int]]) -> None:
    sets = list(map(set, lists))
    assert unite(lists) == sorted(set().union(*sets))
    assert intersect(lists) == sorted(set.intersection(*sets) if sets else [])


@st.composite
def grids(draw: st.DrawFn) -> list[Piece]:
    """Disjoint pieces in order, with anchors anywhere and ends at or after theirs."""
    cuts = sorted(draw(st.sets(SMALL, max_size=8)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    return [(draw(SMALL), lo, hi, hi + draw(st.integers(0, 20))) for lo, hi in pairs]


@settings(max_examples=settings().max_examples * 5)
@given(
    grid=grids(),
    busy=INTERVALS,
    facts=st.fixed_dictionaries(
        {"duration": st.integers(1, 30), "interval": st.integers(1, 20)}
        | {"before": st.integers(0, 9), "after": st.integers(0, 9), "earliest": SMALL, "latest": SMALL}
    ),
)
def test_a_start_is_open_when_nothing_speaks_against_it(
    grid: list[Piece], busy: list[Interval], facts: dict[str, Any]
) -> None:
    """Every rule, applied to every integer."""
    duration, before, after = facts["duration"], facts["before"], facts["after"]

    def allowed(s: int) -> bool:
        held = set(range(s - before, s + duration + after))
        on_grid = any(
            lo <= s < hi and (s - anchor) % facts["interval"] == 0 and s + duration <= end
            for anchor, lo, hi, end in grid
        )
        return on_grid and not any(held.intersection(range(start, end)) for start, end in busy)

    starts = open_starts(grid, busy, **facts)
    assert starts == [s for s in range(facts["earliest"], facts["latest"]) if allowed(s)]
    alone: dict[str, Any] = {name: value for name, value in facts.items() if name not in {"earliest", "latest"}}
    for s in range(-45, 145, 3):
        assert bool(open_starts(grid, busy, earliest=s, latest=s + 1, **alone)) == allowed(s)


@given(INTERVALS, INTERVALS, st.integers(1, 40), st.integers(0, 20), st.integers(0, 20), SMALL, SMALL)
def test_free_runs_are_the_starts_that_fit(
    opened: list[Interval], busy: list[Interval], duration: int, before: int, after: int, lo: int, hi: int
) -> None:
    stretches = merge(opened)
    runs = free_runs(stretches, busy, duration=duration, before=before, after=after, earliest=lo, latest=hi)
    expected = {
        s
        for s in range(lo, hi)
        if any(a <= s and s + duration <= b for a, b in stretches)
        and not any(set(range(s - before, s + duration + after)).intersection(range(a, b)) for a, b in busy)
    }
    assert {s for a, b in runs for s in range(a, b)} == expected
    assert all(a < b for a, b in runs)
    assert all(b <= c for (_, b), (c, _) in pairwise(runs))
    assert all(within(runs, s) == (s in expected) for s in range(lo - 3, hi + 3))


@given(INTERVALS, st.integers(1, 40))
def test_closed_runs_refuse_their_starts_and_no_others(closed: list[Interval], interval: int) -> None:
    facts: dict[str, Any] = {
        "duration": 5,
        "before": 0,
        "after": 0,
        "earliest": -40,
        "latest": 140,
        "interval": interval,
    }
    grid: list[Piece] = [(-40, -40, 140, 200)]
    every = open_starts(grid, [], **facts)
    assert open_starts(grid, [], closed=closed, **facts) == [s for s in every if not any(a <= s < b for a, b in closed)]


@dataclass(frozen=True)
class Case:
    hours: Hours
    start: int
    end: int
    busy: list[Interval]
    facts: dict[str, Any]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    change = date.fromisoformat(draw(st.sampled_from(CHANGES[zone].split())))
    near = st.integers(-2, 3)
    day = change + timedelta(days=draw(near | near | near | st.integers(-200, 200)))
    week = [windows(draw) for _ in range(7)]
    week = draw(st.sampled_from([week, week[:1] * 7, [((0, 1_440),)] * 7]))
    dates = {day + timedelta(days=n): windows(draw) for n in draw(st.sets(near, max_size=2))}
    bounds = [day + timedelta(days=n) if draw(st.integers(0, 3)) == 3 else None for n in (draw(near), draw(near))]
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) - draw(st.integers(0, 2 * DAY))
    end = start + DAY // 2 + draw(st.integers(0, 3 * DAY // 2))
    period = st.tuples(st.integers(start - DAY, end + DAY), st.integers(1, 300) | st.integers(1, 20_000))
    busy = [(at, at + size) for at, size in draw(st.lists(period, max_size=6))]
    lengths = st.sampled_from([15, 30, 45, 60, 90, 180]) | st.integers(1, 240)
    facts = {
        "duration": 60 * draw(lengths | lengths | st.integers(240, 2_000)),
        "interval": 60 * draw(lengths | lengths | st.integers(240, 1_600)),
        "before": 60 * draw(st.just(0) | st.integers(0, 120)),
        "after": 60 * draw(st.just(0) | st.integers(0, 120)),
    }
    return Case(Hours(zone, tuple(week), dates, *bounds), start, end, busy, facts)


def oracle(case: Case) -> list[int]:
    """The starts in [start, end) by the slot rules, one minute after the other."""
    walked = Walked(case.hours, walk(case.hours.zone, case.start, case.end))
    starts = walked.starts(case.start, case.end, case.facts["duration"] // 60, case.facts["interval"] // 60)
    return [s for s in starts if not any(_meets(case.facts, s, period) for period in case.busy)]


def _meets(facts: dict[str, int], start: int, period: Interval) -> bool:
    """Whether the held period and a busy one share a second: neither is over when the other begins."""
    over_before = start + facts["duration"] + facts["after"] <= period[0]
    return not over_before and not period[1] <= start - facts["before"]


def slots(case: Case) -> list[int]:
    grid = pieces(case.hours, case.start, case.end)
    return open_starts(grid, case.busy, earliest=case.start, latest=case.end, **case.facts)


@settings(max_examples=settings().max_examples * 4, deadline=None)
@given(cases())
def test_slots_are_those_of_the_oracle(case: Case) -> None:
    expected = oracle(case)
    event("some slots" if expected else "no slot")
    assert slots(case) == expected


@settings(deadline=None)
@given(cases())
def test_stretches_are_the_open_minutes(case: Case) -> None:
    walls = walk(case.hours.zone, case.start, case.end, behind=0, ahead=0)
    spans = open_stretches(case.hours, case.start, case.end)
    covered = [any(opens <= wall.timestamp() < closes for opens, closes in spans) for wall in walls]
    assert covered[1:] == [lies_in_a_window(case.hours, wall) for wall in walls][1:]
    assert all(b < c for (_, b), (c, _) in pairwise(spans))


@settings(deadline=None)
@given(cases(), st.data())
def test_one_function_decides_and_the_range_asked_for_does_not_matter(case: Case, data: st.DataObject) -> None:
    """A part of the range shows its part of the slots, and each slot alone is open."""
    starts = slots(case)
    within = st.integers(case.start, case.end)
    lo, hi = sorted((data.draw(within), data.draw(within)))
    part = Case(case.hours, lo, hi, case.busy, case.facts)
    assert slots(part) == [s for s in starts if lo <= s < hi]
    for s in {*starts[:5], lo, hi - 1} & set(range(case.start, case.end)):
        grid = pieces(case.hours, s, s + 1)
        assert open_starts(grid, case.busy, earliest=s, latest=s + 1, **case.facts) == [s] * (s in starts)
