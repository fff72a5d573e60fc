"""`/v1/book/…/waitlist`: joining the line for what is taken, for anybody.

The one rule: nobody learns more by joining than by being told that they have. See `waitlist_shapes`.
"""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.domain.bookings.models import Attendee
from app.domain.bookings.waitlist import NewEntry, join
from app.domain.event_types.pages import find_page, no_page
from app.faces.public.waitlist_shapes import PublicWaitlistIn, joined_out
from app.web import idempotency
from app.web.call import Visit
from app.web.limits import Limit
from app.web.routing import LIMITER


async def create(visit: Visit) -> web.Response:
    given, path = visit.body(PublicWaitlistIn), visit.request.match_info
    page = await find_page(visit.conn, path["username"], path["event_slug"], visit.vault)
    limit = Limit("event_type", page.event_type_id.hex, visit.settings.limit_event_type)
    await visit.request.app[LIMITER].check(visit.request, limit)
    wanted = NewEntry(
        event_type=page.event_type_id,
        starts_at=given.start_time,
        local_date=given.date,
        attendee=Attendee(given.attendee_name, given.attendee_email, given.attendee_phone, given.timezone),
        duration_minutes=given.duration,
        service_id=given.service_id,
        host_id=given.host_id,
        answers=[answer.model_dump() for answer in given.answers],
        notes=given.notes,
        custom_fields=given.custom_fields,
    )

    async def make(conn: Connection) -> dict[str, Any]:
        if not page.active:
            raise no_page()
        with visit.timed("join"):
            await join(conn, page.visitor, wanted, visit.now)
        return {**joined_out(given)}

    return await idempotency.create_publicly(visit, page.visitor.org_id, make)
