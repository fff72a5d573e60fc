"""Links in mails: the host's `/v1/bookings/{confirm_token}/…`, and the attendee's `/v1/cancel/…`.

The one rule: a link that is merely fetched changes nothing, since mail scanners fetch every link before a person does.
The exception is seed 003's: a GET that names JSON was written by a program, for this.
"""

from aiohttp import hdrs, web

from app.core.errors import MethodNotAllowed
from app.core.ids import Kind
from app.domain.bookings.doors import Door, open_door
from app.domain.bookings.lifecycle import Action
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.tokens import Purpose
from app.domain.bookings.transitions import change_status
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.shapes import opened_out
from app.faces.public.words import ASKED, say
from app.web.call import Visit, json_response
from app.web.routing import PublicHandler
from app.web.shapes import ReasonIn

_PREFIX = "cft_"
TOKEN_PATTERN = f"^{_PREFIX}"


def has_token(request: web.Request) -> bool:
    """A host's, in the place of the booking's id."""
    return request.match_info["id"].startswith(_PREFIX)


def asked_to(action: Action) -> PublicHandler:
    """GET of a confirm link: a program's JSON decides, anybody else gets the page with the button."""

    @by_link
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

    @by_link
    async def act(visit: Visit) -> web.StreamResponse:
        door, booking = await _decide(visit, visit.request.match_info["id"], action, _reason(visit))
        return _answer(visit, door, booking, door.host_zone)

    return act


@by_link
async def show_cancel(visit: Visit) -> web.StreamResponse:
    token = visit.request.match_info["token"]
    door = await open_door(visit.conn, token, Purpose.CANCEL, visit.vault, visit.now)
    if html.wants_html(visit.request):
        button = f"{visit.request.path}/confirm"
        return say(door, door.booking, door.booking.timezone, button, ASKED[Action.CANCEL], visit.now)
    return json_response(opened_out(door, door.booking))


@by_link
async def cancel(visit: Visit) -> web.StreamResponse:
    token, reason = visit.request.match_info["token"], _reason(visit)
    door = await open_door(visit.conn, token, Purpose.CANCEL, visit.vault, visit.now)
    booking = await _step(visit, door, Action.CANCEL, Actor("attendee"), reason)
    return _answer(visit, door, booking, booking.timezone)


async def _decide(visit: Visit, token: str, action: Action, reason: str | None) -> tuple[Door, Booking]:
    door = await open_door(visit.conn, token, Purpose.CONFIRM, visit.vault, visit.now)
    return door, await _step(visit, door, action, Actor("host"), reason)


async def _step(visit: Visit, door: Door, action: Action, actor: Actor, reason: str | None) -> Booking:
    about = (door.visitor, door.booking.id, action, actor, reason)
    return await visit.write(lambda conn: change_status(conn, *about, visit.now))


def _reason(visit: Visit) -> str | None:
    """A page's button says nothing; a program may say why."""
    return None if html.is_form(visit.request) else visit.optional_body(ReasonIn).reason


def _answer(visit: Visit, door: Door, booking: Booking, zone: str) -> web.Response:
    if html.wants_html(visit.request):
        return say(door, booking, zone, None, None, visit.now)
    return json_response(opened_out(door, booking))
