"""The one decision by example: what is asked for, sessions, and what an answer depends on.

The rules in all their combinations are held against an oracle in `test_oracle`.
"""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.errors import InvalidInput
from app.domain.availability.explain import Explainer
from app.domain.availability.inputs import COLLECTIVE, FIXED, ROUND_ROBIN, Host, Inputs, Requirement, Sitting, Unit
from app.domain.availability.service import Asked, Verdict, ask, bounds, open_slots, question
from app.domain.availability.windows import Hours
from tests.unit.engine import NINE_TO_FIVE, host_of, inputs_of, rules_of, unit_of

MONDAY = int(datetime(2026, 5, 4, tzinfo=UTC).timestamp())
HOUR = 3_600
TEN = MONDAY + 10 * HOUR
EARLIER = datetime(2026, 5, 1, tzinfo=UTC)
SERVICES = (
    {"id": "cut", "name": "Cut", "duration_minutes": 20},
    {"id": "colour", "name": "Colour", "duration_minutes": 90},
)


def at_ten(inputs: Inputs, now: datetime = EARLIER, **asking: Any) -> bool:
    """Whether 10:00 is open."""
    return TEN in open_slots(inputs, ask(inputs, **asking), MONDAY, MONDAY + 24 * HOUR, now).starts


def ids(hosts: Sequence[Host]) -> list[int]:
    return [host.user_id.int for host in hosts]


def test_the_duration_is_the_usual_one_or_one_that_is_offered() -> None:
    inputs = inputs_of(host_of(1), duration_minutes=30, durations_minutes=(30, 45), services=SERVICES)
    assert [ask(inputs, duration=each).minutes for each in (None, 30, 45)] == [30, 30, 45]
    assert [ask(inputs, service_id=each).minutes for each in ("cut", "colour")] == [20, 90]
    assert ask(inputs, service_id="cut", duration=20).minutes == 20


