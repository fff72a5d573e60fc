"""Whose turn it is: shares in the long run, and what decides where shares are equal."""

import dataclasses
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.ids import Kind, encode
from app.domain.availability.assignment import Placement, in_fair_order, placements, trace_of
from app.domain.availability.inputs import COLLECTIVE, FIXED, ROUND_ROBIN, Host, Inputs, Sitting
from app.domain.availability.service import ask
from tests.unit.engine import host_of, inputs_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TEN = int(datetime(2026, 5, 4, 10, tzinfo=UTC).timestamp())


def who(hosts: list[Host]) -> list[int]:
    return [host.subject_no for host in hosts]


def rounds(hosts: list[Host], count: int) -> list[int]:
    """Whose turn it was, one booking a minute after the other."""
    turns = []
    for number in range(count):
        chosen = in_fair_order(hosts)[0]
        turns.append(chosen.subject_no)
        count, at = chosen.assigned_count + 1, NOW + timedelta(minutes=number)
        after = dataclasses.replace(chosen, assigned_count=count, last_assigned_at=at)
        hosts = [after if host is chosen else host for host in hosts]
    return turns


@given(st.integers(1, 7), st.integers(1, 5))
def test_equal_hosts_take_turns(count: int, laps: int) -> None:
    turns = rounds([host_of(number) for number in range(count)], count * laps)
    assert turns == list(range(count)) * laps


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 4))
def test_after_each_lap_everybody_has_what_their_weight_says(weights: list[int], laps: int) -> None:
    hosts = [host_of(number, weight=weight) for number, weight in enumerate(weights)]
    turns = rounds(hosts, sum(weights) * laps)
    for lap in range(1, laps + 1):
        assert Counter(turns[: sum(weights) * lap]) == {number: w * lap for number, w in enumerate(weights)}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 8)), min_size=1, max_size=4), st.integers(0, 9))
def test_whoever_has_too_few_catches_up_and_then_shares_stay_even(before: list[tuple[int, int]], more: int) -> None:
    hosts = [host_of(no, weight=weight, assigned_count=count) for no, (weight, count) in enumerate(before)]
    highest = max(host.assigned_count / host.weight for host in hosts)
    enough = sum(math.ceil(highest * host.weight) - host.assigned_count for host in hosts)
    turns = Counter(rounds(hosts, enough + more))
    totals = [(host.assigned_count + turns[host.subject_no], host.weight) for host in hosts]
    least = min(total / weight for total, weight in totals)
    assert all((total - 1) / weight <= least for total, weight in totals), "one booking ahead at most"


def test_who_joins_late_comes_first_until_even() -> None:
    old, new = host_of(1, assigned_count=3, last_assigned_at=NOW - timedelta(days=1)), host_of(2)
    assert rounds([old, new], 7) == [2, 2, 2, 1, 2, 1, 2]


INSTANTS = st.none() | st.sampled_from([NOW + timedelta(hours=n) for n in range(3)])
TURNS = st.tuples(st.integers(0, 3), st.integers(1, 3), INSTANTS, st.integers(0, 2))


@st.composite
def people(draw: st.DrawFn) -> list[Host]:
    return [
        host_of(number, assigned_count=count, weight=weight, last_assigned_at=at, priority=priority)
        for number, (count, weight, at, priority) in enumerate(draw(st.lists(TURNS, max_size=6)))
    ]


def comes_before(one: Host, other: Host) -> bool:
    """One rule after the other, each only where the ones before it leave both even."""
    shares = one.assigned_count * other.weight - other.assigned_count * one.weight
    if shares:
        return shares < 0
    if one.last_assigned_at != other.last_assigned_at:
        earlier = one.last_assigned_at is None or other.last_assigned_at is None
        if earlier:
            return one.last_assigned_at is None
        assert one.last_assigned_at is not None
        assert other.last_assigned_at is not None
        return one.last_assigned_at < other.last_assigned_at
    if one.priority != other.priority:
        return one.priority > other.priority
    return one.subject_no < other.subject_no  # as configured


