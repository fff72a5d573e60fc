"""Lists are ranges of indexes, wherever in them one reads: counted in rows that a statement reads and throws away."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core import db, sql
from app.core.ids import Kind, decode
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.lists import Filters
from tests.offers import booked, offer
from tests.rooms import location, room
from tests.support import Api, Tenant

HOUR = timedelta(hours=1)
LISTS, EVENTS, FEEDS = sql.load("booking_lists"), sql.load("events"), sql.load("feeds")
_MANY = 2000
_LARGE = frozenset({"bookings", "events"})


async def passed_over(conn: db.Connection, statement: str, *values: object) -> int:
    """How many rows the statement reads for nothing, planned as `db.snapshot` has it."""
    texts = ["{" + ",".join(value) + "}" if isinstance(value, list) else value for value in values]
    written = ", ".join("null" if value is None else f"'{value}'" for value in texts)
    await conn.execute(f"prepare looked_at as {statement}")
    try:
        async with db.snapshot(conn):
            plan = json.loads(await conn.fetchval(f"explain (analyze, format json) execute looked_at({written})"))
    finally:
        await conn.execute("deallocate looked_at")

    def removed(node: dict[str, Any]) -> int:
        here = sum(int(node.get(name, 0)) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
        if node.get("Relation Name", "bookings") not in _LARGE:
            # reading a small table whole is the best plan for it
            here = 0
        return here + sum(removed(each) for each in node.get("Plans", ()))

    return removed(plan[0]["Plan"])


@pytest.fixture
async def crowd(api: Api, conn: db.Connection, tenant: Tenant, soon: datetime) -> Mapping[str, Any]:
    """A booking of each kind that is looked for, among many others that are over, an hour apart, with their events."""
    await room(api, await location(api))
    common, rare = await offer(api), await offer(api, requires=[{"kind": "room"}], requires_confirmation=True)
    one = await booked(api, common, soon)
    who = {"name": "R", "email": "rare@example.com", "timezone": "UTC"}
    sought = await booked(api, rare, soon + 30 * HOUR, attendee=who)
    values = (tenant.org_id, decode(Kind.BOOKING, one["id"]), _MANY)
    await conn.execute(
        """
        insert into bookings
        select (jsonb_populate_record(b, jsonb_build_object(
            'id', gen_random_uuid(), 'code', 'MANY' || no, 'status', 'COMPLETED',
            'starts_at', timestamptz '2020-01-01' + no * interval '1 hour',
            'ends_at', timestamptz '2020-01-01' + no * interval '1 hour' + interval '30 minutes'
        ))).*
        from bookings b, generate_series(1, $3::int) no
        where b.org_id = $1 and b.id = $2
        """,
        *values,
    )
    await conn.execute(
        """
        insert into events (org_id, id, type, booking_id, sequence, at, body, xact)
        select e.org_id, ('00000000-0000-7000-8000-' || lpad(to_hex(no), 12, '0'))::uuid, e.type, e.booking_id,
               1000000 + no, e.at - interval '9 days', e.body, no::text::xid8
        from events e, generate_series(1, $3::int) no
        where e.org_id = $1 and e.booking_id = $2
        """,
        *values,
    )
    await conn.execute("analyze bookings, events")
    return {"common": one, "sought": sought}


@pytest.mark.parametrize(
    "name", ["notifications.take_notices", "notifications.claim_mails", "reminders.take_due_reminders"]
)
async def test_what_workers_take_is_found_without_reading_whole_tables(
    conn: db.Connection, tenant: Tenant, crowd: Mapping[str, Any], name: str
) -> None:
    """Planned as the pool has it: once, for any values. Thousands wait, and a few are taken."""
    await conn.execute(
        """
        insert into mails (
            org_id, id, kind, role, recipient, booking_id, thread, happened_at, next_attempt_at, created_at
        )
        select org_id, gen_random_uuid(), 'booked', 'guest', id || '@example.com', id, id::text, now(), now(), now()
        from bookings where org_id = $1
        """,
        tenant.org_id,
    )
    await conn.execute(
        "insert into reminders (org_id, id, booking_id, minutes_before, due_at) "
        "select org_id, gen_random_uuid(), id, 10, now() from bookings where org_id = $1",
        tenant.org_id,
    )
    await conn.execute("analyze mails, reminders, bookings, events")
    room, statement = name.split(".")
    values = "now(), now()" if statement == "claim_mails" else "now()"
    await conn.execute(f"prepare worker_takes as {getattr(sql.load(room), statement)}")
    try:
        plan = json.loads(await conn.fetchval(f"explain (format json) execute worker_takes({values})"))
    finally:
        await conn.execute("deallocate worker_takes")
        await conn.execute("delete from mails where org_id = $1", tenant.org_id)
        await conn.execute("delete from reminders where org_id = $1", tenant.org_id)

    def read_whole(node: dict[str, Any]) -> list[str]:
        here = [node["Relation Name"]] if node["Node Type"] == "Seq Scan" else []
        return here + [each for child in node.get("Plans", ()) for each in read_whole(child)]

    assert {"mails", "bookings", "events", "reminders"}.isdisjoint(read_whole(plan[0]["Plan"]))


@pytest.mark.parametrize("by", ["start", "event type", "host", "e-mail"])
async def test_a_page_deep_in_a_list(conn: db.Connection, tenant: Tenant, crowd: Mapping[str, Any], by: str) -> None:
    """Reading a list to its end page by page must not read it from its beginning for every page."""
    one = crowd["common"]
    filters = {
        "start": Filters(),
        "event type": Filters(event_type_id=decode(Kind.EVENT_TYPE, one["event_type_id"])),
        "host": Filters(assigned_to_id=decode(Kind.USER, one["assigned_to_id"])),
        "e-mail": Filters(attendee_email=one["attendee"]["email"]),
    }[by]
    late = await conn.fetchrow(
        "select starts_at, id from bookings where org_id = $1 order by starts_at, id offset $2 limit 1",
        tenant.org_id,
        _MANY - 10,
    )
    assert late is not None
    assert await passed_over(conn, LISTS.find_bookings, tenant.org_id, *filters.arguments(), *late, 5, 0, None) < 50


@pytest.mark.parametrize("by", ["status", "event type", "e-mail", "resource", "period"])
@pytest.mark.parametrize("statement", ["find_bookings", "count_bookings"])
async def test_what_is_rare_is_found_at_once(
    conn: db.Connection, tenant: Tenant, crowd: Mapping[str, Any], by: str, statement: str
) -> None:
    sought = crowd["sought"]
    filters = {
        "status": Filters(statuses=[Status.PENDING_CONFIRMATION]),
        "event type": Filters(event_type_id=decode(Kind.EVENT_TYPE, sought["event_type_id"])),
        "e-mail": Filters(attendee_email=sought["attendee"]["email"]),
        "resource": Filters(resource_id=decode(Kind.RESOURCE, sought["resources"][0]["resource_id"])),
        "period": Filters(starts_from=datetime.fromisoformat(sought["start_time"])),
    }[by]
    place = (None, None, 50, 0) if statement == "find_bookings" else ()
    values = (tenant.org_id, *filters.arguments(), *place, None)
    assert await passed_over(conn, getattr(LISTS, statement), *values) < 50


@pytest.mark.parametrize("by", ["cursor", "booking", "since", "rare types"])
async def test_catching_up_does_not_read_the_whole_log(
    conn: db.Connection, tenant: Tenant, crowd: Mapping[str, Any], by: str
) -> None:
    """Whoever asks every minute for what is new has the newest cursor of all."""
    from app.core.ids import first_id

    late = await conn.fetchrow(
        "select xact::text as xact, id from events where org_id = $1 order by xact, id offset $2 limit 1",
        tenant.org_id,
        _MANY - 10,
    )
    assert late is not None
    since = datetime.fromisoformat(crowd["sought"]["created_at"])
    values: dict[str, tuple[object, ...]] = {
        "cursor": (None, None, *late, None, None, 5, False),
        "booking": (None, None, None, None, decode(Kind.BOOKING, crowd["sought"]["id"]), None, 5, False),
        "since": (None, since, None, None, None, first_id(since - HOUR), 5, False),
        "rare types": (["webhook.disabled", "booking.completed"], None, None, None, None, None, 5, False),
    }
    assert await passed_over(conn, EVENTS.list_events, tenant.org_id, *values[by]) < 50


@pytest.mark.parametrize("statement", ["digest_feed", "list_feed"])
async def test_a_feed_reads_its_own_hosts_bookings(
    conn: db.Connection, tenant: Tenant, crowd: Mapping[str, Any], soon: datetime, api: Api, statement: str
) -> None:
    """Whoever hosts little, or only with others, among colleagues who host much."""
    together = await offer(api, people=2, assignment="collective")
    await booked(api, together, soon + 40 * HOUR)
    other = decode(Kind.USER, together["hosts"][1]["user_id"])
    span = (soon - timedelta(days=2600), soon + timedelta(days=400))
    most = (2000,) if statement == "list_feed" else ()
    await conn.execute("analyze bookings")
    assert await passed_over(conn, getattr(FEEDS, statement), tenant.org_id, other, *span, *most) < 50
