"""What waiting lists cost: looks at indexes, however many wait, have waited, and wait elsewhere."""

import json
from typing import Any

import pytest

from app.core import db, sql

WAITLIST, BOOKINGS = sql.load("waitlist"), sql.load("bookings")
_ID = "gen_random_uuid()"
_EXTRAS = "'[]', '{}', '{}', '[]'"
_WRITTEN = f"{_ID}, {_ID}, 't', 'b', '{{}}'"
_DECIDED = f"{_WRITTEN}, false"

STATEMENTS = {
    "take_due_list": (WAITLIST.take_due_list, "now()"),
    "take_vacancies": (WAITLIST.take_vacancies, "now()"),
    "list_wants": (WAITLIST.list_wants, f"{_ID}, {_ID}"),
    "list_line": (WAITLIST.list_line, f"{_ID}, {_ID}, array[now()], '{{}}', '{{}}', null, null"),
    "expire_entries": (WAITLIST.expire_entries, f"{_ID}, {_ID}, now(), false"),
    "find_same": (WAITLIST.find_same, f"{_ID}, {_ID}, 'x', now(), null"),
    "count_places": (WAITLIST.count_places, f"{_ID}, {_ID}, 'x'"),
    "record_offer": (WAITLIST.record_offer, f"{_ID}, {_ID}, {_ID}, now(), now(), 1, {_ID}, 'x', 'x', '{{}}'"),
    "end_booking": (
        BOOKINGS.end_booking,
        f"{_ID}, {_ID}, now(), 'api', 'r', 1, 'DRAFT', {_ID}, {_ID}, 't', 'b', 'r', 'CANCELLED', '{{}}', 1",
    ),
    "finish_booking": (
        BOOKINGS.finish_booking,
        f"{_ID}, {_ID}, 'SCHEDULED', 1, now(), 'UTC', '2030-01-01', 'n', 'e', null, {_EXTRAS}, null, 'api', {_DECIDED}",
    ),
}


def read_whole(node: dict[str, Any]) -> list[str]:
    here = [node["Relation Name"]] if node["Node Type"] == "Seq Scan" else []
    return here + [each for child in node.get("Plans", ()) for each in read_whole(child)]


@pytest.mark.parametrize("name", STATEMENTS)
async def test_no_table_is_read_whole(conn: db.Connection, name: str) -> None:
    statement, values = STATEMENTS[name]
    trial = conn.transaction()
    await trial.start()
    try:
        # rows of nobody's, which are taken back
        await conn.execute("set local session_replication_role = replica")
        await conn.execute(
            """
            insert into waitlists
            select gen_random_uuid(), gen_random_uuid(), case when n % 10 = 0 then now() end
            from generate_series(1, 5000) n
            """
        )
        await conn.execute(
            """
            insert into waitlist_entries (org_id, id, event_type_id, starts_at, timezone, attendee_name, attendee_email,
                                          status, created_at, closes_at, booking_id)
            select o, gen_random_uuid(), e, now(), 'UTC', 'x', n || '@example.com',
                   case when n % 10 = 0 then 'waiting' else 'left' end, now(), now(), gen_random_uuid()
            from (select gen_random_uuid() o, gen_random_uuid() e from generate_series(1, 100)) t,
                 generate_series(1, 100) n
            """
        )
        await conn.execute(
            """
            insert into outbox (org_id, topic, ref_id, due_at)
            select gen_random_uuid(), case when n % 2 = 0 then 'event' else 'vacancy' end, gen_random_uuid(), now()
            from generate_series(1, 5000) n
            """
        )
        await conn.execute("analyze waitlists, waitlist_entries, outbox")
        await conn.execute(f"prepare waited as {statement}")
        plan = json.loads(await conn.fetchval(f"explain (format json) execute waited({values})"))
        await conn.execute("deallocate waited")
    finally:
        await trial.rollback()
    assert {"waitlists", "waitlist_entries", "outbox"}.isdisjoint(read_whole(plan[0]["Plan"]))
