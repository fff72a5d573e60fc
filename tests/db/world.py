"""An organization for stories: three hosts in two zones, a room of two units, and five event types that share them.

Everything goes through the services, with `now` passed in.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.bootstrap import Wanted, bootstrap
from app.core.db import Connection
from app.core.errors import Conflict
from app.core.times import epoch, from_epoch
from app.core.vault import Vault
from app.domain.availability.explain import Explainer, load_blockers
from app.domain.availability.inputs import Inputs, load_inputs
from app.domain.availability.schedules import ScheduleFields, create_schedule
from app.domain.availability.service import Asked, OpenSlots, Verdict, ask, open_slots
from app.domain.bookings.create import create_booking
from app.domain.bookings.models import Actor, Attendee, Booking
from app.domain.bookings.orders import NewBooking
from app.domain.event_types.models import EventTypeFields, HostRef
from app.domain.event_types.service import create_event_type
from app.domain.identity.keys import authenticate
from app.domain.identity.models import Caller, Principal
from app.domain.identity.people import PersonFields, create_person
from app.domain.resources.locations import LocationFields, create_location
from app.domain.resources.resources import ResourceFields, create_resource
from tests.support import unique_name

JANE = Attendee("Jane", "jane@example.com", None, "America/New_York")
ACTOR = Actor("api")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class _TakeBack(Exception):
    """Ends a trial, so that nothing of it stays."""


@dataclass
class World:
    conn: Connection
    principal: Principal
    event_types: list[str] = field(default_factory=list)

    async def slots(self, code: str, start: datetime, days: int, now: datetime) -> tuple[Inputs, Asked, OpenSlots]:
        end = start + timedelta(days=days)
        inputs = await load_inputs(self.conn, self.caller, code, start, end, busy=True, now=now)
        asked = ask(inputs)
        return inputs, asked, open_slots(inputs, asked, epoch(start), epoch(end), now)

    async def refused(self, code: str, start: datetime, days: int, now: datetime) -> list[int]:
        """The starts that an explanation calls refused, each with a reason."""
        inputs, asked, found = await self.slots(code, start, days, now)
        end = start + timedelta(days=days)
        blockers = await load_blockers(self.conn, self.principal.org_id, inputs, start, end, now)
        explainer = Explainer(inputs, asked, epoch(start), epoch(end), blockers, Verdict(), now)
        refused = explainer.refused(found.starts)
        assert all(reasons for _, reasons in refused)
        return [at for at, _ in refused]

    @property
    def caller(self) -> Caller:
        return self.principal.caller

    async def book(self, code: str, start: int, now: datetime, **more: Any) -> Booking:
        wanted = NewBooking(code, from_epoch(start), JANE, **more)
        async with self.conn.transaction():
            return (await create_booking(self.conn, self.principal, wanted, ACTOR, now)).booking

    async def can_book(self, code: str, start: int, now: datetime) -> bool:
        """Try it, and take it back."""
        try:
            async with self.conn.transaction():
                await create_booking(self.conn, self.principal, NewBooking(code, from_epoch(start), JANE), ACTOR, now)
                raise _TakeBack
        except _TakeBack:
            return True
        except Conflict:
            return False

    async def check(self) -> None:
        """Counters, sessions and allocations are what the bookings say."""
        org_id = self.principal.org_id
        sittings = await self.conn.fetch("select id, taken, counters from sittings where org_id = $1", org_id)
        bookings = await self.conn.fetch(
            """
            select id, sitting_id, counters, cardinality(host_ids) + jsonb_array_length(units) as subjects
            from bookings where org_id = $1 and status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
            """,
            org_id,
        )
        seated = Counter(row["sitting_id"] for row in bookings if row["sitting_id"])
        assert {row["id"]: row["taken"] for row in sittings if row["taken"]} == dict(seated)
        held = await self.conn.fetch(
            "select coalesce(booking_id, sitting_id) as owner, count(*) from allocations where org_id = $1 group by 1",
            org_id,
        )
        assert {row["owner"]: row["count"] for row in held} == {
            row["sitting_id"] or row["id"]: row["subjects"] for row in bookings
        }
        # whoever came, or did not, has used the place
        past = await self.conn.fetch(
            "select sitting_id, counters from bookings where org_id = $1 and status in ('COMPLETED', 'NO_SHOW')", org_id
        )
        sat = {row["sitting_id"] for row in past}
        alone = [row for row in (*bookings, *past) if not row["sitting_id"]]
        counted = Counter(tuple(each) for row in alone for each in row["counters"])
        counted.update(tuple(each) for row in sittings if row["taken"] or row["id"] in sat for each in row["counters"])
        rows = await self.conn.fetch(
            """
            select user_id::text, period, period_start::text, sum(taken)::int as taken from booking_counters
            where org_id = $1 and taken > 0 group by 1, 2, 3
            """,
            org_id,
        )
        assert {(row["user_id"], row["period"], row["period_start"]): row["taken"] for row in rows} == dict(counted)


def _hours(zone: str, start: str, end: str) -> ScheduleFields:
    weekly = [{"day": day, "start": start, "end": end} for day in DAYS]
    return ScheduleFields("Hours", zone, True, weekly, [], None, None)


async def make_world(conn: Connection, vault: Vault, now: datetime) -> World:
    name = unique_name()
    made = await bootstrap(conn, Wanted(name, f"{name}@example.com", "correct horse", username=name), vault, now)
    assert made.api_key is not None
    people = [made.user_id]
    for number in range(2):
        fields = PersonFields(f"{name}-{number}@example.com", "Ben", "", "UTC", "member")
        people.append((await create_person(conn, made.org_id, fields, now)).id)
    # the small hours of Berlin, so that its clock change lies in them; New York's evening; around the clock
    hours = [("Europe/Berlin", "00:00", "09:00"), ("America/New_York", "17:00", "24:00"), ("UTC", "00:00", "24:00")]
    for user_id, each in zip(people, hours, strict=True):
        await create_schedule(conn, made.org_id, user_id, _hours(*each), now)
    place = await create_location(conn, made.org_id, LocationFields("Here", "Europe/Berlin", None), now)
    room: dict[str, Any] = {"name": "Room", "kind": "room", "location_id": place.id, "capacity": 4, "units": 2}
    await create_resource(conn, made.org_id, ResourceFields(**room, attributes={}, schedule_id=None, active=True), now)
    world = World(conn, await authenticate(conn, made.api_key, vault, now))
    for number, offered in enumerate(_event_types(people)):
        code = f"{name}-{number}"
        common: dict[str, Any] = {"code": code, "slug": code, "title": "Story", "booking_window_days": 4}
        await create_event_type(conn, made.org_id, EventTypeFields(**common, **offered), now)
        world.event_types.append(code)
    return world


def _event_types(people: list[UUID]) -> list[dict[str, Any]]:
    one, two, three = (HostRef(user_id) for user_id in people)
    room = {"kind": "room", "min_capacity": 2, "location_id": None}
    hour = {"duration_minutes": 60, "durations_minutes": [60]}
    turns = {"assignment": "round_robin"}
    return [
        {"hosts": (one,), "buffer_before_minutes": 10, "buffer_after_minutes": 5, "max_per_day": 1},
        {"hosts": (one, two, three), "slot_interval_minutes": 45, "max_per_week": 2, **turns, **hour},
        {"hosts": (one, three), "assignment": "collective", "minimum_notice_minutes": 60, "max_per_day": 1, **hour},
        {"hosts": (two, three), "seats": 2, "max_per_month": 2, "requires": [room], **turns, **hour},
        {"hosts": (three, one), "requires": [room, room], "buffer_after_minutes": 30, **turns},
    ]
