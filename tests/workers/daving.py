"""What tests of CalDAV share: a calendar of Radicale's, a client of its account, and something between the two."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network

import aiohttp

from app.domain.calendars.caldav import CalDav
from app.domain.calendars.provider import RemoteEvent
from app.domain.webhooks.addresses import Guard
from app.domain.webhooks.deliver import open_session
from tests.fakes.between import Between, Said
from tests.fakes.radicale import PASSWORD, USER, Radicale
from tests.workers.graph_account import WINDOW, settled

HOURS = ("DTSTART:20260603T090000Z", "DTEND:20260603T100000Z")
ALL = frozenset({"summary", "description", "location", "starts_at", "ends_at", "attendees"})
numbers = itertools.count()


@dataclass
class Dav:
    """path: of a calendar of this test's own; calendar: its id."""

    server: Radicale
    between: Between
    session: aiohttp.ClientSession
    client: CalDav
    path: str
    calendar: str

    def at(self, path: str, password: str = PASSWORD) -> CalDav:
        return CalDav(self.session, self.between.url + path, USER, password)

    async def sync(self, token: str | None = None) -> tuple[dict[str, RemoteEvent], str]:
        """By the last part of their addresses."""
        pages = self.client.full_sync(self.calendar, WINDOW)
        if token is not None:
            pages = self.client.changes(self.calendar, token, WINDOW)
        events, token = settled([page async for page in pages])
        return {remote_id.rpartition("/")[2]: event for remote_id, event in events.items()}, token

    def read(self, name: str) -> str:
        return self.server.reach("GET", self.path + name)


@asynccontextmanager
async def trying(server: Radicale) -> AsyncIterator[Dav]:
    between = Between(server.url)
    await between.start()
    path = server.make_calendar(f"work{next(numbers)}")
    guard = Guard(development=True, allowed=(ip_network("127.0.0.0/8"),))
    async with open_session(guard=guard, concurrency=4, timeout_seconds=10) as session:
        client = CalDav(session, between.url, USER, PASSWORD)
        yield Dav(server, between, session, client, path, between.url + path)
    await between.stop()


def part(href: str, status: int, prop: str = "") -> str:
    """Of a multistatus. prop: what was found."""
    line = f"<d:status>HTTP/1.1 {status} Said</d:status>"
    told = f"<d:propstat><d:prop>{prop}</d:prop>{line}</d:propstat>" if prop else line
    return f"<d:response><d:href>{href}</d:href>{told}</d:response>"


def parts(*told: str, token: str = "") -> Said:
    token = f"<d:sync-token>{token}</d:sync-token>" if token else ""
    inside = "".join(told) + token
    return Said(207, f'<d:multistatus xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">{inside}</d:multistatus>')


ETAG = '<d:getetag>"1"</d:getetag>'
