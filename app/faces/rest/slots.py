"""`/v1/slots`: the open starts of an event type and, where it is asked for, why the others are not."""

import dataclasses
from typing import Any
from uuid import UUID

from aiohttp import web

from app.core.ids import Kind, decode
from app.domain.availability.explain import Explainer, load_blockers
from app.domain.availability.inputs import load_inputs
from app.domain.availability.service import check_size, open_slots
from app.domain.bookings.decide import route_on
from app.faces.rest.shapes.slots import SlotsQuery
from app.web.call import Call, raw_response
from app.web.listing import Listing
from app.web.slots import answer_slots, ask_as, range_of, zone_of

# Starts times hosts, each of which is explained by itself.
_MOST_EXPLAINED = 40_000


async def list_slots(call: Call) -> web.Response:
    query = call.query(SlotsQuery)
    event_type = decode(Kind.EVENT_TYPE, query.event_type) or query.event_type
    if query.explain:
        answers = [answer.model_dump() for answer in query.answers]
        return await _explained(call, query, event_type, answers)
    return await answer_slots(call, call.principal, event_type, query)


async def _explained(
    call: Call, query: SlotsQuery, event_type: UUID | str, answers: list[dict[str, Any]]
) -> web.Response:
    """The open slots and, beside them, every refused start with its reasons."""
    asked_for, org_id = range_of(query), call.principal.org_id
    # one snapshot, so that the explanation speaks of what the decision saw
    async with call.conn.transaction(isolation="repeatable_read", readonly=True):
        inputs = await load_inputs(
            call.conn, call.principal.caller, event_type, *asked_for.span, busy=True, now=call.now
        )
        blockers = await load_blockers(call.conn, org_id, inputs, *asked_for.span, call.now)
    verdict = route_on(inputs, answers)
    asked = ask_as(inputs, query, verdict)
    zone = query.timezone or zone_of(inputs)
    start, end = asked_for.edges(zone)
    check_size(inputs, asked, start, end, most=_MOST_EXPLAINED)
    found = open_slots(inputs, asked, start, end, call.now)
    if verdict.rejected is not None:
        found = dataclasses.replace(found, starts=[], lists=[])
    explainer = Explainer(inputs, asked, start, end, blockers, verdict, call.now)
    listing = Listing(inputs, asked, query.service_id, zone, call.principal.secret, call.now)
    return raw_response(listing.serialize(found, explainer.refused(found.starts)))
