"""Microsoft 365 and Outlook.com calendars, by Microsoft Graph v1.0.

The one rule: a calendar is asked about an event before the event is called gone. Graph says 404 for an event, for a
calendar, and for a mailbox that it does not find, and only the first of them may ever touch a booking.
Source: Microsoft Graph v1.0: calendar, event, event: delta, subscription, "Immutable identifiers for Outlook".
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp

from app.core.times import http_date, iso
from app.domain.calendars import graph
from app.domain.calendars.graph import Entry
from app.domain.calendars.http import Answer, Http
from app.domain.calendars.provider import (
    DUPLICATE_NOT_FOUND,
    HORIZON,
    Access,
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
from app.domain.calendars.zones import iana

_PREFER = 'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text"'
_PREFER_HTML = _PREFER.replace('"text"', '"html"')
_PREFER_PAGES = f"{_PREFER}, odata.maxpagesize=200"
# of two writes at once Exchange refuses one; the next attempt finds what the other made of it
_COLLISIONS = frozenset({409, 412, 423})
# an account of this size is a fault, ours or theirs
_MOST_PAGES = 1000
_LONGEST_SUBSCRIPTION = timedelta(minutes=4230)
# clocks of servers of one provider differ, too
_SPARE = timedelta(minutes=5)
_EXPIRED = frozenset(
    {"syncstatenotfound", "syncstateinvalid", "errorinvalidsyncstatedata", "resyncrequired", "fullsyncrequired"}
)
_NO_MAILBOX = frozenset({"mailboxnotenabledforrestapi", "mailboxnothostedinexchangeonline", "errornonexistentmailbox"})
_DUPLICATES = frozenset({"errorduplicatetransactionid"})
_SELECTED = (
    "id,type,start,end,isAllDay,isCancelled,showAs,responseStatus,transactionId,changeKey,lastModifiedDateTime,"
    "onlineMeeting,subject,location"
)
# a join link is made beside the event, and mostly is there within a second
_LINK_PAUSES = (0.3, 0.7, 1.5)


class Microsoft:
    """An account at Microsoft. base_url: of Graph, as `https://graph.microsoft.com`. Ids are immutable ones throughout.

    Asks for the permissions Calendars.ReadWrite and MailboxSettings.Read; the second only tells the time zone.
    """

    has_push = True

    def __init__(self, session: aiohttp.ClientSession, access: Access, base_url: str) -> None:
        self._http = Http(session, access, base_url)
        self._root = base_url.rstrip("/") + "/v1.0"

    async def list_calendars(self) -> list[RemoteCalendar]:
        """All pages. timezone: the mailbox's; Graph knows none of a calendar's own. account: whoever owns the default
        calendar; the others may be somebody else's."""
        timezone = await self._timezone()
        entries = [
            each async for page in self._pages(f"{self._root}/me/calendars", {"$top": "100"}) for each in page["value"]
        ]
        entries.sort(key=lambda each: each.get("isDefaultCalendar") is not True)
        owner = (entries[0].get("owner") or {}) if entries and entries[0].get("isDefaultCalendar") else {}
        return [
            RemoteCalendar(
                remote_id=each["id"],
                name=each.get("name") or "",
                timezone=timezone,
                primary=each.get("isDefaultCalendar") is True,
                writable=each.get("canEdit") is True,
                account=owner.get("address") or None,
            )
            for each in entries
        ]

    async def _timezone(self) -> str | None:
        """None where it may not be read, or has a name that nobody knows."""
        answer = await self._call("GET", f"{self._root}/me/mailboxSettings")
        return None if answer.status == 403 else iana(str(_content(answer).get("timeZone") or ""))

    # In.

    async def full_sync(self, calendar: str, window: Window) -> AsyncIterator[Page]:
        """The token is a delta link. It keeps to the window that it was made for: a later one takes a full sync."""
        period = {"startDateTime": iso(window.starts_at), "endDateTime": iso(window.ends_at)}
        try:
            async for page in self._delta(calendar, f"{self._calendar(calendar)}/calendarView/delta", period, window):
                yield page
        except TokenExpired:
            # the link to the next page was too old; a full sync begins anew anyway
            raise TryLater("page_expired") from None

    async def changes(self, calendar: str, token: str, window: Window) -> AsyncIterator[Page]:
        """An event that only left the token's window is told as deleted, too: `get` tells which it was."""
        async for page in self._delta(calendar, token, None, window):
            yield page

    async def _delta(
        self, calendar: str, url: str, params: Mapping[str, str] | None, window: Window
    ) -> AsyncIterator[Page]:
        series = graph.Series()
        async for page in self._pages(url, params):
            entries = [entry for each in page["value"] for entry in series.take(each)]
            token = page.get("@odata.deltaLink")
            if token is not None:
                # without the master at hand it is not known whether they take time, so the last page waits for it
                masters = [await self._entry(calendar, each) or {} for each in series.unknown()]
                for master in masters:
                    series.meet(master)
                entries += series.rest()
                if params is None:
                    for master_id in series.alone():
                        entries += await self._instances(calendar, master_id, window)
            yield Page(tuple(graph.event_of(each, window.timezone) for each in entries), token)

    async def _instances(self, calendar: str, master_id: str, window: Window) -> list[Entry]:
        """What a series takes, when its master came without any of its occurrences."""
        url = f"{self._event(calendar, master_id)}/instances"
        params = {"startDateTime": iso(window.starts_at), "endDateTime": iso(window.ends_at), "$top": "200"}
        try:
            return [each async for page in self._pages(url, params) for each in page["value"]]
        except CalendarGone:
            # the series is not there any more; the next increment says so
            return []

    async def get(self, calendar: str, remote_id: str, window: Window) -> RemoteEvent:
        """Raises EventGone when the calendar is readable and says that it has no such event."""
        entry = await self._entry(calendar, remote_id)
        if entry is None:
            raise await self._absence(calendar)
        return graph.event_of(entry, window.timezone)

    async def find_elsewhere(self, calendar: str, remote_id: str, mark: UUID, window: Window) -> str | None:
        """By mark, or by id: a move within the mailbox may keep the id, or copy the event and give it another."""
        for other in await self.list_calendars():
            if other.remote_id == calendar or not other.writable:
                continue
            try:
                async for entry in self._view(other.remote_id, window.starts_at, window.ends_at):
                    mine = graph.mark_of(entry) == mark or entry["id"] == remote_id
                    if mine and entry.get("isCancelled") is not True:
                        return other.remote_id
            except CalendarGone:
                continue
        return None

    async def list_own(self, calendar: str, window: Window) -> list[RemoteEvent]:
        return [
            graph.event_of(entry, window.timezone)
            async for entry in self._view(calendar, window.starts_at, window.ends_at)
            if graph.mark_of(entry) is not None
        ]

    # Out.

    async def create(self, calendar: str, mark: UUID, draft: Draft) -> Written:
        """Graph remembers the transactionId: a second POST is refused, or answered with the event of the first.

        Raises TryLater(DUPLICATE_NOT_FOUND) where Graph has made the event and it is nowhere in this calendar: it is
        not known whether its owner has deleted it or moved it.
        """
        answer = await self._call("POST", f"{self._calendar(calendar)}/events", json=graph.body_of(draft, mark))
        if _code(answer) in _DUPLICATES:
            entry = await self._find(calendar, mark, draft)
        else:
            entry = _content(answer)
        different = graph.differences(entry, draft)
        if different:
            return await self.update(calendar, entry["id"], draft, different)
        return _written(await self._with_link(calendar, entry, draft), draft)

    async def _find(self, calendar: str, mark: UUID, draft: Draft) -> Entry:
        """The event of a mark: near where it should be first, then wherever its owner may have moved it to."""
        for margin in (timedelta(days=1), HORIZON):
            async for entry in self._view(calendar, draft.starts_at - margin, draft.ends_at + margin):
                if graph.mark_of(entry) == mark:
                    whole = await self._entry(calendar, entry["id"])
                    if whole is not None:
                        return whole
        raise TryLater(DUPLICATE_NOT_FOUND)

    async def _with_link(self, calendar: str, entry: Entry, draft: Draft) -> Entry:
        for pause in _LINK_PAUSES:
            if not draft.conference or graph.meeting_url_of(entry):
                break
            await asyncio.sleep(pause)
            entry = await self._entry(calendar, entry["id"]) or entry
        return entry

    async def update(self, calendar: str, remote_id: str, draft: Draft, changed: frozenset[str]) -> Written:
        """The text of a Teams event changes only above the part that holds the meeting; where that is not found, the
        text stays as it is. `attendees` alone changes nothing: they stand in the description."""
        fields = graph.changes_of(draft, changed)
        if "body" in fields:
            entry = await self._entry(calendar, remote_id, _PREFER_HTML)
            if entry is None:
                raise await self._absence(calendar)
            if entry.get("isOnlineMeeting"):
                kept = graph.with_meeting_kept(draft.description, entry.get("body") or {})
                fields = {**fields, "body": kept} if kept else {k: v for k, v in fields.items() if k != "body"}
        url = self._event(calendar, remote_id)
        answer = await (self._call("PATCH", url, json=fields) if fields else self._call("GET", url))
        if answer.status == 404:
            _check_mailbox(answer)
            raise await self._absence(calendar)
        written = _content(answer)
        if written.get("isCancelled") is True:
            raise EventGone("event_cancelled")
        return _written(written, draft)

    async def delete(self, calendar: str, remote_id: str) -> None:
        answer = await self._call("DELETE", self._event(calendar, remote_id))
        if answer.status == 404:
            _check_mailbox(answer)
            answer = await self._call("GET", self._calendar(calendar))
        _check(answer)

    # Notifications.

    async def watch(self, calendar: str, hook: Hook, until: datetime) -> Channel:
        """Graph calls both addresses before it answers, with a validationToken that they have to send back.

        Raises Refused("no_handshake") when they did not. The lifecycle address can only be given here.
        """
        wanted = {
            "changeType": "created,updated,deleted",
            "notificationUrl": hook.url,
            "lifecycleNotificationUrl": hook.lifecycle_url,
            "resource": f"/me/calendars/{calendar}/events",
            "expirationDateTime": await self._expiry(calendar, until),
            "clientState": hook.secret,
        }
        answer = await self._call("POST", f"{self._root}/subscriptions", json=wanted)
        if answer.status == 400 and _code(answer) in {"validationerror", "invalidrequest"}:
            raise Refused("no_handshake")
        return _channel(_content(answer))

    async def renew(self, calendar: str, channel: Channel, until: datetime) -> Channel | None:
        """Also the answer to `reauthorizationRequired`."""
        wanted = {"expirationDateTime": await self._expiry(calendar, until)}
        answer = await self._call("PATCH", self._subscription(channel), json=wanted)
        return None if answer.status == 404 else _channel(_content(answer))

    async def unwatch(self, channel: Channel) -> None:
        answer = await self._call("DELETE", self._subscription(channel))
        if answer.status != 404:
            _check(answer)

    async def _expiry(self, calendar: str, until: datetime) -> str:
        """As late as Graph takes it, by Graph's own clock."""
        answer = await self._call("GET", self._calendar(calendar))
        _check(answer)
        at = http_date(answer.headers.get("Date", ""))
        return iso(min(until, at + _LONGEST_SUBSCRIPTION - _SPARE) if at else until)

    # Calls.

    def _calendar(self, calendar: str) -> str:
        return f"{self._root}/me/calendars/{quote(calendar, safe='')}"

    def _event(self, calendar: str, remote_id: str) -> str:
        return f"{self._calendar(calendar)}/events/{quote(remote_id, safe='')}"

    def _subscription(self, channel: Channel) -> str:
        return f"{self._root}/subscriptions/{quote(channel.id, safe='')}"

    async def _call(
        self, method: str, url: str, params: Mapping[str, str] | None = None, json: Any = None, prefer: str = _PREFER
    ) -> Answer:
        return await self._http.call(method, url, params=params, json=json, headers={"Prefer": prefer})

    async def _pages(self, url: str, params: Mapping[str, str] | None) -> AsyncIterator[dict[str, Any]]:
        """Pages as they come; each has a `value`. Links are followed as they are, on Graph's own address only."""
        for _ in range(_MOST_PAGES):
            page = _content(await self._call("GET", url, params, prefer=_PREFER_PAGES))
            if not isinstance(page.get("value"), list):
                raise TryLater("unreadable")
            yield page
            if (following := page.get("@odata.nextLink")) is None:
                return
            url, params = str(following), None
        raise Refused("too_many_pages")

    async def _view(self, calendar: str, starts_at: datetime, ends_at: datetime) -> AsyncIterator[Entry]:
        period = {"startDateTime": iso(starts_at), "endDateTime": iso(ends_at)}
        params = {**period, "$select": _SELECTED, "$top": "200"}
        async for page in self._pages(f"{self._calendar(calendar)}/calendarView", params):
            for entry in page["value"]:
                yield entry

    async def _entry(self, calendar: str, remote_id: str, prefer: str = _PREFER) -> Entry | None:
        """None: 404, for whatever reason."""
        answer = await self._call("GET", self._event(calendar, remote_id), prefer=prefer)
        if answer.status == 404:
            _check_mailbox(answer)
            return None
        return _content(answer)

    async def _absence(self, calendar: str) -> EventGone:
        """What a 404 for an event means. Raises CalendarGone and whatever else keeps that from being known."""
        shown = _content(await self._call("GET", self._calendar(calendar)))
        if shown.get("canEdit") is False:
            # shared for reading less than before: then events are hidden, not gone
            raise CalendarGone("not_writable")
        return EventGone("event_gone")


