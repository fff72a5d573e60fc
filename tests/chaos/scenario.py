"""One run from the first start to the audit: the cast, the load, the faults, and what an operator does afterwards.

The one rule: it has one shape in both forms. The short form has one round of every fault, the long one as many rounds
as there is time for, each in another order.
"""

import argparse
import asyncio
import random
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from app.core.ids import Kind, decode
from app.domain.webhooks.subscriptions import EVENTS
from tests.chaos import receivers as moods
from tests.chaos.audit import Audit, audit, read_events
from tests.chaos.books import Ledger, missing
from tests.chaos.callers import Caller, Desk, offer, open_http
from tests.chaos.faults import POSTGRES, REDIS, WEB, WORKER, Faults
from tests.chaos.receivers import Mood, Receiver
from tests.chaos.report import report
from tests.chaos.stage import Stage, open_stage
from tests.nameserver import Nameserver, answering

CALLERS = 6
_BOOKING_EVENTS = [event for event in EVENTS if event.startswith("booking.")]
_SLOW_NAME = "slow.slotwire.test"
# Late, and within an attempt's time.
_SLOW_ANSWER_SECONDS = 0.8
# The first retry comes after 5 s: who is well before that needs no help; who is ill for longer may.
_SHORT_ILLNESS_SECONDS = 3.0
_LONG_ILLNESS_SECONDS = 8.0
_CALM_SECONDS = 1.5
# A receiver is left to the retries as long as one of its own is due within this time.
_SOON = timedelta(seconds=9)
_DRAIN_SECONDS = 40.0
_POLL_SECONDS = 0.25
_DUE = "select min(next_attempt_at) from deliveries where org_id = $1 and webhook_id = $2"
_IS_COMMITTED = "select exists (select from events where org_id = $1 and id = $2)"
_BEGIN = "update bookings set starts_at = now() - interval '1 minute' where org_id = $1 and id = $2"


@dataclass(frozen=True)
class Options:
    """seconds: of load in the long form; None: the short form."""

    seconds: float | None
    seed: int
    report: Path | None

    @property
    def again(self) -> str:
        """What repeats it."""
        form = "--short" if self.seconds is None else f"--seconds {self.seconds:g}"
        return f"{form} --seed {self.seed}"


