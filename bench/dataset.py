"""What is booked: organizations with hosts who are open around the clock, made by the service's own functions.

The one rule: every measurement has an organization of its own, so that none finds another's bookings or webhooks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from app.bootstrap import Wanted, bootstrap
from app.core import sql
from app.core.db import Connection
from app.core.ids import new_id
from app.core.times import iso
from app.core.vault import Vault
from app.domain.availability.schedules import ScheduleFields, create_schedule
from app.domain.event_types.models import EventTypeFields, HostRef
from app.domain.event_types.service import create_event_type
from app.domain.identity.keys import authenticate
from app.domain.identity.models import Principal
from app.domain.webhooks.subscriptions import DEFAULT_EVENTS, create_webhook

SLOT_MINUTES = 15
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_IDENTITY = sql.load("identity")


@dataclass(frozen=True, slots=True)
class Tenant:
    """codes: one event type per host, each of them that host's only one."""

    org_id: UUID
    api_key: str
    codes: tuple[str, ...]


def first_start() -> datetime:
    """Where measurements begin to book: a midnight that stays in the future for as long as a run takes."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=2)


async def make_tenant(
    conn: Connection, vault: Vault, name: str, *, hosts: int, durations: Sequence[Sequence[int]] = ()
) -> Tenant:
    """An organization with so many hosts. durations: per host, the minutes its event type is offered for."""
    now = datetime.now(UTC)
    wanted = Wanted(name, f"{name}@example.com", "correct horse", username=name)
    made = await bootstrap(conn, wanted, vault, now)
    assert made.api_key is not None
    codes = tuple(f"{name}-{number}" for number in range(hosts))
    users = [await _make_host(conn, made.org_id, code, now) for code in codes]
    for number, (code, user_id) in enumerate(zip(codes, users, strict=True)):
        offered = list(durations[number]) if durations else [SLOT_MINUTES]
        await offer(conn, made.org_id, code, [user_id], offered)
    return Tenant(made.org_id, made.api_key, codes)


async def _make_host(conn: Connection, org_id: UUID, name: str, now: datetime) -> UUID:
    user_id = new_id()
    values = (f"{name}@example.com", "Ana Host", name, "UTC", "member", None, None, now, None)
    await conn.execute(_IDENTITY.insert_user, org_id, user_id, *values)
    weekly = [{"day": day, "start": "00:00", "end": "24:00"} for day in _DAYS]
    await create_schedule(conn, org_id, user_id, ScheduleFields("Always", "UTC", True, weekly, [], None, None), now)
    return user_id


async def offer(
    conn: Connection, org_id: UUID, code: str, hosts: Sequence[UUID], durations: Sequence[int], **fields: Any
) -> None:
    """An event type of these hosts, however far ahead. durations: minutes. fields: others of EventTypeFields."""
    common: dict[str, Any] = {
        "title": "Introduction",
        "duration_minutes": durations[0],
        "durations_minutes": list(durations),
        "slot_interval_minutes": SLOT_MINUTES,
        "booking_window_days": None,
        "hosts": tuple(HostRef(user_id) for user_id in hosts),
    }
    wanted = EventTypeFields(code=code, slug=code, **{**common, **fields})
    await create_event_type(conn, org_id, wanted, datetime.now(UTC))


async def subscribe(conn: Connection, vault: Vault, tenant: Tenant, url: str) -> None:
    """Let one webhook hear of all bookings."""
    await create_webhook(
        conn,
        tenant.org_id,
        url=url,
        events=DEFAULT_EVENTS,
        description=None,
        active=True,
        vault=vault,
        now=datetime.now(UTC),
    )


async def principal_of(conn: Connection, vault: Vault, tenant: Tenant) -> Principal:
    return await authenticate(conn, tenant.api_key, vault, datetime.now(UTC))


def booking_body(code: str, start: datetime) -> bytes:
    """A creating request as `slotwire up` prints it."""
    attendee = {"name": "Jane Smith", "email": "jane@example.com", "timezone": "America/New_York"}
    return orjson.dumps({"event_type": code, "requested_time": iso(start), "attendee": attendee})
