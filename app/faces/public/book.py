"""`/v1/book`: what a page shows, its open slots, and booking on it, for anybody.

The one rule: nobody is known here. What is told is what stands on the page, and a booking is the attendee's own doing.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.errors import FieldError, InvalidInput
from app.core.metrics import BOOKINGS
from app.domain.bookings.create import create_booking
from app.domain.bookings.models import Actor, Attendee
from app.domain.bookings.orders import NewBooking
from app.domain.bookings.tokens import tokens_of
from app.domain.event_types.pages import find_page, no_page, show_page
from app.domain.identity.models import Visitor
from app.domain.links.models import EventLink
from app.domain.links.service import open_link
from app.faces.public.shapes import PublicBookingIn, booking_out, page_out
from app.web import idempotency
from app.web.call import Visit, json_response
from app.web.limits import Limit
from app.web.routing import LIMITER
from app.web.shapes import SlotsRange
from app.web.slots import answer_slots


@dataclass(frozen=True, slots=True)
class _Opened:
    """A page, by its address or by a link to it."""

    visitor: Visitor
    event_type_id: UUID
    active: bool
    link: EventLink | None

    def check(self, visit: Visit) -> None:
        """Raises LinkExpired for a link that is used up or over, NotFound for what cannot be booked at all."""
        if self.link is not None:
            self.link.check(visit.now)
        if not self.active:
            raise no_page()


async def show(visit: Visit) -> web.Response:
    with visit.timed("db"):
        opened = await _open(visit)
        opened.check(visit)
        page = await show_page(visit.conn, opened.visitor.org_id, opened.event_type_id)
    return json_response(page_out(page, opened.visitor.org_name, opened.link))


async def list_slots(visit: Visit) -> web.Response:
    query = visit.query(SlotsRange)
    with visit.timed("door"):
        opened = await _open(visit)
    opened.check(visit)
    return await answer_slots(visit, opened.visitor, opened.event_type_id, query)


async def create(visit: Visit) -> web.Response:
    """A link is asked whether it can be used under its lock, by whoever books; so a repeat of the booking that used it
    up is still answered with that booking."""
    given = visit.body(PublicBookingIn)
    with visit.timed("door"):
        opened = await _open(visit)
    limit = visit.settings.limit_event_type
    await visit.request.app[LIMITER].check(visit.request, Limit("event_type", opened.event_type_id.hex, limit))
    wanted = _wanted(given, opened)

    async def make(conn: Connection) -> dict[str, Any]:
        if not opened.active:
            raise no_page()
        try:
            with visit.timed("book"):
                created = await create_booking(conn, opened.visitor, wanted, Actor("attendee"), visit.now)
        except InvalidInput as error:
            raise _in_words_of_this_face(error) from None
        return {**booking_out(created.booking, tokens_of(created.booking, opened.visitor.secret))}

    org_id, alone = opened.visitor.org_id, opened.link is None
    response = await idempotency.create_publicly(visit, org_id, make, one_statement=alone)
    if response.status == 201:
        BOOKINGS.inc()
    return response


async def _open(visit: Visit) -> _Opened:
    """Raises NotFound `event_type_not_found` or `link_not_found`."""
    path = visit.request.match_info
    if "link_code" in path:
        door = await open_link(visit.conn, path["link_code"], visit.vault, visit.now)
        return _Opened(door.visitor, door.link.event_type_id, door.active, door.link)
    page = await find_page(visit.conn, path["username"], path["event_slug"], visit.vault)
    return _Opened(page.visitor, page.event_type_id, page.active, None)


def _wanted(given: PublicBookingIn, opened: _Opened) -> NewBooking:
    return NewBooking(
        event_type=opened.event_type_id,
        start=given.start_time,
        attendee=Attendee(given.attendee_name, given.attendee_email, given.attendee_phone, given.timezone),
        duration_minutes=given.duration,
        service_id=given.service_id,
        host_id=given.host_id,
        guests=[guest.model_dump() for guest in given.guests],
        custom_fields=given.custom_fields,
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
        slot_token=given.slot_token,
        link_code=opened.link.code if opened.link else None,
    )


def _in_words_of_this_face(error: InvalidInput) -> InvalidInput:
    """What the domain calls the requested time is start_time here."""
    ours, theirs = "start_time", "requested_time"
    renamed = [
        FieldError(ours if each.field == theirs else each.field, each.code, each.message) for each in error.errors
    ]
    return InvalidInput(error.detail.replace(theirs, ours), code=error.error_code, errors=renamed)
