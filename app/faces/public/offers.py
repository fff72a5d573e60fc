"""`/v1/offers/{token}`: the link in the mail to whoever waited, with a place that is held for them.

The one rule: a link that is merely fetched changes nothing. Taking the place and leaving it to the next are buttons.
"""

from datetime import datetime

from aiohttp import web

from app.core.errors import InvalidInput, RoutingRejected, SlotUnavailable
from app.core.metrics import BOOKINGS
from app.domain.bookings.doors import Door, open_door
from app.domain.bookings.lifecycle import Status
from app.domain.bookings.models import Actor, Booking
from app.domain.bookings.offers import accept_offer, decline_offer
from app.domain.bookings.tokens import Purpose, tokens_of
from app.domain.notifications.language import DEFAULT, spell_instant
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.waitlist_shapes import OfferState, offer_out
from app.faces.public.words import lines_of, say
from app.web.call import Visit, json_response


@by_link
async def show(visit: Visit) -> web.StreamResponse:
    door = await _open(visit)
    return _answer(visit, door, door.booking)


@by_link
async def accept(visit: Visit) -> web.StreamResponse:
    door = await _open(visit)
    about = (door.visitor, door.booking.id)
    try:
        with visit.timed("book"):
            booking = await visit.write(lambda conn: accept_offer(conn, *about, visit.now))
    except (InvalidInput, RoutingRejected, SlotUnavailable) as error:
        # what is asked was changed since they joined
        raise _changed(door) from error
    if door.booking.status is Status.DRAFT:
        BOOKINGS.inc()
    return _answer(visit, door, booking, accepted=True)


@by_link
async def leave(visit: Visit) -> web.StreamResponse:
    door = await _open(visit)
    about = (door.visitor.org_id, door.booking.id, Actor("attendee"))
    booking = await visit.write(lambda conn: decline_offer(conn, *about, visit.now))
    return _answer(visit, door, booking)


async def _open(visit: Visit) -> Door:
    return await open_door(visit.conn, visit.request.match_info["token"], Purpose.OFFER, visit.vault, visit.now)


def _state(booking: Booking, now: datetime) -> OfferState:
    if booking.status is Status.DRAFT:
        return "open" if booking.hold_expires_at is not None and booking.hold_expires_at > now else "over"
    # one that was accepted, and cancelled later, is over as well
    return "over" if booking.status is Status.CANCELLED else "accepted"


def _answer(visit: Visit, door: Door, booking: Booking, *, accepted: bool = False) -> web.Response:
    state = _state(booking, visit.now)
    if not html.wants_html(visit.request):
        tokens = tokens_of(booking, door.visitor.secret) if accepted else None
        return json_response(offer_out(door, booking, state, tokens))
    if state == "accepted":
        return say(door, booking, booking.timezone, None, None, visit.now)
    lines = lines_of(door, booking, booking.timezone)
    if state == "over" or booking.hold_expires_at is None:
        return html.page(title="This offer is over", lead="The place has gone to the next in line.", lines=lines)
    until = spell_instant(DEFAULT, booking.hold_expires_at, booking.timezone)
    path = f"/v1/offers/{visit.request.match_info['token']}"
    return html.page(
        title="A place is free",
        lead=f"It is held for you until {until}, and yours once you take it.",
        lines=lines,
        button="Take the place",
        action=f"{path}/accept",
        other=("Leave it to the next in line", f"{path}/leave"),
    )


def _changed(door: Door) -> SlotUnavailable:
    there = f" at /{door.handle}/{door.slug}" if door.handle and door.slug else ""
    return SlotUnavailable(
        "What is asked of whoever books was changed since you joined, so this place cannot be taken by a link. "
        f"Book it{there} once it is free again, or write to your host."
    )
