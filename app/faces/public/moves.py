"""The attendee's `/v1/reschedule/…`: the booking and where it can be moved to, in a page or for a program.

The one rule: a button moves the booking only to a slot that is still open. What was listed is decided again.
"""

from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput, InvalidTransition, NotFound
from app.core.times import epoch, from_epoch, iso_epoch, zone
from app.domain.availability.windows import day_start
from app.domain.bookings.doors import Door, moved_start, open_door
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.reschedule import can_move, open_moves, reschedule_booking
from app.domain.bookings.tokens import Purpose, tokens_of
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.shapes import MoveIn, opened_out
from app.faces.public.words import lines_of, problem_page, say
from app.web import idempotency
from app.web.call import Visit, json_response

_DAYS = 14
_ONE_DAY = timedelta(days=1)
# many short slots of two weeks are more than anybody reads
_MOST_SLOTS = 500


@by_link
async def show(visit: Visit) -> web.StreamResponse:
    door = await _open(visit)
    if not html.wants_html(visit.request):
        return json_response(opened_out(door, door.booking))
    if not can_move(door.booking, visit.now):
        return say(door, door.booking, door.booking.timezone, None, None, visit.now)
    return await _slots_page(visit, door)


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


async def _slots_page(visit: Visit, door: Door) -> web.Response:
    """From tomorrow on, in the attendee's time, by day."""
    booking, name = door.booking, _zone_of(door.booking)
    tomorrow = visit.now.astimezone(zone(name)).date() + _ONE_DAY
    span = [from_epoch(day_start(name, day)) for day in (tomorrow, tomorrow + _DAYS * _ONE_DAY)]
    try:
        with visit.timed("slots"):
            starts = await open_moves(visit.conn, door.visitor, booking, span[0], span[1], visit.now)
    except NotFound:
        # the event type is archived
        starts = []
    others = [from_epoch(start) for start in starts if start != epoch(booking.starts_at)][:_MOST_SLOTS]
    local = [start.astimezone(zone(name)) for start in others]
    days = []
    for day, each in groupby(local, key=datetime.date):
        of_day = list(each)
        values = [iso_epoch(epoch(start)) for start in of_day]
        days.append((html.spell_day(day), list(zip(html.spell_starts(of_day), values, strict=True))))
    lead = f"Choose another time. Times are in {name}." if days else "No other time is open in the next two weeks."
    lines = lines_of(door, booking, name)
    return html.slots_page(title="Move this booking", lead=lead, lines=lines, action=visit.request.path, days=days)


def _zone_of(booking: Booking) -> str:
    try:
        return zone(booking.timezone).key
    except ValueError:
        return "UTC"
