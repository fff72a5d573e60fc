"""`slotwire zones`: which bookings an update of tzdata has moved on somebody's clock.

The one rule: it changes nothing, and shows no attendee's data; a code and an id are enough to act by.
"""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import tzdata  # type: ignore[import-untyped]

from app.core import db
from app.core.ids import Kind, encode
from app.core.settings import Settings
from app.core.times import iso
from app.domain.bookings.zones import Drift, find_drift, read_promises

# by how often the clock shows the promised time
_ADVICE = (
    "no instant keeps it, since the clock skips that time: {} comes after the gap",
    "{} would keep it",
    "{} would keep it, and so would the hour's repetition",
)


def run_zones(settings: Settings, *, as_json: bool) -> int:
    """Print what has moved: a line each and a summary, or one JSON list; 1 when something has."""
    return asyncio.run(_look(settings, as_json=as_json))


async def _look(settings: Settings, *, as_json: bool) -> int:
    read, moved = 0, 0
    async with db.open_pool(settings.database_url, size=1, name="slotwire-zones") as pool, db.acquire(pool) as conn:
        async for promises in read_promises(conn, now=datetime.now(UTC)):
            read += len(promises)
            for drift in filter(None, map(find_drift, promises)):
                # printed as it is found: what is kept must not grow with the number of bookings
                print(("," if moved else "[") + json.dumps(_fields(drift)) if as_json else _line(drift))
                moved += 1
    if as_json:
        print("]" if moved else "[]")
    else:
        print(f"{moved:,} of {read:,} future bookings {'has' if moved == 1 else 'have'} moved (tzdata {_version()})")
    return 1 if moved else 0


def _version() -> str:
    return str(tzdata.IANA_VERSION)


def _fields(drift: Drift) -> dict[str, Any]:
    promise = drift.promise
    return {
        "org_id": encode(Kind.ORGANIZATION, promise.org_id),
        "code": promise.code,
        "id": encode(Kind.BOOKING, promise.id),
        "timezone": promise.timezone,
        "promised": promise.local_start.isoformat(),
        "now": drift.local_now and drift.local_now.isoformat(),
        "starts_at": iso(promise.starts_at),
        "kept_at": drift.kept_at and iso(drift.kept_at),
        "times": drift.times,
    }


def _line(drift: Drift) -> str:
    promise = drift.promise
    who = f"{encode(Kind.ORGANIZATION, promise.org_id)}  {promise.code}  {encode(Kind.BOOKING, promise.id)}"
    told = f"{who}  promised {promise.local_start.isoformat(' ')} {promise.timezone}"
    if drift.local_now is None or drift.kept_at is None:
        return f"{told}, which is no zone any more; it stays at {iso(promise.starts_at)}"
    kept = _ADVICE[drift.times or 0].format(iso(drift.kept_at))
    return f"{told}, is now {drift.local_now.isoformat(' ')}; {kept}"
