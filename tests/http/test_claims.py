"""The delivery queue: whoever has much waiting, or may get nothing just now, stands before nobody."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.webhooks.deliveries import NIL, START, Room, claim, drop_settled, fan_out
from tests.offers import booked, offer
from tests.queues import LEASE, PLENTY, Queue, subscribe
from tests.support import Api, Tenant, make_tenant

HOUR = timedelta(hours=1)


async def backlog(conn: db.Connection, tenant: Tenant, webhook: Any, count: int) -> None:
    """So many deliveries, of the organization's only event and copies of it."""
    await conn.execute(
        """
        with copies as (
            insert into events (org_id, id, type, sequence, at, body)
            select e.org_id, gen_random_uuid(), e.type, 1, e.at, e.body
            from (select * from events where org_id = $1 and booking_id is not null order by id limit 1) e,
                 generate_series(1, $3::int)
            returning org_id, id, at
        )
        insert into deliveries (org_id, id, event_id, webhook_id, next_attempt_at, created_at, updated_at)
        select org_id, gen_random_uuid(), id, $2, at - interval '1 hour', at, at from copies
        """,
        *(tenant.org_id, decode(Kind.WEBHOOK, webhook["id"]), count),
    )


async def test_what_waits_for_a_paused_webhook_hides_nobody(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    paused, other = await subscribe(api), await subscribe(api)
    await booked(api, await offer(api), soon)
    await queue.fan_out(datetime.now(UTC))
    await backlog(conn, tenant, paused, 3000)
    (await api.call("PATCH", f"/v1/webhooks/{paused['id']}", {"active": False})).ok()
    (claimed,) = await queue.claim(datetime.now(UTC))
    assert claimed.delivery.webhook_id == decode(Kind.WEBHOOK, other["id"])


async def test_neither_does_one_without_room(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    full, other = await subscribe(api), await subscribe(api)
    await booked(api, await offer(api), soon)
    await queue.fan_out(datetime.now(UTC))
    await backlog(conn, tenant, full, 3000)
    full_id, other_id = decode(Kind.WEBHOOK, full["id"]), decode(Kind.WEBHOOK, other["id"])
    assert full_id is not None
    now = datetime.now(UTC)
    (claimed,) = await queue.claim(now, Room(1000, 1000, {full_id: 0}))
    assert claimed.delivery.webhook_id == other_id
    found = await queue.claim(now, Room(1000, 1000, {full_id: 7}))
    assert [each.delivery.webhook_id for each in found] == [full_id] * 7


async def test_more_webhooks_than_one_claim_looks_at_get_their_turns(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    hook = await subscribe(api)
    await conn.execute(
        """
        insert into webhooks (org_id, id, url, events, secret_sealed, created_at, updated_at)
        select org_id, gen_random_uuid(), url, events, secret_sealed, created_at, updated_at
        from webhooks, generate_series(1, 1099) where org_id = $1 and id = $2
        """,
        *(tenant.org_id, decode(Kind.WEBHOOK, hook["id"])),
    )
    await booked(api, await offer(api), soon)
    queue, now = Queue(conn, vault, tenant), datetime.now(UTC)
    await queue.fan_out(now)
    found, claims, place = set(), 0, START
    while claims == 0 or place != START:
        taken = await claim(conn, vault, room=PLENTY, lease=LEASE, after=place, now=now)
        found |= {each.delivery.webhook_id for each in taken.claimed if each.delivery.org_id == tenant.org_id}
        claims, place = claims + 1, taken.next
    assert len(found) == 1100
    assert claims >= 3


async def test_a_leased_delivery_is_claimed_again_when_its_lease_is_over(
    api: Api, queue: Queue, soon: datetime
) -> None:
    await subscribe(api)
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    assert len(await queue.claim(now)) == 1
    assert await queue.claim(now + LEASE) == []
    assert len(await queue.claim(now + LEASE + timedelta(seconds=1))) == 1


async def test_whatever_a_deleted_webhook_is_owed_is_dropped_bit_by_bit(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    hook, paused = await subscribe(api), await subscribe(api, active=True)
    await booked(api, await offer(api), soon)
    await queue.fan_out(datetime.now(UTC))
    await backlog(conn, tenant, hook, 2500)
    (await api.call("PATCH", f"/v1/webhooks/{paused['id']}", {"active": False})).ok()
    assert (await api.call("DELETE", f"/v1/webhooks/{hook['id']}")).status == 204
    waiting = "select count(*) from deliveries where org_id = $1 and webhook_id = $2 and next_attempt_at is not null"
    assert await conn.fetchval(waiting, tenant.org_id, decode(Kind.WEBHOOK, hook["id"])) == 1501
    await drop_settled(conn, datetime.now(UTC))
    assert await conn.fetchval(waiting, tenant.org_id, decode(Kind.WEBHOOK, hook["id"])) == 0
    assert await conn.fetchval(waiting, tenant.org_id, decode(Kind.WEBHOOK, paused["id"])) == 1, "that one waits"


async def test_a_paused_webhook_keeps_what_failed_while_it_was_being_paused(
    api: Api, queue: Queue, soon: datetime
) -> None:
    hook = await subscribe(api)
    await booked(api, await offer(api), soon)
    now = datetime.now(UTC)
    await queue.fan_out(now)
    (claimed,) = await queue.claim(now)
    (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"active": False})).ok()
    await queue.record(claimed, now, 500)
    assert await queue.claim(now + HOUR) == []
    (await api.call("PATCH", f"/v1/webhooks/{hook['id']}", {"active": True})).ok()
    assert len(await queue.claim(now + HOUR)) == 1


async def test_a_backlog_of_one_webhook_comes_after_the_first_of_each_other(
    api: Api, queue: Queue, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    busy = await subscribe(api)
    await booked(api, await offer(api), soon)
    await queue.fan_out(datetime.now(UTC))
    await backlog(conn, tenant, busy, 500)
    quiet = await subscribe(api)
    (await api.post(f"/v1/webhooks/{quiet['id']}/test")).ok()
    found = await queue.claim(datetime.now(UTC), Room(100, 100, {}))
    assert decode(Kind.WEBHOOK, quiet["id"]) in {each.delivery.webhook_id for each in found}


async def test_a_backlog_of_one_organization_does_not_stand_before_anothers_event(
    api: Api, conn: db.Connection, vault: Vault, tenant: Tenant, soon: datetime
) -> None:
    """The worker was away: two thousand events of one organization, then one of another."""
    await subscribe(api)
    await booked(api, await offer(api), soon)
    await conn.execute(
        """
        insert into outbox (org_id, topic, ref_id, due_at)
        select org_id, topic, ref_id, due_at - interval '1 hour' from outbox, generate_series(1, 2000)
        where org_id = $1 and topic = 'event'
        """,
        tenant.org_id,
    )
    other_tenant = await make_tenant(conn, vault)
    other = Api(api.client, other_tenant.api_key)
    await subscribe(other)
    await booked(other, await offer(other), soon)
    before = "select count(*) from outbox where org_id = $1 and topic = 'event'"
    after, rounds = NIL, 0
    while rounds == 0 or after != NIL:
        fanned = await fan_out(
            conn, vault, limit=250, room=Room(0, 0, {}), lease=LEASE, after=after, now=datetime.now(UTC)
        )
        after, rounds = fanned.next, rounds + 1
        assert fanned.behind
    assert await conn.fetchval(before, other_tenant.org_id) == 0
    assert await conn.fetchval(before, tenant.org_id) > 1000
    await Queue(conn, vault, tenant).fan_out(datetime.now(UTC))
    assert await conn.fetchval(before, tenant.org_id) == 0
