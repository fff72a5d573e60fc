"""Connections that were ended here: their channels and grants are ended at the provider too.

The one rule: when it is done, or cannot be done, nothing is left here that opens the account.
"""

from datetime import timedelta

from app.core import db, sql
from app.core.db import Connection
from app.core.logs import logger
from app.domain.calendars import oauth
from app.domain.calendars.access import Roads, configured, open_tokens, reach
from app.domain.calendars.provider import AccessLost, CalendarError, TryLater
from workers.calendar_channels import channel_of

SQL = sql.load("calendar_sync")

_ENDED = frozenset({"disconnected"})
_MOST_ATTEMPTS = 8
_LEASE = timedelta(minutes=2)
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
            await _end(roads, row)
        except TryLater as error:
            _log.warning("calendar_unrevoked", connection_id=str(row["id"]), error=error.code)
            if row["ending_attempts"] < _MOST_ATTEMPTS:
                continue
        except CalendarError as error:
            _log.info("calendar_not_revocable", connection_id=str(row["id"]), error=error.code)
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
        for kept in ending["ending"] or ():
            await provider.unwatch(channel_of(kept))
    except AccessLost:
        # its owner has ended the grant there already, and the channels with it
        return
    async with db.acquire(roads.pool) as conn:
        latest = await conn.fetchrow(SQL.get_ending, row["org_id"], row["id"])
    if latest is not None:
        tokens = open_tokens(latest["credentials_sealed"], roads.vault)
        await oauth.revoke(roads.session, configured(roads.settings, latest["provider"]), tokens.refresh_token)
