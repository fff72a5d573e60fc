"""The writing statement by itself: `SQL.create_booking` with the arguments of real bookings, and nothing around it.

The one rule: the arguments are recorded from `create_booking` itself, on a connection that keeps the statement instead
of running it. So the references write exactly what the service writes, also after the statement has changed.
"""

import asyncio
import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import asyncpg
import orjson

from app import launch
from app.core import db
from app.core.db import Connection
from app.core.ids import new_code, new_id
from app.domain.bookings.claim import SQL, Outcome
from app.domain.bookings.create import create_booking
from app.domain.bookings.events import CREATED, event_of
from app.domain.bookings.models import Actor, Attendee, Booking, represent
from app.domain.bookings.orders import NewBooking
from app.domain.identity.models import Principal
from app.embedded_server import environment
from bench.client import BenchError

SLOT = timedelta(minutes=15)
_STATEMENTS = {"execute": 1, "executemany": 1, "fetch": 1, "fetchrow": 1, "fetchval": 1, "transaction": 2}
ATTENDEE = Attendee("Jane Smith", "jane@example.com", None, "America/New_York")


class _Recorder:
    """A connection that keeps the writing statement's arguments and does everything else."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.arguments: tuple[object, ...] = ()

    async def fetchval(self, query: str, *arguments: object) -> object:
        if query == SQL.create_booking:
            self.arguments = arguments
            return "won"
        return await self._conn.fetchval(query, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


class Counting:
    """A connection that counts the statements which it is asked to run. A transaction has two of its own."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.statements = 0

    def __getattr__(self, name: str) -> Any:
        self.statements += _STATEMENTS.get(name, 0)
        return getattr(self._conn, name)


@dataclass(frozen=True, slots=True)
class Statement:
    """samples: arguments of one booking per event type, all at one start.

    own: positions that every booking has for itself (ids, lists of ids, the code). moved: those of the booking's times.
    body: the event that tells of it, as it is delivered.
    """

    samples: Sequence[tuple[object, ...]]
    own: frozenset[int]
    moved: frozenset[int]
    body: bytes

    def arguments(self, number: int, ahead: timedelta = timedelta(0)) -> list[object]:
        """The number-th booking: event types take turns, each turn a slot later; `ahead` of the recorded start."""
        turn, which = divmod(number, len(self.samples))
        return self.at(which, ahead + turn * SLOT)

    def at(self, which: int, ahead: timedelta) -> list[object]:
        """A booking of one event type, `ahead` of the recorded start."""
        arguments = list(self.samples[which])
        for position in self.moved:
            time = arguments[position]
            assert isinstance(time, datetime)
            arguments[position] = time + ahead
        for position in self.own:
            arguments[position] = _another(arguments[position])
        return arguments


def _another(value: object) -> object:
    """What another booking has in its place."""
    if isinstance(value, list):
        return [new_id() for _ in value]
    return new_id() if isinstance(value, UUID) else new_code()


async def record(
    conn: Connection, principal: Principal, codes: Sequence[str], start: datetime, *, minutes: int | None = None
) -> Statement:
    """Record a booking of each event type at `start`, which must be open, without making any."""
    now = datetime.now(UTC)
    recorded = [await _record_one(conn, principal, code, start, minutes, now) for code in codes]
    again, _ = await _record_one(conn, principal, codes[0], start + SLOT, minutes, now)
    first, booking = recorded[0]
    differ = [position for position in range(len(first)) if first[position] != again[position]]
    return Statement(
        samples=[arguments for arguments, _ in recorded],
        own=frozenset(each for each in differ if _is_own(first[each], booking)),
        moved=frozenset(each for each in differ if isinstance(first[each], datetime)),
        body=event_of(booking, CREATED, represent(booking), now).body.encode(),
    )


def _is_own(value: object, booking: Booking) -> bool:
    ids = value if isinstance(value, list) else [value]
    return value == booking.code or all(isinstance(each, UUID) for each in ids)


async def _record_one(
    conn: Connection, principal: Principal, code: str, start: datetime, minutes: int | None, now: datetime
) -> tuple[tuple[object, ...], Booking]:
    recorder = _Recorder(conn)
    wanted = NewBooking(code, start, ATTENDEE, minutes)
    actor = Actor("api", principal.key_id)
    created = await create_booking(cast("Connection", recorder), principal, wanted, actor, now)
    if not recorder.arguments:
        raise BenchError("create_booking no longer runs SQL.create_booking through fetchval: see bench/statement.py")
    return recorder.arguments, created.booking


