"""What tests of waiting lists share: taken slots, people who wait, and a worker's look at the lists."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.due import take_due_steps
from app.domain.bookings.offers import take_vacancies, tend_list
from app.domain.bookings.tokens import Purpose
from tests.calendars import link_tokens
from tests.offers import iso, offer
from tests.support import Answer, Api, Tenant
from workers.clock import tend_bookings
from workers.waitlist import Waitlists

HOUR = timedelta(hours=1)
OFFER_TIME = timedelta(minutes=60)
QUESTION = {"id": "q", "label": "Q", "type": "select", "options": ["a", "no"], "required": True}


async def awaited(api: Api, people: int = 1, **fields: Any) -> Any:
    """An event type with a waiting list."""
    return await offer(api, people, waitlist=True, **fields)


def waiting_body(event_type: Any, start: datetime | None, name: str = "wendy", **changes: Any) -> dict[str, Any]:
    attendee = {"name": name.title(), "email": f"{name}@example.com", "timezone": "UTC"}
    when = {} if start is None else {"start_time": iso(start)}
    return {"event_type": event_type["code"], "attendee": attendee, **when, **changes}


async def join(api: Api, event_type: Any, start: datetime | None, name: str = "wendy", **changes: Any) -> Answer:
    return await api.post("/v1/waitlist", waiting_body(event_type, start, name, **changes))


async def joined(api: Api, event_type: Any, start: datetime | None, name: str = "wendy", **changes: Any) -> Any:
    return (await join(api, event_type, start, name, **changes)).ok(201)["waitlist_entry"]


async def entry_of(api: Api, entry: Any) -> Any:
    return (await api.get(f"/v1/waitlist/{entry['id']}")).ok()["waitlist_entry"]


async def states(api: Api, *entries: Any) -> list[str]:
    return [(await entry_of(api, each))["status"] for each in entries]


async def cancel(api: Api, booking: Any) -> None:
    (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()


async def tend(conn: db.Connection, settings: Settings, now: datetime | None = None) -> None:
    """What a worker does, until nothing is due."""
    vault = Vault(settings.secret_keys)

    async def look(conn: db.Connection) -> bool:
        return await tend_list(conn, vault, OFFER_TIME, now or datetime.now(UTC))

    async def take(conn: db.Connection) -> int:
        return await take_vacancies(conn, now or datetime.now(UTC))

    while await db.run(conn, take):
        pass
    while await db.run(conn, look):
        pass


@asynccontextmanager
async def tending(settings: Settings, workers: int = 1) -> AsyncIterator[list[Waitlists]]:
    """So many workers' part in the lists, until the block ends."""
    async with db.open_pool(settings.database_url, size=2 * workers + 1, name="lists") as pool:
        lists = [Waitlists(pool, Vault(settings.secret_keys), settings) for _ in range(workers)]
        clock = asyncio.create_task(tend_bookings(pool))
        tasks = [asyncio.create_task(each.run()) for each in lists]
        try:
            yield lists
        finally:
            clock.cancel()
            for each in lists:
                each.stop()
            await asyncio.wait_for(asyncio.gather(*tasks), timeout=20)
            await asyncio.gather(clock, return_exceptions=True)


async def run_out(conn: db.Connection, tenant: Tenant, settings: Settings) -> None:
    """Every offer's time is over, and the clock has noticed."""
    for statement in (
        "update bookings set hold_expires_at = now() - interval '1 second' where org_id = $1 and status = 'DRAFT'",
        "update allocations set expires_at = now() - interval '1 second' where org_id = $1 and expires_at is not null",
    ):
        await conn.execute(statement, tenant.org_id)
    await take_due_steps(conn, 1000, datetime.now(UTC))
    await tend(conn, settings)


async def offer_path(conn: db.Connection, vault: Vault, tenant: Tenant, entry: Any) -> str:
    """The address in the mail."""
    tokens = await link_tokens(conn, vault, tenant, entry["booking_id"])
    return f"/v1/offers/{tokens[Purpose.OFFER]}"


async def crowd(
    conn: db.Connection, tenant: Tenant, event_type: Any, start: datetime, people: int, answer: str | None = None
) -> None:
    """So many who wait for a start, with their answer to the question `q`: sooner than by asking for each."""
    answers = [] if answer is None else [{"question_id": "q", "answer": answer}]
    await conn.execute(
        """
        insert into waitlist_entries (org_id, id, event_type_id, starts_at, timezone, attendee_name, attendee_email,
                                      status, created_at, closes_at, answers)
        select $1, gen_random_uuid(), $2, $3, 'UTC', 'x', gen_random_uuid() || '@example.org', 'waiting', now(), $3, $5
        from generate_series(1, $4) n
        """,
        *(tenant.org_id, decode(Kind.EVENT_TYPE, event_type["id"]), start, people, answers),
    )
