"""The event log: what webhooks carry, for whoever was away; nothing is missed, however late it commits."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.migrate import migrate
from app.core.vault import Vault
from tests.offers import booked, offer
from tests.support import Api, Servers, Tenant, make_tenant

HOUR = timedelta(hours=1)


async def events(api: Api, query: str = "") -> list[Any]:
    return list((await api.get(f"/v1/events?{query}")).ok()["events"])


async def test_the_log_tells_a_bookings_story_in_order(api: Api, soon: datetime) -> None:
    made = await offer(api)
    first, second = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    await api.post(f"/v1/bookings/{first['id']}/cancel", {"reason": "ill"})
    moved = (await api.post(f"/v1/bookings/{second['id']}/reschedule", {"start_time": str(soon + 3 * HOUR)})).ok()
    found = await events(api)
    assert [(each["type"], each["data"]["booking"]["id"], each["sequence"]) for each in found] == [
        ("booking.created", first["id"], 1),
        ("booking.created", second["id"], 1),
        ("booking.cancelled", first["id"], 2),
        ("booking.rescheduled", moved["booking"]["id"], 1),
    ]
    assert found[0]["api_version"]
    one = (await api.get(f"/v1/events/{found[2]['id']}")).ok()
    assert one == {"success": True, "event": found[2]}
    assert "token" not in str([each for each in found if each["data"]["booking"]["cancel_token"]])
    assert (await api.get("/v1/events/evn_01h2xcejqtf2nbrexx3vqjhp41")).status == 404


async def test_reading_on_from_the_last_event_seen(api: Api, soon: datetime) -> None:
    made = await offer(api)
    for hour in range(5):
        await booked(api, made, soon + hour * HOUR)
    every = [each["id"] for each in await events(api)]
    seen = await api.walk("/v1/events", "events", 2)
    assert seen == every
    assert len(seen) == 5
    await booked(api, made, soon + 9 * HOUR)
    assert len(await events(api, f"cursor={seen[-1]}")) == 1, "tomorrow the cursor still says where we were"


async def test_narrowing(api: Api, soon: datetime) -> None:
    made = await offer(api)
    first, second = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    await api.post(f"/v1/bookings/{first['id']}/cancel")
    assert [each["type"] for each in await events(api, f"booking_id={first['id']}")] == [
        "booking.created",
        "booking.cancelled",
    ]
    assert len(await events(api, "type=booking.cancelled")) == 1
    assert len(await events(api, "type=booking.cancelled&type=booking.created")) == 3
    assert await events(api, f"type=booking.cancelled&booking_id={second['id']}") == []
    before, after = datetime.now(UTC) - HOUR, datetime.now(UTC) + HOUR
    assert len(await events(api, f"since={quote(before.isoformat())}")) == 3
    assert await events(api, f"since={quote(after.isoformat())}") == []


@pytest.mark.parametrize(
    "query",
    [
        "type=booking.exploded",
        "booking_id=x",
        "since=yesterday",
        "cursor=x",
        "cursor=evn_01h2xcejqtf2nbrexx3vqjhp41",
        "limit=0",
        "page=1",
    ],
)
async def test_wrong_queries(api: Api, query: str) -> None:
    assert (await api.get(f"/v1/events?{query}")).status == 400


async def test_nobody_reads_anothers_log(api: Api, conn: db.Connection, vault: Vault, soon: datetime) -> None:
    await booked(api, await offer(api), soon)
    mine = (await events(api))[0]
    stranger = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert await events(stranger) == []
    assert (await stranger.get(f"/v1/events/{mine['id']}")).status == 404
    assert (await stranger.get(f"/v1/events?cursor={mine['id']}")).status == 400


async def test_what_commits_late_is_not_missed(api: Api, migrated: Servers, soon: datetime) -> None:
    """A transaction writes its event first and commits after another one: nobody has read past it."""
    made = await offer(api)
    early = await booked(api, made, soon)
    slow = await asyncpg.connect(migrated.database_url)
    try:
        work = slow.transaction()
        await work.start()
        # the same event again, under an id that is older than all that follow
        await slow.execute(
            """
            insert into events (org_id, id, type, sequence, at, body)
            select org_id, gen_random_uuid(), type, 99, at, '{"id": "late", "type": "late"}'
            from events where body like '%' || $1::text || '%'
            """,
            early["id"],
        )
        quick = asyncio.create_task(booked(api, made, soon + HOUR))
        await quick
        seen = await events(api)
        assert len(seen) == 1, "what is behind the open transaction waits"
        await work.commit()
        rest = await events(api, f"cursor={seen[0]['id']}")
        assert sorted(each["id"] == "late" for each in rest) == [False, True]
    finally:
        await slow.close()


async def test_a_restored_log_keeps_its_order(
    api: Api, conn: db.Connection, migrated: Servers, tenant: Tenant, soon: datetime
) -> None:
    """Rows restored into a new cluster bring transaction numbers that lie in its future."""
    made = await offer(api)
    await booked(api, made, soon)
    await conn.execute(
        "update events set xact = (pg_current_xact_id()::text::bigint + 1000000)::text::xid8 where org_id = $1",
        tenant.org_id,
    )
    assert await events(api) == []
    await migrate(migrated.database_url)
    await booked(api, made, soon + HOUR)
    starts = [each["data"]["booking"]["start_time"] for each in await events(api)]
    assert starts == sorted(starts)
    assert len(starts) == 2


async def test_a_reader_misses_nothing_after_a_restore(
    api: Api, conn: db.Connection, migrated: Servers, tenant: Tenant, soon: datetime
) -> None:
    """The new cluster counts from the beginning: some of the restored transactions lie in its past, some in its
    future. The order among them has to stay."""
    made = await offer(api)
    for hour in range(3):
        await booked(api, made, soon + hour * HOUR)
    read, *unread = [each["id"] for each in (await api.get("/v1/events")).ok()["events"]]
    future = await conn.fetchval("select pg_current_xact_id()::text::bigint + 1000000")
    for xact, chosen in ((5, [read]), (future, unread)):
        rows = [decode(Kind.EVENT, each) for each in chosen]
        await conn.execute(
            "update events set xact = $3::text::xid8 where org_id = $1 and id = any($2)", tenant.org_id, rows, str(xact)
        )
    await migrate(migrated.database_url)
    rest = (await api.get(f"/v1/events?cursor={read}")).ok()["events"]
    assert [each["id"] for each in rest] == unread
