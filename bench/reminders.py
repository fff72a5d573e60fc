"""Reminders: a crowd of them due in one minute, two workers, and one of the two killed in the middle."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from app.core import db
from app.core.db import Connection
from bench.client import HOST, BenchError, ask, request
from bench.dataset import Tenant
from bench.report import Line
from bench.stage import Served, Stage, free_port

_REMINDERS = 10_000
_DUE_SECONDS = 60
_KILLED_AFTER_SECONDS = 30
_EXPECTED_SECONDS = 120
_PATIENCE_SECONDS = 180
# so much time has the first worker to come up
_AHEAD = timedelta(seconds=6)


async def measure(stage: Stage) -> list[Line]:
    async with stage.beside("reminders") as other:
        tenant, _ = await other.tenant("crowd", hosts=1)
        smtp_port = free_port()
        mailroom = await other.mailroom(smtp_port)
        begin = datetime.now(UTC) + _AHEAD
        async with db.acquire(other.pool) as conn:
            await _plan(conn, tenant, begin)
        await other.settle()
        address = {"SLOTWIRE_SMTP_URL": f"smtp://{HOST}:{smtp_port}", "SLOTWIRE_MAIL_FROM": "bench@slotwire.example"}
        first = await other.worker("mailer-1", **address)
        await other.worker("mailer-2", **address)
        await asyncio.sleep(max(0.0, (begin - datetime.now(UTC)).total_seconds()) + _KILLED_AFTER_SECONDS)
        other.kill(first)
        state = await _arrived(other, mailroom)
    what = f"reminders, {_REMINDERS:,} due in {_DUE_SECONDS} s, 1 of 2 workers killed"
    return [
        Line(f"{what}, until the last mail", state["last"] - begin.timestamp(), "s", below=_EXPECTED_SECONDS),
        Line(f"{what}, mails beyond one each", state["count"] - state["people"], "", below=1, detail={**state}),
    ]


async def _plan(conn: Connection, tenant: Tenant, begin: datetime) -> None:
    """Bookings of tomorrow, each with a reminder that is due within the minute."""
    event_type_id, host_id = await _event_type(conn, tenant.org_id)
    await conn.execute(
        """
        with made as (
            insert into bookings (
                org_id, id, code, status, event_type_id, assigned_to_id, host_ids, starts_at, ends_at, timezone,
                local_start, attendee_name, attendee_email, ical_uid, event_sequence, created_at, updated_at
            )
            select $1, gen_random_uuid(), 'R' || n, 'SCHEDULED', $2, $3, array[$3::uuid],
                   a.start, a.start + interval '15 min', 'Europe/Berlin', a.start at time zone 'Europe/Berlin',
                   'Person ' || n, 'person-' || n || '@example.com', 'crowd-' || n, 1, now(), now()
            from generate_series(1, $4::int) as n,
                 lateral (select $5::timestamptz + interval '1 day' + (n % $6::int) * interval '1 second' as start) a
            returning org_id, id, starts_at
        )
        insert into reminders (org_id, id, booking_id, minutes_before, due_at)
        select org_id, gen_random_uuid(), id, 1440, starts_at - interval '1 day' from made
        """,
        *(tenant.org_id, event_type_id, host_id, _REMINDERS, begin, _DUE_SECONDS),
        timeout=60,
    )


async def _event_type(conn: Connection, org_id: UUID) -> tuple[UUID, UUID]:
    row = await conn.fetchrow("select event_type_id, user_id from event_type_hosts where org_id = $1", org_id)
    assert row is not None
    return row["event_type_id"], row["user_id"]


async def _arrived(stage: Stage, mailroom: Served) -> dict[str, float]:
    """Wait until everybody has theirs, and a little longer for whoever gets two."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        state: dict[str, float] = orjson.loads(await ask(mailroom.port, request("GET", "/state")))
        if state["people"] >= _REMINDERS:
            await asyncio.sleep(2)
            return dict(orjson.loads(await ask(mailroom.port, request("GET", "/state"))))
        stage.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{state['people']} of {_REMINDERS} were reminded in {_PATIENCE_SECONDS} s")
        await asyncio.sleep(0.2)