@pytest.mark.parametrize(
    ("asking", "field", "code"),
    [
        ({"duration": 20}, "duration", "invalid_value"),
        ({"duration": 0}, "duration", "invalid_value"),
        ({"service_id": "shave"}, "service_id", "unknown_id"),
        ({"service_id": "cut", "duration": 30}, "duration", "invalid_value"),
        ({"host_id": UUID(int=9)}, "host_id", "unknown_id"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(asking: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        ask(inputs_of(host_of(1), services=SERVICES), **asking)
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]


@pytest.mark.parametrize(
    ("assignment", "asking", "expected"),
    [
        (FIXED, {}, [1]),
        (FIXED, {"host_id": UUID(int=2)}, [2]),
        (FIXED, {"among": {UUID(int=2), UUID(int=3)}}, [2]),
        (ROUND_ROBIN, {}, [1, 2, 3]),
        (ROUND_ROBIN, {"host_id": UUID(int=2)}, [2]),
        (ROUND_ROBIN, {"among": {UUID(int=3), UUID(int=1)}}, [1, 3]),
        (ROUND_ROBIN, {"among": {UUID(int=3)}, "host_id": UUID(int=2)}, []),
        (ROUND_ROBIN, {"among": set()}, []),
        (COLLECTIVE, {}, [1, 2, 3]),
        (COLLECTIVE, {"host_id": UUID(int=2)}, [1, 2, 3]),
        (COLLECTIVE, {"among": {UUID(int=2)}}, [2]),
    ],
)
def test_whose_time_counts(assignment: str, asking: dict[str, Any], expected: list[int]) -> None:
    inputs = inputs_of(host_of(1), host_of(2), host_of(3), assignment=assignment)
    assert ids(ask(inputs, **asking).hosts) == expected
    assert at_ten(inputs, **asking) == bool(expected)


def test_notice_and_window_are_counted_to_the_microsecond() -> None:
    rules = rules_of(minimum_notice_minutes=60, booking_window_days=1)
    tick = timedelta(microseconds=1)
    nine = datetime.fromtimestamp(TEN - HOUR, UTC)
    inputs = Inputs(rules, (host_of(1),), (), {}, ())
    assert [at_ten(inputs, nine + each) for each in (-tick, 0 * tick, tick)] == [True, True, False]
    day_before = datetime.fromtimestamp(TEN, UTC) - timedelta(days=1)
    assert [at_ten(inputs, day_before + each) for each in (-tick, 0 * tick, tick)] == [False, True, True]
    assert bounds(rules, 0, TEN * 2, nine + tick) == (TEN + 1, TEN + 23 * HOUR + 1)


def session(taken: int, *hosts: int, minutes: int = 30, units: Sequence[Unit] = ()) -> dict[int, Sitting]:
    """At ten, of half an hour, without buffers."""
    end = TEN + minutes * 60
    kept = json.dumps([{"resource_id": str(unit.resource_id), "subject_no": unit.subject_no} for unit in units])
    return {TEN: Sitting(TEN, end, taken, tuple(UUID(int=each) for each in hosts), kept, ())}


def seated(*hosts: Host, sittings: dict[int, Sitting], units: tuple[Unit, ...] = (), **rules: Any) -> Inputs:
    """Up to three guests; `sittings` holds its hosts at ten."""
    inputs = inputs_of(*hosts, seats=3, **rules)
    return dataclasses.replace(inputs, sittings=sittings, units=units)


HELD = ((TEN, TEN + 1_800),)


@pytest.mark.parametrize(("taken", "expected"), [(1, True), (2, True), (3, False), (4, False)])
def test_a_session_is_open_until_its_last_seat_is_taken(taken: int, expected: bool) -> None:
    assert at_ten(seated(host_of(1, held=HELD), sittings=session(taken, 1))) == expected


@pytest.mark.parametrize("sittings", [session(3, 1), session(1, 1, minutes=60), session(1, 9)])
def test_a_session_that_cannot_be_joined_refuses_its_start_whoever_else_is_free(sittings: dict[int, Sitting]) -> None:
    hosts = (host_of(1, held=HELD), host_of(2))
    assert not at_ten(seated(*hosts, sittings=sittings, assignment=ROUND_ROBIN))


def test_a_seat_is_beside_the_sessions_own_host() -> None:
    inputs = seated(host_of(1), host_of(2, held=HELD), sittings=session(1, 2), assignment=ROUND_ROBIN)
    found = open_slots(inputs, ask(inputs), TEN, TEN + 1_801, EARLIER)
    assert found.hosts_at() == {TEN: 0b10, TEN + 1_800: 0b11}
    assert not at_ten(inputs, host_id=UUID(int=1))
    assert at_ten(inputs, host_id=UUID(int=2))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"full": (("day", date(2026, 5, 4)),)}, True),  # a session counts once in its host's caps
        ({"busy": ((TEN + 60, TEN + 120),)}, False),
        ({"hours": Hours("Etc/UTC", ((), *((NINE_TO_FIVE,) * 6)))}, False),
        ({"hours": None}, False),
    ],
)
def test_only_hours_and_calendars_speak_against_a_seat(facts: dict[str, Any], expected: bool) -> None:
    assert at_ten(seated(host_of(1, held=HELD, **facts), sittings=session(1, 1))) == expected


def test_a_group_can_be_joined_only_when_all_of_it_is_there() -> None:
    hosts = (host_of(1, held=HELD), host_of(2, held=HELD))
    assert at_ten(seated(*hosts, sittings=session(1, 1, 2), assignment=COLLECTIVE))
    assert not at_ten(seated(*hosts, sittings=session(1, 1), assignment=COLLECTIVE))


def reasons_at_ten(inputs: Inputs, verdict: Verdict = Verdict()) -> list[str]:  # noqa: B008 -- it is frozen
    asked = ask(inputs, among=verdict.host_ids)
    found = Explainer(inputs, asked, TEN, TEN + 1, (), verdict, EARLIER).reasons(TEN)
    return [reason["code"] for reason in found]


def test_an_incomplete_group_is_not_a_matter_of_hours() -> None:
    hosts = (host_of(1, held=HELD), host_of(2, held=HELD))
    assert reasons_at_ten(seated(*hosts, sittings=session(1, 1), assignment=COLLECTIVE)) == ["busy_booking"]


