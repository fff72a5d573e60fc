"""Calendars as answers: what a file or a feed is called, to programs that go by its type.

The one rule: what is fetched is PUBLISHed, and says so in its type (the registration of text/calendar, RFC 5545,
section 8.1). Nobody is invited by opening a file.
"""

from uuid import UUID

from aiohttp import hdrs, web

from app.domain.feeds.invites import publish_invite
from app.web.call import HEADERS, Visit
from app.web.fields import QueryModel

MEDIA = "text/calendar"
_TYPE = f"{MEDIA}; charset=utf-8; method=PUBLISH"


class InviteQuery(QueryModel):
    """token: of a mailed link to the same booking, in the place of a key."""

    token: str | None = None


def calendar_response(body: bytes, filename: str = "") -> web.Response:
    """filename: what it is saved as, by whoever downloads it."""
    response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: _TYPE, "X-Content-Type-Options": "nosniff"})
    if filename:
        response.headers[hdrs.CONTENT_DISPOSITION] = f'attachment; filename="{filename}"'
    return response


def keep_private(request: web.Request) -> None:
    """For addresses that are their own credential, and whose answers may be kept by whoever has them."""
    request[HEADERS].update({hdrs.REFERRER_POLICY: "no-referrer", "X-Robots-Tag": "noindex, nofollow"})


async def answer_invite(visit: Visit, org_id: UUID, booking_id: UUID, *, by_link: bool) -> web.Response:
    """Raises NotFound, for a hold too."""
    where = (org_id, booking_id, visit.settings.sender)
    with visit.timed("invite"):
        body = await publish_invite(visit.conn, *where, by_link=by_link, now=visit.now)
    return calendar_response(body, "invite.ics")