def options(given: str | None) -> Options:
    """given: what stands in CHAOS; None: the short form."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…")
    parser.add_argument("--seconds", type=float, default=300.0, help="how long the load runs (default: 300)")
    parser.add_argument("--seed", type=int, default=None, help="the order and the victims of an earlier run")
    parser.add_argument("--report", type=Path, default=None, help="write the report there, too")
    parser.add_argument("--short", action="store_true", help="the form that is part of make test")
    parsed = parser.parse_args(shlex.split(given or "--short"))
    # dice, not secrets, here and below
    seed = random.randrange(10**6) if parsed.seed is None else parsed.seed  # noqa: S311
    return Options(None if parsed.short else parsed.seconds, seed, parsed.report)


@dataclass
class Cast:
    """Every receiver. early: the events that were delivered before they could be found."""

    stage: Stage
    early: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steady = Receiver("well", moods.well)
        self.looking = Receiver("well, looks each event up first", moods.looking_up(self._is_committed, self.early))
        self.failing = Receiver("answered 500 for a while", moods.failing)
        self.hanging = Receiver("hung for a while", moods.hanging)
        self.resetting = Receiver("reset connections for a while", moods.resetting)
        # what it missed comes after what it did not
        self.paused = Receiver("paused by its owner for a while", moods.well, in_order=False)
        self.slow = Receiver("behind slow DNS", moods.well, host=_SLOW_NAME)
        self.redirecting = Receiver("redirects", moods.redirecting(self.steady.other_url), lives=False)
        self.gone = Receiver("answers 410", moods.gone, lives=False, left=True)
        well = [self.steady, self.looking, self.slow]
        ill = [self.failing, self.hanging, self.resetting, self.paused]
        self.all = [*well, *ill, self.redirecting, self.gone]

    @property
    def living(self) -> list[Receiver]:
        return [receiver for receiver in self.all if receiver.lives]

    async def _is_committed(self, event_id: str) -> bool:
        rows = await self.stage.fetch(_IS_COMMITTED, self.stage.tenant.org_id, decode(Kind.EVENT, event_id))
        return bool(rows[0][0])

    async def subscribe(self, desk: Desk) -> None:
        for receiver in self.all:
            made = await desk.made("/v1/webhooks", "webhook", {"url": receiver.url, "events": _BOOKING_EVENTS})
            receiver.subscribed(made["id"], made["secret"])

    async def pause(self, desk: Desk, *, active: bool) -> None:
        status, answer = await desk.ask("PATCH", f"/v1/webhooks/{self.paused.webhook_id}", {"active": active})
        assert status == 200, answer

    async def fall_ill(self, desk: Desk) -> None:
        """Three of them, each for its time; a fourth is not to be disturbed meanwhile."""
        patients: list[tuple[Receiver, Mood, float]] = [
            (self.failing, moods.failing, _SHORT_ILLNESS_SECONDS),
            (self.hanging, moods.hanging, _LONG_ILLNESS_SECONDS),
            (self.resetting, moods.resetting, _LONG_ILLNESS_SECONDS),
        ]
        for receiver, mood, _ in patients:
            receiver.mood = mood
        began = time.monotonic()
        await self.pause(desk, active=False)
        for receiver, _, seconds in patients:
            await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
            receiver.mood = moods.well
        await self.pause(desk, active=True)


@dataclass
class Outcome:
    audit: Audit
    cast: Cast
    faults: Faults
    text: str


async def run(folder: Path, wanted: Options) -> Outcome:
    chance = random.Random(wanted.seed)  # noqa: S311
    async with AsyncExitStack() as stack:
        nameserver: Nameserver = await stack.enter_async_context(answering())
        nameserver.answer(_SLOW_NAME, "127.0.0.1", delay_seconds=_SLOW_ANSWER_SECONDS)
        stage = await stack.enter_async_context(open_stage(folder, nameserver.address))
        desk = Desk(await stack.enter_async_context(open_http(stage.tenant.api_key)), stage.urls, Ledger())
        cast = Cast(stage)
        await stack.enter_async_context(_standing(cast))
        await cast.subscribe(desk)
        callers = await _callers(stage, desk, chance)
        faults = Faults(stage, cast.steady, chance)
        began = datetime.now(UTC)
        await _load(callers, desk, cast, faults, wanted.seconds)
        await _recover(stage, desk, cast, began)
        found = await audit(stage, desk, cast.all, cast.early)
        return Outcome(found, cast, faults, report(found, cast.all, faults.struck, [cast.steady, cast.looking]))


@asynccontextmanager
async def _standing(cast: Cast) -> AsyncIterator[None]:
    try:
        for receiver in cast.all:
            await receiver.start()
        yield
    finally:
        await asyncio.gather(*(receiver.stop() for receiver in cast.all))


async def _callers(stage: Stage, desk: Desk, chance: random.Random) -> list[Caller]:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first, shared = midnight + timedelta(days=2), await offer(desk, hosts=2)

    async def begin(booking_id: UUID) -> None:
        await stage.fetch(_BEGIN, stage.tenant.org_id, booking_id)

    # what one client does must not depend on how fast the others are
    chances = [random.Random(chance.random()) for _ in range(CALLERS)]  # noqa: S311
    return [Caller(desk, await offer(desk, hosts=1), shared, first, begin, each) for each in chances]


async def _load(callers: list[Caller], desk: Desk, cast: Cast, faults: Faults, seconds: float | None) -> None:
    """Everybody works until the last fault is over, or the time."""
    over = asyncio.Event()

    async def break_things() -> None:
        deadline = time.monotonic() + (seconds or 0.0)
        try:
            await _round(desk, cast, faults, [WORKER, WEB, REDIS, POSTGRES, WORKER])
            while time.monotonic() < deadline:
                kinds = [WORKER, WORKER, WEB, REDIS, POSTGRES]
                faults.chance.shuffle(kinds)
                await _round(desk, cast, faults, kinds)
        finally:
            over.set()

    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.work(over))
        group.create_task(break_things())


async def _round(desk: Desk, cast: Cast, faults: Faults, kinds: list[str]) -> None:
    illness = asyncio.create_task(cast.fall_ill(desk))
    try:
        for kind in kinds:
            await asyncio.sleep(_CALM_SECONDS)
            await faults.strike(kind)
        await asyncio.sleep(_CALM_SECONDS)
    finally:
        # also when a fault has ended the run
        await illness


async def _recover(stage: Stage, desk: Desk, cast: Cast, began: datetime) -> None:
    """First what the service does by itself, then what its operator asks for: everything missed since."""
    events = await read_events(desk)

    async def complete(receiver: Receiver) -> bool:
        return not missing(events, receiver.receipts)

    async def is_left_alone(receiver: Receiver) -> bool:
        return await complete(receiver) or not await _is_due_soon(stage, receiver)

    await _each(cast.living, is_left_alone)
    for receiver in cast.living:
        if not await complete(receiver):
            body = {"since": began.isoformat(), "failed_only": True}
            receiver.replayed_at = time.time()
            status, answer = await desk.ask("POST", f"/v1/webhooks/{receiver.webhook_id}/replay", body)
            assert status == 202, answer
    await _each(cast.living, complete)


async def _each(receivers: list[Receiver], holds: Callable[[Receiver], Awaitable[bool]]) -> None:
    """Wait until it holds for each, or the time for that is over; what is missing then the audit tells."""
    for _ in range(int(_DRAIN_SECONDS / _POLL_SECONDS)):
        if all([await holds(receiver) for receiver in receivers]):
            return
        await asyncio.sleep(_POLL_SECONDS)


async def _is_due_soon(stage: Stage, receiver: Receiver) -> bool:
    webhook_id = decode(Kind.WEBHOOK, receiver.webhook_id)
    due = (await stage.fetch(_DUE, stage.tenant.org_id, webhook_id))[0][0]
    return due is not None and due < datetime.now(UTC) + _SOON