def test_what_keeps_a_session_from_being_joined_is_said_even_when_another_host_is_free() -> None:
    hosts = (host_of(1, held=HELD, busy=((TEN, TEN + 60),)), host_of(2))
    assert reasons_at_ten(seated(*hosts, sittings=session(1, 1), assignment=ROUND_ROBIN)) == ["busy_calendar"]


def test_where_routing_leaves_nobody_hours_are_not_to_blame() -> None:
    nobody = Verdict(host_ids=frozenset(), rule_no=0)
    assert reasons_at_ten(inputs_of(host_of(1), assignment=ROUND_ROBIN), nobody) == ["routing"]
    taken = inputs_of(host_of(1, held=HELD), assignment=ROUND_ROBIN)
    assert "outside_schedule" not in reasons_at_ten(taken, nobody)


ROOMS = (unit_of(100, capacity=4), unit_of(101, capacity=4))


def asked_of(inputs: Inputs, now: datetime = EARLIER) -> tuple[object, list[int]]:
    """The question and its answer, for Monday."""
    asked: Asked = ask(inputs)
    start, end = MONDAY, MONDAY + 24 * HOUR
    return question(inputs, asked, start, end, now), list(open_slots(inputs, asked, start, end, now).starts)


CLOSED = Hours("Etc/UTC", ((),) * 7)
NEEDS = (Requirement("room", 4, UUID(int=0xA0)), Requirement("room", 2, None))


@pytest.mark.parametrize(
    ("part", "facts"),
    [
        ("hosts", {"held": HELD}),
        ("hosts", {"busy": HELD}),
        ("hosts", {"full": (("day", date(2026, 5, 4)),)}),
        ("hosts", {"hours": CLOSED, "wording": ("closed",)}),
        ("units", {"held": HELD}),
        ("units", {"hours": CLOSED, "wording": ("closed",)}),
        # the rooms still meet the second requirement
        ("units", {"capacity": 3}),
        ("units", {"location_id": UUID(int=0xA9)}),
    ],
)
def test_whatever_changes_the_answer_changes_the_question(part: str, facts: dict[str, Any]) -> None:
    inputs = seated(host_of(1), sittings={}, units=ROOMS, requires=NEEDS)
    subjects = tuple(dataclasses.replace(each, **facts) for each in getattr(inputs, part))
    changed: dict[str, Any] = {part: subjects}
    before, after = asked_of(inputs), asked_of(dataclasses.replace(inputs, **changed))
    assert before[1] != after[1]
    assert before[0] != after[0]


def test_equal_inputs_are_the_same_question_and_fewer_or_full_ones_are_another() -> None:
    inputs = seated(host_of(1), host_of(2), sittings=session(1, 1), units=ROOMS, requires=NEEDS)
    asked = asked_of(inputs)[0]
    assert {asked: 1}[asked_of(dataclasses.replace(inputs))[0]]
    for changed in (
        dataclasses.replace(inputs, units=ROOMS[1:]),
        dataclasses.replace(inputs, hosts=inputs.hosts[1:]),
        dataclasses.replace(inputs, sittings=session(3, 1)),
        dataclasses.replace(inputs, sittings={}),
        dataclasses.replace(inputs, rules=dataclasses.replace(inputs.rules, config_version=2)),
    ):
        assert asked_of(changed)[0] != asked


def test_the_clock_is_part_of_a_question_only_as_far_as_it_reaches_into_the_range() -> None:
    far = inputs_of(host_of(1), minimum_notice_minutes=60, booking_window_days=60)
    assert asked_of(far, EARLIER) == asked_of(far, EARLIER + timedelta(hours=5))
    near = datetime.fromtimestamp(TEN, UTC)
    assert asked_of(far, near)[0] != asked_of(far, near + timedelta(minutes=30))[0]
    soon = inputs_of(host_of(1), booking_window_days=1)
    yesterday = near - timedelta(days=1)
    assert asked_of(soon, yesterday)[0] != asked_of(soon, yesterday + timedelta(minutes=30))[0]
