"""`slotwire torture`: many callers at one slot, one cap, one session, one pool of units and one of hosts, over HTTP.

The one rule: the proof is the server's answers and nothing else. It makes what it aims at, touches nothing that was
there before, and takes everything away again.
"""

import asyncio
import json
import math
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.arena import Answer, Arena, ArenaError, enter
from app.core.settings import ConfigurationError
from app.core.times import iso
from app.remote import find_key, find_url

_DAYS_AHEAD = 7
_STEP = timedelta(minutes=5)
_STEPS_A_DAY = 288
_WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_SCOPES = frozenset({"users:write", "event_types:write", "bookings:write"})
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that too many callers want. winners: how many of them must get it. starts: how many starts, five
    minutes apart, they are spread over. hosts, units: what it needs. fields: of its event type, besides the usual.
    apart: what no two winners may share, see `_TRAITS`."""

    name: str
    winners: int
    starts: int = 1
    hosts: int = 1
    units: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)
    apart: tuple[str, ...] = ()


SCENARIOS = (
    Scenario("slot", 1),
    Scenario(
        "cap", 5, starts=_STEPS_A_DAY, fields={"duration_minutes": 5, "max_bookings": {"day": 5}}, apart=("start",)
    ),
    Scenario("seats", 10, fields={"seats": 10}),
    Scenario("units", 5, hosts=8, units=5, fields={"assignment": "round_robin"}, apart=("host", "unit")),
    Scenario("round_robin", 8, hosts=8, fields={"assignment": "round_robin"}, apart=("host",)),
)

_TRAITS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "start": lambda booking: booking.get("start_time"),
    "host": lambda booking: booking.get("assigned_to_id"),
    "unit": lambda booking: json.dumps(booking.get("resources"), sort_keys=True),
}


@dataclass(frozen=True, slots=True)
class Aim:
    """What the caller said; None: what the environment, or a running `slotwire up` on `data_dir`, says."""

    url: str | None
    key: str | None
    data_dir: Path
    clients: int
    only: tuple[str, ...]
    remote: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """What the callers of one scenario were told."""

    scenario: Scenario
    answers: Sequence[Answer]

    def of(self, status: int) -> list[Answer]:
        return [answer for answer in self.answers if answer.status == status]

    @property
    def others(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status not in {201, 409}]

    @property
    def faults(self) -> list[str]:
        """Why it did not hold; none: it held."""
        won = self.of(201)
        found = [] if len(won) == self.scenario.winners else [f"expected {self.scenario.winners} x 201"]
        for trait in self.scenario.apart:
            seen = {_TRAITS[trait](answer.body.get("booking") or {}) for answer in won}
            if len(seen) < len(won):
                found.append(f"{len(won)} winners share {len(seen)} {trait}{'s' * (len(seen) != 1)}")
        counted = Counter(_gist(answer) for answer in self.others)
        return found + [f"{count} x {gist}" for gist, count in counted.most_common()]

    @property
    def line(self) -> str:
        won, refused = self.of(201), self.of(409)
        cells = (
            f"{self.scenario.name:<11}  {len(self.answers):>4} callers",
            f"{len(won):>4} x 201  {_latency(won)}",
            f"{len(refused):>4} x 409  {_latency(refused)}",
            f"{len(self.others):>4} other",
            "ok" if not self.faults else f"FAILED: {'; '.join(self.faults)}",
        )
        return "   ".join(cells)


def run_torture(aim: Aim) -> int:
    """Print a line per scenario; 1 when one did not hold. Raises ConfigurationError for what the caller can mend."""
    url, key = _find_target(aim)
    return asyncio.run(_torture(aim, url, key))


def _find_target(aim: Aim) -> tuple[str, str]:
    """Where to, and by which key. The demo's key is for this machine only."""
    url, local = find_url(aim.url, aim.data_dir, "--url")
    if not local and not aim.remote:
        raise ConfigurationError(
            f"{url} is not this machine, and torture makes real bookings by the hundred; "
            "add --yes-remote if that server is yours to torture"
        )
    return url, find_key(aim.key, aim.data_dir, local=local)


async def _torture(aim: Aim, url: str, key: str) -> int:
    chosen = [scenario for scenario in SCENARIOS if scenario.name in aim.only]
    scopes = _SCOPES | ({"resources:write"} if any(scenario.units for scenario in chosen) else set())
    run = secrets.token_hex(4)
    async with enter(url, key) as arena:
        try:
            organization = await arena.greet(scopes)
            _say(f"{aim.clients} callers at {url} ({organization}); whatever is made is called torture-{run}")
            failed = await _play(arena, chosen, run, aim.clients)
        except ArenaError as error:
            _complain(str(error))
            return 1
        except asyncio.CancelledError:
            _complain("stopping; what was made is being removed")
            raise
        finally:
            await _clear(arena, run)
    _say(f"{failed} of {len(chosen)} did not hold" if failed else "everything held")
    return 1 if failed else 0


