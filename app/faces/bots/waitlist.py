"""`/api/v1/waitlist`: a bot puts its contact in line for what is taken."""

from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound
from app.domain.bookings.entries import Entry
from app.domain.bookings.models import Attendee
from app.domain.bookings.waitlist import NewEntry, check_hosts, get_entry, join
from app.domain.event_types.booking_links import BookingLink, describe_links, find_link, no_such_link
from app.faces.bots.bookings import in_words_of_bots
from app.faces.bots.shapes import link_handle, staff
from app.faces.bots.waitlist_shapes import BotEntryShown, BotWaitlistIn, entry_out
from app.faces.rest import waitlist
from app.web import idempotency
from app.web.call import Call


async def create(call: Call) -> web.Response:
    given = call.body(BotWaitlistIn)

    async def make(conn: Connection) -> dict[str, Any]:
        org_id = call.principal.org_id
        link = await find_link(conn, org_id, link_handle(given.booking_link_id), given.slug)
        try:
            await check_hosts(conn, call.principal, link.id)
            entry = await join(conn, call.principal, _wanted(given, link), call.now)
        except InvalidInput as error:
            raise in_words_of_bots(error) from None
        except NotFound:
            # archived between the two
            raise await no_such_link(conn, org_id) from None
        return call.envelope(entry_out(entry, link))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    entry = await get_entry(call.conn, call.principal.org_id, await waitlist.entry_of(call))
    return call.answer(await _shown(call.conn, call.principal.org_id, entry))


# an answer without a body is the same on every face
delete = waitlist.delete


def _wanted(given: BotWaitlistIn, link: BookingLink) -> NewEntry:
    zone = given.client_timezone or link.timezone
    return NewEntry(
        event_type=link.id,
        starts_at=given.start_time,
        local_date=given.date,
        attendee=Attendee(given.contact_name, given.contact_email, given.contact_phone, zone),
        service_id=given.service_id,
        host_id=staff(given.staff_id),
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
    )


async def _shown(conn: Connection, org_id: UUID, entry: Entry) -> BotEntryShown:
    links = await describe_links(conn, org_id, {entry.event_type_id})
    return entry_out(entry, links[entry.event_type_id])
