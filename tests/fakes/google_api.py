"""The reading half of the fake Google: who asks, whether all is as described, lists of events and their tokens."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from tests.fakes.described import problems_of_answer, problems_of_request
from tests.fakes.faults import Call, Faults
from tests.fakes.google_fields import mask_of, picked
from tests.fakes.google_push import Pushes
from tests.fakes.google_store import EVER, ApiError, Calendar, Json, Span, body_of
from tests.fakes.oauth import OAuth

Handler = Callable[["Asked"], Awaitable[Json | bytes | None]]

_ROLES = ("none", "freeBusyReader", "reader", "writer", "owner")
# "Events: list": these cannot be given together with a sync token
_NOT_WITH_TOKEN = frozenset(
    "iCalUID orderBy privateExtendedProperty q sharedExtendedProperty timeMin timeMax updatedMin".split()
)


@dataclass
class Asked:
    """A request, once it is known whose it is."""

    account: str
    request: web.Request
    body: Any

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query)

    @property
    def event_id(self) -> str:
        return self.request.match_info["event"]


@dataclass
class _Sync:
    """What a sync token stands for."""

    calendar: str
    revision: int
    span: Span
    single: bool


@dataclass
class _Listing:
    """Items that wait for their pages."""

    calendar: str
    items: list[bytes]
    token: str | None


class Api(Faults, Pushes):
    def __init__(self, oauth: OAuth) -> None:
        Faults.__init__(self)
        Pushes.__init__(self)
        self.oauth = oauth
        self.calendars: dict[str, Calendar] = {}
        self.violations: list[str] = []
        self.page_limit = 2500
        self._syncs: dict[str, _Sync] = {}
        self._listings: dict[str, _Listing] = {}
        self._numbers = itertools.count(1)

    def expire_sync_tokens(self) -> None:
        self._syncs.clear()

    # Serving.

    def served(self, name: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            body = orjson.loads(raw) if raw else None
            await self.wait()
            fault = self.take(request.method, request.path)
            if fault is None or fault.after:
                status, answer, headers = await self._answered(name, handler, request, body)
            else:
                status, answer, headers = fault.status, fault.body, fault.headers
            if fault is not None and fault.status == 0:
                status = 0
            self.calls.append(Call(request.method, request.path, dict(request.query), body, status))
            if status == 0:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            content = answer if isinstance(answer, bytes) else b"" if answer is None else orjson.dumps(answer)
            kind = "application/json" if content else None
            return web.Response(status=status, body=content, headers=headers, content_type=kind)

        return serve

    async def _answered(
        self, name: str, handler: Handler, request: web.Request, body: Any
    ) -> tuple[int, Any, dict[str, str]]:
        try:
            account = self.oauth.account_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
            if account is None:
                raise ApiError(401, "authError", "Invalid Credentials")
            if self.over_quota():
                raise ApiError(403, "rateLimitExceeded", "Rate Limit Exceeded", {"Retry-After": "7"})
            self.held_against(problems_of_request(name, request.query.items(), body))
            answer = await handler(Asked(account, request, body))
            if not isinstance(answer, bytes):
                self.held_against(problems_of_answer(name, answer))
        except ApiError as error:
            reason = {"domain": "calendar", "reason": error.reason, "message": error.message}
            detail = {"errors": [reason], "code": error.status, "message": error.message}
            return error.status, {"error": detail}, error.headers
        return 204 if answer is None else 200, answer, {}

    def held_against(self, problems: list[str]) -> None:
        self.violations += problems
        if problems:
            raise ApiError(500, "backendError", "; ".join(problems))

    def calendar_for(self, asked: Asked, least: str = "reader") -> Calendar:
        calendar_id = asked.request.match_info["calendar"]
        calendar = self.calendars.get(asked.account if calendar_id == "primary" else calendar_id)
        if calendar is None or calendar.owner != asked.account or calendar.deleted or calendar.role == "none":
            raise ApiError(404, "notFound", "Not Found")
        if _ROLES.index(calendar.role) < _ROLES.index(least):
            if least in {"reader", "freeBusyReader"}:
                raise ApiError(404, "notFound", "Not Found")
            raise ApiError(403, "requiredAccessLevel", "You need to have writer access to this calendar.")
        return calendar

    async def serve_calendar_list(self, asked: Asked) -> Json:
        own = [
            each
            for each in self.calendars.values()
            if each.owner == asked.account
            and (asked.query.get("showHidden") == "true" or not each.hidden)
            and (asked.query.get("showDeleted") == "true" or not each.deleted)
        ]
        offset = int(asked.query.get("pageToken", "0"))
        end = offset + min(int(asked.query.get("maxResults", "100")), 250, self.page_limit)
        page: Json = {
            "kind": "calendar#calendarList",
            "etag": '"list"',
            "items": [_entry(each) for each in own[offset:end]],
        }
        return {**page, **({"nextPageToken": str(end)} if end < len(own) else {"nextSyncToken": "calendars"})}

    async def serve_calendar_get(self, asked: Asked) -> Json:
        calendar = self.calendar_for(asked, "freeBusyReader")
        return {
            "kind": "calendar#calendar",
            "etag": '"calendar"',
            "id": calendar.id,
            "summary": calendar.summary,
            "timeZone": calendar.timezone,
        }

    # Events.

    async def serve_list(self, asked: Asked) -> bytes:
        calendar = self.calendar_for(asked, "freeBusyReader")
        query = asked.query
        size = min(int(query.get("maxResults", "250")), 2500, self.page_limit)
        listing, offset = self._listing_of(calendar, query)
        end = offset + size
        page: Json = {
            "kind": "calendar#events",
            "etag": f'"{calendar.revision}"',
            "summary": calendar.summary,
            "updated": "2026-01-01T00:00:00.000Z",
            "timeZone": calendar.timezone,
            "accessRole": calendar.role,
            "defaultReminders": [],
            "items": [],
        }
        if end < len(listing.items):
            page["nextPageToken"] = f"p{next(self._numbers)}.{end}"
            self._listings[page["nextPageToken"]] = listing
        elif listing.token:
            page["nextSyncToken"] = listing.token
        self.held_against(problems_of_answer("calendar.events.list", page))
        # each item was held against the description when it was made
        items = listing.items[offset:end]
        if "fields" in query:
            mask = mask_of(query["fields"], "Events")
            page, wanted = picked(page, mask), mask.get("items", {})
            items = [orjson.dumps(picked(orjson.loads(each), wanted)) for each in items]
        return orjson.dumps(page).replace(b'"items":[]', b'"items":[' + b",".join(items) + b"]", 1)

    def _listing_of(self, calendar: Calendar, query: dict[str, str]) -> tuple[_Listing, int]:
        token = query.get("pageToken")
        if token:
            known = self._listings.get(token)
            if known is None or known.calendar != calendar.id:
                raise ApiError(400, "invalid", "Invalid page token value.")
            return known, int(token.partition(".")[2])
        sync = self._sync_of(calendar, query)
        if query.get("syncToken"):
            events = calendar.changed(sync.revision, sync.span, single=sync.single)
        else:
            events = calendar.listing(sync.span, single=sync.single, deleted=query.get("showDeleted") == "true")
        made = [] if calendar.role == "freeBusyReader" else [self._rendered(calendar, each) for each in events]
        sync.revision = calendar.revision
        name = f"sync-{next(self._numbers)}=="
        self._syncs[name] = sync
        return _Listing(calendar.id, made, name), 0

    def _sync_of(self, calendar: Calendar, query: dict[str, str]) -> _Sync:
        """Where a listing begins: after a token, or at the beginning."""
        single, token = query.get("singleEvents") == "true", query.get("syncToken")
        if any(name in query for name in ("orderBy", "q", "iCalUID", "privateExtendedProperty", "updatedMin")):
            raise ApiError(501, "notImplemented", "The fake cannot do this.")
        if not token:
            low, high = query.get("timeMin"), query.get("timeMax")
            span = (datetime.fromisoformat(low) if low else EVER[0], datetime.fromisoformat(high) if high else EVER[1])
            return _Sync(calendar.id, calendar.revision, span, single)
        if _NOT_WITH_TOKEN & set(query) or query.get("showDeleted") == "false":
            raise ApiError(400, "invalid", "A sync token cannot be used with these parameters.")
        known = self._syncs.get(token)
        if known is None:
            raise ApiError(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
        if known.calendar != calendar.id or known.single != single:
            raise ApiError(400, "invalid", "The sync token is of another list.")
        return _Sync(known.calendar, known.revision, known.span, known.single)

    def _rendered(self, calendar: Calendar, event: Json) -> bytes:
        body = calendar.bodies.get(event["id"])
        if body is None or calendar.events.get(event["id"]) is not event:
            self.held_against(problems_of_answer("calendar.events.get", event))
            body = body_of(event)
            if calendar.events.get(event["id"]) is event:
                calendar.bodies[event["id"]] = body
        return body


def _entry(calendar: Calendar) -> Json:
    """calendarList.list"""
    entry: Json = {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{calendar.id}"',
        "id": calendar.id,
        "summary": calendar.summary,
        "timeZone": calendar.timezone,
        "accessRole": calendar.role,
        "selected": True,
        "defaultReminders": [],
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"] if calendar.meets else []},
    }
    flags = {"primary": calendar.primary, "hidden": calendar.hidden, "deleted": calendar.deleted}
    entry.update({name: True for name, value in flags.items() if value})
    if calendar.name_there:
        entry["summaryOverride"] = calendar.name_there
    return entry
