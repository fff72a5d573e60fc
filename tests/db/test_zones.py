"""`slotwire zones` over bookings whose promised wall time was changed underneath them, as an update of tzdata would."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import tzdata  # type: ignore[import-untyped]

from app.core import db
from app.core.ids import Kind, encode, new_id
from app.core.settings import Settings
from app.core.times import iso
from app.domain.bookings.zones import SQL, Promise, read_promises
from tests.support import Tenant, environment_for

# A year that nobody's clock reaches soon, so that the future of the test is the command's, too.
JANUARY = datetime(2099, 1, 15, 12, 0, tzinfo=UTC)
ENDED = ("CANCELLED", "COMPLETED", "NO_SHOW")


@pytest.fixture
async def event_type_id(conn: db.Connection, tenant: Tenant, now: datetime) -> AsyncIterator[UUID]:
    """What is booked; its bookings keep their promises when the test is over, since the tests share a database."""
    made = new_id()
    await conn.execute(
        """
        insert into event_types (org_id, id, code, slug, owner_user_id, title, duration_minutes, durations_minutes,
                                 longest_minutes, created_at, updated_at)
        values ($1, $2, 'call', 'call', $3, 'Call', 30, '{30}', 30, $4, $4)
        """,
        tenant.org_id,
        made,
        tenant.user_id,
        now,
    )
    yield made
    await heal(conn, tenant)


async def booked(
    conn: db.Connection,
    tenant: Tenant,
    event_type_id: UUID,
    starts_at: datetime,
    wall: str,
    *,
    zone: str = "Europe/Berlin",
    status: str = "SCHEDULED",
) -> str:
    """A booking that promised `wall`, by its id on the wire."""
    booking_id = new_id()
    await conn.execute(
        """
        insert into bookings (org_id, id, code, status, event_type_id, attendee_name, attendee_email, starts_at,
                              ends_at, timezone, local_start, ical_uid, cancelled_at, created_at, updated_at)
        values ($1, $2, $3, $4, $5, 'Jane Smith', 'jane@example.com', $6, $7, $8, $9, $3, $10, $6, $6)
        """,
        tenant.org_id,
        booking_id,
        booking_id.hex[-10:].upper(),
        status,
        event_type_id,
        starts_at,
        starts_at + timedelta(minutes=30),
        zone,
        datetime.fromisoformat(wall),
        starts_at if status == "CANCELLED" else None,
    )
    return encode(Kind.BOOKING, booking_id)


async def zones(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.cli", "zones", *arguments],
        env=environment_for(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def listed(settings: Settings, tenant: Tenant) -> dict[str, Any]:
    """What `--json` lists of the tenant, by booking."""
    done = await zones(settings, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1 if found else 0, "")
    return {row["id"]: row for row in found if row["org_id"] == encode(Kind.ORGANIZATION, tenant.org_id)}


async def heal(conn: db.Connection, tenant: Tenant) -> None:
    """Promise every booking the time that it has."""
    await conn.execute("update bookings set timezone = 'UTC', local_start = starts_at where org_id = $1", tenant.org_id)


async def test_a_moved_booking_is_listed_until_it_is_mended(
    settings: Settings, conn: db.Connection, tenant: Tenant, event_type_id: UUID
) -> None:
    # the database is shared, and other tests move bookings by hand
    await conn.execute(
        "update bookings set local_start = starts_at at time zone timezone where org_id <> $1", tenant.org_id
    )
    kept = await booked(conn, tenant, event_type_id, JANUARY, "2099-01-15 13:00")
    moved = await booked(conn, tenant, event_type_id, JANUARY, "2099-01-15 14:00")
    assert moved in (await zones(settings)).stdout
    done = await zones(settings)
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [line for line in done.stdout.splitlines() if moved in line]
    org_id, code, booking_id, told = line.split(maxsplit=3)
    assert (org_id, booking_id) == (encode(Kind.ORGANIZATION, tenant.org_id), moved)
    assert code == await conn.fetchval(
        "select code from bookings where org_id = $1 and local_start = '2099-01-15 14:00'", tenant.org_id
    )
    assert told == (
        "promised 2099-01-15 14:00:00 Europe/Berlin, is now 2099-01-15 13:00:00; 2099-01-15T13:00:00Z would keep it"
    )
    assert kept not in done.stdout
    assert "jane" not in done.stdout.lower()
    assert done.stdout.splitlines()[-1].endswith(f"moved (tzdata {tzdata.IANA_VERSION})")
    await heal(conn, tenant)
    done = await zones(settings)
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("0 of ")
    assert (await zones(settings, "--json")).stdout == "[]\n"


async def test_only_what_holds_its_time_and_is_to_come_is_listed(
    settings: Settings, conn: db.Connection, tenant: Tenant, event_type_id: UUID
) -> None:
    wrong = "2099-01-15 14:00"
    active = {
        await booked(conn, tenant, event_type_id, JANUARY, wrong, status=status)
        for status in ("DRAFT", "PENDING_CONFIRMATION", "SCHEDULED", "RESCHEDULED")
    }
    for status in ENDED:
        await booked(conn, tenant, event_type_id, JANUARY, wrong, status=status)
    await booked(conn, tenant, event_type_id, datetime(2020, 1, 15, 12, 0, tzinfo=UTC), "2020-01-15 14:00")
    assert set(await listed(settings, tenant)) == active


async def test_gaps_and_repeated_hours(
    settings: Settings, conn: db.Connection, tenant: Tenant, event_type_id: UUID
) -> None:
    """New York in 2099: forward on 8 March, back on 1 November."""

    async def made(starts_at: datetime, wall: str, zone: str = "America/New_York") -> str:
        return await booked(conn, tenant, event_type_id, starts_at, wall, zone=zone)

    first, second = (datetime(2099, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6))
    await made(first, "2099-11-01 01:30")
    await made(second, "2099-11-01 01:30")
    ambiguous = await made(second + timedelta(hours=1), "2099-11-01 01:30")
    skipped = await made(datetime(2099, 3, 8, 6, 30, tzinfo=UTC), "2099-03-08 02:30")
    gone = await made(JANUARY, "2099-01-15 12:00", "Mars/Olympus")
    found = await listed(settings, tenant)
    assert set(found) == {ambiguous, skipped, gone}
    shown = {name: (row["now"], row["kept_at"], row["times"]) for name, row in found.items()}
    assert shown == {
        ambiguous: ("2099-11-01T02:30:00", iso(first), 2),
        skipped: ("2099-03-08T01:30:00", "2099-03-08T07:30:00Z", 0),
        gone: (None, None, None),
    }
    lines = (await zones(settings)).stdout
    assert f"{iso(first)} would keep it, and so would the hour's repetition" in lines
    assert "no instant keeps it, since the clock skips that time: 2099-03-08T07:30:00Z comes after the gap" in lines
    assert f"Mars/Olympus, which is no zone any more; it stays at {iso(JANUARY)}" in lines


async def test_batches_leave_nobody_out(conn: db.Connection, tenant: Tenant, event_type_id: UUID) -> None:
    """Several at one instant, too: the batch ends between them."""
    made = [
        await booked(conn, tenant, event_type_id, JANUARY + timedelta(days=n // 4), "2099-01-15 13:00")
        for n in range(10)
    ]
    before = JANUARY - timedelta(seconds=1)
    for batch in (1, 3, 1000):
        found: list[Promise] = []
        async for promises in read_promises(conn, batch=batch, now=before):
            assert 1 <= len(promises) <= batch
            found += promises
        ours = [encode(Kind.BOOKING, each.id) for each in found if each.org_id == tenant.org_id]
        assert ours == made


async def test_it_is_read_by_an_index(conn: db.Connection) -> None:
    """Whatever the tables' sizes make the planner like better: it can be read in order without sorting."""
    for other in ("seqscan", "bitmapscan", "sort", "incremental_sort"):
        await conn.execute(f"set enable_{other} = off")
    nobody = "'00000000-0000-0000-0000-000000000000'"
    values = {"$1": nobody, "$2": "'2099-01-01'", "$3": nobody, "$4": "'2099-01-01'", "$5": "1000"}
    statement = SQL.list_promises
    for name, value in values.items():
        statement = statement.replace(name, value)
    plan = "\n".join(row[0] for row in await conn.fetch(f"explain {statement}"))
    assert "bookings_by_start" in plan
    assert "Sort" not in plan


async def test_no_database_is_one_line(settings: Settings) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.cli", "zones"],
        env={**environment_for(settings), "SLOTWIRE_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:9/x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("slotwire: the database at 127.0.0.1:9/x cannot be reached")
    assert len(done.stderr.splitlines()) == 1
