"""Events of a booking arrive in their order, as far as at-least-once allows; and nobody waits for another's."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core import db
from app.core.ids import Kind, decode, encode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.webhooks.deliveries import Room, fan_out
from tests.offers import booked, offer
from tests.queues import LEASE, NO_ROOM, Queue, subscribe
from tests.support import Api, Tenant

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


async def cancelled(api: Api, soon: datetime) -> Any:
    """A booking that was made and cancelled."""
    made = await booked(api, await offer(api), soon)
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    return made


async def test_a_cancel_waits_until_the_creation_was_delivered(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    assert created.delivery.event_type == "booking.created"
    assert await queue.types(now) == [], "under way"
    await queue.record(created, now)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_what_is_fanned_out_together_is_leased_first_events_first(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    leased = await queue.fan_out(now, Room(1000, 1000, {}))
    assert [each.delivery.event_type for each in leased] == ["booking.created"]
    assert await queue.types(now) == []


async def test_a_cancel_waits_with_a_creation_that_failed(api: Api, queue: Queue, soon: datetime) -> None:
    hook = await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 500)
    (_, first), (_, second) = await queue.due(hook)
    assert first is not None
    assert second is not None
    assert first < second < first + SECOND, "it is not looked at before"
    assert first > now + 4 * SECOND
    assert await queue.types(first - SECOND) == []
    (again,) = await queue.claim(first)
    assert again.delivery.event_type == "booking.created"
    await queue.record(again, first)
    assert await queue.types(second) == ["booking.cancelled"]


async def test_a_cancel_that_comes_while_the_creation_waits_for_its_retry_waits_too(
    api: Api, queue: Queue, soon: datetime
) -> None:
    hook = await subscribe(api)
    made = await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 500)
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    await queue.fan_out(datetime.now(UTC))
    (_, first), (_, second) = await queue.due(hook)
    assert first is not None
    assert second is not None
    assert first < second < first + SECOND


async def test_after_three_attempts_it_is_overtaken(api: Api, queue: Queue, soon: datetime) -> None:
    """A receiver that cannot digest one event must not miss for three days that the meeting is off."""
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    for _ in range(3):
        (created,) = await queue.claim(now)
        assert created.delivery.event_type == "booking.created"
        await queue.record(created, now, 500)
        now += timedelta(minutes=6)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_other_bookings_do_not_wait(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    made = await offer(api)
    await booked(api, made, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    assert len(await queue.claim(now)) == 1
    await booked(api, made, soon + HOUR)
    now = datetime.now(UTC)
    assert len(await queue.fan_out(now, Room(1000, 1000, {}))) == 1


async def test_other_webhooks_do_not_wait(api: Api, queue: Queue, soon: datetime) -> None:
    await subscribe(api)
    only_cancels = await subscribe(api, events=["booking.cancelled"])
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    claimed = await queue.claim(now)
    found = {(each.delivery.webhook_id, each.delivery.event_type) for each in claimed}
    assert (decode(Kind.WEBHOOK, only_cancels["id"]), "booking.cancelled") in found
    assert len(found) == 2


async def test_a_webhook_that_came_later_waits_for_nothing(api: Api, queue: Queue, soon: datetime) -> None:
    made = await booked(api, await offer(api), soon)
    await queue.fan_out(datetime.now(UTC))
    await subscribe(api)
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    now = datetime.now(UTC)
    await queue.fan_out(now)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_an_event_that_another_worker_fans_out_just_now_is_waited_for(
    api: Api, queue: Queue, settings: Settings, vault: Vault, soon: datetime
) -> None:
    """However old it is: after an outage they all are."""
    await subscribe(api)
    await cancelled(api, soon)
    later = datetime.now(UTC) + HOUR
    async with db.open_pool(settings.database_url, size=1, name="other") as pool, db.acquire(pool) as other:
        async with other.transaction():
            await fan_out(other, vault, limit=1, room=NO_ROOM, lease=LEASE, after=queue.before, now=later)
            await queue.fan_out(later)
            assert await queue.types(later) == []
        (created,) = await queue.claim(later)
    assert created.delivery.event_type == "booking.created"
    await queue.record(created, later)
    assert await queue.types(later) == ["booking.cancelled"]


async def test_what_waited_for_a_retry_goes_as_soon_as_somebody_redelivers(
    api: Api, queue: Queue, soon: datetime
) -> None:
    """The receiver asked for a day, and was mended within the hour."""
    hook = await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 503, 86_400)
    (_, first), (_, second) = await queue.due(hook)
    assert first is not None
    assert second is not None
    assert first < second < first + SECOND
    (await api.post(f"/v1/deliveries/{encode(Kind.DELIVERY, created.delivery.id)}/redeliver")).ok(202)
    now = datetime.now(UTC)
    (again,) = await queue.claim(now)
    await queue.record(again, now)
    assert await queue.types(now) == ["booking.cancelled"]


async def test_a_long_story_is_told_in_its_order(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    """Three hundred changes while the receiver was away: one at a time, the next as soon as the one before is known."""
    await subscribe(api, events=["booking.created", "booking.updated"])
    made = await booked(api, await offer(api), soon)
    await conn.execute(
        """
        with more as (
            insert into events (org_id, id, type, booking_id, event_type_id, sequence, at, body)
            select org_id, gen_random_uuid(), 'booking.updated', booking_id, event_type_id, 1 + no, at, body
            from events, generate_series(1, 300) no where org_id = $1 and booking_id = $2
            returning org_id, id, at
        )
        insert into outbox (org_id, topic, ref_id, due_at) select org_id, 'event', id, at from more
        """,
        *(tenant.org_id, decode(Kind.BOOKING, made["id"])),
    )
    now = datetime.now(UTC)
    await queue.fan_out(now)
    told: list[int] = []
    for _ in range(20):
        (each,) = await queue.claim(now)
        await queue.record(each, now)
        sequence = "select sequence from events where org_id = $1 and id = $2"
        told.append(await conn.fetchval(sequence, tenant.org_id, each.delivery.event_id))
    assert told == list(range(1, 21))


async def test_what_was_never_owed_breaks_no_order(api: Api, queue: Queue, soon: datetime) -> None:
    """Paused between a creation that failed and a cancel: the cancel waits for the creation all the same."""
    story = ["booking.created", "booking.updated", "booking.cancelled"]
    hook = await subscribe(api, events=story)
    made = await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 500)
    path = f"/v1/webhooks/{hook['id']}"
    (await api.call("PATCH", path, {"active": False})).ok()
    (await api.call("PATCH", f"/v1/bookings/{made['id']}", {"attendee": {"name": "Janet Smith"}})).ok()
    await queue.fan_out(datetime.now(UTC))
    (await api.call("PATCH", path, {"active": True})).ok()
    (await api.post(f"/v1/bookings/{made['id']}/cancel", {"reason": "ill"})).ok()
    later = datetime.now(UTC) + 10 * SECOND
    await queue.fan_out(later)
    (again,) = await queue.claim(later)
    assert again.delivery.event_type == "booking.created"
    await queue.record(again, later)
    assert await queue.types(later) == ["booking.cancelled"]


async def test_a_replayed_event_that_fails_takes_what_follows_along(api: Api, queue: Queue, soon: datetime) -> None:
    """Else they would stand at the head of the queue, all of them, and be looked at again and again."""
    hook = await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    for _ in range(2):
        (each,) = await queue.claim(now)
        await queue.record(each, now)
    (await api.post(f"/v1/webhooks/{hook['id']}/replay", {"since": (now - HOUR).isoformat()})).ok(202)
    now = datetime.now(UTC)
    (created,) = await queue.claim(now)
    await queue.record(created, now, 500)
    (_, first), (_, second) = await queue.due(hook)
    assert first is not None
    assert second is not None
    assert now < first < second < first + SECOND


async def test_a_given_up_creation_lets_the_cancel_go(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (created,) = await queue.claim(now)
    await conn.execute(
        "update deliveries set status = 'exhausted', next_attempt_at = null where org_id = $1 and id = $2",
        *(tenant.org_id, created.delivery.id),
    )
    assert await queue.types(now) == ["booking.cancelled"]


async def test_a_replay_keeps_the_order(api: Api, queue: Queue, soon: datetime) -> None:
    hook = await subscribe(api)
    await cancelled(api, soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    for _ in range(2):
        (each,) = await queue.claim(now)
        await queue.record(each, now)
    body = {"since": (now - HOUR).isoformat()}
    assert (await api.post(f"/v1/webhooks/{hook['id']}/replay", body)).ok(202)["count"] == 2
    now = datetime.now(UTC)
    (created,) = await queue.claim(now)
    assert created.delivery.event_type == "booking.created"
    await queue.record(created, now)
    assert await queue.types(now) == ["booking.cancelled"]
