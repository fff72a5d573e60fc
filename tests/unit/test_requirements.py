"""Things besides people: every requirement gets a unit of its own, as trying everything would have found out."""

from itertools import product
from uuid import UUID

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.domain.availability.inputs import Requirement, Unit
from app.domain.availability.requirements import Candidate, Pool, fitting, meets, pools_of, share_out
from app.domain.availability.slots import Interval, within
from app.domain.availability.windows import Hours
from tests.unit.engine import NINE_TO_FIVE, unit_of

HERE, THERE = UUID(int=1), UUID(int=2)
HOUR = 3_600
ALWAYS = [(0, 100)]


def pool(*candidates: tuple[int, list[Interval]]) -> Pool:
    """(subject number, the runs of starts that it is free for)."""
    return [Candidate(unit_of(number), runs) for number, runs in candidates]


def numbers(units: list[Unit] | None) -> list[int] | None:
    return None if units is None else [unit.subject_no for unit in units]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, True),
        ({"kind": "desk"}, False),
        ({"kind": "Room"}, False),
        ({"capacity": 4}, True),
        ({"capacity": 3}, False),
        ({"location_id": THERE}, False),
    ],
)
def test_kind_capacity_and_place_have_to_fit(facts: dict[str, object], expected: bool) -> None:
    unit = unit_of(1, **{"kind": "room", "capacity": 5, "location_id": HERE} | facts)
    assert meets(Requirement("room", 4, HERE), unit) == expected


def test_any_place_will_do_where_none_is_named() -> None:
    assert all(meets(Requirement("room", 1, None), unit_of(1, location_id=each)) for each in (HERE, THERE))


def test_a_unit_is_free_in_its_own_hours_and_beside_what_holds_it() -> None:
    """An hour with ten minutes before and five after, on Monday the 5th; held from 11:00 to 12:00."""
    monday = 1_767_571_200
    room = unit_of(1, hours=Hours("Etc/UTC", (NINE_TO_FIVE,) * 7), held=((monday + 11 * HOUR, monday + 12 * HOUR),))
    facts = {"duration": HOUR, "before": 600, "after": 300, "earliest": monday, "latest": monday + 24 * HOUR}
    requires = [Requirement("room", 1, None), Requirement("desk", 1, None)]
    rooms, desks = pools_of(requires, [room], **facts)
    assert desks == []
    assert [each.unit for each in rooms] == [room]
    # the last start is included, and a run ends a second after it
    assert [(since - monday, until - 1 - monday) for since, until in rooms[0].runs] == [
        (9 * HOUR, 10 * HOUR - 300),
        (12 * HOUR + 600, 16 * HOUR),
    ]


def test_without_requirements_everything_fits() -> None:
    assert fitting([], [1, 2]) == [1, 2]
    assert share_out([], 1) == []


def test_without_a_unit_nothing_fits() -> None:
    assert fitting([[]], [1, 2]) == []
    assert share_out([pool((1, ALWAYS)), []], 1) is None


def test_one_unit_is_not_two() -> None:
    assert fitting([pool((1, ALWAYS)), pool((1, ALWAYS))], [1, 2]) == []


def test_a_requirement_gives_way_to_one_that_has_no_other_choice() -> None:
    big, small = pool((1, ALWAYS), (2, ALWAYS)), pool((1, ALWAYS))
    assert numbers(share_out([big, small], 5)) == [2, 1]
    assert numbers(share_out([small, big], 5)) == [1, 2]


def test_giving_way_goes_on_as_long_as_it_takes() -> None:
    chain = [pool((number, ALWAYS), (number + 1, ALWAYS)) for number in range(1, 6)]
    assert numbers(share_out([*chain, pool((1, ALWAYS))], 5)) == [2, 3, 4, 5, 6, 1]
    assert share_out([*chain, pool((1, ALWAYS)), pool((3, ALWAYS))], 5) is None


def test_the_order_says_which_free_unit_is_tried_first() -> None:
    rooms = pool((1, ALWAYS), (2, [(0, 3)]), (3, ALWAYS))
    assert numbers(share_out([rooms], 5)) == [1]
    assert numbers(share_out([rooms], 5, lambda free: free[::-1])) == [3]
    assert numbers(share_out([rooms], 1, lambda free: free[1:] + free[:1])) == [2]


SMALL = st.integers(0, 12)


@st.composite
def runs(draw: st.DrawFn) -> list[Interval]:
    cuts = sorted(draw(st.sets(SMALL, max_size=6)))
    return list(zip(cuts[::2], cuts[1::2], strict=False))


@st.composite
def shared_pools(draw: st.DrawFn) -> list[Pool]:
    """Requirements that want some of the same few units, each of which is free at the same times for all."""
    units = [Candidate(unit_of(number), draw(st.just([(0, 13)]) | runs())) for number in range(draw(st.integers(1, 4)))]
    return draw(st.lists(st.lists(st.sampled_from(units), unique_by=id, max_size=4), max_size=4))


def by_trying(pools: list[Pool], start: int) -> list[tuple[int, ...]]:
    """Every way to give each requirement a free unit of its own."""
    free = [[each.unit.subject_no for each in pool if any(a <= start < b for a, b in each.runs)] for pool in pools]
    return [way for way in product(*free) if len(set(way)) == len(way)]


@settings(max_examples=settings().max_examples * 5, deadline=None)
@given(shared_pools(), st.sets(SMALL).map(sorted))
def test_sharing_out_finds_a_way_exactly_where_there_is_one(pools: list[Pool], starts: list[int]) -> None:
    ways = {start: by_trying(pools, start) for start in starts}
    event(f"ways: {min(max(map(len, ways.values()), default=0), 2)}, requirements: {len(pools)}")
    assert fitting(pools, starts) == [start for start in starts if ways[start]]
    for start in starts:
        for order in (list, lambda free: free[::-1], lambda free: sorted(free, key=lambda unit: -unit.subject_no)):
            found = numbers(share_out(pools, start, order))
            assert found is None if not ways[start] else tuple(found or ()) in ways[start]


UNITS = st.builds(
    lambda number, kind, capacity, place: unit_of(number, kind=kind, capacity=capacity, location_id=place),
    st.integers(1, 9),
    st.sampled_from(["room", "desk"]),
    st.integers(1, 3),
    st.sampled_from([HERE, THERE]),
)
REQUIREMENTS = st.builds(
    Requirement, st.sampled_from(["room", "desk"]), st.integers(1, 3), st.sampled_from([None, HERE, THERE])
)


@given(
    st.lists(REQUIREMENTS, max_size=3),
    st.lists(UNITS, max_size=4, unique_by=lambda unit: unit.subject_no),
    st.integers(0, 100),
)
def test_the_pools_of_requirements_are_matched_like_any_others(
    requires: list[Requirement], units: list[Unit], at: int
) -> None:
    start = at * HOUR
    pools = pools_of(requires, units, duration=HOUR, before=0, after=0, earliest=start, latest=start + 1)
    assert all(within(each.runs, start) for pool in pools for each in pool)
    ways = [
        way
        for way in product(units, repeat=len(requires))
        if len({unit.subject_no for unit in way}) == len(way)
        and all(
            unit.kind == need.kind
            and unit.capacity >= need.min_capacity
            and (need.location_id is None or unit.location_id == need.location_id)
            for need, unit in zip(requires, way, strict=True)
        )
    ]
    found = share_out(pools, start)
    assert (found is None) == (not ways)
    assert found is None or tuple(found) in ways
