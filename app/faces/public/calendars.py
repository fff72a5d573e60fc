"""Calendars for whoever has their address: the entry of one booking, and the feed of a host.

The one rule: the address is the credential, and what is behind it can be read, not changed.
"""

import asyncio
from datetime import timedelta

from aiohttp import hdrs, web

from app.core.errors import NotFound
from app.core.ids import Kind, encode
from app.core.link_tokens import LENGTH
from app.core.recent import Recent
from app.domain.bookings.doors import open_any_door
from app.domain.feeds.service import digest_feed, list_feed, open_feed, write_feed
from app.faces.public.links import in_pages
from app.web.calendars import InviteQuery, answer_invite, calendar_response, keep_private
from app.web.call import Visit
from app.web.routing import unchanged

_ID = f"{Kind.BOOKING.value}_"
TOKEN_PATTERN = f"^(cft_|vwt_)?[A-Za-z0-9_-]{{{LENGTH}}}$"

# the last ones, for programs that ask for everything each time; a feed is some 800 KB at most
_WRITTEN: Recent[str, bytes] = Recent(most=8, age=timedelta(minutes=30))


def has_token(request: web.Request) -> bool:
    """In the place of the booking's id, or beside it."""
    return not request.match_info["id"].startswith(_ID) or "token" in request.query


@in_pages
async def invite(visit: Visit) -> web.StreamResponse:
    keep_private(visit.request)
    given, named = visit.query(InviteQuery).token, visit.request.match_info["id"]
    in_path = not named.startswith(_ID)
    if in_path and given not in {None, named}:
        raise NotFound("There are two tokens in this address; one is enough.", code="link_not_found")
    door = await open_any_door(visit.conn, named if in_path else given or "", visit.vault, visit.now)
    booking = door.booking
    if not in_path and named != encode(Kind.BOOKING, booking.id):
        raise NotFound("No such link. Check that it was copied whole.", code="link_not_found")
    return await answer_invite(visit, booking.org_id, booking.id, by_link=True)


async def feed(visit: Visit) -> web.StreamResponse:
    """Most look-ups end at the ETag, which is of what the calendar would be made of."""
    keep_private(visit.request)
    found = await open_feed(visit.conn, visit.request.match_info["token"], visit.vault)
    sender = visit.settings.sender
    with visit.timed("digest"):
        tag = f'W/"{await digest_feed(visit.conn, found, sender, visit.now)}"'
    known = unchanged(visit.request, tag)
    if known is not None:
        return known
    body = _WRITTEN.recall(tag, visit.now)
    if body is None:
        with visit.timed("db"):
            rows = await list_feed(visit.conn, found, visit.now)
        with visit.timed("write"):
            body = await asyncio.to_thread(write_feed, found, rows, sender, visit.now)
        _WRITTEN.remember(tag, body, visit.now)
    response = calendar_response(body)
    response.headers[hdrs.ETAG] = tag
    return response
