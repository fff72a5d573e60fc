"""Google Calendar, API v3.

The one rule: a 404 alone proves nothing. Google says it of a calendar that is not shared any more, and of an event that
was purged. So an event is gone only where Google shows its calendar, and lets us write to it, at that moment.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp

from app.core.times import epoch, is_zone, iso
from app.domain.calendars.google_events import (
    READ_FIELDS,
    Json,
    body_for,
    conference_for,
    event_id,
    is_cancelled,
    is_conference_pending,
    meeting_url,
    patch_for,
    read,
    written,
)
from app.domain.calendars.http import Answer, Http
from app.domain.calendars.provider import (
    FIELDS,
    Access,
    CalendarError,
    CalendarGone,
    Channel,
    Draft,
    EventGone,
    Hook,
    Page,
    Refused,
    RemoteCalendar,
    RemoteEvent,
    TokenExpired,
    TryLater,
    Window,
    Written,
)

# Google would take 2500, of which a page may be larger than what is read of any answer
_EVENTS_A_PAGE = "1000"
# a partial response ("Performance tips"): no descriptions, nobody's names and addresses
_OF_A_PAGE = f"kind,accessRole,nextPageToken,nextSyncToken,items({READ_FIELDS})"
_CALENDARS_A_PAGE = "250"
# a list without end is a fault of the server's
_MOST_PAGES = 1000
# a conference takes Google a second or so; who waits longer gets the link with a later change
_CONFERENCE_PAUSES = (0.2, 0.5, 1.0)
_SILENT = {"sendUpdates": "none"}
_WITH_CONFERENCE = {"conferenceDataVersion": "1"}
_WRITERS = frozenset({"owner", "writer"})
_TOO_MANY = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "dailyLimitExceeded"})


class _Missing(Refused):
    """404: the event, the calendar, or the leave to read it."""


class _Ended(Refused):
    """410: an event that was deleted, or a token that is too old."""


class _Exists(Refused):
    """409: the id is taken, maybe by an event that was deleted."""


class Google:
    """One account. base_url: https://www.googleapis.com, or a fake's."""

    has_push = True

    def __init__(self, session: aiohttp.ClientSession, access: Access, base_url: str) -> None:
        self._http = Http(session, access, base_url)
        self._root = f"{base_url.rstrip('/')}/calendar/v3"

    async def list_calendars(self) -> list[RemoteCalendar]:
        """Those whose events can be read (`calendarList.list`), hidden ones too. One of which only free and busy times
        are shared has no events for us."""
        entries: list[Json] = []
        async for page in self._pages(
            "/users/me/calendarList", {"maxResults": _CALENDARS_A_PAGE, "showHidden": "true"}
        ):
            entries += page["items"]
        # the primary calendar's id is the account's address ("Calendars & events")
        account = next((each["id"] for each in entries if each.get("primary")), None)
        return [
            _calendar(each, account)
            for each in entries
            if not each.get("deleted") and each.get("accessRole") != "freeBusyReader"
        ]

    async def full_sync(self, calendar: str, window: Window) -> AsyncIterator[Page]:
        """`events.list`. A page that ran out on the way (410) is TryLater: a full sync begins anew anyway."""
        try:
            async for page in self._pages(_events(calendar), _listing(window)):
                yield _page(page, window)
        except _Missing as error:
            raise CalendarGone(error.code) from None
        except _Ended:
            raise TryLater("page_expired") from None

    async def changes(self, calendar: str, token: str, window: Window) -> AsyncIterator[Page]:
        """`events.list` with `syncToken`, which remembers the window and allows no other."""
        params = {"syncToken": token, "singleEvents": "true", "maxResults": _EVENTS_A_PAGE, "fields": _OF_A_PAGE}
        try:
            async for page in self._pages(_events(calendar), params):
                yield _page(page, window)
        except _Missing as error:
            raise CalendarGone(error.code) from None
        except _Ended:
            raise TokenExpired("sync_token_expired") from None

    async def get(self, calendar: str, remote_id: str, window: Window) -> RemoteEvent:
        """`events.get`, which knows deleted events for some weeks. A series (its owner may make one of our event) has
        no times here."""
        return read(await self._event(calendar, remote_id), window)

    async def find_elsewhere(
        self,
        calendar: str,
        remote_id: str,
        mark: UUID,
        window: Window,  # noqa: ARG002 -- others look through it
    ) -> str | None:
        """An event keeps its id when it is moved (`events.move`), and leaves a cancelled one behind. The property of
        the mark is said to belong to the copy in one calendar, so the id alone decides: it is derived from the mark."""
        if remote_id != event_id(mark):
            return None
        for other in await self.list_calendars():
            if other.remote_id == calendar or not other.writable:
                continue
            try:
                event = await self._call("GET", _event(other.remote_id, remote_id))
            except (_Missing, _Ended):
                continue
            if not is_cancelled(event):
                return other.remote_id
        return None

    async def create(self, calendar: str, mark: UUID, draft: Draft) -> Written:
        """`events.insert`, with an id that is derived from the mark. Where Google makes no conference in this calendar
        the event comes without."""
        wants = draft.conference
        try:
            event = await self._insert(calendar, mark, draft, conference=wants)
        except Refused as error:
            if not wants or error.code != "bad_request":
                raise
            event = await self._insert(calendar, mark, draft, conference=False)
        return written(await self._with_link(calendar, event), draft.timezone)

    async def update(self, calendar: str, remote_id: str, draft: Draft, changed: frozenset[str]) -> Written:
        """`events.patch`. attendees: have no part in Google's event."""
        patch = patch_for(draft, changed & frozenset(FIELDS))
        event = await self._patch(calendar, remote_id, patch) if patch else await self._event(calendar, remote_id)
        if is_cancelled(event):
            raise EventGone("deleted")
        return written(event, draft.timezone)

    async def delete(self, calendar: str, remote_id: str) -> None:
        """`events.delete`. CalendarGone where nobody can say whether it is still there."""
        try:
            await self._tell("DELETE", _event(calendar, remote_id), params=_SILENT)
        except _Ended:
            return
        except _Missing:
            problem = await self._absence(calendar)
            if not isinstance(problem, EventGone):
                raise problem from None

    async def list_own(self, calendar: str, window: Window) -> list[RemoteEvent]:
        """Google looks for a property only with its value, so all are read."""
        return [event async for page in self.full_sync(calendar, window) for event in page.events if event.mark]

    async def watch(self, calendar: str, hook: Hook, until: datetime) -> Channel:
        """`events.watch`. Refused("push_unsupported"): a calendar that Google itself keeps, such as holidays."""
        body = {
            "id": str(hook.id),
            "type": "web_hook",
            "address": hook.url,
            "token": hook.secret,
            "expiration": str(epoch(until) * 1000),
        }
        try:
            channel = await self._call("POST", f"{_events(calendar)}/watch", json=body)
        except _Missing as error:
            raise CalendarGone(error.code) from None
        return Channel(str(hook.id), channel.get("resourceId"), _expiry(channel.get("expiration")) or until)

    async def renew(
        self,
        calendar: str,  # noqa: ARG002 -- here and below: others can
        channel: Channel,  # noqa: ARG002
        until: datetime,  # noqa: ARG002
    ) -> Channel | None:
        """Google has no such call: a new channel takes over, then the old one is stopped."""
        return None

    async def unwatch(self, channel: Channel) -> None:
        """`channels.stop`."""
        try:
            await self._tell("POST", "/channels/stop", json={"id": channel.id, "resourceId": channel.resource or ""})
        except (_Missing, _Ended):
            return

    async def _insert(self, calendar: str, mark: UUID, draft: Draft, *, conference: bool) -> Json:
        body = {"id": event_id(mark), **body_for(mark, draft), "reminders": {"useDefault": True}}
        params = _SILENT
        if conference:
            body["conferenceData"] = conference_for(mark)
            params = {**_SILENT, **_WITH_CONFERENCE}
        try:
            return await self._call("POST", _events(calendar), params=params, json=body)
        except _Missing as error:
            raise CalendarGone(error.code) from None
        except _Exists:
            return await self._adopt(calendar, mark, draft, conference=conference)

    async def _adopt(self, calendar: str, mark: UUID, draft: Draft, *, conference: bool) -> Json:
        """What was made by a call whose answer was lost. Raises EventGone, and TryLater where it is being edited."""
        there = await self._event(calendar, event_id(mark))
        if is_cancelled(there):
            raise EventGone("deleted")
        patch = {**body_for(mark, draft), **patch_for(draft, frozenset(FIELDS))}
        if conference and not there.get("conferenceData"):
            patch["conferenceData"] = conference_for(mark)
        event = await self._patch(calendar, event_id(mark), patch, there.get("etag"))
        if is_cancelled(event):
            raise EventGone("deleted")
        return event

    async def _with_link(self, calendar: str, event: Json) -> Json:
        """Once the conference is there, or has taken too long. The event is made by now: no fault may hide that."""
        for pause in _CONFERENCE_PAUSES:
            if not is_conference_pending(event):
                break
            await asyncio.sleep(pause)
            try:
                later = await self._call("GET", _event(calendar, event["id"]))
            except CalendarError:
                break
            if is_cancelled(later):
                break
            if meeting_url(later) or not is_conference_pending(later):
                return later
        return event

    async def _event(self, calendar: str, remote_id: str) -> Json:
        try:
            return await self._call("GET", _event(calendar, remote_id))
        except _Ended as error:
            raise EventGone(error.code) from None
        except _Missing:
            raise await self._absence(calendar) from None

    async def _patch(self, calendar: str, remote_id: str, patch: Json, etag: str | None = None) -> Json:
        """etag: of what was read before; whatever is there now, where none is given."""
        params = {**_SILENT, **_WITH_CONFERENCE} if "conferenceData" in patch else _SILENT
        match = {"If-Match": etag} if etag else None
        try:
            return await self._call("PATCH", _event(calendar, remote_id), params=params, json=patch, headers=match)
        except _Ended as error:
            raise EventGone(error.code) from None
        except _Missing:
            raise await self._absence(calendar) from None

    async def _absence(self, calendar: str) -> EventGone | CalendarGone:
        """What a 404 means. `calendars.get` would not do: it answers to those who see free and busy times only, too,
        while a list of events says what we may see."""
        try:
            page = await self._call("GET", _events(calendar), params={"maxResults": "1", "fields": "kind,accessRole"})
        except Refused:
            return CalendarGone("not_found")
        return EventGone("not_found") if page.get("accessRole") in _WRITERS else CalendarGone("not_ours_to_read")

    async def _pages(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Json]:
        asked = dict(params)
        for _ in range(_MOST_PAGES):
            page = await self._call("GET", path, params=asked)
            if not isinstance(page.setdefault("items", []), list):
                break
            yield page
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]
        raise TryLater("unreadable")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Whatever Google answers names its kind. An empty object is not Google's, and must not pass for an account
        without calendars."""
        body = await self._tell(method, path, params=params, json=json, headers=headers)
        if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
            raise TryLater("unreadable")
        return body

    async def _tell(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """What was answered, whatever it is: deleting and stopping answer nothing."""
        answer = await self._http.call(method, self._root + path, params=params, json=json, headers=headers)
        if not 200 <= answer.status < 300:
            raise _problem(answer)
        return answer.body


def _events(calendar: str) -> str:
    return f"/calendars/{quote(calendar, safe='')}/events"


def _event(calendar: str, remote_id: str) -> str:
    return f"{_events(calendar)}/{quote(remote_id, safe='')}"


def _listing(window: Window) -> dict[str, str]:
    return {
        "singleEvents": "true",
        "showDeleted": "false",
        "timeMin": iso(window.starts_at),
        "timeMax": iso(window.ends_at),
        "maxResults": _EVENTS_A_PAGE,
        "fields": _OF_A_PAGE,
    }


def _page(page: Json, window: Window) -> Page:
    if page.get("accessRole") == "freeBusyReader":
        raise CalendarGone("not_readable")
    token = page.get("nextSyncToken")
    if not token and not page.get("nextPageToken"):
        raise TryLater("unreadable")
    return Page(tuple(read(each, window) for each in page["items"]), token)


def _calendar(entry: Json, account: str | None) -> RemoteCalendar:
    timezone = entry.get("timeZone", "")
    return RemoteCalendar(
        remote_id=entry["id"],
        name=entry.get("summaryOverride") or entry.get("summary") or entry["id"],
        timezone=timezone if is_zone(timezone) else None,
        primary=bool(entry.get("primary")),
        writable=entry.get("accessRole") in _WRITERS,
        account=account,
    )


def _expiry(milliseconds: Any) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))
    except (TypeError, ValueError, OverflowError):
        return None


def _problem(answer: Answer) -> CalendarError:
    """Google's own reason decides what a 403 is ("Handle API errors")."""
    reason = _reason(answer.body)
    if answer.status == 403 and reason in _TOO_MANY:
        return TryLater("rate_limited", answer.retry_after)
    if reason == "pushNotSupportedForRequestedResource":
        return Refused("push_unsupported")
    known: dict[int, CalendarError] = {
        400: Refused("bad_request"),
        403: Refused("forbidden"),
        404: _Missing("not_found"),
        409: _Exists("exists"),
        410: _Ended("deleted"),
        412: TryLater("changed_meanwhile"),
    }
    return known.get(answer.status) or Refused(f"http_{answer.status}")


def _reason(body: Any) -> str | None:
    try:
        reason = body["error"]["errors"][0]["reason"]
    except (KeyError, IndexError, TypeError):
        return None
    return reason if isinstance(reason, str) else None
