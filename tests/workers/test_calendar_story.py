"""Stories of a host, guests, a provider that fails in every way, and workers that die at any await; told to the real
database and a fake Google. At rest both sides agree, nothing is there twice, and no booking was cancelled or moved that
nobody cancelled or moved.

`make test` tells a few short ones, always the same; `make chaos` tells many long ones, other ones each time.
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from app.core import db
from app.domain.calendars.mirror import claim_calendars
from app.domain.calendars.outbound import claim_writes, plan_writes
from tests.calendaring import HOUR, Worker, instant
from tests.support import Servers, booking_body
from tests.workers.storytelling import World, dying, open_world
from workers.calendar_reads import read_calendar
from workers.calendar_writes import write_entry

Result = TypeVar("Result")

# what `make chaos` asks for; nothing: the short form
CHAOS = os.environ.get("CHAOS")
PLACE = st.integers(0, 1000)
METHOD = st.sampled_from(["GET", "POST", "PATCH", "DELETE"])
THREAD = "select thread from calendar_events where org_id = $1 and id = $2::text::uuid"
AWAIT = st.one_of(st.none(), st.integers(1, 60))
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
FORM = (
    settings(
        max_examples=300,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=_SLOW,
        # a failure is told as it came: telling it shorter takes longer than finding another
        phases=[Phase.reuse, Phase.generate],
    )
    if CHAOS
    else settings(max_examples=12, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=_SLOW)
)


class Story(RuleBasedStateMachine):
    runner: ClassVar[asyncio.Runner]
    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        # by thread (the calendar UID): what somebody really did
        self.cancelled: set[str] = set()
        self.deleted: set[str] = set()
        self.dragged: set[str] = set()
        self.foreign: dict[str, tuple[datetime, datetime]] = {}
        self.booked: list[Any] = []
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.day = today + timedelta(days=40)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    @initialize(hours=st.lists(st.integers(0, 40), min_size=1, max_size=3, unique=True))
    def begin(self, hours: list[int]) -> None:
        for worker in self.world.workers:
            worker.ahead = timedelta()
        self.room = self.run(self.world.tell())
        for hour in hours:
            self.book(hour)

    # Guests and servers.

    @rule(hour=st.integers(0, 40))
    def book(self, hour: int) -> None:
        async def post() -> None:
            body = booking_body(self.room.event_type["code"], self.day + hour * HOUR)
            answer = await self.room.api.post("/v1/bookings", body)
            assert answer.status in {201, 409}, answer.raw
            if answer.status == 201:
                self.booked.append(answer.json["booking"])

        self.run(post())

    @rule(place=PLACE, hour=st.integers(0, 40))
    def move(self, place: int, hour: int) -> None:
        async def post() -> None:
            if not self.booked:
                return
            booking = await self.room.latest(self.booked[place % len(self.booked)])
            body = {"start_time": (self.day + hour * HOUR).isoformat()}
            answer = await self.room.api.post(f"/v1/bookings/{booking['id']}/reschedule", body)
            assert answer.status in {200, 409}, answer.raw

        self.run(post())

    @rule(place=PLACE)
    def cancel(self, place: int) -> None:
        async def post() -> None:
            if not self.booked:
                return
            booking = await self.room.latest(self.booked[place % len(self.booked)])
            if booking["status"] != "CANCELLED":
                (await self.room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
                self.cancelled.add(booking["ical_uid"])

        self.run(post())

    @rule(place=PLACE, number=st.integers(0, 9))
    def rename(self, place: int, number: int) -> None:
        async def patch() -> None:
            if not self.booked:
                return
            booking = await self.room.latest(self.booked[place % len(self.booked)])
            body = {"attendee": {"name": f"Guest {number}"}}
            answer = await self.room.api.call("PATCH", f"/v1/bookings/{booking['id']}", body)
            assert answer.status in {200, 409}, answer.raw

        self.run(patch())

    # The host, in the calendar.

    @rule(place=PLACE, quarter=st.integers(0, 160))
    def drag(self, place: int, quarter: int) -> None:
        chosen = self._own(place)
        if chosen is None:
            return
        self.dragged.add(self._thread(chosen))
        self.room.drag(chosen, self.day + quarter * HOUR / 4, calendar=self.room.account)

    @rule(place=PLACE)
    def delete(self, place: int) -> None:
        chosen = self._own(place)
        if chosen is None:
            return
        self.deleted.add(self._thread(chosen))
        self.world.fake.remove(self.room.account, chosen["id"])

    @rule(place=PLACE)
    def scribble(self, place: int) -> None:
        chosen = self._own(place)
        if chosen is not None:
            self.world.fake.edit(self.room.account, chosen["id"], colorId="4")

    @rule(quarter=st.integers(0, 160), quarters=st.integers(1, 8))
    def enter(self, quarter: int, quarters: int) -> None:
        start = self.day + quarter * HOUR / 4
        made = self.world.fake.add_event(self.room.account, start, start + quarters * HOUR / 4)
        self.foreign[made["id"]] = (start, start + quarters * HOUR / 4)

    @rule(place=PLACE)
    def clear(self, place: int) -> None:
        if not self.foreign:
            return
        chosen = sorted(self.foreign)[place % len(self.foreign)]
        del self.foreign[chosen]
        self.world.fake.remove(self.room.account, chosen)

    def _own(self, place: int) -> Any:
        events = sorted(self.room.events(), key=lambda each: str(each["id"]))
        return events[place % len(events)] if events else None

    def _thread(self, there: Any) -> str:
        mark = there["extendedProperties"]["private"]["slotwire"]
        row = self.run(self.room.row(THREAD, mark))
        return str(row["thread"])

    # What goes wrong.

    @rule(status=st.sampled_from([403, 410, 429, 500, 503]), method=METHOD)
    def fail(self, status: int, method: str) -> None:
        reason = "rateLimitExceeded" if status == 403 else "backendError"
        body = {"error": {"code": status, "errors": [{"reason": reason}]}}
        # of one event, 410 would be no fault: it says that the event is gone
        which = "^GET .*/events$" if status == 410 else f"^{method} "
        self.world.fake.fail_next(which, status, 1, {}, body)

    @rule(after=st.booleans(), method=METHOD)
    def drop(self, after: bool, method: str) -> None:
        self.world.fake.drop_next(f"^{method} ", after=after)

    @rule()
    def expire(self) -> None:
        self.world.fake.expire_sync_tokens()
        self.world.fake.oauth.expire_access()

    # Workers, alone and together; a push that is lost is none.

    @rule(times=st.integers(1, 2))
    def pushed(self, times: int) -> None:
        self.push(times)

    def push(self, times: int) -> None:
        for _ in range(times):
            self.run(self.room.push())

    @rule(who=st.integers(0, 1), at=AWAIT)
    def write(self, who: int, at: int | None) -> None:
        self.run(self._write(self.world.workers[who], at))

    @rule(who=st.integers(0, 1), at=AWAIT, told=st.booleans())
    def read(self, who: int, at: int | None, told: bool) -> None:
        if told:
            self.push(1)
        self.run(self._read(self.world.workers[who], at))

    @rule(first=AWAIT, second=AWAIT)
    def together(self, first: int | None, second: int | None) -> None:
        async def both() -> None:
            one, other = self.world.workers
            await asyncio.gather(
                self._write(one, first), self._read(one, second), self._write(other, second), self._read(other, first)
            )

        self.run(both())

    @rule(minutes=st.integers(1, 4))
    def wait(self, minutes: int) -> None:
        # what a dead worker had sent arrives long before its leases run out
        self.run(asyncio.sleep(0.02))
        for worker in self.world.workers:
            worker.ahead += timedelta(minutes=minutes)

    async def _write(self, worker: Worker, at: int | None) -> None:
        async with db.acquire(worker.pool) as conn:
            await db.run(conn, lambda conn: plan_writes(conn, worker.now()))
            due = await claim_writes(conn, [], worker.now())
        for each in due:
            await dying(write_entry(worker.roads, each), at)

    async def _read(self, worker: Worker, at: int | None) -> None:
        async with db.acquire(worker.pool) as conn:
            due = await claim_calendars(conn, [], worker.now())
        for each in due:
            await dying(read_calendar(worker.roads, each), at)

    # At rest.

    def teardown(self) -> None:
        if hasattr(self, "room"):
            try:
                self.run(self._rest())
                self.run(self._check())
            finally:
                self.run(self._leave())

    async def _rest(self) -> None:
        self.world.fake.heal()
        await asyncio.sleep(0.02)
        worker, other = self.world.workers
        for _ in range(3):
            worker.ahead += timedelta(hours=2)
            await self.room.push()
            await worker.tend()
        await worker.later(hours=7)
        other.ahead = worker.ahead

    async def _check(self) -> None:
        room = self.room
        expected, standing = {}, {}
        for booking in self.booked:
            latest = await room.latest(booking)
            await self._check_why(latest)
            if latest["status"] != "CANCELLED":
                expected[latest["ical_uid"]] = (latest["start_time"], latest["end_time"])
        for there in room.events():
            mark = there["extendedProperties"]["private"]["slotwire"]
            row = await room.row(THREAD, mark)
            assert row["thread"] not in standing, "it stands there twice"
            standing[row["thread"]] = tuple(
                instant(there[edge]).strftime("%Y-%m-%dT%H:%M:%SZ") for edge in ("start", "end")
            )
        assert standing == expected
        blocks = await room.rows(
            "select k.remote_id, lower(k.during) as since, upper(k.during) as until from busy_blocks k "
            "join calendars c on c.org_id = k.org_id and c.id = k.calendar_id and c.generation = k.generation "
            "where k.org_id = $1"
        )
        assert {each["remote_id"]: (each["since"], each["until"]) for each in blocks} == self.foreign
        row = await room.row("select count(*) as count from calendar_changes where org_id = $1")
        assert row["count"] == 0
        status = await room.row("select status from calendar_connections where org_id = $1")
        assert status["status"] == "active"

    async def _check_why(self, latest: Any) -> None:
        """Nobody's booking was cancelled or moved but by somebody."""
        thread = latest["ical_uid"]
        chain = await self.room.rows(
            "select status, cancelled_by, cancellation_reason from bookings where org_id = $1 and ical_uid = $2", thread
        )
        for each in chain:
            if each["status"] == "CANCELLED" and each["cancellation_reason"] != "rescheduled":
                assert thread in (self.deleted if each["cancelled_by"] == "calendar" else self.cancelled)
            elif each["cancelled_by"] == "calendar":
                assert thread in self.dragged

    async def _leave(self) -> None:
        """The next story shares the database, and must not tend this one's calendars."""
        async with db.acquire(self.room.worker.pool) as conn:
            await conn.execute("delete from calendar_connections where org_id = $1", self.room.tenant.org_id)
        self.world.fake.heal()


def test_both_sides_agree_whatever_happens(migrated: Servers) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        Story.runner = runner
        Story.world = runner.run(open_world(migrated, stack))
        try:
            run_state_machine_as_test(Story, settings=FORM)
        finally:
            runner.run(stack.aclose())
        assert Story.world.fake.violations == []
