"""Links in mails: the host's `/v1/bookings/{confirm_token}/…`, the attendee's `/v1/cancel/…` and `/v1/reschedule/…`.

The one rule: a link that is merely fetched changes nothing, since mail scanners fetch every link before a person does.
The exception is seed 003's: a GET that names JSON was written by a program, for this.
"""

from functools import wraps
from typing import Any

from aiohttp import hdrs, web

from app.core.db import Connection
from app.core.errors import MethodNotAllowed, SlotwireError
from app.core.ids import Kind
from app.domain.bookings.doors import Door, moved_start, open_door
from app.domain.bookings.lifecycle import Action
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.reschedule import reschedule_booking
from app.domain.bookings.tokens import Purpose, tokens_of
from app.domain.bookings.transitions import change_status
from app.faces.public import html
from app.faces.public.shapes import MoveIn, opened_out
from app.faces.public.words import ASKED, problem_page, say
from app.web import idempotency
from app.web.call import Visit, json_response
from app.web.routing import PublicHandler
from app.web.shapes import ReasonIn

PREFIX = "cft_"


def _by_link(handler: PublicHandler) -> PublicHandler:
    """For links that people open: whoever came by a browser is told in a page what went wrong."""

    @wraps(handler)
    async def answer(visit: Visit) -> web.StreamResponse:
        html.keep_secret(visit.request)
        try:
            return await handler(visit)
        except SlotwireError as error:
            if isinstance(error, MethodNotAllowed) or not html.wants_html(visit.request):
                raise
            return problem_page(error)

    return answer


def asked_to(action: Action) -> PublicHandler:
    """GET of a confirm link: a program's JSON decides, anybody else gets the page with the button."""

    @_by_link
    async def show(visit: Visit) -> web.StreamResponse:
        token = visit.request.match_info["id"]
        if token.startswith(f"{Kind.BOOKING.value}_"):
            raise MethodNotAllowed("A booking is decided by POST, with an API key.", allowed=[hdrs.METH_POST])
        if visit.request.method == hdrs.METH_GET and html.names(visit.request, "application/json"):
            door, booking = await _decide(visit, token, action, None)
            return json_response(opened_out(door, booking))
        door = await open_door(visit.conn, token, Purpose.CONFIRM, visit.vault, visit.now)
        return say(door, door.booking, door.host_zone, visit.request.path, ASKED[action], visit.now)

    return show


def decided(action: Action) -> PublicHandler:
    """POST of a confirm link: by the page's button, or by a program."""

    @_by_link
    async def act(visit: Visit) -> web.StreamResponse:
        door, booking = await _decide(visit, visit.request.match_info["id"], action, _reason(visit))
        return _answer(visit, door, booking, door.host_zone)

    return act


@_by_link
async def show_cancel(visit: Visit) -> web.StreamResponse:
    token = visit.request.match_info["token"]
    door = await open_door(visit.conn, token, Purpose.CANCEL, visit.vault, visit.now)
    if html.wants_html(visit.request):
        button = f"{visit.request.path}/confirm"
        return say(door, door.booking, door.booking.timezone, button, ASKED[Action.CANCEL], visit.now)
    return json_response(opened_out(door, door.booking))


@_by_link
async def cancel(visit: Visit) -> web.StreamResponse:
    token, reason = visit.request.match_info["token"], _reason(visit)
    door = await open_door(visit.conn, token, Purpose.CANCEL, visit.vault, visit.now)
    booking = await _step(visit, door, Action.CANCEL, Actor("attendee"), reason)
    return _answer(visit, door, booking, booking.timezone)


async def show_reschedule(visit: Visit) -> web.StreamResponse:
    html.keep_secret(visit.request)
    token = visit.request.match_info["token"]
    door = await open_door(visit.conn, token, Purpose.RESCHEDULE, visit.vault, visit.now)
    return json_response(opened_out(door, door.booking))


async def reschedule(visit: Visit) -> web.StreamResponse:
    """The new booking, with links of its own."""
    html.keep_secret(visit.request)
    given = visit.body(MoveIn)
    token = visit.request.match_info["token"]
    door = await open_door(visit.conn, token, Purpose.RESCHEDULE, visit.vault, visit.now)

    async def make(conn: Connection) -> dict[str, Any]:
        start = moved_start(door, given.start_time, given.slot_token)
        where = (door.booking.id, start, given.timezone)
        with visit.timed("book"):
            moved = await reschedule_booking(conn, door.visitor, *where, Actor("attendee"), given.reason, visit.now)
        return {**opened_out(door, moved, tokens_of(moved, door.visitor.secret))}

    return await idempotency.create_publicly(visit, door.visitor.org_id, make, status=200)


async def _decide(visit: Visit, token: str, action: Action, reason: str | None) -> tuple[Door, Booking]:
    door = await open_door(visit.conn, token, Purpose.CONFIRM, visit.vault, visit.now)
    return door, await _step(visit, door, action, Actor("host"), reason)


async def _step(visit: Visit, door: Door, action: Action, actor: Actor, reason: str | None) -> Booking:
    about = (door.visitor.org_id, door.booking.id, action, actor, reason)
    return await visit.write(lambda conn: change_status(conn, *about, visit.now))


def _reason(visit: Visit) -> str | None:
    """A page's button says nothing; a program may say why."""
    return None if html.is_form(visit.request) else visit.optional_body(ReasonIn).reason


def _answer(visit: Visit, door: Door, booking: Booking, zone: str) -> web.Response:
    if html.wants_html(visit.request):
        return say(door, booking, zone, None, None, visit.now)
    return json_response(opened_out(door, booking))
