"""CalDAV: Nextcloud, iCloud, Fastmail, Radicale, and whatever else keeps calendars by RFC 4791.

The one rule: an object that is missing is gone only where its calendar answers as a calendar at that moment. And a part
of an answer never passes for all of it: busy time that was not told would be free.
Source: RFC 4791, RFC 6578 (sync-collection), RFC 6764, section 5 (where to look), RFC 6638, section 2.4.1 (addresses).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
from yarl import URL

from app.core.logs import logger
from app.domain.calendars import dav, dav_home
from app.domain.calendars.dav import CAL, DAV, Dav, Part, Parts
from app.domain.calendars.dav_home import ABOUT_A_CALENDAR, Account
from app.domain.calendars.http import Raw
from app.domain.calendars.ical import Reader
from app.domain.calendars.ical_objects import edited, new_object
from app.domain.calendars.provider import (
    FIELDS,
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

_log = logger("calendars")
_BATCH = 100
_ATTEMPTS = 3
# a server that always has more is a fault of the server's
_MOST_PAGES = 1000
_GONE = frozenset({404, 410})
_ICALENDAR = {"Content-Type": "text/calendar; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class _Object:
    text: str
    etag: str | None


class CalDav:
    """An account by its name and password (Basic, RFC 7617). url: of the server, the principal, the home or one
    calendar. session: one whose addresses are guarded; the URL is a customer's. Ids are absolute URLs."""

    has_push = False

    def __init__(self, session: aiohttp.ClientSession, url: str, username: str, password: str) -> None:
        self._dav = Dav(session, url, username, password)
        self._url = url
        self._username = username
        self._known: Account | None = None

    async def list_calendars(self) -> list[RemoteCalendar]:
        """Those that take events. Raises Refused("no_calendars") where there is nothing of the kind at the URL."""
        return await dav_home.calendars_of(self._dav, await self._account(), self._username)

    async def _account(self) -> Account:
        if self._known is None:
            self._known = await dav_home.located(self._dav, self._url, self._username)
        return self._known

    async def _reader(self, window: Window) -> Reader:
        try:
            addresses = (await self._account()).addresses
        except (Refused, CalendarGone):
            # a calendar that works is not given up because its owner's page does not
            addresses = frozenset({self._username.lower()})
        return Reader(window, addresses)

    # In.

    async def full_sync(self, calendar: str, window: Window) -> AsyncIterator[Page]:
        """The token is the collection's sync-token, read before its events: what changes meanwhile comes again. Empty
        where the server has none."""
        about = await self._about(calendar)
        token = about.text(f"{DAV}sync-token") if about.has(_REPORTS, f"{DAV}sync-collection") else ""
        reader = await self._reader(window)
        urls = await self._urls(calendar, window)
        for at in range(0, max(len(urls), 1), _BATCH):
            events = await self._objects(calendar, urls[at : at + _BATCH], reader)
            yield Page(tuple(events), token if at + _BATCH >= len(urls) else None)

    async def changes(self, calendar: str, token: str, window: Window) -> AsyncIterator[Page]:
        """Raises TokenExpired for an empty token, too: a server without sync-collection is read in full each time."""
        if not token:
            raise TokenExpired("no_sync_collection")
        reader = await self._reader(window)
        for _ in range(_MOST_PAGES):
            listed = await self._changed(calendar, token)
            token = listed.sync_token or ""
            if not token:
                raise TryLater("unreadable")
            parts, more = _parted(calendar, listed)
            events = [_gone(each.url) for each in parts if each.status in _GONE]
            urls = [each.url for each in parts if each.status == 200]
            for at in range(0, len(urls), _BATCH):
                events += await self._objects(calendar, urls[at : at + _BATCH], reader)
                if at + _BATCH < len(urls):
                    yield Page(tuple(events), None)
                    events = []
            yield Page(tuple(events), None if more else token)
            if not more:
                return
        raise Refused("too_many_pages")

    async def _changed(self, calendar: str, token: str) -> Parts:
        listed = await self._dav.parts("REPORT", calendar, dav.sync_collection(token))
        if isinstance(listed, Parts):
            return listed
        if listed.status in {409, 410} or dav.names_condition(listed, f"{DAV}valid-sync-token"):
            raise TokenExpired("sync_token_gone")
        raise _failure(listed)

    async def get(self, calendar: str, remote_id: str, window: Window) -> RemoteEvent:
        """Raises EventGone where the calendar answers, and the object is not there."""
        found = await self._object(calendar, remote_id)
        if found is None:
            raise EventGone("event_gone")
        reader = await self._reader(window)
        return await asyncio.to_thread(reader.read, remote_id, found.etag, found.text)

    async def find_elsewhere(
        self,
        calendar: str,
        remote_id: str,  # noqa: ARG002 -- an address, which ends with the move
        mark: UUID,
        window: Window,
    ) -> str | None:
        """By its mark, in every other calendar that may be written."""
        for other in await self.list_calendars():
            if other.writable and not _same(other.remote_id, calendar):
                own = await self.list_own(other.remote_id, window)
                if any(each.mark == mark and not each.deleted for each in own):
                    return other.remote_id
        return None

    async def list_own(self, calendar: str, window: Window) -> list[RemoteEvent]:
        reader = await self._reader(window)
        urls = await self._urls(calendar, window)
        batches = [await self._objects(calendar, urls[at : at + _BATCH], reader) for at in range(0, len(urls), _BATCH)]
        return [each for events in batches for each in events if each.mark is not None]

    # Out.

    async def create(self, calendar: str, mark: UUID, draft: Draft) -> Written:
        """At an address that the mark makes, and only where nothing is (If-None-Match: *). An object that was deleted
        leaves no trace in CalDAV: after a lost answer it is made again. Raises Refused("uid_taken") where somebody put
        an event of the same UID there, from a mail for instance, and TryLater("not_there_yet") where the server took
        the event and does not show it."""
        await self._about(calendar)
        url = self._dav.joined(f"{calendar.rstrip('/')}/", f"{mark.hex}.ics")
        answer = await self._put(url, new_object(mark, draft, self._now(draft)), {"If-None-Match": "*"})
        if answer.status < 300:
            return await self._written(calendar, url, draft, mark)
        if dav.names_condition(answer, _UID_TAKEN) and (there := await self._elsewhere(calendar, mark, draft)):
            return await self.update(calendar, there, draft, frozenset(FIELDS))
        if answer.status != 412:
            raise await self._refusal(calendar, answer)
        found = await self._object(calendar, url)
        if found is None:
            raise TryLater("not_there_yet")
        if (await self._as_event(url, found, draft)).mark != mark:
            raise Refused("address_taken")
        return await self.update(calendar, url, draft, frozenset(FIELDS))

    async def _elsewhere(self, calendar: str, mark: UUID, draft: Draft) -> str | None:
        """Where the event is that was made for this mark: servers may choose another name than the one we gave."""
        listed = await self._parts("REPORT", calendar, dav.events_of(draft.uid), "1")
        for each in _parted(calendar, listed)[0]:
            found = await self._object(calendar, each.url) if each.status == 200 else None
            if found is not None and (await _read_one(each.url, found, draft)).mark == mark:
                return each.url
        return None

    async def update(self, calendar: str, remote_id: str, draft: Draft, changed: frozenset[str]) -> Written:
        """Reads the object, changes the lines of the fields that are named, and puts it back if it is still the same.
        Raises TryLater("edited_meanwhile") when it never was."""
        for _ in range(_ATTEMPTS):
            found = await self._object(calendar, remote_id)
            if found is None:
                raise EventGone("event_gone")
            await self._as_event(remote_id, found, draft)
            try:
                content = edited(found.text, draft, changed, self._now(draft))
            except ValueError:
                raise Refused("no_event_in_it") from None
            answer = await self._put(remote_id, content, {"If-Match": found.etag} if found.etag else {})
            if answer.status < 300:
                return await self._written(calendar, remote_id, draft)
            if answer.status != 412:
                raise await self._refusal(calendar, answer)
        raise TryLater("edited_meanwhile")

    async def delete(self, calendar: str, remote_id: str) -> None:
        answer, _ = await self._dav.request("DELETE", remote_id)
        if answer.status in _GONE:
            await self._about(calendar)
        elif answer.status >= 300:
            raise await self._refusal(calendar, answer)

    async def _put(self, url: str, content: bytes, condition: dict[str, str]) -> Raw:
        answer, _ = await self._dav.request("PUT", url, body=content, headers={**_ICALENDAR, **condition})
        return answer

    async def _written(self, calendar: str, url: str, draft: Draft, mark: UUID | None = None) -> Written:
        """As it stands there: a server may change what it gets, and then tells no etag (RFC 4791, section 5.3.4). One
        that took it and does not show it has not lost it. mark: of one that is new, and may have got another name."""
        found = await self._object(calendar, url)
        if found is None and mark is not None and (there := await self._elsewhere(calendar, mark, draft)):
            url, found = there, await self._object(calendar, there)
        if found is None:
            raise TryLater("not_there_yet")
        event = await self._as_event(url, found, draft)
        return Written(url, found.etag, event.starts_at or draft.starts_at, event.ends_at or draft.ends_at, None)

    async def _as_event(self, url: str, found: _Object, draft: Draft) -> RemoteEvent:
        """Raises EventGone for one that its owner has called off."""
        event = await _read_one(url, found, draft)
        if event.deleted:
            raise EventGone("event_cancelled")
        return event

    def _now(self, draft: Draft) -> datetime:
        """The server's clock: an answer of it comes before every write."""
        return self._dav.at or draft.starts_at

    # Notifications: there are none.

    async def watch(self, calendar: str, hook: Hook, until: datetime) -> Channel:  # noqa: ARG002 -- the protocol's
        raise Refused("no_push")

    async def renew(self, calendar: str, channel: Channel, until: datetime) -> Channel | None:  # noqa: ARG002
        raise Refused("no_push")

    async def unwatch(self, channel: Channel) -> None:  # noqa: ARG002
        raise Refused("no_push")

    # Requests.

    async def _parts(self, method: str, url: str, body: str, depth: str = "0") -> Parts:
        found = await self._dav.parts(method, url, body, depth)
        if isinstance(found, Raw):
            raise _failure(found)
        return found

    async def _about(self, calendar: str) -> Part:
        """Raises CalendarGone where there is no calendar any more."""
        about = (await self._parts("PROPFIND", calendar, dav.propfind(*ABOUT_A_CALENDAR))).first
        if not about.has(f"{DAV}resourcetype", f"{CAL}calendar"):
            raise CalendarGone("not_a_calendar")
        return about

    async def _urls(self, calendar: str, window: Window) -> list[str]:
        # a day more at either end: servers place days and floating times in zones of their own choice
        about = (window.starts_at - timedelta(days=1), window.ends_at + timedelta(days=1))
        return list(dict.fromkeys(await self._between(calendar, *about)))

    async def _between(self, calendar: str, begins: datetime, ends: datetime) -> list[str]:
        """A server that tells only some at once is asked for half of the time, twice (RFC 4791, section 7.8)."""
        limits = (f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in (begins, ends))
        parts, more = _parted(calendar, await self._parts("REPORT", calendar, dav.events_between(*limits), "1"))
        if not more:
            return [each.url for each in parts if each.status == 200]
        if ends - begins < timedelta(days=1):
            raise TryLater("incomplete")
        middle = begins + (ends - begins) / 2
        return [*await self._between(calendar, begins, middle), *await self._between(calendar, middle, ends)]

    async def _objects(self, calendar: str, urls: list[str], reader: Reader) -> list[RemoteEvent]:
        """Those that went away since they were listed are deleted."""
        if not urls:
            return []
        paths = [URL(each).raw_path_qs for each in urls]
        parts, more = _parted(calendar, await self._parts("REPORT", calendar, dav.multiget(paths), "1"))
        present = [each for each in parts if each.status == 200]
        if more or len(parts) < len(urls) or not all(_DATA in each.props for each in present):
            raise TryLater("incomplete")
        found = [(each.url, _etag(each), each.text(_DATA)) for each in present]
        before = len(reader.unread)
        # parsing takes a while, and others wait for this loop
        events = await asyncio.to_thread(_read_all, reader, found)
        if len(reader.unread) > before:
            _log.warning("calendar_objects_unreadable", count=len(reader.unread) - before)
        return [*events, *(_gone(each.url) for each in parts if each.status in _GONE)]

    async def _object(self, calendar: str, url: str) -> _Object | None:
        """None: it is not there, and its calendar is."""
        answer, _ = await self._dav.request("GET", self._dav.joined(url, ""), headers={"Accept": "text/calendar"})
        if answer.status in _GONE:
            await self._about(calendar)
            return None
        if answer.status >= 300:
            raise _failure(answer)
        return _Object(answer.content.decode("utf-8", "surrogateescape"), _strong(answer.headers.get("ETag")))

    async def _refusal(self, calendar: str, answer: Raw) -> Exception:
        """What a refusal means. Raises CalendarGone where the calendar is what is missing."""
        if dav.names_condition(answer, _UID_TAKEN):
            return Refused("uid_taken")
        if answer.status in {404, 405, 409, 410}:
            await self._about(calendar)
        if answer.status in _GONE:
            return EventGone("event_gone")
        return _failure(answer)