async def _play(arena: Arena, chosen: Sequence[Scenario], run: str, clients: int) -> int:
    """How many scenarios did not hold; one that cannot be prepared does not keep the next from being played."""
    schedule_id, hosts = await _prepare(arena, run, max(scenario.hosts for scenario in chosen))
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    failed = 0
    for number, scenario in enumerate(chosen):
        try:
            code = await _set_up(arena, scenario, run, schedule_id, hosts[: scenario.hosts])
        except ArenaError as error:
            _say(f"{scenario.name:<11}  FAILED: it cannot be prepared: {error}")
            failed += 1
            continue
        # each has a day to itself, since they share hosts
        day = today + timedelta(days=_DAYS_AHEAD + number)
        bodies = [_booking(code, day + _STEP * (caller % scenario.starts), run, caller) for caller in range(clients)]
        tally = Tally(scenario, await arena.book_at_once(bodies))
        _say(tally.line)
        failed += bool(tally.faults)
        if tally.of(429):
            _complain(
                "429 is this key's rate limit: raise SLOTWIRE_LIMIT_KEY on the server, or send fewer with --clients"
            )
    return failed


async def _prepare(arena: Arena, run: str, hosts: int) -> tuple[str, list[str]]:
    """The ids of a schedule without a closed minute, and of people who have nothing else to do."""
    name = f"torture-{run}"
    weekly = [{"day": day, "start": "00:00", "end": "24:00"} for day in _WEEK]
    schedule = await arena.make("/v1/schedules", "schedule", {"name": name, "timezone": "UTC", "weekly": weekly})
    people = []
    for number in range(1, hosts + 1):
        # a domain that no mail ever reaches (RFC 6761)
        person = {"name": f"{name} {number}", "email": f"{name}-{number}@slotwire.invalid", "timezone": "UTC"}
        people.append((await arena.make("/v1/users", "user", person))["id"])
    return schedule["id"], people


async def _set_up(arena: Arena, scenario: Scenario, run: str, schedule_id: str, hosts: Sequence[str]) -> str:
    """The code of the scenario's event type."""
    code = f"torture-{run}-{scenario.name}"
    fields: dict[str, Any] = {
        "code": code,
        "title": code,
        "schedule_id": schedule_id,
        "hosts": [{"user_id": user_id} for user_id in hosts],
        "booking_window_days": None,
        "reminders_minutes_before": [],
        **scenario.fields,
    }
    if scenario.units:
        place = (await arena.make("/v1/locations", "location", {"name": code, "timezone": "UTC"}))["id"]
        thing = {"name": code, "kind": "torture", "location_id": place, "units": scenario.units}
        await arena.make("/v1/resources", "resource", thing)
        fields["requires"] = [{"kind": "torture", "min_capacity": 1, "location_id": place}]
    await arena.make("/v1/event-types", "event_type", fields)
    return code


def _booking(code: str, start: datetime, run: str, caller: int) -> dict[str, Any]:
    attendee = {"name": f"Caller {caller}", "email": f"caller-{caller}@slotwire.invalid", "timezone": "UTC"}
    # so that a receiver of webhooks can tell
    metadata = {"torture": run}
    return {"event_type": code, "requested_time": iso(start), "attendee": attendee, "metadata": metadata}


async def _clear(arena: Arena, run: str) -> None:
    """Take everything away, and say what is left: after a second Ctrl-C, too."""
    try:
        await arena.clear()
    finally:
        left = arena.left_behind
        for name in left[:_MOST_TOLD]:
            _complain(f"left behind: {name}")
        if len(left) > _MOST_TOLD:
            _complain(f"left behind: {len(left) - _MOST_TOLD} more, of torture-{run}")


def _gist(answer: Answer) -> str:
    return f"{answer.status} {answer.body.get('code', '')}".rstrip() if answer.status else str(answer)


def _latency(answers: Sequence[Answer]) -> str:
    """The median and the 99th percentile, by nearest rank."""
    if not answers:
        return f"{'':<26}"
    sorted_ms = sorted(answer.seconds * 1000 for answer in answers)
    p50, p99 = (sorted_ms[math.ceil(part * len(sorted_ms)) - 1] for part in (0.5, 0.99))
    return f"p50 {p50:>5,.0f} ms p99 {p99:>5,.0f} ms"


def _say(line: str) -> None:
    print(line, flush=True)


def _complain(line: str) -> None:
    print(f"slotwire: {line}", file=sys.stderr, flush=True)
