"""CalDAV: Nextcloud, iCloud, Fastmail, Radicale, and whatever else keeps calendars by RFC 4791.

The one rule: an object that is missing is gone only where its calendar answers as a calendar at that moment.
Source: RFC 4791, RFC 6578 (sync-collection), RFC 6764, section 5 (where to look), RFC 6638, section 2.4.1 (addresses).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
from yarl import URL

from app.core.times import http_date
from app.domain.calendars import dav
from app.domain.calendars.dav import CAL, DAV, Dav, Part, Parts
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
from app.domain.calendars.zones import iana

_BATCH = 100
_ATTEMPTS = 3
# a server that always has more is a fault of the server's
_MOST_PAGES = 1000
_GONE = frozenset({404, 410})
_ICALENDAR = {"Content-Type": "text/calendar; charset=utf-8"}
_WRITING = tuple(f"{DAV}{name}" for name in ("all", "write", "write-content", "bind"))
_ABOUT_A_CALENDAR = (
    *("d:resourcetype", "d:displayname", "d:sync-token", "d:supported-report-set", "d:current-user-privilege-set"),
    *("c:supported-calendar-component-set", "c:calendar-timezone", "c:calendar-timezone-id"),
)
_WHERE = ("d:resourcetype", "d:current-user-principal", "c:calendar-home-set", "c:calendar-user-address-set")


@dataclass(frozen=True, slots=True)
class _Account:
    """homes: collections of calendars. calendar: the one that was named, where one was."""

    homes: tuple[str, ...]
    calendar: str | None
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Object:
    text: str
    etag: str | None
    # when the server said so, by its own clock
    at: datetime


class CalDav:
    """An account by its name and password (Basic, RFC 7617). url: of the server, the principal, the home or one
    calendar. session: one whose addresses are guarded; the URL is a customer's. Ids are absolute URLs."""

    has_push = False

    def __init__(self, session: aiohttp.ClientSession, url: str, username: str, password: str) -> None:
        self._dav = Dav(session, url, username, password)
        self._url = url
        self._username = username
        self._known: _Account | None = None

    async def list_calendars(self) -> list[RemoteCalendar]:
        """Those that take events. primary: the first that may be written; CalDAV knows no better. Raises
        Refused("no_calendars") where there is nothing of the kind at the URL."""
        account = await self._account()
        where = [(account.calendar, "0")] if account.calendar else [(home, "1") for home in account.homes]
        found: list[RemoteCalendar] = []
        for url, depth in where:
            listed = await self._parts("PROPFIND", url, dav.propfind(*_ABOUT_A_CALENDAR), depth)
            for part in listed.parts:
                if _takes_events(part):
                    first = _is_writable(part) and not any(each.primary for each in found)
                    found.append(self._calendar(part, account, primary=first))
        if not found:
            raise Refused("no_calendars")
        return found

    def _calendar(self, part: Part, account: _Account, *, primary: bool) -> RemoteCalendar:
        return RemoteCalendar(
            remote_id=part.url,
            name=part.text(f"{DAV}displayname") or URL(part.url).path.rstrip("/").rpartition("/")[2],
            timezone=_timezone(part),
            primary=primary,
            writable=_is_writable(part),
            account=self._username if "@" in self._username else min(account.addresses, default=None),
        )

    async def _account(self) -> _Account:
        """Where the calendars are: at the URL itself, or where it or the host's well-known address points."""
        if self._known is None:
            beside = str(URL(self._url).with_path("/.well-known/caldav").with_query(None))
            for url in (self._url, beside):
                found = await self._dav.parts("PROPFIND", url, dav.propfind(*_WHERE))
                if isinstance(found, Parts):
                    self._known = await self._looked_up(found)
                    break
                if found.status == 403:
                    raise Refused("forbidden")
            else:
                raise Refused("no_calendars")
        return self._known

    async def _looked_up(self, found: Parts) -> _Account:
        here = principal = found.first
        if not principal.hrefs(f"{CAL}calendar-home-set"):
            for href in here.hrefs(f"{DAV}current-user-principal")[:1]:
                url = self._dav.joined(found.url, href)
                asked = await self._dav.parts("PROPFIND", url, dav.propfind(*_WHERE))
                principal = asked.first if isinstance(asked, Parts) else principal
        addresses = {
            each.lower().removeprefix("mailto:")
            for each in principal.hrefs(f"{CAL}calendar-user-address-set")
            if each.lower().startswith("mailto:")
        }
        if "@" in self._username:
            addresses.add(self._username.lower())
        homes = [self._dav.joined(found.url, each) for each in principal.hrefs(f"{CAL}calendar-home-set")]
        calendar = found.url if here.has(f"{DAV}resourcetype", f"{CAL}calendar") else None
        return _Account(tuple(homes or [found.url]), calendar, frozenset(addresses))

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
            # a deletion means nothing to a sync that begins anew
            there = tuple(each for each in events if not each.deleted)
            yield Page(there, token if at + _BATCH >= len(urls) else None)

    async def changes(self, calendar: str, token: str, window: Window) -> AsyncIterator[Page]:
        """Raises TokenExpired for an empty token, too: a server without sync-collection is read in full each time."""
        if not token:
            raise TokenExpired("no_sync_collection")
        reader = await self._reader(window)
        for _ in range(_MOST_PAGES):
            listed = await self._changed(calendar, token)
            events = [_gone(each.url) for each in listed.parts if each.status in _GONE]
            urls = [each.url for each in listed.parts if each.status == 200 and not _same(each.url, calendar)]
            token = listed.sync_token or ""
            if not token:
                raise TryLater("unreadable")
            # the collection itself, with 507: the server has more (RFC 6578, section 3.6)
            more = any(each.status == 507 for each in listed.parts)
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
        raise await self._refusal(calendar, listed)

    async def get(self, calendar: str, remote_id: str, window: Window) -> RemoteEvent:
        """Raises EventGone where the calendar answers, and the object is not there."""
        found = await self._object(calendar, remote_id)
        if found is None:
            raise EventGone("event_gone")
        reader = await self._reader(window)
        return await asyncio.to_thread(reader.read, remote_id, found.etag, found.text)

    async def find_elsewhere(self, calendar: str, remote_id: str, mark: UUID, window: Window) -> str | None:
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
        an event of the same UID there, from a mail for instance."""
        url = self._dav.joined(f"{calendar.rstrip('/')}/", f"{mark.hex}.ics")
        found = await self._object(calendar, url)
        if found is None:
            # without an object there is no clock to ask but the one that just answered
            content = new_object(mark, draft, await self._now(calendar, draft))
            answer = await self._put(url, content, {"If-None-Match": "*"})
            if answer.status < 300:
                return await self._written(calendar, url, answer, draft)
            if answer.status != 412:
                raise await self._refusal(calendar, answer)
            found = await self._object(calendar, url)
        if found is None or f"X-SLOTWIRE-MARK:{mark.hex}" not in found.text:
            raise Refused("address_taken")
        return await self.update(calendar, url, draft, frozenset(FIELDS))

    async def update(self, calendar: str, remote_id: str, draft: Draft, changed: frozenset[str]) -> Written:
        """Reads the object, changes the lines of the fields that are named, and puts it back if it is still the same.
        Raises TryLater("edited_meanwhile") when it never was."""
        for _ in range(_ATTEMPTS):
            found = await self._object(calendar, remote_id)
            if found is None:
                raise EventGone("event_gone")
            try:
                content = edited(found.text, draft, changed, found.at)
            except ValueError:
                raise Refused("no_event_in_it") from None
            answer = await self._put(remote_id, content, {"If-Match": found.etag} if found.etag else {})
            if answer.status < 300:
                return await self._written(calendar, remote_id, answer, draft)
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

    async def _written(self, calendar: str, url: str, answer: Raw, draft: Draft) -> Written:
        """A server that changed what it was given tells no etag (RFC 4791, section 5.3.4): then it is asked."""
        window = Window(draft.starts_at - timedelta(days=1), draft.ends_at + timedelta(days=1), draft.timezone)
        found = await self._object(calendar, url)
        if found is None:
            raise EventGone("event_gone")
        event = await asyncio.to_thread(Reader(window, frozenset()).read, url, found.etag, found.text)
        etag = answer.headers.get("ETag") or found.etag
        starts_at, ends_at = event.starts_at or draft.starts_at, event.ends_at or draft.ends_at
        return Written(url, etag, starts_at, ends_at, None)

    async def _now(self, calendar: str, draft: Draft) -> datetime:
        answer, _ = await self._dav.request("OPTIONS", calendar)
        return http_date(answer.headers.get("Date", "")) or draft.starts_at

    # Notifications: there are none.

    async def watch(self, calendar: str, hook: Hook, until: datetime) -> Channel:
        raise Refused("no_push")

    async def renew(self, calendar: str, channel: Channel, until: datetime) -> Channel | None:
        raise Refused("no_push")

    async def unwatch(self, channel: Channel) -> None:
        raise Refused("no_push")

    # Requests.

    async def _parts(self, method: str, url: str, body: str, depth: str = "0") -> Parts:
        found = await self._dav.parts(method, url, body, depth)
        if isinstance(found, Raw):
            raise _failure(found)
        return found

    async def _about(self, calendar: str) -> Part:
        """Raises CalendarGone where there is no calendar any more."""
        about = (await self._parts("PROPFIND", calendar, dav.propfind(*_ABOUT_A_CALENDAR))).first
        if not about.has(f"{DAV}resourcetype", f"{CAL}calendar"):
            raise CalendarGone("not_a_calendar")
        return about

    async def _urls(self, calendar: str, window: Window) -> list[str]:
        begins, ends = (f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" for at in (window.starts_at, window.ends_at))
        listed = await self._parts("REPORT", calendar, dav.events_between(begins, ends), "1")
        return [each.url for each in listed.parts if each.status == 200 and not _same(each.url, calendar)]

    async def _objects(self, calendar: str, urls: list[str], reader: Reader) -> list[RemoteEvent]:
        """Those that went away since they were listed are deleted."""
        if not urls:
            return []
        paths = [URL(each).raw_path_qs for each in urls]
        listed = await self._parts("REPORT", calendar, dav.multiget(paths), "1")
        found = [(each.url, _etag(each), each.text(_DATA)) for each in listed.parts if _DATA in each.props]
        # parsing takes a while, and others wait for this loop
        events = await asyncio.to_thread(_read_all, reader, found)
        return [*events, *(_gone(each.url) for each in listed.parts if each.status in _GONE)]

    async def _object(self, calendar: str, url: str) -> _Object | None:
        """None: it is not there, and its calendar is."""
        answer, _ = await self._dav.request("GET", self._dav.joined(url, ""), headers={"Accept": "text/calendar"})
        if answer.status in _GONE:
            await self._about(calendar)
            return None
        if answer.status >= 300:
            raise _failure(answer)
        at = http_date(answer.headers.get("Date", "")) or datetime.fromtimestamp(0, UTC)
        return _Object(answer.content.decode("utf-8", "replace"), _strong(answer.headers.get("ETag")), at)

    async def _refusal(self, calendar: str, answer: Raw) -> Exception:
        """What a refusal means. Raises CalendarGone where the calendar is what is missing."""
        if dav.names_condition(answer, f"{CAL}no-uid-conflict"):
            return Refused("uid_taken")
        if answer.status in {404, 405, 409, 410}:
            await self._about(calendar)
        if answer.status in _GONE:
            return EventGone("event_gone")
        return _failure(answer)


_DATA = f"{CAL}calendar-data"
_REPORTS = f"{DAV}supported-report-set"


def _read_all(reader: Reader, found: Iterable[tuple[str, str | None, str]]) -> list[RemoteEvent]:
    return [reader.read(*each) for each in found]


def _gone(url: str) -> RemoteEvent:
    return RemoteEvent(url, None, None, None, None, all_day=False, deleted=True, blocks=(), changed_at=None)


def _takes_events(part: Part) -> bool:
    """Without a word about components, a calendar takes all (RFC 4791, section 5.2.3)."""
    taken = part.props.get(f"{CAL}supported-calendar-component-set")
    names = {each.get("name", "").upper() for each in taken} if taken is not None else {"VEVENT"}
    return part.has(f"{DAV}resourcetype", f"{CAL}calendar") and "VEVENT" in names


def _is_writable(part: Part) -> bool:
    """Where the server does not tell, trying will."""
    if f"{DAV}current-user-privilege-set" not in part.props:
        return True
    return any(part.has(f"{DAV}current-user-privilege-set", each) for each in _WRITING)


def _timezone(part: Part) -> str | None:
    """calendar-timezone-id (RFC 7809), or the name in calendar-timezone (RFC 4791, section 5.2.2)."""
    described = part.text(f"{CAL}calendar-timezone")
    names = [line.partition(":")[2] for line in described.splitlines() if line.upper().startswith("TZID")]
    known = [iana(each) for each in (part.text(f"{CAL}calendar-timezone-id"), *names) if each]
    return next((each for each in known if each), None)


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