async def write(pool: asyncpg.Pool, rows: Iterable[list[object]], *, writers: int = 8) -> None:
    """Make these bookings as fast as the database takes them."""
    left = iter(rows)

    async def repeat() -> None:
        async with db.acquire(pool) as conn:
            for arguments in left:
                outcome = await conn.fetchval(SQL.create_booking, *arguments)
                if outcome != Outcome.WON:
                    raise BenchError(f"a booking that should lie beside all others was refused: {outcome}")

    await asyncio.gather(*(repeat() for _ in range(writers)))


# --- the same in pgbench

_LANE = timedelta(days=100 * 365)
_PGBENCH_SLOTS = 4_000_000
_BEGINNING = re.compile("^with ", flags=re.MULTILINE)
# What a booking has for itself, by type: its ids, that of its one allocation, its code.
_OWN = {"uuid": "uuidv7()", "uuid[]": "array[uuidv7()]", "text": "substr(md5(random()::text), 1, 10)"}


async def pgbench(
    pool: asyncpg.Pool, statement: Statement, binaries: Path, socket_dir: Path, folder: Path, seconds: int
) -> float:
    """Transactions per second of 32 clients with prepared statements, each claiming a random slot of a random host."""
    async with db.acquire(pool) as conn:
        types = [each.name for each in (await conn.prepare(SQL.create_booking)).get_parameters()]
    script = folder / "create_booking.pgbench"
    text, values = _script(statement, types)
    script.write_text(text)
    definitions = [part for name, value in values.items() for part in ("-D", f"{name}={value}")]
    address = ["-h", str(socket_dir), "-p", "5432", "-U", "postgres"]
    options = ["-n", "-M", "prepared", "-c", "32", "-j", "2", "-T", str(seconds), "-f", str(script)]
    process = await asyncio.create_subprocess_exec(
        *launch.wrap(
            [str(binaries / "pgbench"), *address, *options, *definitions, "slotwire"],
            death_signal=signal.SIGKILL,
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout=seconds + 20)
    finally:
        if process.returncode is None:
            process.kill()
    found = [line for line in out.decode().splitlines() if line.startswith("tps = ")]
    if process.returncode or not found:
        raise BenchError(f"pgbench failed: {err.decode().strip().splitlines()[-1:]}")
    return float(found[0].split()[2])


def _script(statement: Statement, types: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The statement with pgbench's variables for its parameters, and the values of those that stay the same. What each
    booking has for itself is made first, once, since the statement may name it twice."""
    sample, made = statement.samples[0], list[str]()
    hosts = {position: _numbers(statement, position) for position in range(len(sample))}
    values: dict[str, str] = {}
    text = SQL.create_booking
    lines = [f"\\set ahead random(0, {_PGBENCH_SLOTS}) * {int(SLOT.total_seconds())} + {int(_LANE.total_seconds())}"]
    # from the last parameter to the first: $1 is the beginning of $12
    for position, kind in reversed(list(enumerate(types))):
        value, name = sample[position], f"v{position + 1}"
        values[name] = _literal(value, kind)
        written = f":{name}::{kind}"
        if value is None:
            values.pop(name)
            written = f"null::{kind}"
        elif position in statement.own:
            values.pop(name)
            made.append(f"{_OWN[kind]} as {name}")
            written = f"(select {name} from own)"  # noqa: S608 -- the name of a parameter
        elif position in statement.moved:
            written = f"({written} + make_interval(secs => :ahead::float8))"
        elif hosts[position]:
            lines.append(f"\\set host random({min(hosts[position])}, {max(hosts[position])})")
            written = f"array[:host]::{kind}"
        text = text.replace(f"${position + 1}", written)
    text = _BEGINNING.sub(f"with own as materialized (select {', '.join(made)}), ", text, count=1)
    return "\n".join((*lines, text + ";")), values


def _numbers(statement: Statement, position: int) -> set[int]:
    """The numbers that differ from host to host (their subjects), which were made in one go and have no gaps."""
    lists = [value for sample in statement.samples if isinstance(value := sample[position], list)]
    found = {each[0] for each in lists if len(each) == 1 and isinstance(each[0], int)}
    return found if len(found) == len(statement.samples) > 1 else set()


def _literal(value: object, kind: str) -> str:
    """A value as PostgreSQL reads it from text. kind: its type."""
    if isinstance(value, list) and kind.endswith("[]"):
        return "{" + ",".join("null" if each is None else str(each) for each in value) + "}"
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return value.isoformat() if isinstance(value, datetime) else str(value)