@settings(max_examples=settings().max_examples * 3)
@given(people(), st.integers(0, 6))
def test_share_then_waiting_then_priority_then_the_configured_order(hosts: list[Host], preferred: int) -> None:
    ordered = in_fair_order(hosts)
    assert sorted(who(ordered)) == who(hosts)
    assert all(comes_before(one, other) for one, other in pairwise(ordered))
    first = in_fair_order(hosts, UUID(int=preferred))
    assert who(first) == [no for no in who(ordered) if no == preferred] + [no for no in who(ordered) if no != preferred]


def test_priority_breaks_ties_only() -> None:
    hosts = [host_of(1), host_of(2, priority=5), host_of(3, priority=9, assigned_count=1)]
    assert who(in_fair_order(hosts)) == [2, 1, 3]
    waiting = [host_of(1, last_assigned_at=NOW), host_of(2, priority=5, last_assigned_at=NOW + timedelta(minutes=1))]
    assert who(in_fair_order(waiting)) == [1, 2]


def test_who_has_the_booking_already_is_first() -> None:
    hosts = [host_of(1), host_of(2), host_of(3, assigned_count=9)]
    assert who(in_fair_order(hosts, UUID(int=3))) == [3, 1, 2]
    assert who(in_fair_order(hosts, UUID(int=4))) == [1, 2, 3]


def placed(inputs: Inputs, preferred: UUID | None = None) -> list[Placement]:
    return placements(inputs, ask(inputs), TEN, preferred, NOW)


def test_the_free_hosts_are_offered_in_their_order() -> None:
    hosts = (
        host_of(1, assigned_count=2),
        host_of(2, busy=((TEN, TEN + 60),)),
        host_of(3, assigned_count=1),
        host_of(4),
    )
    inputs = inputs_of(*hosts, assignment=ROUND_ROBIN)
    assert [who(list(each.hosts)) for each in placed(inputs)] == [[4], [3], [1]]
    assert [who(list(each.hosts)) for each in placed(inputs, UUID(int=1))] == [[1], [4], [3]]
    assert [who(list(each.hosts)) for each in placed(inputs, UUID(int=2))] == [[4], [3], [1]]


@pytest.mark.parametrize(
    ("hosts", "assignment", "reason"),
    [
        ((host_of(1), host_of(2)), FIXED, "fixed"),
        ((host_of(1), host_of(2)), COLLECTIVE, "collective"),
        ((host_of(1),), ROUND_ROBIN, "only_candidate"),
        ((host_of(1), host_of(2)), ROUND_ROBIN, "next_in_turn"),
        ((host_of(1, busy=((TEN, TEN + 60),)), host_of(2)), ROUND_ROBIN, "first_free_in_turn"),
    ],
)
def test_the_trace_says_why(hosts: tuple[Host, ...], assignment: str, reason: str) -> None:
    inputs = inputs_of(*hosts, assignment=assignment)
    offer = placed(inputs)[0]
    trace = trace_of(inputs, ask(inputs), offer, 3, None)
    assert (trace["assignment"], trace["rule"], trace["reason"]) == (assignment, 3, reason)
    candidates = {each["user_id"]: each["chosen"] for each in trace["candidates"]}
    assert candidates == {encode(Kind.USER, host.user_id): host in offer.hosts for host in ask(inputs).hosts}


def test_the_trace_of_a_seat_says_that_it_joins() -> None:
    hosts = (host_of(1), host_of(2, held=((TEN, TEN + 1_800),)))
    sitting = Sitting(TEN, TEN + 1_800, 1, (UUID(int=2),), "[]", ())
    inputs = dataclasses.replace(inputs_of(*hosts, assignment=ROUND_ROBIN, seats=3), sittings={TEN: sitting})
    (offer,) = placed(inputs)
    assert (who(list(offer.hosts)), offer.units, offer.joins) == ([2], (), sitting)
    assert trace_of(inputs, ask(inputs), offer, None, None)["reason"] == "joined_session"
