"""The clients: they book, change, move, cancel and mark, all the time, through either web process in turn.

The one rule: a client that got no answer asks again with the same Idempotency-Key until it has one, and writes down
every answer; so that in the end nobody has to guess what was promised.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from app.core.ids import Kind, decode
from tests.chaos.books import Ledger
from tests.support import booking_body, unique_name

SLOT = timedelta(minutes=15)
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ANSWER_SECONDS = 10.0
_PATIENCE_SECONDS = 45.0
_PAUSE_SECONDS = 0.1
# Between two things that one client does.
_THINK_SECONDS = (0.03, 0.12)
_SHARED_SECONDS = 0.5
_FEW = 3

Retiming = Callable[[UUID], Awaitable[None]]


@dataclass
class Desk:
    """How to reach the service: its web processes, and the key. Every request goes to the next process."""

    http: aiohttp.ClientSession
    urls: Sequence[str]
    ledger: Ledger

    def __post_init__(self) -> None:
        self._turns = itertools.cycle(self.urls)

    async def ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """The final answer: whatever a killed process or a lost connection leaves open is asked again."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        headers = {"Idempotency-Key": key} if key else {}
        while time.monotonic() < deadline:
            try:
                url = next(self._turns) + path
                async with self.http.request(method, url, json=body, headers=headers) as response:
                    answer = await response.json(content_type=None)
                    if response.status < 500 and answer.get("code") != "idempotency_in_progress":
                        self.ledger.answers += 1
                        return response.status, answer
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
                pass
            self.ledger.retries += 1
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(f"no answer to {method} {path} for {_PATIENCE_SECONDS:.0f} s")

    async def made(self, path: str, noun: str, body: Any) -> Any:
        status, answer = await self.ask("POST", path, body, key=str(uuid4()))
        assert status in {200, 201}, answer
        return answer[noun]

    async def walk(self, path: str, nouns: str) -> list[Any]:
        """Every row of every page of a list."""
        rows: list[Any] = []
        cursor = ""
        while True:
            status, page = await self.ask("GET", f"{path}?limit=100{cursor}")
            assert status == 200, page
            rows += page[nouns]
            if page["pagination"]["next_cursor"] is None:
                return rows
            cursor = f"&cursor={page['pagination']['next_cursor']}"


def open_http(api_key: str) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {api_key}"}, timeout=timeout)


async def offer(desk: Desk, hosts: int) -> str:
    """An event type of a slot, open around the clock, whose hosts take turns; its code."""
    weekly = [{"day": day, "start": "00:00", "end": "24:00"} for day in _DAYS]
    schedule = await desk.made("/v1/schedules", "schedule", {"name": "A", "timezone": "UTC", "weekly": weekly})
    people = [
        await desk.made("/v1/users", "user", {"email": f"{unique_name()}@example.com", "name": "Ben"})
        for _ in range(hosts)
    ]
    body = {
        "title": "Chaos",
        "duration_minutes": 15,
        "booking_window_days": None,
        "schedule_id": schedule["id"],
        "assignment": "round_robin" if hosts > 1 else "fixed",
        "hosts": [{"user_id": person["id"]} for person in people],
        # nothing happens that nobody asked for
        "auto_complete": False,
        "reminders_minutes_before": [],
    }
    return str((await desk.made("/v1/event-types", "event_type", body))["code"])


class Caller:
    """One client with an event type of its own, and one that it shares with all the others."""

    def __init__(
        self, desk: Desk, own: str, shared: str, first: datetime, begin: Retiming, chance: random.Random
    ) -> None:
        self._desk, self._ledger = desk, desk.ledger
        self._own, self._shared, self._first = own, shared, first
        self._begin = begin
        self._chance = chance
        self._handed_out = 0
        self._open: list[str] = []
        self._began = time.monotonic()

    async def work(self, over: asyncio.Event) -> None:
        """One thing after the other, until it is over."""
        choices = {self._book: 40, self._duel: 8, self._crowd: 14, self._rename: 12, self._move: 12, self._cancel: 11}
        choices[self._miss] = 3
        while not over.is_set():
            act = self._chance.choices(list(choices), list(choices.values()))[0]
            await (act if len(self._open) > _FEW else self._book)()
            await asyncio.sleep(self._chance.uniform(*_THINK_SECONDS))

    async def _book(self) -> None:
        await self._try(self._own, self._fresh())

    async def _duel(self) -> None:
        """Two requests at once for a slot that nobody else wants, each with a key of its own."""
        start = self._fresh()
        self._ledger.duels.append(sum(await asyncio.gather(*(self._try(self._own, start) for _ in range(2)))))

    async def _crowd(self) -> None:
        """A slot that all clients want just now."""
        number = int((time.monotonic() - self._began) / _SHARED_SECONDS)
        await self._try(self._shared, self._first + number * SLOT)

    async def _try(self, code: str, start: datetime) -> bool:
        status, answer = await self._desk.ask("POST", "/v1/bookings", booking_body(code, start), key=str(uuid4()))
        if status not in {200, 201}:
            self._refused(status, answer)
            return False
        self._ledger.booked(answer["booking"])
        self._open.append(answer["booking"]["id"])
        return True

    def _refused(self, status: int, answer: Any) -> None:
        """409 is an answer, too; anything else was not to be expected."""
        code = str(answer.get("code"))
        self._ledger.refusals[code] += 1
        if status != 409:
            self._ledger.surprises.append(f"{status} {answer}")

    async def _rename(self) -> None:
        attendee = {"attendee": {"name": f"Jane {self._chance.random()}"}}
        await self._step(self._any(), "PATCH", "", "booking.updated", attendee)

    async def _cancel(self) -> None:
        await self._step(self._take_any(), "POST", "/cancel", "booking.cancelled")

    async def _miss(self) -> None:
        """Nobody came. The suite cannot wait for a booking to begin, so it sets its start back."""
        booking_id = self._take_any()
        known = decode(Kind.BOOKING, booking_id)
        assert known is not None
        self._ledger.promises[booking_id].start = None
        await self._begin(known)
        await self._step(booking_id, "POST", "/no-show", "booking.no_show")

    async def _move(self) -> None:
        """Half of them to where nobody is, half to where somebody may be."""
        booking_id = self._take_any()
        known = self._first + self._chance.randrange(self._handed_out) * SLOT
        start = self._fresh() if self._chance.random() < 0.5 else known
        path = f"/v1/bookings/{booking_id}/reschedule"
        status, answer = await self._desk.ask("POST", path, {"start_time": start.isoformat()}, key=str(uuid4()))
        if status != 200:
            self._refused(status, answer)
            self._open.append(booking_id)
            return
        self._ledger.moved(booking_id, answer["booking"])
        self._open.append(answer["booking"]["id"])

    async def _step(self, booking_id: str, method: str, action: str, event: str, body: Any = None) -> None:
        status, answer = await self._desk.ask(method, f"/v1/bookings/{booking_id}{action}", body)
        if status == 200:
            self._ledger.stepped(answer["booking"], event)
        else:
            self._refused(status, answer)

    def _fresh(self) -> datetime:
        """A start that this client has not asked for yet, and nobody else will."""
        self._handed_out += 1
        return self._first + (self._handed_out - 1) * SLOT

    def _any(self) -> str:
        return self._chance.choice(self._open)

    def _take_any(self) -> str:
        return self._open.pop(self._chance.randrange(len(self._open)))
