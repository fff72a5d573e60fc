"""WebDAV as calendars need it: one request, and answers of many parts.

The one rule: the password goes to the host that its owner named, and to those beside it in the same domain when that
host says that the calendars are there (as iCloud does); a redirect is followed on the same host only.
Source: RFC 4918 (WebDAV), RFC 4791 (CalDAV), RFC 6578 (sync-collection).
"""

import asyncio
import base64
import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from defusedxml import ElementTree
from yarl import URL

from app.core.times import http_date
from app.domain.calendars.http import Raw, exchange
from app.domain.calendars.provider import AccessLost, Refused, TryLater

DAV = "{DAV:}"
CAL = "{urn:ietf:params:xml:ns:caldav}"
_NAMESPACES = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
_XML = {"Content-Type": "application/xml; charset=utf-8"}
_REDIRECTS = frozenset({301, 302, 307, 308})
_MOST_REDIRECTS = 5

# An element of a parsed answer.
Element = Any


@dataclass(frozen=True, slots=True)
class Part:
    """What a multistatus says of one resource. status: of the resource itself, where it is told; else 200. props: those
    that were found, by their Clark names."""

    url: str
    status: int
    props: Mapping[str, Element]

    def text(self, name: str) -> str:
        element = self.props.get(name)
        return (element.text or "").strip() if element is not None else ""

    def has(self, name: str, inside: str) -> bool:
        element = self.props.get(name)
        return element is not None and element.find(f".//{inside}") is not None

    def hrefs(self, name: str) -> list[str]:
        element = self.props.get(name)
        found = [] if element is None else element.iter(f"{DAV}href")
        return [each.text.strip() for each in found if each.text]


@dataclass(frozen=True, slots=True)
class Parts:
    """url: where they came from, after any redirect."""

    url: str
    parts: tuple[Part, ...]
    sync_token: str | None

    @property
    def first(self) -> Part:
        return self.parts[0] if self.parts else Part(self.url, 404, {})


