"""Bookings whose instant is not the wall time any more that was promised, because the rules of a zone have changed.

The one rule: it only looks. Whether people come by the clock or by the instant, nobody can tell but them.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from app.core import sql
from app.core.db import Connection
from app.core.times import zone

SQL = sql.load("zones")

_BATCH = 1000
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Promise:
    """A future booking. local_start: the wall time that was promised in `timezone`, without a zone of its own."""

    org_id: UUID
    id: UUID
    code: str
    timezone: str
    local_start: datetime
    starts_at: datetime


@dataclass(frozen=True, slots=True)
class Drift:
    """A promise that its instant does not keep.

    local_now: the wall time of the instant by today's rules. kept_at: the instant that would keep the promise, by the
    first of two, and in a gap by the offset before it (RFC 5545, section 3.3.5). times: how often the clock shows the
    promised wall time: 0 in a gap, 2 where it is turned back, else 1. All None: there is no such zone any more.
    """

    promise: Promise
    local_now: datetime | None
    kept_at: datetime | None
    times: int | None


def find_drift(promise: Promise) -> Drift | None:
    """None while the promise is kept: at either occurrence of a wall time that comes twice."""
    try:
        rules = zone(promise.timezone)
    except ValueError:
        return Drift(promise, None, None, None)
    local_now = promise.starts_at.astimezone(rules).replace(tzinfo=None, fold=0)
    if local_now == promise.local_start:
        return None
    first, second = (promise.local_start.replace(tzinfo=rules, fold=fold).astimezone(UTC) for fold in (0, 1))
    # outside of gaps and repeated hours both are one; in a gap the later offset gives the earlier instant
    times = 1 if first == second else 2 if first < second else 0
    return Drift(promise, local_now, first, times)


async def read_promises(conn: Connection, *, batch: int = _BATCH, now: datetime) -> AsyncIterator[list[Promise]]:
    """Every organization's future bookings, `batch` at a time, each organization's by their start."""
    after = (_NOBODY, now, _NOBODY)
    while True:
        rows = await conn.fetch(SQL.list_promises, *after, now, batch)
        promises = [Promise(**{name: row[name] for name in Promise.__dataclass_fields__}) for row in rows]
        if promises:
            yield promises
        if len(promises) < batch:
            return
        last = promises[-1]
        after = (last.org_id, last.starts_at, last.id)
