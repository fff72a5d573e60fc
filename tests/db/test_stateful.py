"""Listed means bookable, whatever happened before: stories of bookings, holds, moves, cancels and passing time, told to
the services on the real database, around the nights on which Berlin's and New York's clocks change.

After every step the counters, sessions and allocations are what the bookings say. Now and then starts are tried, listed
and refused ones alike, in a transaction that is taken back: exactly the listed ones can be had.
"""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.core import db
from app.core.errors import Conflict
from app.core.settings import Settings
from app.core.times import from_epoch
from app.core.vault import Vault
from app.domain.bookings.due import take_due_steps
from app.domain.bookings.holds import Finish, finish_booking
from app.domain.bookings.lifecycle import Action, Status
from app.domain.bookings.models import Booking
from app.domain.bookings.queries import get_booking
from app.domain.bookings.reschedule import reschedule_booking
from app.domain.bookings.transitions import change_status
from tests.db.world import ACTOR, JANE, World, make_world
from tests.support import Servers, settings_for

Result = TypeVar("Result")

WHICH = st.integers(0, 4)
PLACE = st.integers(0, 1000)
ACTIVE = {Status.DRAFT, Status.SCHEDULED, Status.RESCHEDULED}
DAYS = 2


class Story(RuleBasedStateMachine):
    database: Settings
    vault: Vault

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = datetime(2026, 10, 24, 6, 0, tzinfo=UTC)
        self.bookings: dict[Any, Booking] = {}

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @initialize(
        wanted=st.lists(st.tuples(WHICH, PLACE), min_size=3, max_size=8),
        day=st.sampled_from([datetime(2026, 10, 24, 6, tzinfo=UTC), datetime(2027, 3, 13, 1, tzinfo=UTC)]),
    )
    def begin(self, wanted: list[tuple[int, int]], day: datetime) -> None:
        self.now = day
        self.world = self.run(self._begin())
        for which, place in wanted:
            self._book(which, place)

    async def _begin(self) -> World:
        self.context = db.open_pool(self.database.database_url, size=1, name="story")
        pool: asyncpg.Pool = await self.context.__aenter__()
        self.conn = await pool.acquire()
        async with self.conn.transaction():
            return await make_world(self.conn, self.vault, self.now)

    def teardown(self) -> None:
        async def leave() -> None:
            if hasattr(self, "conn"):
                await self.conn.close()
            await self.context.__aexit__(None, None, None)
            # a transport closes its socket in the loop's next turn, and this loop has few left
            await asyncio.sleep(0.01)

        self.run(leave())
        self.runner.close()

    def pick(self, code: str, place: int) -> int | None:
        """One of the listed starts."""
        _, _, found = self.run(self.world.slots(code, self.now, DAYS, self.now))
        event("some slots" if found.starts else "no slot")
        return found.starts[place % len(found.starts)] if found.starts else None

    def one_of(self, place: int, *statuses: Status) -> Booking:
        chosen = [booking for booking in self.bookings.values() if booking.status in statuses]
        return chosen[place % len(chosen)]

    def has(self, *statuses: Status) -> bool:
        return any(booking.status in statuses for booking in self.bookings.values())

    @rule(which=WHICH, place=PLACE, held=st.booleans())
    def book(self, which: int, place: int, held: bool) -> None:
        self._book(which, place, hold_seconds=600 if held else None)

    def _book(self, which: int, place: int, **more: Any) -> None:
        """What is listed can be booked."""
        code = self.world.event_types[which]
        start = self.pick(code, place)
        if start is not None:
            booking = self.run(self.world.book(code, start, self.now, **more))
            self.bookings[booking.id] = booking

    @precondition(lambda self: self.has(*ACTIVE))
    @rule(place=PLACE)
    def cancel(self, place: int) -> None:
        booking = self.one_of(place, *ACTIVE)
        if booking.ends_at > self.now:
            self.run(self._change(booking, Action.CANCEL))

    async def _change(self, booking: Booking, action: Action) -> None:
        async with self.conn.transaction():
            changed = await change_status(self.conn, self.world.principal, booking.id, action, ACTOR, None, self.now)
        self.bookings[changed.id] = changed

    @precondition(lambda self: self.has(Status.DRAFT))
    @rule(place=PLACE)
    def finish(self, place: int) -> None:
        """In time it becomes a booking; afterwards it is refused."""
        draft = self.one_of(place, Status.DRAFT)
        assert draft.hold_expires_at is not None
        in_time = draft.hold_expires_at > self.now

        async def work() -> Booking | None:
            try:
                async with self.conn.transaction():
                    return await finish_booking(
                        *(self.conn, self.world.principal, draft.id, Finish(JANE), ACTOR, self.now)
                    )
            except Conflict:
                return None

        done = self.run(work())
        assert (done is not None) == in_time
        if done is None:
            del self.bookings[draft.id]
        else:
            self.bookings[done.id] = done

    @precondition(lambda self: self.has(Status.SCHEDULED, Status.RESCHEDULED))
    @rule(place=PLACE, where=PLACE)
    def move(self, place: int, where: int) -> None:
        """To a start that is listed; where its own time or cap stood in the way, it may be refused nowhere else."""
        booking = self.one_of(place, Status.SCHEDULED, Status.RESCHEDULED)
        assert booking.event_type_code is not None
        start = self.pick(booking.event_type_code, where)
        if start is None or booking.ends_at <= self.now:
            return

        async def work() -> Booking:
            async with self.conn.transaction():
                return await reschedule_booking(
                    *(self.conn, self.world.principal, booking.id, from_epoch(start), None, ACTOR, None, self.now)
                )

        moved = self.run(work())
        del self.bookings[booking.id]
        self.bookings[moved.id] = moved

    @rule(minutes=st.sampled_from([5, 20, 90, 600]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def let_the_worker_run(self) -> None:
        # the database is shared, and others leave bookings behind
        self.run(take_due_steps(self.conn, 100_000, self.now))
        for booking in list(self.bookings.values()):
            after = self.run(get_booking(self.conn, booking.org_id, booking.id))
            over = booking.ends_at <= self.now and booking.status in {Status.SCHEDULED, Status.RESCHEDULED}
            assert (after.status is Status.COMPLETED) == (over or booking.status is Status.COMPLETED)
            self.bookings[booking.id] = after

    @rule(which=WHICH, data=st.data())
    def try_starts(self, which: int, data: st.DataObject) -> None:
        code = self.world.event_types[which]
        _, _, found = self.run(self.world.slots(code, self.now, DAYS, self.now))
        refused = self.run(self.world.refused(code, self.now, DAYS, self.now))
        listed = set(found.starts)
        assert listed.isdisjoint(refused)
        for starts in (sorted(listed), refused, [each + 60 for each in sorted(listed)]):
            for start in data.draw(st.lists(st.sampled_from(starts), min_size=3, max_size=6)) if starts else []:
                assert self.run(self.world.can_book(code, start, self.now)) == (start in listed), from_epoch(start)

    @invariant()
    def everything_adds_up(self) -> None:
        if hasattr(self, "world"):
            self.run(self.world.check())


def test_what_is_listed_can_be_booked_whatever_happened_before(migrated: Servers) -> None:
    Story.database = settings_for(migrated)
    Story.vault = Vault(Story.database.secret_keys)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    examples = max(8, settings().max_examples // 4)
    chosen = settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(Story, settings=chosen)
