"""Connections that were ended here: their channels and grants are ended at the provider too.

The one rule: when it is done, or cannot be done, nothing is left here that opens the account.
"""

from datetime import timedelta

import asyncpg

from app.core import db, sql
from app.core.db import AWAY, Connection
from app.core.errors import Unavailable
from app.core.logs import logger
from app.domain.calendars import oauth
from app.domain.calendars.access import Roads, configured, open_tokens, reach, within
from app.domain.calendars.provider import AccessLost, CalendarError, TryLater
from workers.calendar_channels import channel_of

SQL = sql.load("calendar_sync")

_ENDED = frozenset({"disconnected"})
_MOST_ATTEMPTS = 8
# the others end by themselves in some days, and nobody listens to them
_MOST_CHANNELS = 20
_LEASE = timedelta(minutes=2)
# a claim takes up to four, one after another
_LONGEST_SECONDS = 30.0
_log = logger("calendars")


async def end_some(roads: Roads) -> int:
    """End what is due; how many there were."""

    async def claim(conn: Connection) -> list[sql.Row]:
        rows = list(await conn.fetch(SQL.claim_endings, roads.clock()))
        for row in rows:
            # whoever dies on it leaves it to the next, a little later each time
            wait = _LEASE * 2 ** row["ending_attempts"]
            await conn.execute(SQL.put_off_ending, row["org_id"], row["id"], roads.clock() + wait)
        return rows

    async with db.acquire(roads.pool) as conn:
        due = await db.run(conn, claim)
    for row in due:
        try:
            async with within(_LONGEST_SECONDS):
                await _end(roads, row)
        except TryLater as error:
            _log.warning("calendar_unrevoked", connection_id=str(row["id"]), error=error.code)
            if row["ending_attempts"] < _MOST_ATTEMPTS:
                continue
        except CalendarError as error:
            _log.info("calendar_not_revocable", connection_id=str(row["id"]), error=error.code)
        except (*AWAY, Unavailable, asyncpg.PostgresError):
            raise
        except Exception:  # noqa: BLE001 -- the others that are due would never be ended
            _log.exception("calendar_ending_failed", connection_id=str(row["id"]))
            if row["ending_attempts"] < _MOST_ATTEMPTS:
                continue
        async with db.acquire(roads.pool) as conn:
            await conn.execute(SQL.finish_ending, row["org_id"], row["id"], roads.clock())
    return len(due)


async def _end(roads: Roads, row: sql.Row) -> None:
    async with db.acquire(roads.pool) as conn:
        ending = await conn.fetchrow(SQL.get_ending, row["org_id"], row["id"])
    if ending is None or ending["provider"] == "caldav":
        return
    provider = await reach(roads, row["org_id"], row["id"], _ENDED)
    try:
        for kept in (ending["ending"] or ())[:_MOST_CHANNELS]:
            await provider.unwatch(channel_of(kept))
    except AccessLost:
        # its owner has ended the grant there already, and the channels with it
        return
    async with db.acquire(roads.pool) as conn:
        latest = await conn.fetchrow(SQL.get_ending, row["org_id"], row["id"])
        shared = await conn.fetchval(SQL.is_account_shared, row["org_id"], row["id"])
    # the grant is the account's: its other connections would end with it
    if latest is not None and not shared:
        tokens = open_tokens(latest["credentials_sealed"], roads.vault)
        await oauth.revoke(roads.session, configured(roads.settings, latest["provider"]), tokens.refresh_token)
