"""Nobody's receivers keep anybody else's deliveries waiting: shares of a webhook, of an organization, and of all."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.domain.webhooks.deliver import Delivery
from tests.workers.queueing import LONGEST, NOW, ORG, OTHERS, World, end, line_up, many, moment, owed, prove, take_all
from workers.slots import Slots

BUSY, SECOND, RARE = UUID(int=1), UUID(int=2), UUID(int=3)


def of_tenants(tenants: int, webhooks: int, first: int = 10_000) -> dict[UUID, UUID]:
    """Webhooks with their organizations."""
    return {
        webhook_id: UUID(int=first + tenant)
        for tenant in range(tenants)
        for webhook_id in many(webhooks, first + 1000 * (tenant + 1))
    }


def hanging_at_first_sight(slots: Slots, webhooks: dict[UUID, UUID], each: int = 1) -> list[Delivery]:
    """The attempts that begin when these are seen for the first time; they hang."""
    room = slots.room(NOW)
    slots.put([one for key, org in webhooks.items() for one in owed(key, each, org_id=org)], room, NOW)
    return take_all(slots)


# A quick receiver begins to hang.


@pytest.mark.parametrize("org_id", [ORG, OTHERS], ids=["of the same organization", "of another"])
def test_a_busy_receiver_that_begins_to_hang_keeps_no_unknown_one_waiting(org_id: UUID) -> None:
    slots = Slots(100, LONGEST)
    prove(slots, BUSY)
    line_up(slots, BUSY, 400)
    assert len(take_all(slots)) == 50
    for seconds in (0.0, 0.25, 0.5, 0.75, 1.0):
        slots.review(moment(seconds))
        key = UUID(int=100 + int(seconds * 4))
        room = slots.room(moment(seconds))
        assert room.total >= 100, "claiming goes on"
        assert room.other > 0
        slots.put(owed(key, 1, org_id=org_id), room, moment(seconds))
        assert [each.webhook_id for each in take_all(slots, moment(seconds))] == [key]


def test_one_that_drags_gets_no_other_slot_even_before_it_is_reviewed() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, BUSY)
    line_up(slots, BUSY, 20)
    sent = take_all(slots)
    line_up(slots, BUSY, 20, now=moment(0.4))
    assert len(take_all(slots, moment(0.4))) == 20
    line_up(slots, BUSY, 20, now=moment(0.4))
    end(slots, sent[1:], 0.45)
    assert take_all(slots, moment(0.6)) == []


def test_each_further_busy_one_has_as_much_as_is_free_beside_it_and_an_organization_four_fifths() -> None:
    slots = Slots(100, LONGEST)
    for key in many(4):
        prove(slots, key)
    held = []
    for key in many(4):
        line_up(slots, key, 100)
        held.append(len(take_all(slots)))
    assert held == [50, 25, 5, 0]
    prove(slots, RARE, org_id=OTHERS)
    line_up(slots, RARE, 100, org_id=OTHERS)
    assert len(take_all(slots)) == 10


def test_the_last_slots_are_for_organizations_that_hold_none() -> None:
    slots = Slots(100, LONGEST)
    busy = of_tenants(3, 10)
    for key, org_id in busy.items():
        prove(slots, key, org_id=org_id)
    for key, org_id in busy.items():
        line_up(slots, key, 20, org_id=org_id)
    assert len(take_all(slots)) == 95
    for number in range(5):
        line_up(slots, UUID(int=number), 3, org_id=UUID(int=100 + number))
        assert len(take_all(slots)) == 1
    line_up(slots, UUID(int=6), 1, org_id=UUID(int=106))
    assert slots.take(NOW) is None, "there is none left"


def test_what_a_busy_one_leaves_when_it_is_well_goes_to_whoever_was_refused() -> None:
    slots = Slots(100, LONGEST)
    busy = of_tenants(3, 10)
    for key, org_id in busy.items():
        prove(slots, key, org_id=org_id)
    for key, org_id in busy.items():
        line_up(slots, key, 4, org_id=org_id)
    sent = take_all(slots)
    assert len(sent) == 95
    line_up(slots, RARE, 2, org_id=OTHERS)
    (first,) = take_all(slots)
    assert first.webhook_id == RARE
    slots.finished(first, NOW, delivered=True)
    assert [each.webhook_id for each in take_all(slots)] == [RARE]
    end(slots, sent, 0.01)
    assert len(take_all(slots)) == 25


def busy_beside(slots: Slots, counts: list[int], org_id: UUID) -> list[Delivery]:
    """The attempts of quick webhooks of an organization, so many of each."""
    for key in many(len(counts)):
        prove(slots, key, org_id=org_id)
    sent = []
    for key, count in zip(many(len(counts)), counts, strict=True):
        line_up(slots, key, count, org_id=org_id)
        sent += take_all(slots)
    assert len(sent) == sum(counts)
    return sent


def test_a_slot_that_an_organization_returns_at_its_limit_goes_to_its_unknown_one() -> None:
    slots = Slots(100, LONGEST)
    sent = busy_beside(slots, [50, 25, 5], ORG)
    line_up(slots, RARE, 1)
    assert slots.take(NOW) is None
    end(slots, sent[:1], 0)
    assert [each.webhook_id for each in take_all(slots)] == [RARE]


def test_one_of_the_last_slots_that_is_returned_goes_to_whoever_waits_for_it() -> None:
    slots = Slots(100, LONGEST)
    for key in (SECOND, UUID(int=4)):
        prove(slots, key, org_id=OTHERS)
    sent = busy_beside(slots, [50, 25, 3], ORG)
    for key in (SECOND, UUID(int=4)):
        line_up(slots, key, 9, org_id=OTHERS)
    take_all(slots)
    slots.empty()
    line_up(slots, RARE, 1, org_id=OTHERS)
    assert slots.take(NOW) is None
    end(slots, sent[:1], 0)
    assert [each.webhook_id for each in take_all(slots)] == [RARE]


def test_an_organization_that_holds_nothing_any_more_is_again_one_that_does_not() -> None:
    slots = Slots(100, LONGEST)
    (busy,) = busy_beside(slots, [1], OTHERS)
    assert len(hanging_at_first_sight(slots, of_tenants(50, 1))) == 50
    line_up(slots, RARE, 1, org_id=OTHERS)
    assert slots.take(NOW) is None
    slots.finished(busy, NOW, delivered=True)
    assert [each.webhook_id for each in take_all(slots)] == [RARE]


def test_one_that_dragged_and_is_quick_again_goes_on_at_once() -> None:
    slots = Slots(100, LONGEST)
    (oldest,) = busy_beside(slots, [1], ORG)
    line_up(slots, many(1)[0], 30, now=moment(0.4))
    assert len(take_all(slots, moment(0.4))) == 30
    line_up(slots, many(1)[0], 5, now=moment(0.4))
    assert slots.take(moment(0.6)) is None
    slots.finished(oldest, moment(0.6), delivered=True)
    assert len(take_all(slots, moment(0.6))) == 5


# An organization with many receivers that hang.


def test_an_organizations_unproven_webhooks_hold_a_third_and_as_much_of_theirs_may_wait() -> None:
    slots = Slots(100, LONGEST)
    webhooks = of_tenants(1, 100)
    sent = hanging_at_first_sight(slots, webhooks, each=2)
    assert len(sent) == 33
    assert slots.waiting == 167
    assert len(slots.review(moment(0.6))) == 134
    assert slots.waiting == 33
    assert not any(slots.room(moment(0.6)).of.values())
    assert slots.room(moment(0.6)).other == 10
    end(slots, sent[:1], 0.6, delivered=False)
    assert not any(slots.room(moment(0.6)).of.values()), "what waits already has that slot"


def test_what_an_organization_may_have_waiting_is_claimed_of_all_its_webhooks() -> None:
    slots = Slots(100, LONGEST)
    webhooks = of_tenants(1, 10)
    end(slots, hanging_at_first_sight(slots, webhooks), 2)
    assert slots.room(moment(2)).of == dict.fromkeys(webhooks, 3)


def test_what_is_kept_is_spread_over_the_organizations_webhooks() -> None:
    slots = Slots(100, LONGEST)
    webhooks = of_tenants(1, 10)
    hanging_at_first_sight(slots, webhooks, each=20)
    surplus = slots.review(moment(0.1))
    assert slots.waiting == 30
    assert {each.delivery.webhook_id for each in surplus} == set(webhooks)


def test_its_quick_webhook_goes_on() -> None:
    slots = Slots(100, LONGEST)
    tenant = of_tenants(1, 100)
    org_id = next(iter(tenant.values()))
    prove(slots, BUSY, org_id=org_id)
    hanging_at_first_sight(slots, tenant)
    slots.review(moment(1))
    line_up(slots, BUSY, 100, org_id=org_id, now=moment(1))
    assert len(take_all(slots, moment(1))) == 34


def test_unknown_ones_together_hold_half_whatever_slow_ones_hold() -> None:
    slots = Slots(100, LONGEST)
    assert len(hanging_at_first_sight(slots, of_tenants(4, 50))) == 40 + 2, "the last fifth: one for each with none"
    slots.review(moment(1))
    for number in range(8):
        line_up(slots, UUID(int=number), 1, org_id=UUID(int=100 + number), now=moment(1))
    assert len(take_all(slots, moment(1))) == 8


def test_however_many_organizations_wait_with_webhooks_nobody_knows_the_next_one_is_claimed() -> None:
    slots = Slots(100, LONGEST)
    hanging_at_first_sight(slots, of_tenants(30, 10), each=3)
    assert slots.room(NOW).other == 1
    slots.review(moment(0.1))
    assert slots.waiting <= 100
    room = slots.room(moment(0.1))
    assert room.total >= 100
    assert room.other > 0
    slots.put(owed(RARE, 1, org_id=OTHERS), room, moment(0.1))
    assert [each.webhook_id for each in take_all(slots, moment(0.1))] == [RARE]


def test_the_first_of_ever_more_organizations_leave_a_quarter_to_the_quick_ones() -> None:
    slots = Slots(100, LONGEST)
    prove(slots, BUSY)
    assert len(hanging_at_first_sight(slots, of_tenants(120, 1))) == 75
    line_up(slots, BUSY, 100, now=moment(1))
    assert len(take_all(slots, moment(1))) == 13, "as many as are free beside it"


def test_what_was_given_back_is_asked_for_when_there_is_room_again() -> None:
    slots = Slots(100, LONGEST)
    sent = hanging_at_first_sight(slots, of_tenants(1, 40), each=5)
    slots.review(moment(0.1))
    told = [slots.finished(each, moment(0.2), delivered=True) for each in sent]
    assert any(told)


def test_quick_ones_that_fill_the_queue_leave_room_for_another_organizations() -> None:
    slots = Slots(100, LONGEST)
    for key in many(2):
        prove(slots, key)
    prove(slots, RARE, org_id=OTHERS)
    for key in many(2):
        line_up(slots, key, 300)
    take_all(slots)
    room = slots.room(NOW)
    assert [room.of[key] for key in many(2)] == [0, 0]
    assert (room.total, room.of[RARE]) == (250, 250)


def test_nor_does_a_deep_backlog_keep_another_quick_one_of_its_organization_from_being_claimed() -> None:
    slots = Slots(100, LONGEST)
    for key in (BUSY, SECOND):
        prove(slots, key)
    line_up(slots, BUSY, 500)
    assert slots.room(NOW).of == {BUSY: 0, SECOND: 5}


# The same over minutes: one tenant, or three, with a hundred webhooks each, beside 200 others' deliveries now and then.


def hang(webhook_id: UUID, _at: float) -> float:
    return 15 if webhook_id.int >= 10_000 else 0.005


def hang_every_other_half_minute(webhook_id: UUID, at: float) -> float:
    return hang(webhook_id, at) if at % 60 > 30 else 0.005


@pytest.mark.parametrize(("tenants", "webhooks"), [(1, 20), (1, 100), (3, 100)])
def test_however_many_webhooks_of_a_tenant_hang_others_deliveries_wait_for_less_than_a_second(
    tenants: int, webhooks: int
) -> None:
    rare = {key: UUID(int=5000 + number) for number, key in enumerate(many(200))}
    world = World(Slots(100, LONGEST), of_tenants(tenants, webhooks), rare, hang)
    world.run(90, every=30)
    assert len(world.waits) >= 590
    assert max(world.waits) < 1
    assert world.claimed < 5000, "nothing is claimed again and again, to be given back each time"


def test_nor_when_they_prove_quick_before_they_hang() -> None:
    rare = {key: UUID(int=5000 + number) for number, key in enumerate(many(100))}
    slots = Slots(100, LONGEST)
    world = World(slots, of_tenants(3, 100), rare, hang_every_other_half_minute)
    world.run(60, every=20)
    assert max(world.waits) < 1
    assert world.most_waiting < 1200


def test_two_hundred_webhooks_of_one_organization_that_are_well_share_its_third() -> None:
    """Unknown as they are: each is seldom used."""
    world = World(Slots(100, LONGEST), of_tenants(1, 100), dict.fromkeys(many(200), ORG), hang)
    world.run(60, every=20)
    assert max(world.waits) < 1


@pytest.mark.parametrize("concurrency", [1, 2, 3, 4, 5, 7, 10, 19, 20, 33])
def test_with_few_slots_everybody_has_a_turn(concurrency: int) -> None:
    slots = Slots(concurrency, LONGEST)
    webhooks = {key: UUID(int=number % 3) for number, key in enumerate(many(6))}
    left = dict.fromkeys(webhooks, 5)
    for turn in range(200):
        room = slots.room(moment(turn))
        assert room.total >= concurrency, "claiming goes on"
        batch = []
        for key, count in left.items():
            batch += owed(key, min(count, room.of.get(key, room.other)), timedelta(hours=1), org_id=webhooks[key])
        batch = batch[: room.total]
        for each in batch:
            left[each.delivery.webhook_id] -= 1
        slots.put(batch, room, moment(turn))
        sent = take_all(slots, moment(turn))
        end(slots, sent, turn + 0.9)
        for each in slots.review(moment(turn + 0.95)):
            left[each.delivery.webhook_id] += 1
    assert not any(left.values())
    assert slots.waiting == 0