_DATA = f"{CAL}calendar-data"
_UID_TAKEN = f"{CAL}no-uid-conflict"
_REPORTS = f"{DAV}supported-report-set"


def _read_all(reader: Reader, found: Iterable[tuple[str, str | None, str]]) -> list[RemoteEvent]:
    return [reader.read(*each) for each in found]


async def _read_one(url: str, found: _Object, draft: Draft) -> RemoteEvent:
    reader = Reader(Window(draft.starts_at, draft.ends_at, draft.timezone), frozenset())
    return await asyncio.to_thread(reader.read, url, found.etag, found.text)


def _parted(calendar: str, listed: Parts) -> tuple[list[Part], bool]:
    """What is said of objects, and whether the server has more: it says 507 of the calendar then (RFC 6578, section
    3.6; RFC 5323, section 5.17). Raises TryLater where it says neither that an object is there nor that it is not."""
    own = [each for each in listed.parts if _same(each.url, calendar) or _same(each.url, listed.url)]
    parts = [each for each in listed.parts if each not in own]
    wrong = [each.status for each in parts if each.status not in {200, *_GONE}]
    wrong += [each.status for each in own if each.status not in {200, 507}]
    if wrong:
        raise TryLater(f"part_{wrong[0]}")
    return parts, any(each.status == 507 for each in own)


def _gone(url: str) -> RemoteEvent:
    return RemoteEvent(url, None, None, None, None, all_day=False, deleted=True, blocks=(), changed_at=None)


def _etag(part: Part) -> str | None:
    return _strong(part.text(f"{DAV}getetag"))


def _strong(etag: str | None) -> str | None:
    """Proxies that compress call an etag weak; If-Match then never matches (RFC 9110, section 13.1.1)."""
    return etag.removeprefix("W/") if etag else None


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _failure(answer: Raw) -> Exception:
    if answer.status in _GONE:
        return CalendarGone("calendar_gone")
    return Refused("forbidden" if answer.status == 403 else f"http_{answer.status}")
