"""Who gets the next slot: quick webhooks nearly all, slow and unknown ones a share, and nobody beyond the lease."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.core.ids import new_id
from app.domain.webhooks.deliver import Delivery
from app.domain.webhooks.deliveries import Claimed
from workers.slots import Slots

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LONGEST = timedelta(seconds=16)
QUICK, HANGING, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def owed(webhook_id: UUID, count: int, lease: timedelta = timedelta(seconds=31)) -> list[Claimed]:
    def one() -> Delivery:
        return Delivery(UUID(int=9), new_id(), new_id(), webhook_id, "booking.created", b"{}", "", (), 0, 0, NOW)

    return [Claimed(one(), NOW + lease) for _ in range(count)]


def line_up(slots: Slots, webhook_id: UUID, count: int) -> None:
    slots.put(owed(webhook_id, count), slots.room(), NOW)


def take_all(slots: Slots, now: datetime = NOW) -> list[Delivery]:
    return list(iter(lambda: slots.take(now), None))


def prove(slots: Slots, webhook_id: UUID, after: timedelta = timedelta(0)) -> None:
    line_up(slots, webhook_id, 1)
    (sent,) = take_all(slots)
    slots.finished(sent, NOW + after, timed_out=False)


def test_an_unknown_webhook_gets_a_tenth_and_a_quick_one_all_but_a_tenth() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, QUICK, 200)
    first = take_all(slots)
    assert len(first) == 10
    for each in first:
        slots.finished(each, NOW, timed_out=False)
    assert len(take_all(slots)) == 90
    line_up(slots, OTHER, 30)
    assert len(take_all(slots)) == 10


def test_slow_webhooks_together_hold_a_quarter() -> None:
    slots = Slots(100, LONGEST)
    for number in range(10, 20):
        prove(slots, UUID(int=number), timedelta(seconds=2))
    for number in range(10, 20):
        line_up(slots, UUID(int=number), 10)
    assert len(take_all(slots)) == 25
    assert slots.room().of[UUID(int=10)] == 0
    prove(slots, QUICK)
    line_up(slots, QUICK, 200)
    assert len(take_all(slots)) == 65


def test_what_waits_behind_a_webhook_that_begins_to_hang_is_given_back() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, HANGING)
    line_up(slots, HANGING, 400)
    assert len(take_all(slots)) == 90
    assert slots.room().total < 200
    assert len(slots.review(NOW + timedelta(seconds=0.6))) == 300
    assert slots.waiting == 10
    assert slots.room().of[HANGING] == 0


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
        slots.finished(sent, NOW + timedelta(seconds=5), timed_out=True)
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
        room = slots.room()
        assert room.total >= 100, "claiming goes on"
        batch: list[Claimed] = []
        for number in range(100, 300):
            wanted = min(20, room.of.get(UUID(int=number), room.other))
            lease = moment - NOW + timedelta(seconds=31)
            batch += owed(UUID(int=number), wanted, lease)[: max(0, room.total - len(batch))]
        slots.put(batch, room, moment)
        take_all(slots, moment)
        room = slots.room()
        assert room.of[QUICK] > 0
        slots.put(owed(QUICK, 1, moment - NOW + timedelta(seconds=31)), room, moment)
        (sent,) = take_all(slots, moment)
        slots.finished(sent, moment, timed_out=False)
        slots.review(moment)


def test_what_waits_beyond_its_lease_does_not_count() -> None:
    slots = Slots(100, LONGEST)
    line_up(slots, HANGING, 10)
    assert len(take_all(slots)) == 10
    slots.put(owed(OTHER, 10, timedelta(seconds=17)), slots.room(), NOW)
    assert slots.waiting == 10
    slots.review(NOW + timedelta(seconds=2))
    assert slots.waiting == 0
    assert take_all(slots, NOW + timedelta(seconds=2)) == []