class Dav:
    """An account's requests. url: what its owner gave. at: the server's own clock, as of its last answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str, username: str, password: str) -> None:
        self._session = session
        self._base = URL(url)
        self.at: datetime | None = None
        self._authorization = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    def joined(self, base: str, href: str) -> str:
        """An href as an absolute URL. Raises Refused for one that must not be called."""
        try:
            where = URL(base).join(URL(href))
        except ValueError:
            raise Refused("bad_address") from None
        if not self._may_be_called(where):
            raise Refused("foreign_address")
        return str(where.with_fragment(None))

    def _may_be_called(self, where: URL) -> bool:
        given = self._base
        if where.user is not None or where.host is None:
            return False
        if (where.scheme, where.host, where.port) == (given.scheme, given.host, given.port):
            return True
        _, _, domain = (given.host or "").partition(".")
        named = "." in domain and not domain.replace(".", "").isdigit()
        secure = (where.scheme, given.scheme, where.port) == ("https", "https", given.port)
        return secure and named and where.host.endswith(f".{domain}")

    async def request(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Raw, str]:
        """The answer, whatever its status but 401, 408, 425, 429 and 5xx; and where it came from.

        Raises AccessLost("wrong_password"), TryLater, Refused.
        """
        sent = {"Accept": "*/*", **(headers or {}), "Authorization": self._authorization}
        for _ in range(_MOST_REDIRECTS):
            answer = await exchange(self._session, method, URL(self.joined(url, "")), data=body, headers=sent)
            if answer.status == 401:
                raise AccessLost("wrong_password")
            self.at = http_date(answer.headers.get("Date", "")) or self.at
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer, url
            there = self.joined(url, location)
            if URL(there).host != URL(url).host:
                raise Refused("foreign_address")
            url = there
        raise Refused("too_many_redirects")

    async def parts(self, method: str, url: str, body: str, depth: str = "0") -> Parts | Raw:
        """A PROPFIND or REPORT. Raw: an answer that is no multistatus."""
        headers = {**_XML, "Depth": depth}
        answer, url = await self.request(method, url, body=body.encode(), headers=headers)
        if answer.status != 207:
            return answer
        # many events may come at once, and others wait for this loop
        return await asyncio.to_thread(self._parsed, url, answer.content)

    def _parsed(self, url: str, content: bytes) -> Parts:
        parsed = parsed_xml(content)
        if parsed is None or parsed.tag != f"{DAV}multistatus":
            raise TryLater("unreadable")
        parts = [part for each in parsed.iter(f"{DAV}response") for part in self._told(url, each)]
        return Parts(url, tuple(parts), parsed.findtext(f"{DAV}sync-token"))

    def _told(self, base: str, response: Element) -> Iterator[Part]:
        """Several, where a status is told of several resources at once (RFC 4918, section 14.24)."""
        props = {
            prop.tag: prop
            for group in response.iter(f"{DAV}propstat")
            if _status(group.findtext(f"{DAV}status"), 200) == 200
            for prop in group.findall(f"{DAV}prop/*")
        }
        for href in response.findall(f"{DAV}href"):
            if href.text:
                yield Part(self.joined(base, href.text.strip()), _status(response.findtext(f"{DAV}status"), 200), props)


def parsed_xml(content: bytes) -> Element:
    """None where it is no XML, or some that nobody should read: entities and external things."""
    try:
        return ElementTree.fromstring(content)
    except (SyntaxError, ValueError):
        return None


def names_condition(answer: Raw, name: str) -> bool:
    """Whether an error names this condition (RFC 4918, section 16)."""
    parsed = parsed_xml(answer.content)
    return parsed is not None and parsed.find(f".//{name}") is not None


def _status(line: str | None, otherwise: int) -> int:
    """Of a line such as `HTTP/1.1 404 Not Found`. otherwise: where there is none. A line that says nothing is a fault
    of the server's."""
    words = (line or "").split()
    if not words:
        return otherwise
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 500


# What is asked.


def propfind(*names: str) -> str:
    """names: with the prefix d: or c:."""
    return f"<d:propfind {_NAMESPACES}><d:prop>{_tags(names)}</d:prop></d:propfind>"


def events_between(begins: str, ends: str) -> str:
    """The etags of all events that overlap a period (RFC 4791, section 9.9). begins, ends: as iCalendar writes them."""
    return (
        f"<c:calendar-query {_NAMESPACES}><d:prop><d:getetag/></d:prop><c:filter>"
        '<c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT">'
        f'<c:time-range start="{begins}" end="{ends}"/>'
        "</c:comp-filter></c:comp-filter></c:filter></c:calendar-query>"
    )


def events_of(uid: str) -> str:
    """The etags of the events that have this UID (RFC 4791, section 7.8.6); servers may take others for it, too."""
    return (
        f"<c:calendar-query {_NAMESPACES}><d:prop><d:getetag/></d:prop><c:filter>"
        '<c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT"><c:prop-filter name="UID">'
        f'<c:text-match collation="i;octet">{html.escape(uid, quote=False)}</c:text-match>'
        "</c:prop-filter></c:comp-filter></c:comp-filter></c:filter></c:calendar-query>"
    )


def multiget(paths: Iterable[str]) -> str:
    hrefs = "".join(f"<d:href>{html.escape(each, quote=False)}</d:href>" for each in paths)
    prop = "<d:prop><d:getetag/><c:calendar-data/></d:prop>"
    return f"<c:calendar-multiget {_NAMESPACES}>{prop}{hrefs}</c:calendar-multiget>"


def sync_collection(token: str) -> str:
    return (
        f"<d:sync-collection {_NAMESPACES}><d:sync-token>{html.escape(token, quote=False)}</d:sync-token>"
        "<d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>"
    )


def _tags(names: Iterable[str]) -> str:
    return "".join(f"<{each}/>" for each in names)
