"""`slotwire calendars reconcile`: what differs between bookings and calendars, for an operator, and its repair.

The one rule: it shows and does what `GET /v1/calendars/{id}/report` and `POST …/repair` show and do, no more: no
booking is moved or cancelled by it.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import aiohttp

from app.core import db, sql
from app.core.errors import NotFound
from app.core.ids import Kind, decode, encode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.calendars.access import Roads
from app.domain.calendars.report import Report, compare, reach_for_report, repair, represent_report
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import open_session

SQL = sql.load("calendars")

_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Reconciling:
    """calendar: an id; None: every one that bookings are written to."""

    calendar: str | None
    repair: bool
    as_json: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        return cls(options.calendar, options.repair, options.json)


@dataclass(frozen=True, slots=True)
class _Found:
    row: sql.Row
    report: Report
    repaired: int | None


def add_calendars(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", run: Callable[[argparse.Namespace], int]
) -> None:
    """The command's options. run: what it does with them."""
    connected = commands.add_parser("calendars", help="look after connected calendars")
    kinds = connected.add_subparsers(title="commands", metavar="COMMAND", required=True)
    compared = kinds.add_parser(
        "reconcile",
        help="compare calendars with the bookings that are written to them",
        description="Lists what differs between bookings and the calendars that they are written to. No booking is "
        "moved or cancelled by it. Exit code 1: something differs.",
    )
    which = compared.add_mutually_exclusive_group(required=True)
    which.add_argument("--calendar", metavar="ID", help="one calendar, such as cal_…")
    which.add_argument("--all", action="store_true", help="every calendar of every organization")
    compared.add_argument("--repair", action="store_true", help="write again what is missing or wrong there")
    compared.add_argument("--json", action="store_true", help="print one JSON object a line")
    compared.add_argument("--data-dir", type=Path, help="of a running `slotwire up`")
    compared.set_defaults(run=run)


def run_reconcile(settings: Settings, wanted: Reconciling) -> int:
    """Print what differs; 1 when anything does. Raises NotFound for a calendar that there is not."""

    async def look() -> int:
        differs = 0
        async for found in _examine(settings, wanted):
            for line in [_as_json(found)] if wanted.as_json else _lines(found):
                print(line)
            differs |= not found.report.in_step
        return differs

    return asyncio.run(look())


async def _examine(settings: Settings, wanted: Reconciling) -> AsyncIterator[_Found]:
    only = None
    if wanted.calendar is not None:
        only = decode(Kind.CALENDAR, wanted.calendar)
        if only is None:
            raise _unknown(wanted.calendar)
    guarded = open_session(guard=Guard.of(settings), concurrency=4, timeout_seconds=_TIMEOUT_SECONDS)
    plain = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
    async with (
        db.open_pool(settings.database_url, size=2, name="slotwire-reconcile") as pool,
        plain as session,
        guarded,
    ):
        roads = Roads(pool, Vault(settings.secret_keys), settings, session, guarded, _now)
        async with db.acquire(pool) as conn:
            rows = await conn.fetch(SQL.list_every_calendar, only)
        if only is not None and not rows:
            raise _unknown(wanted.calendar)
        for row in rows:
            yield await _reconcile(roads, row, repairing=wanted.repair)


async def _reconcile(roads: Roads, row: sql.Row, *, repairing: bool) -> _Found:
    org_id = row["org_id"]
    provider = await reach_for_report(roads, org_id, row["connection_id"], row["status"])
    async with db.acquire(roads.pool) as conn:
        report = await compare(conn, org_id, row["id"], provider, _now())
        if not repairing:
            return _Found(row, report, None)
        return _Found(row, report, await db.run(conn, lambda conn: repair(conn, org_id, report, _now())))


def _lines(found: _Found) -> list[str]:
    row, report = found.row, found.report
    name = f"{encode(Kind.CALENDAR, row['id'])} {row['provider']} {row['account']}"
    parts = [f"{count} {kind}" for kind, count in report.counts.items()]
    parts += [f"{report.writing} on their way"] if report.writing else []
    parts += [f"not looked at ({report.error})"] if report.error else []
    parts += ["more than one look shows"] if report.more else []
    parts += [f"{found.repaired} being repaired"] if found.repaired else []
    lines = [f"{name}: {', '.join(parts) or 'in step'}"]
    for each in represent_report(report)["differences"]:
        there = f", there at {each['start_there']}" if each["start_there"] else ""
        why = f" ({each['error']})" if each["error"] else ""
        lines.append(f"      {each['kind']} {each['booking_id']} {each['code']} at {each['start_time']}{there}{why}")
    # what people called their accounts must not move the cursor of a terminal
    return [line.encode("unicode_escape").decode() for line in lines]


def _as_json(found: _Found) -> str:
    row = found.row
    about = {
        "org_id": encode(Kind.ORGANIZATION, row["org_id"]),
        "user_id": encode(Kind.USER, row["user_id"]),
        "provider": row["provider"],
        "account": row["account"],
        "status": row["status"],
    }
    repaired = {} if found.repaired is None else {"repaired": found.repaired}
    return json.dumps({**represent_report(found.report), **about, **repaired})


def _unknown(calendar: str | None) -> NotFound:
    return NotFound(f"No calendar {calendar}; look for its id (cal_…) in GET /v1/calendars, or use --all.")


def _now() -> datetime:
    return datetime.now(UTC)
