"""The engine against the oracle: what is listed, what can be booked, and what is said of the rest.

The situations are those of `tests.unit.worlds`: weeks in which clocks change, several hosts in their own zones,
bookings with buffers, calendars, caps, sessions and things. `--hypothesis-show-statistics` says how often each occurs.
"""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from app.domain.availability.assignment import Placement, in_fair_order, placements
from app.domain.availability.explain import Blocker, Explainer
from app.domain.availability.inputs import ROUND_ROBIN
from app.domain.availability.requirements import meets
from app.domain.availability.service import Asked, OpenSlots, Verdict, ask, open_slots
from tests.unit.oracle import Oracle, Reason
from tests.unit.worlds import World, worlds

EXAMPLES = settings().max_examples


def listed(world: World) -> OpenSlots:
    return open_slots(world.inputs, ask(world.inputs, **world.asking), world.start, world.end, world.now)


def label(oracle: Oracle, starts: list[int]) -> None:
    """What kind of situation it is, for the statistics."""
    rules = oracle.rules
    some = "some" if starts else "no"
    many = ("nobody", "one host", "several hosts")[min(len(oracle.hosts), 2)]
    event(f"{rules.assignment}, {many}: {some} starts")
    if rules.requires:
        event(f"units: {some} starts")
    if any(host.full for host in oracle.hosts):
        event(f"caps: {some} starts")
    if any(oracle.session(start) for start in starts):
        event("a seat beside others")


@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(worlds())
def test_what_is_listed_is_what_every_rule_allows(world: World) -> None:
    oracle = Oracle(world)
    expected = oracle.starts()
    label(oracle, expected)
    found = listed(world)
    assert list(found.starts) == expected
    numbers = {host.user_id: number for number, host in enumerate(found.asked.hosts)}
    for start, bits in found.hosts_at().items():
        able = {user_id for group in oracle.groups(start) for user_id in group}
        assert bits == sum(1 << numbers[user_id] for user_id in able)


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(worlds(), st.data())
def test_what_can_be_booked_is_what_is_listed(world: World, data: st.DataObject) -> None:
    """Asked for one start alone, with hosts and things that the oracle calls free."""
    oracle = Oracle(world)
    asked = ask(world.inputs, **world.asking)
    starts = set(oracle.starts())
    label(oracle, sorted(starts))
    grid = {start for each in oracle.grids.values() for start in each}
    anywhere = set(data.draw(st.lists(st.integers(world.start, world.end - 1), max_size=3)))
    for start in sorted(grid | anywhere | {each + 1 for each in grid}):
        offers = placements(world.inputs, asked, start, None, world.now)
        assert bool(offers) == (start in starts)
        if offers:
            check_offers(oracle, start, offers, asked)


def check_offers(oracle: Oracle, start: int, offers: list[Placement], asked: Asked) -> None:
    """Exactly the groups that could take it, round-robin in their order; and units in one of the ways there are."""
    session = oracle.session(start)
    groups = oracle.groups(start)
    if oracle.rules.assignment == ROUND_ROBIN and session is None:
        turns = in_fair_order([host for host in asked.hosts if (host.user_id,) in groups])
        groups = [(host.user_id,) for host in turns]
    assert [tuple(host.user_id for host in offer.hosts) for offer in offers] == groups
    for offer in offers:
        assert offer.joins == session
        if session is not None:
            held = {unit["subject_no"] for unit in json.loads(session.units)}
            assert {unit.subject_no for unit in offer.units} == held, "what the session holds, for the claim to lock"
        else:
            ways = [tuple(unit.subject_no for unit in way) for way in oracle.ways(start)]
            assert tuple(unit.subject_no for unit in offer.units) in ways
            assert all(meets(need, unit) for need, unit in zip(oracle.rules.requires, offer.units, strict=True))


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds(), st.data())
def test_a_part_of_the_range_shows_its_part_of_the_starts(world: World, data: st.DataObject) -> None:
    within = st.integers(world.start, world.end)
    lo, hi = sorted((data.draw(within), data.draw(within)))
    part = dataclasses.replace(world, start=lo, end=hi)
    assert list(listed(part).starts) == [start for start in listed(world).starts if lo <= start < hi]


def explainer_of(world: World) -> Explainer:
    """Blockers are whatever the oracle knows of."""
    blockers = [
        Blocker(each.subject_no, each.held, (each.start, each.end), ids, each.calendar_id)
        for each in world.taken
        if (ids := (each.booking_id,) if each.booking_id else ()) or each.calendar_id
    ]
    among = world.asking["among"]
    verdict = Verdict() if among is None else Verdict(host_ids=among, rule_no=0)
    asked = ask(world.inputs, **world.asking)
    return Explainer(world.inputs, asked, world.start, world.end, blockers, verdict, world.now)


def plain(reasons: Iterable[dict[str, Any]]) -> set[Reason]:
    """Reasons as the oracle has them."""
    found: set[Reason] = set()
    for reason in reasons:
        parts = [reason["code"], reason.get("host_id")]
        if reason["code"] == "resource_busy":
            parts = [reason["code"], reason["kind"], str(reason["min_capacity"])]
        parts += [reason.get(each) for each in ("calendar_id", "booking_id", "period_start")]
        found.add(tuple(part for part in parts if part is not None))
    return found


def check_reasons_without_anybody(oracle: Oracle, start: int, reasons: set[Reason]) -> None:
    """Routing left nobody to ask. Only where nobody would have come anyhow, that is because of the hours."""
    assert not oracle.hosts
    assert reasons
    if any(oracle.is_on_grid(host, start) for host in oracle.away()):
        assert ("outside_schedule",) not in reasons


@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(worlds())
def test_every_refused_start_has_the_reasons_that_refuse_it(world: World) -> None:
    oracle = Oracle(world)
    free = listed(world).starts
    refused = explainer_of(world).refused(free)
    for code in {code for _, reasons in refused for code, *_ in plain(reasons)}:
        event(code)
    everybody = [*oracle.hosts, *oracle.away()]
    for start, reasons in refused:
        expected = oracle.reasons(start)
        if expected:
            assert expected <= plain(reasons) <= expected | oracle.of_others(start)
        else:
            check_reasons_without_anybody(oracle, start, plain(reasons))
    named = [start for start, _ in refused]
    assert named == sorted(set(named))
    assert not set(named).intersection(free)
    grid = {start for host in everybody for start in oracle.grids.get(host.subject_no, ())}
    assert grid - set(free) <= set(named)
    assert all(not any(oracle.is_open(host, start) for host in everybody) for start in set(named) - grid)
