"""`/v1/unsubscribe/{token}`: the link in a reminder that ends reminders.

The one rule: looking changes nothing, since mail scanners look first; a POST ends them at once and asks nothing more
(RFC 8058: mail programs send it for the person, without cookies and without following anywhere).
"""

from aiohttp import web

from app.core.db import Connection
from app.domain.notifications.optouts import Optout, open_optout, opt_in, opt_out
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.shapes import OptoutIn, OptoutShown
from app.web.call import Visit, json_response

_AGAIN = b"reminders=true"


@by_link
async def show(visit: Visit) -> web.StreamResponse:
    found = await _open(visit)
    return _answer(visit, found, wanted=found.wanted)


@by_link
async def decide(visit: Visit) -> web.StreamResponse:
    """What a form says besides our own button's word does not matter: there are several ways to write a form."""
    is_form = html.is_form(visit.request)
    wanted = visit.raw == _AGAIN if is_form else visit.optional_body(OptoutIn).reminders
    found = await _open(visit)

    async def note(conn: Connection) -> None:
        if wanted:
            await opt_in(conn, found.org_id, found.address)
        else:
            await opt_out(conn, found.org_id, found.address, visit.now)

    await visit.write(note)
    return _answer(visit, found, wanted=wanted, done=True)


async def _open(visit: Visit) -> Optout:
    return await open_optout(visit.conn, visit.request.match_info["token"], visit.vault)


def _answer(visit: Visit, found: Optout, *, wanted: bool, done: bool = False) -> web.Response:
    address = masked(found.address)
    if not html.wants_html(visit.request):
        shown: OptoutShown = {
            "success": True,
            "address": address,
            "organization": found.org_name,
            "reminders": wanted,
        }
        return json_response(shown)
    lines = [("Address", address), ("From", found.org_name)]
    path = visit.request.path
    if not wanted:
        title = "No more reminders" if done else "You get no reminders"
        lead = "You will still hear of what changes about your bookings."
        again = ("reminders", "true")
        return html.page(title=title, lead=lead, lines=lines, button="Get reminders again", action=path, field=again)
    if done:
        return html.page(title="You get reminders again", lead="Before each booking, as before.", lines=lines)
    lead = "You will still hear of what changes about your bookings."
    return html.page(title="Stop reminders?", lead=lead, lines=lines, button="Stop reminders", action=path, danger=True)


def masked(address: str) -> str:
    """`j***@example.com`: enough for its owner, and too little for whoever looks over their shoulder."""
    local, _, host = address.rpartition("@")
    return f"{local[:1]}***@{host}"