def _written(entry: Entry, draft: Draft) -> Written:
    period = graph.period_of(entry, draft.timezone)
    if period is None:
        raise TryLater("unreadable")
    return Written(str(entry["id"]), graph.etag_of(entry), *period, graph.meeting_url_of(entry))


def _channel(subscription: Mapping[str, Any]) -> Channel:
    expires_at = datetime.fromisoformat(subscription["expirationDateTime"])
    return Channel(subscription["id"], None, expires_at.astimezone(UTC))


def _code(answer: Answer) -> str:
    error = answer.body.get("error") if answer.status >= 400 and isinstance(answer.body, dict) else None
    return str(error.get("code", "")).lower() if isinstance(error, dict) else ""


def _content(answer: Answer) -> dict[str, Any]:
    _check(answer)
    if not isinstance(answer.body, dict):
        raise TryLater("unreadable")
    return answer.body


def _check(answer: Answer) -> None:
    """Raises what a status and Graph's error code mean."""
    if answer.status < 300:
        return
    _check_mailbox(answer)
    if answer.status == 410 or _code(answer) in _EXPIRED:
        raise TokenExpired("sync_state_gone")
    if answer.status == 404:
        raise CalendarGone("calendar_gone")
    if answer.status in _COLLISIONS:
        raise TryLater(f"http_{answer.status}")
    raise Refused("forbidden" if answer.status == 403 else f"http_{answer.status}")


def _check_mailbox(answer: Answer) -> None:
    if _code(answer) in _NO_MAILBOX:
        raise Refused("no_mailbox")
