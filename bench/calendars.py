"""Connected calendars beside fake providers: a full sync, a push, a booking on its way there, and what a connected
calendar costs slots and creates.

The one rule: web and worker are the real ones, and answers of the providers take 50 ms each. No provider is called by a
request for slots or for a booking: the fakes count.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
import orjson

from app.core import db
from app.core.times import iso
from app.core.vault import Vault
from app.domain.calendars.access import Roads, provider_of, seal_tokens
from app.domain.calendars.connections import Account, save_account
from app.domain.calendars.oauth import Tokens
from bench.client import HOST, BenchError, ask, request
from bench.dataset import SLOT_MINUTES, Tenant, booking_body, first_start
from bench.report import Line, median
from bench.stage import Served, Stage
from tests.fakes.google import FakeGoogle
from tests.fakes.microsoft import FakeMicrosoft

_EVENTS = 10_000
_LATENCY_SECONDS = 0.05
_DAYS = 360
_SLOT = timedelta(minutes=SLOT_MINUTES)
_INCREMENTS = 8
_CHANGES = 10
_BOOKINGS = 50
# short ones in turns, so that whatever else the machine does is in both
_ROUNDS = 16
_SECONDS = 0.3
_CONNECTIONS = 8
_PATIENCE_SECONDS = 60.0
# of the organization's hosts: one for each provider, one with an empty calendar, and one with none
_GOOGLE, _MICROSOFT, _EMPTY, _NONE = range(4)


@dataclass(frozen=True, slots=True)
class Room:
    """users: the hosts, in the order of the tenant's codes. Event types of all of them are open around the clock."""

    stage: Stage
    tenant: Tenant
    users: list[UUID]
    google: FakeGoogle
    microsoft: FakeMicrosoft
    web: Served
    worker: Served
    lines: list[Line] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self.google.calls) + len(self.microsoft.calls)


async def measure(stage: Stage) -> list[Line]:
    async with stage.beside("calendars") as other, _opened(other) as room:
        await _sync_fully(room)
        await _push(room)
        await _book(room)
        await _beside_none(room)
        if room.google.violations or room.microsoft.violations:
            raise BenchError(f"not as described: {(room.google.violations + room.microsoft.violations)[:3]}")
        return room.lines


@asynccontextmanager
async def _opened(stage: Stage) -> AsyncIterator[Room]:
    google, microsoft = FakeGoogle(("host@gmail.example", "empty@gmail.example")), FakeMicrosoft()
    microsoft.add_account("host@outlook.example", "UTC")
    try:
        urls = {"GOOGLE": await google.start(), "MICROSOFT": await microsoft.start()}
        environment = {"SLOTWIRE_BASE_URL": f"http://{HOST}:{stage.settings.port}"}
        for name, url in urls.items():
            environment |= {
                f"SLOTWIRE_{name}_CLIENT_ID": google.oauth.client_id,
                f"SLOTWIRE_{name}_CLIENT_SECRET": google.oauth.client_secret,
                f"SLOTWIRE_{name}_BASE_URL": url,
                f"SLOTWIRE_{name}_OAUTH_BASE_URL": url,
            }
        stage.settings = stage.settings.model_copy(
            update={"google_base_url": urls["GOOGLE"], "microsoft_base_url": urls["MICROSOFT"]}
        )
        tenant, _ = await stage.tenant("connected", hosts=4)
        async with db.acquire(stage.pool) as conn:
            rows = await conn.fetch("select id, username from users where org_id = $1", tenant.org_id)
        users = {row["username"]: row["id"] for row in rows}
        web, worker = await stage.web(**environment), await stage.worker("calendars worker", **environment)
        yield Room(stage, tenant, [users[code] for code in tenant.codes], google, microsoft, web, worker)
    finally:
        await google.stop()
        await microsoft.stop()


