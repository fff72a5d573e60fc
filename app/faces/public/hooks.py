"""`/hooks/calendars/{hook_id}`: where Google and Microsoft say that a calendar has changed.

The one rule: what is not proven changes nothing, and is told apart from nothing.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from aiohttp import hdrs, web

from app.core.db import Connection
from app.core.errors import InvalidInput, NotFound
from app.domain.calendars.hooks import find_hook, take_notice
from app.faces.public.shapes import HookQuery
from app.web.call import Visit

_TOKEN_OF_GOOGLE = "X-Goog-Channel-Token"  # noqa: S105 -- the name of a header
_UNKNOWN = "There is nothing at this path."


@dataclass(frozen=True, slots=True)
class _Told:
    """secret: as it came. event: of the subscription's life, if it is about that."""

    secret: str
    event: str | None


async def notify(visit: Visit) -> web.Response:
    """A change, or what becomes of the subscription."""
    try:
        hook_id = UUID(visit.request.match_info["hook_id"])
    except ValueError:
        raise NotFound(_UNKNOWN) from None
    asked = visit.query(HookQuery).validation_token
    if asked is not None:
        return _echo(asked)
    by_google = visit.request.headers.get(_TOKEN_OF_GOOGLE)
    told = [_Told(by_google, None)] if by_google is not None else _of_microsoft(visit.raw)
    await _take(visit, hook_id, told)
    return web.Response(status=202 if by_google is None else 204)


def _echo(token: str) -> web.Response:
    """The handshake, before there is a subscription: the token, as plain text and nothing else. Raises InvalidInput
    for what is no token."""
    if not token.isprintable():
        raise InvalidInput.of("validationToken", "must be one line of visible characters")
    headers = {"X-Content-Type-Options": "nosniff", hdrs.CONTENT_SECURITY_POLICY: "default-src 'none'; sandbox"}
    return web.Response(body=token.encode(), content_type="text/plain", charset="utf-8", headers=headers)


def _of_microsoft(raw: bytes) -> list[_Told]:
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return []
    given = body.get("value") if isinstance(body, dict) else None
    found = []
    for each in given if isinstance(given, list) else []:
        secret = each.get("clientState") if isinstance(each, dict) else None
        if isinstance(secret, str):
            event = each.get("lifecycleEvent")
            found.append(_Told(secret, event if isinstance(event, str) else None))
    return found


async def _take(visit: Visit, hook_id: UUID, told: list[_Told]) -> None:
    """All that is proven. Raises NotFound where nothing is."""
    hooked = await find_hook(visit.conn, hook_id)
    proven = [each for each in told if hooked is not None and hooked.is_proven_by(each.secret)]
    if hooked is None or not proven:
        raise NotFound(_UNKNOWN)
    calendar, events = hooked, [each.event for each in proven if each.event is not None]

    async def note(conn: Connection) -> None:
        await take_notice(conn, calendar, events, visit.now)

    await visit.write(note)
