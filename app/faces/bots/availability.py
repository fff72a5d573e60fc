"""`/api/v1/availability`: the open slots of one day on one booking link.

The one rule: the day is cut here, in the zone that it is meant in; what is open in it is decided where everybody else's
slots are.
"""

from datetime import timedelta

from aiohttp import web

from app.core.errors import InvalidInput, NotFound
from app.core.ids import Kind, encode
from app.core.times import from_epoch, iso_epoch
from app.domain.availability.inputs import load_inputs
from app.domain.availability.service import ask, open_slots
from app.domain.availability.windows import day_start
from app.domain.bookings.decide import verdict_on
from app.domain.event_types.booking_links import BookingLink, find_link, no_such_link
from app.faces.bots.bookings import in_words_of_bots
from app.faces.bots.shapes import AvailabilityShown, BotAvailabilityQuery, OpenSlotShown, link_handle, staff
from app.web.call import Call

_ONE_DAY = timedelta(days=1)


async def show(call: Call) -> web.Response:
    query, org_id = call.query(BotAvailabilityQuery), call.principal.org_id
    with call.timed("link"):
        link = await find_link(call.conn, org_id, link_handle(query.booking_link_id), query.slug)
    try:
        slots = await _open(call, query, link)
    except InvalidInput as error:
        raise in_words_of_bots(error) from None
    except NotFound:
        # archived between the two
        raise await no_such_link(call.conn, org_id) from None
    shown: AvailabilityShown = {
        "booking_link_id": encode(Kind.EVENT_TYPE, link.id),
        "slug": link.slug,
        "date": query.date.isoformat(),
        "slots": slots,
    }
    return call.answer(shown)


async def _open(call: Call, query: BotAvailabilityQuery, link: BookingLink) -> list[OpenSlotShown]:
    """Raises what `load_inputs` and routing raise, and InvalidInput for what the link does not offer."""
    zone = query.timezone or link.timezone
    start, end = day_start(zone, query.date), day_start(zone, query.date + _ONE_DAY)
    with call.timed("db"):
        inputs = await load_inputs(
            *(call.conn, call.principal.caller, link.id, from_epoch(start), from_epoch(end)), busy=True, now=call.now
        )
    with call.timed("slots"):
        verdict = verdict_on(inputs, [answer.model_dump() for answer in query.answers], held=True)
        asked = ask(
            inputs,
            duration=query.duration,
            service_id=query.service_id,
            host_id=staff(query.staff_id),
            among=verdict.host_ids,
        )
        seconds = asked.minutes * 60
        starts = open_slots(inputs, asked, start, end, call.now).starts
        return [{"start": iso_epoch(each), "end": iso_epoch(each + seconds)} for each in starts]