async def _connect(room: Room, provider: str, account: str, host: int) -> None:
    """As its owner's consent does."""
    stage = room.stage
    fake = room.google if provider == "google" else room.microsoft
    access_token, refresh_token = fake.oauth.issue(account)

    async def access(_: str | None) -> str:
        return access_token

    vault = Vault(stage.settings.secret_keys)
    async with aiohttp.ClientSession() as session:
        roads = Roads(stage.pool, vault, stage.settings, session, session, lambda: datetime.now(UTC))
        found = await provider_of(roads, provider, access).list_calendars()
    now = datetime.now(UTC)
    kept = Account(provider, account, seal_tokens(Tokens(access_token, refresh_token, now + timedelta(hours=1)), vault))
    async with db.acquire(stage.pool) as conn, conn.transaction():
        await save_account(conn, room.tenant.org_id, room.users[host], kept, found, now)


async def _sync_fully(room: Room) -> None:
    """From the moment that a calendar of so many events is connected, until it counts."""
    _fill(room)
    room.google.latency = room.microsoft.latency = _LATENCY_SECONDS
    for provider, account, host in (
        ("google", "host@gmail.example", _GOOGLE),
        ("microsoft", "host@outlook.example", _MICROSOFT),
        ("google", "empty@gmail.example", _EMPTY),
    ):
        began, calls = time.monotonic(), room.calls
        await _connect(room, provider, account, host)
        await _known(room, host)
        took, pages = time.monotonic() - began, room.calls - calls
        if host != _EMPTY:
            what = f"{provider.capitalize()}, full sync of {_EVENTS:,} events, answers after 50 ms"
            room.lines.append(Line(what, took, "s", below=10.0, detail={"calls": pages}))


