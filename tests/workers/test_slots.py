"""Who gets the next slot: quick webhooks most, slow and unknown ones a share, and nobody beyond the lease."""

from datetime import datetime, timedelta
from uuid import UUID

from app.domain.webhooks.deliveries import Claimed
from tests.workers.queueing import LONGEST, NOW, OTHERS, line_up, owed, prove, take_all
from workers.slots import Slots

QUICK, HANGING, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def test_an_unknown_webhook_gets_a_tenth_and_a_quick_one_half() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, QUICK, 200)
    first = take_all(slots)
    assert len(first) == 10
    for each in first:
        slots.finished(each, NOW, delivered=True)
    assert len(take_all(slots)) == 50
    line_up(slots, OTHER, 30)
    assert len(take_all(slots)) == 10


def test_slow_webhooks_together_hold_a_quarter_the_last_fifth_of_it_for_an_organization_with_none() -> None:
    slots = Slots(100, LONGEST)
    for number in range(10, 20):
        prove(slots, UUID(int=number), timedelta(seconds=2))
    prove(slots, OTHER, timedelta(seconds=2), org_id=OTHERS)
    for number in range(10, 20):
        line_up(slots, UUID(int=number), 10)
    assert len(take_all(slots)) == 20
    assert slots.room(NOW).of[UUID(int=10)] == 0
    assert slots.room(NOW).of[OTHER] == 10
    line_up(slots, OTHER, 10, org_id=OTHERS)
    assert len(take_all(slots)) == 1
    prove(slots, QUICK, org_id=OTHERS)
    line_up(slots, QUICK, 200, org_id=OTHERS)
    assert len(take_all(slots)) == 40, "as many as are free beside it"


def test_what_waits_behind_a_webhook_that_begins_to_hang_is_given_back() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, HANGING)
    line_up(slots, HANGING, 500)
    assert len(take_all(slots)) == 50
    assert slots.room(NOW).of[HANGING] == 50
    assert len(slots.review(NOW + timedelta(seconds=0.6))) == 440
    assert slots.waiting == 10
    assert slots.room(NOW).of[HANGING] == 0


def test_what_would_outlive_its_lease_is_not_sent() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, QUICK, 5)
    assert take_all(slots, NOW + timedelta(seconds=15.1)) == []
    assert slots.waiting == 0


def test_one_slot_serves_everybody() -> None:
    slots = Slots(1, LONGEST)
    line_up(slots, QUICK, 1)
    line_up(slots, OTHER, 1)
    for _ in range(2):
        (sent,) = take_all(slots)
        slots.finished(sent, NOW + timedelta(seconds=5), delivered=False, timed_out=True)
    assert slots.take(NOW) is None


def test_stopping_gives_everything_back() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, QUICK, 50)
    take_all(slots)
    assert len(slots.empty()) == 40
    assert (slots.waiting, slots.take(NOW)) == (0, None)


def test_many_hanging_webhooks_never_fill_the_queue() -> None:
    """Two hundred that were never seen, each with more than enough: a quick one finds room and slots at any moment."""
    slots = Slots(100, LONGEST)
    prove(slots, QUICK)
    moment = NOW
    for step in range(200):
        moment = NOW + timedelta(milliseconds=250 * step)
        room = slots.room(moment)
        assert room.total >= 100, "claiming goes on"
        batch: list[Claimed] = []
        for number in range(100, 300):
            wanted = min(20, room.of.get(UUID(int=number), room.other))
            lease = moment - NOW + timedelta(seconds=31)
            batch += owed(UUID(int=number), wanted, lease)[: max(0, room.total - len(batch))]
        slots.put(batch, room, moment)
        take_all(slots, moment)
        room = slots.room(moment)
        assert room.of[QUICK] > 0
        slots.put(owed(QUICK, 1, moment - NOW + timedelta(seconds=31)), room, moment)
        (sent,) = take_all(slots, moment)
        slots.finished(sent, moment, delivered=True)
        slots.review(moment)


def test_what_waits_beyond_its_lease_does_not_count() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, HANGING, 10)
    assert len(take_all(slots)) == 10
    slots.put(owed(OTHER, 10, timedelta(seconds=17)), slots.room(NOW), NOW)
    assert slots.waiting == 10
    slots.review(NOW + timedelta(seconds=2))
    assert slots.waiting == 0
    assert take_all(slots, NOW + timedelta(seconds=2)) == []


def fail(slots: Slots, webhook_id: UUID, count: int, now: datetime, asked: int | None = None) -> None:
    slots.put(owed(webhook_id, count), slots.room(now), now)
    for each in take_all(slots, now):
        slots.finished(each, now, delivered=False, asked=asked)


def test_a_webhook_that_only_fails_rests_and_gives_back_what_waits() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, QUICK)
    slots.put(owed(QUICK, 100), slots.room(NOW), NOW)
    for _ in range(5):
        sent = slots.take(NOW)
        assert sent is not None
        slots.finished(sent, NOW, delivered=False)
    assert slots.take(NOW) is None
    assert slots.room(NOW).of[QUICK] == 0
    assert slots.resting(NOW) == 1
    assert len(slots.review(NOW)) == 95


def test_after_its_rest_one_delivery_tries_it_and_a_success_opens_it_to_all() -> None:
    slots = Slots(100, LONGEST)
    fail(slots, QUICK, 5, NOW)
    later = NOW + timedelta(seconds=1)
    room = slots.room(later)
    assert room.of[QUICK] == 1
    slots.put(owed(QUICK, 1), room, later)
    (trying,) = take_all(slots, later)
    assert slots.room(later).of[QUICK] == 0, "one at a time"
    slots.put(owed(QUICK, 3), slots.room(later), later)
    assert slots.take(later) is None
    assert slots.finished(trying, later, delivered=True), "the database has more for it"
    assert len(take_all(slots, later)) == 3


def test_a_wish_to_be_left_alone_is_kept_in_mind() -> None:
    slots = Slots(100, LONGEST)
    fail(slots, QUICK, 1, NOW, asked=200)
    later = NOW + timedelta(seconds=199)
    slots.review(later)
    assert slots.room(later).of[QUICK] == 0
    assert slots.room(later + timedelta(seconds=1)).of[QUICK] == 1


def test_who_had_no_room_is_asked_for_again_when_there_is() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, QUICK)
    line_up(slots, QUICK, 500)
    room = slots.room(NOW)
    assert room.of[QUICK] == 0
    slots.put([], room, NOW)
    sent = take_all(slots)
    told = [slots.finished(each, NOW, delivered=True) for each in sent]
    while sent := take_all(slots):
        told += [slots.finished(each, NOW, delivered=True) for each in sent]
    assert any(told)
