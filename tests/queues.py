"""The delivery queue without a worker: what one would fan out, claim and write down, when the test says so."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core import db
from app.core.ids import Kind, decode
from app.core.vault import Vault
from app.domain.webhooks.deliver import Outcome
from app.domain.webhooks.deliveries import NIL, START, Claimed, Room, claim, fan_out, record
from tests.support import Api, Tenant

LEASE = timedelta(seconds=31)
NO_ROOM, PLENTY = Room(0, 0, {}), Room(1000, 1000, {})

URL = "http://127.0.0.1:9/hook"


async def subscribe(api: Api, **fields: Any) -> Any:
    """A webhook where nobody listens."""
    return (await api.post("/v1/webhooks", {"url": URL, **fields})).ok(201)["webhook"]


class Queue:
    """One organization's part of it; others' rows, which other tests left, are let go."""

    def __init__(self, conn: db.Connection, vault: Vault, tenant: Tenant) -> None:
        self.conn = conn
        self._vault = vault
        self._org_id = tenant.org_id

    @property
    def before(self) -> UUID:
        """What a fan-out goes on after to begin with this organization."""
        return UUID(int=self._org_id.int - 1)

    async def fan_out(self, now: datetime, room: Room = NO_ROOM) -> list[Claimed]:
        """What the outbox holds becomes deliveries; those of them that were leased at once."""
        found: list[Claimed] = []
        after = NIL
        while True:
            fanned = await fan_out(self.conn, self._vault, limit=1000, room=room, lease=LEASE, after=after, now=now)
            found += fanned.claimed
            after = fanned.next
            if not fanned.events and after == NIL:
                return self._ours(found)

    async def claim(self, now: datetime, room: Room = PLENTY) -> list[Claimed]:
        """Everything that is due now, however many webhooks there are."""
        found: list[Claimed] = []
        place = START
        while True:
            taken = await claim(self.conn, self._vault, room=room, lease=LEASE, after=place, now=now)
            found += taken.claimed
            place = taken.next
            if place == START:
                return self._ours(found)

    async def record(self, claimed: Claimed, now: datetime, status: int = 200, retry_after: int | None = None) -> None:
        error = None if status < 300 else f"http_{status}"
        async with self.conn.transaction():
            await record(self.conn, [(claimed.delivery, Outcome(now, status, 1, error, None, retry_after))], now)

    async def types(self, now: datetime) -> list[str]:
        """The types of what is due, which stays leased."""
        return [each.delivery.event_type for each in await self.claim(now)]

    async def due(self, webhook: Any) -> list[tuple[str, datetime | None]]:
        """(event type, next attempt) of a webhook's deliveries, by the events' ids."""
        rows = await self.conn.fetch(
            """
            select e.type, d.next_attempt_at
            from deliveries d join events e on e.org_id = d.org_id and e.id = d.event_id
            where d.org_id = $1 and d.webhook_id = $2 order by e.id
            """,
            *(self._org_id, decode(Kind.WEBHOOK, webhook["id"])),
        )
        return [tuple(row) for row in rows]

    def _ours(self, claimed: list[Claimed]) -> list[Claimed]:
        return [each for each in claimed if each.delivery.org_id == self._org_id]
