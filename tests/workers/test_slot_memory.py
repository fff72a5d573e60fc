"""Who is remembered: those that were slow or only failed for ten minutes, others for one, and never too many."""

from datetime import timedelta
from uuid import UUID

from tests.workers.queueing import LONGEST, NOW, end, line_up, many, moment, owed, prove, take_all
from workers.slots import Slots

BUSY, SECOND = UUID(int=1), UUID(int=2)


def slow_once(slots: Slots, webhook_id: UUID) -> None:
    prove(slots, webhook_id, timedelta(seconds=2))


def prove_all(slots: Slots, webhooks: list[UUID], seconds: float = 0) -> None:
    """Each answers once, after so long."""
    slots.put([one for key in webhooks for one in owed(key, 1)], slots.room(NOW), NOW)
    while sent := take_all(slots):
        end(slots, sent, seconds)


def known(slots: Slots, seconds: float) -> set[UUID]:
    slots.review(moment(seconds))
    return set(slots.room(moment(seconds)).of)


def test_a_slow_one_is_remembered_for_ten_minutes_and_a_quick_one_for_one() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, BUSY)
    slow_once(slots, SECOND)
    assert known(slots, 59) == {BUSY, SECOND}
    assert known(slots, 601) == {SECOND}
    assert known(slots, 603) == set()


def test_one_that_only_fails_is_remembered_for_ten_minutes_too() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, BUSY, 5)
    end(slots, take_all(slots), 0, delivered=False)
    assert known(slots, 599) == {BUSY}
    assert slots.room(moment(599)).of[BUSY] == 1, "one tries it"
    assert known(slots, 601) == set()


def test_a_slow_one_that_succeeds_at_once_is_as_good_as_any_quick_one_but_not_one_that_refuses() -> None:
    slots = Slots(100, LONGEST)
    slow_once(slots, SECOND)
    for delivered, most in ((False, 10), (True, 500)):
        line_up(slots, SECOND, 1, now=moment(3))
        end(slots, take_all(slots, moment(3)), 3, delivered=delivered)
        assert slots.room(moment(3)).of[SECOND] == most


def test_when_there_are_too_many_those_are_forgotten_first_that_were_well_and_circuits_last() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, BUSY, 5)
    end(slots, take_all(slots), 0, delivered=False)
    slow_once(slots, SECOND)
    prove_all(slots, many(2100))
    kept = known(slots, 5)
    assert len(kept) == 2000
    assert {BUSY, SECOND} <= kept
    prove_all(slots, many(2100, first=9000), 2)
    kept = known(slots, 6)
    assert len(kept) == 2000
    assert BUSY in kept
    assert kept & set(many(2100)) == set()


def test_what_waits_for_a_quick_one_beyond_its_lease_is_dropped() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, BUSY)
    line_up(slots, BUSY, 200)
    take_all(slots)
    slots.review(moment(15.1))
    assert slots.waiting == 0