def _fill(room: Room) -> None:
    """The mornings of a year, evenly."""
    start, each_day = first_start() + timedelta(days=1), -(-_EVENTS // _DAYS)
    there = room.microsoft.primary("host@outlook.example")
    for number in range(_EVENTS):
        day, place = divmod(number, each_day)
        begin = start + timedelta(days=day) + place * _SLOT
        room.google.add_event("host@gmail.example", begin, begin + _SLOT, summary=f"Busy {number}")
        room.microsoft.add_event(there, begin, begin + _SLOT, subject=f"Busy {number}")


async def _known(room: Room, host: int) -> None:
    await _until(room, host, "synced_at is not null and fresh_until > now()")


async def _until(room: Room, host: int, condition: str) -> None:
    """Once a host's calendar is like that."""
    query = f"select 1 from calendars where org_id = $1 and user_id = $2 and {condition}"  # noqa: S608 -- from here
    async with asyncio.timeout(_PATIENCE_SECONDS), db.acquire(room.stage.pool) as conn:
        while True:
            if await conn.fetchval(query, room.tenant.org_id, room.users[host]):
                return
            await asyncio.sleep(0.01)


async def _push(room: Room) -> None:
    """From the first of ten changes until none of their times is offered any more."""
    day = first_start()
    for provider, host in (("Google", _GOOGLE), ("Microsoft", _MICROSOFT)):
        await _until(room, host, "channel is not null")
        took = []
        for number in range(_INCREMENTS):
            begin = [day + (number * _CHANGES + place) * _SLOT for place in range(_CHANGES)]
            began = time.monotonic()
            for each in begin:
                _add(room, host, each)
            await _taken(room, host, begin)
            took.append((time.monotonic() - began) * 1000)
        what = f"{provider}, {_CHANGES} changes, from the push to the slots"
        room.lines.append(Line(f"{what}, p50", median(took), "ms", detail={"rounds": took}))
        room.lines.append(Line(f"{what}, the slowest of {_INCREMENTS}", max(took), "ms", below=1000.0))


def _add(room: Room, host: int, begin: datetime) -> None:
    if host == _GOOGLE:
        room.google.add_event("host@gmail.example", begin, begin + _SLOT, summary="New")
    else:
        room.microsoft.add_event(room.microsoft.primary("host@outlook.example"), begin, begin + _SLOT, subject="New")


async def _taken(room: Room, host: int, begin: list[datetime]) -> None:
    wanted = _asking(room, host, days=2)
    starts = [iso(each).encode() for each in begin]
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            listed = await ask(room.web.port, wanted)
            if not any(each in listed for each in starts):
                return
            await asyncio.sleep(0.005)


def _asking(room: Room, host: int, *, days: int) -> bytes:
    start = first_start().date()
    span = f"start={start}&end={start + timedelta(days=days - 1)}&timezone=UTC"
    return request("GET", f"/v1/slots?event_type={room.tenant.codes[host]}&{span}", key=room.tenant.api_key)


async def _book(room: Room) -> None:
    """From the answer until the event stands there, one booking after another."""
    for provider, host in (("Google", _GOOGLE), ("Microsoft", _MICROSOFT)):
        starts, took = _open_starts(await ask(room.web.port, _asking(room, host, days=30))), []
        for start in itertools.islice(starts, _BOOKINGS):
            before = _count(room, host)
            body = booking_body(room.tenant.codes[host], start)
            await ask(room.web.port, request("POST", "/v1/bookings", key=room.tenant.api_key, body=body), expect=201)
            answered = time.monotonic()
            await _appeared(room, host, before)
            took.append((time.monotonic() - answered) * 1000)
        took.sort()
        what = f"booking to event in {provider}, {_BOOKINGS} one by one"
        room.lines.append(Line(f"{what}, p50", median(took), "ms", detail={"figures": took}))
        room.lines.append(Line(f"{what}, p95", took[int(len(took) * 0.95)], "ms", below=1000.0))


def _open_starts(body: bytes) -> Iterator[datetime]:
    """In the evenings, which nothing else takes."""
    for slots in orjson.loads(body)["slots"].values():
        for slot in slots:
            start = datetime.fromisoformat(slot["start"])
            if start.hour >= 20:
                yield start


async def _appeared(room: Room, host: int, before: int) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            if _count(room, host) > before:
                return
            await asyncio.sleep(0.001)


def _count(room: Room, host: int) -> int:
    """The events that stand there."""
    if host == _GOOGLE:
        return len(room.google.calendars["host@gmail.example"].events)
    return len(room.microsoft.store.calendar(room.microsoft.primary("host@outlook.example")).events)


async def _beside_none(room: Room) -> None:
    """Slots and creates with a connected calendar beside the same without. Nobody tends calendars meanwhile, so whoever
    called a provider would be the web."""
    room.stage.kill(room.worker)
    # a call that it had begun is answered, and counted, all the same
    await asyncio.sleep(10 * _LATENCY_SECONDS)
    calls = room.calls
    hosts = (_EMPTY, _NONE)
    kinds: dict[str, tuple[int, dict[int, Iterator[bytes]]]] = {
        "slots, 7 days,": (200, {host: itertools.repeat(_asking(room, host, days=7)) for host in hosts}),
        "create,": (201, {host: _creating(room, host) for host in hosts}),
    }
    for what, (expect, wanted) in kinds.items():
        await room.stage.settle()
        rounds: dict[int, list[float]] = {host: [] for host in hosts}
        for number in range(_ROUNDS + 1):
            for host in hosts[:: 1 if number % 2 else -1]:
                done, _ = await room.web.load(wanted[host], expect=expect, connections=_CONNECTIONS, seconds=_SECONDS)
                rounds[host] += [done.rate] if number else []
        connected, plain = median(rounds[_EMPTY]), median(rounds[_NONE])
        detail: dict[str, object] = {"connected": rounds[_EMPTY], "without": rounds[_NONE]}
        about = (f"{what} host with a calendar, {_CONNECTIONS} connections", connected, "/s", plain, "without")
        room.lines.append(Line(*about, at_least=0.8, detail=detail))
    if room.calls != calls:
        raise BenchError(f"{room.calls - calls} calls of a provider came from requests for slots and bookings")
    room.lines.append(Line("calls of providers by slots and creates", 0, "", below=1))


def _creating(room: Room, host: int) -> Iterator[bytes]:
    """Distinct starts beyond the asked days."""
    for number in itertools.count():
        start = first_start() + timedelta(days=10) + number * _SLOT
        yield request(
            "POST", "/v1/bookings", key=room.tenant.api_key, body=booking_body(room.tenant.codes[host], start)
        )
