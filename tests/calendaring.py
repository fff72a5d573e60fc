"""What tests of two-way calendars share: a host whose account is connected to a fake provider, and a worker that does
one thing after another, at whatever time the test says it is."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.calendars.access import Roads, provider_of, seal_tokens
from app.domain.calendars.connections import Account, save_account
from app.domain.calendars.mirror import claim_calendars
from app.domain.calendars.oauth import Tokens
from app.domain.calendars.outbound import claim_writes, plan_writes
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import open_session
from tests.fakes.google import FakeGoogle
from tests.fakes.microsoft import FakeMicrosoft
from tests.support import Api, Tenant, booking_body
from workers.calendar_endings import end_some
from workers.calendar_reads import read_calendar
from workers.calendar_writes import write_entry

ACCOUNT = "host@example.com"
HOUR = timedelta(hours=1)
_ROUNDS = 12


@dataclass
class Worker:
    """One worker, step by step. ahead: how far its clock is ahead of the real one."""

    pool: asyncpg.Pool
    roads: Roads = field(init=False)
    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def write(self) -> int:
        """Plan what is owed, and write what is due; how many entries."""
        async with db.acquire(self.pool) as conn:
            while await db.run(conn, lambda conn: plan_writes(conn, self.now())):
                pass
            due = await claim_writes(conn, [], self.now())
        await asyncio.gather(*(write_entry(self.roads, each) for each in due))
        return len(due)

    async def read(self) -> int:
        """Read the calendars that are due; how many."""
        async with db.acquire(self.pool) as conn:
            due = await claim_calendars(conn, [], self.now())
        await asyncio.gather(*(read_calendar(self.roads, each) for each in due))
        return len(due)

    async def end(self) -> int:
        return await end_some(self.roads)

    async def tend(self) -> None:
        """Until nothing is due."""
        for _ in range(_ROUNDS):
            if not await self.write() + await self.read():
                return
        raise AssertionError("there is always something due")

    async def later(self, **by: float) -> None:
        """The same, so much later."""
        self.ahead += timedelta(**by)
        await self.tend()


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    async with db.open_pool(settings.database_url, size=6, name="test-worker") as pool:
        guarded = open_session(guard=Guard.of(settings), concurrency=8, timeout_seconds=15)
        async with aiohttp.ClientSession() as session, guarded:
            worker = Worker(pool)
            worker.roads = Roads(pool, Vault(settings.secret_keys), settings, session, guarded, worker.now)
            yield worker


async def connect(
    worker: Worker,
    tenant: Tenant,
    fake: FakeGoogle | FakeMicrosoft,
    *,
    account: str = ACCOUNT,
    provider: str = "google",
    user_id: UUID | None = None,
    lifetime: timedelta = timedelta(hours=1),
) -> UUID:
    """Connect an account of a fake, as its owner's consent would; the connection's id."""
    access_token, refresh_token = fake.oauth.issue(account)

    async def access(_: str | None) -> str:
        return access_token

    calendars = await provider_of(worker.roads, provider, access).list_calendars()
    tokens = Tokens(access_token, refresh_token, worker.now() + lifetime)
    kept = Account(provider, account, seal_tokens(tokens, worker.roads.vault))
    async with db.acquire(worker.pool) as conn, conn.transaction():
        return await save_account(conn, tenant.org_id, user_id or tenant.user_id, kept, calendars, worker.now())


@dataclass
class Room:
    """A host with an event type that is always open, and a calendar that a worker tends."""

    api: Api
    tenant: Tenant
    worker: Worker
    fake: FakeGoogle
    event_type: Any
    connection_id: UUID
    account: str = ACCOUNT

    async def book(self, start: datetime, **changes: Any) -> Any:
        body = booking_body(self.event_type["code"], start, **changes)
        return (await self.api.post("/v1/bookings", body)).ok(201)["booking"]

    async def booking(self, booking: Any) -> Any:
        return (await self.api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]

    async def latest(self, booking: Any) -> Any:
        """Whatever it was moved to."""
        found = await self.booking(booking)
        while found["rescheduled_to_id"]:
            found = await self.booking({"id": found["rescheduled_to_id"]})
        return found

    async def row(self, query: str, *args: Any) -> Any:
        async with db.acquire(self.worker.pool) as conn:
            return await conn.fetchrow(query, self.tenant.org_id, *args)

    async def rows(self, query: str, *args: Any) -> list[Any]:
        async with db.acquire(self.worker.pool) as conn:
            return list(await conn.fetch(query, self.tenant.org_id, *args))

    async def push(self) -> None:
        """As a notification does."""
        async with db.acquire(self.worker.pool) as conn:
            await conn.execute(
                "update calendars set next_poll_at = least(next_poll_at, $2) where org_id = $1",
                *(self.tenant.org_id, self.worker.now()),
            )

    async def synced(self) -> None:
        """A look at the calendars, and all that follows."""
        await self.push()
        await self.worker.tend()

    def events(self, calendar: str = "") -> list[dict[str, Any]]:
        """What stands there and is ours."""
        found = self.fake.calendars[calendar or self.account].events.values()
        return [each for each in found if each["status"] != "cancelled" and "extendedProperties" in each]

    def event(self, calendar: str = "") -> dict[str, Any]:
        (event,) = self.events(calendar)
        return event

    async def slots(self, day: datetime) -> list[str]:
        """The open starts of a day, as `09:00`."""
        query = f"event_type={self.event_type['id']}&start={day.date()}&end={day.date()}&timezone=UTC"
        found = (await self.api.get(f"/v1/slots?{query}")).ok()["slots"]
        return [each["start"][11:16] for slots in found.values() for each in slots]

    async def move(self, booking: Any, start: datetime) -> Any:
        """As a server does, by key."""
        body = {"start_time": start.isoformat()}
        return (await self.api.post(f"/v1/bookings/{booking['id']}/reschedule", body)).ok()["booking"]

    def drag(self, event: Mapping[str, Any], start: datetime, minutes: int = 30, calendar: str = "") -> None:
        """As the host does there."""
        end = start + timedelta(minutes=minutes)
        calendar = calendar or self.account
        self.fake.edit(calendar, event["id"], start={"dateTime": start.isoformat()}, end={"dateTime": end.isoformat()})

    async def happened(self) -> list[str]:
        """The types of all events so far."""
        found = await self.rows("select type from events where org_id = $1 order by at, id")
        return [each["type"] for each in found]


def uuid_of(kind: Kind, shown: str) -> UUID:
    found = decode(kind, shown)
    assert found is not None
    return found


def instant(edge: dict[str, Any]) -> datetime:
    """Of a Google event's `start` or `end`."""
    return datetime.fromisoformat(edge["dateTime"]).astimezone(UTC)
