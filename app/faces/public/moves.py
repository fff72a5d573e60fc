"""The attendee's `/v1/reschedule/…`: the booking and where it can be moved to, in a page or for a program.

The one rule: a button moves the booking only to a slot that is still open. What was listed is decided again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, InvalidTransition, NotFound
from app.core.times import LATEST, epoch, from_epoch, iso_epoch, zone
from app.domain.availability.windows import day_start
from app.domain.bookings.doors import Door, moved_start, open_door
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.reschedule import Moves, can_move, open_moves, reschedule_booking
from app.domain.bookings.tokens import Purpose, tokens_of
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.shapes import MoveIn, MovesQuery, opened_out
from app.faces.public.words import lines_of, problem_page, say
from app.web import idempotency
from app.web.call import Visit, json_response

_ONE_DAY = timedelta(days=1)
_SPAN = 14 * _ONE_DAY
# what is shown before a booking that is further ahead
_BEFORE = 3 * _ONE_DAY
_LAST_DAY = LATEST.date() - _SPAN
# many short slots of two weeks are more than anybody reads at once
_MOST_SLOTS = 500


@by_link
async def show(visit: Visit) -> web.StreamResponse:
    asked = visit.query(MovesQuery).from_day
    door = await _open(visit)
    if not html.wants_html(visit.request):
        return json_response(opened_out(door, door.booking))
    if not can_move(door.booking, visit.now):
        return say(door, door.booking, door.booking.timezone, None, None, visit.now)
    return await _slots_page(visit, door, asked)


@by_link
async def reschedule(visit: Visit) -> web.StreamResponse:
    """The new booking, with links of its own."""
    if html.is_form(visit.request):
        return await _pressed(visit)
    given = visit.body(MoveIn)
    door = await _open(visit)

    async def make(conn: Connection) -> dict[str, Any]:
        moved = await _move(visit, conn, door, given)
        return {**opened_out(door, moved, tokens_of(moved, door.visitor.secret))}

    return await idempotency.create_publicly(visit, door.visitor.org_id, make, status=200)


async def _pressed(visit: Visit) -> web.Response:
    """By a button of the page. The new links stand in the next mail, not on a page that somebody may look over."""
    given = visit.form(MoveIn)
    door = await _open(visit)
    try:
        moved = await visit.write(lambda conn: _move(visit, conn, door, given))
    except (InvalidInput, Conflict) as error:
        if isinstance(error, InvalidTransition) or not html.wants_html(visit.request):
            raise
        return problem_page(error, back_to=visit.request.path)
    if html.wants_html(visit.request):
        return say(door, moved, moved.timezone, None, None, visit.now)
    return json_response(opened_out(door, moved, tokens_of(moved, door.visitor.secret)))


async def _open(visit: Visit) -> Door:
    token = visit.request.match_info["token"]
    return await open_door(visit.conn, token, Purpose.RESCHEDULE, visit.vault, visit.now)


async def _move(visit: Visit, conn: Connection, door: Door, given: MoveIn) -> Booking:
    start = moved_start(door, given.start_time, given.slot_token)
    where = (door.booking.id, start, given.timezone)
    with visit.timed("book"):
        return await reschedule_booking(conn, door.visitor, *where, Actor("attendee"), given.reason, visit.now)


@dataclass(frozen=True, slots=True)
class _Listed:
    """What one page shows, in the attendee's time. first, following: its first day, and that of the page after it."""

    first: date
    following: date
    starts: Sequence[datetime]


async def _slots_page(visit: Visit, door: Door, asked: date | None) -> web.Response:
    """Two weeks in the attendee's time, by day; asked: from then on."""
    booking, name = door.booking, _zone_of(door.booking)
    today = visit.now.astimezone(zone(name)).date()
    first = min(max(today, asked or _first_day(booking, today, name)), _LAST_DAY)
    span = [from_epoch(day_start(name, day)) for day in (first, first + _SPAN)]
    try:
        with visit.timed("slots"):
            moves = await open_moves(visit.conn, door.visitor, booking, span[0], span[1], visit.now)
    except NotFound:
        # the event type is archived
        moves = Moves([], visit.now)
    listed = _list(moves, booking, first, name)
    return html.slots_page(
        title="Move this booking",
        lead=_lead(listed, name),
        lines=lines_of(door, booking, name),
        action=visit.request.path,
        days=_days(listed.starts),
        ways=_ways(listed, moves.until, today, name, visit.request.path),
    )


def _first_day(booking: Booking, today: date, name: str) -> date:
    """Today, or a little before what lies further ahead than the page reaches then."""
    own = booking.starts_at.astimezone(zone(name)).date()
    return today if own < today + _SPAN else own - _BEFORE


def _list(moves: Moves, booking: Booking, first: date, name: str) -> _Listed:
    """Whole days, as many as can be shown; of a day that is more by itself, its beginning."""
    others = [start for start in moves.starts if start != epoch(booking.starts_at)]
    local = [from_epoch(start).astimezone(zone(name)) for start in others[: _MOST_SLOTS + 1]]
    following = first + _SPAN
    if len(local) > _MOST_SLOTS:
        following = max(local.pop().date(), first + _ONE_DAY)
    return _Listed(first, following, [start for start in local if start.date() < following])


def _lead(listed: _Listed, name: str) -> str:
    days = f"from {html.spell_day(listed.first)} to {html.spell_day(listed.following - _ONE_DAY)}"
    if not listed.starts:
        return f"No other time is open {days}."
    return f"Choose another time, {days}. Times are in {name}."


def _days(starts: Sequence[datetime]) -> list[tuple[str, list[tuple[str, str]]]]:
    days = []
    for day, each in groupby(starts, key=datetime.date):
        of_day = list(each)
        values = [iso_epoch(epoch(start)) for start in of_day]
        days.append((html.spell_day(day), list(zip(html.spell_starts(of_day), values, strict=True))))
    return days


def _ways(listed: _Listed, until: datetime | None, today: date, name: str, path: str) -> list[tuple[str, str]]:
    """To earlier and later days, where anything may be open then."""
    last = _LAST_DAY if until is None else min(until.astimezone(zone(name)).date(), _LAST_DAY)
    ways = []
    if listed.first > today:
        earlier = max(today, min(listed.first - _SPAN, last - _SPAN + _ONE_DAY))
        ways.append(("Earlier", f"{path}?from={earlier}"))
    if listed.following <= last:
        ways.append(("Later", f"{path}?from={listed.following}"))
    return ways


def _zone_of(booking: Booking) -> str:
    try:
        return zone(booking.timezone).key
    except ValueError:
        return "UTC"
