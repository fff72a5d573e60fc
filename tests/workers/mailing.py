"""What tests of mail share: a worker's mailing part in this process, and a mail server that it talks to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from tests.support import Tenant
from workers.notices import Notices

JANE = "jane@example.com"
SENDER = "bookings@slotwire.example"


@asynccontextmanager
async def mailing(settings: Settings, workers: int = 1) -> AsyncIterator[list[Notices]]:
    """So many workers' mailing parts, until the block ends."""
    async with db.open_pool(settings.database_url, size=4 + 6 * workers, name="mailing") as pool:
        notices = [Notices(pool, Vault(settings.secret_keys), settings) for _ in range(workers)]
        tasks = [asyncio.create_task(each.run()) for each in notices]
        try:
            yield notices
        finally:
            for each in notices:
                each.stop()
            await asyncio.wait_for(asyncio.gather(*tasks), timeout=20)


async def at_rest(conn: db.Connection, tenant: Tenant) -> bool:
    """Whether nothing is owed to anybody of this organization any more."""
    notices = "exists (select from outbox where org_id = $1 and topic = 'notice')"
    mails = "exists (select from mails where org_id = $1 and outcome is null)"
    return not await conn.fetchval(f"select {notices} or {mails}", tenant.org_id)


async def outcomes(conn: db.Connection, tenant: Tenant, recipient: str = JANE) -> list[tuple[str | None, int]]:
    """What became of the mails to somebody, in order, and how often each was tried."""
    rows = await conn.fetch(
        "select outcome, attempts from mails where org_id = $1 and recipient = $2 order by happened_at",
        *(tenant.org_id, recipient),
    )
    return [(row["outcome"], row["attempts"]) for row in rows]


async def hurry(conn: db.Connection, tenant: Tenant) -> None:
    """The time of the next attempt has come."""
    await conn.execute(
        "update mails set next_attempt_at = now() where org_id = $1 and next_attempt_at > now()", tenant.org_id
    )
