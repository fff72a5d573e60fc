"""What tests of Google share: a fake of it, a client of one of its accounts, and events to write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from app.domain.calendars.google import Google
from app.domain.calendars.provider import AccessLost, Draft, Page, Person, Provider, RemoteEvent, Window
from tests.fakes.google import FakeGoogle

HOST = "host@example.com"
START = datetime(2026, 6, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=100), "Europe/Berlin")
NINE = START + timedelta(days=9, hours=9)
HOUR = timedelta(hours=1)


@dataclass
class Trial:
    """token: what the client holds now. asked: which tokens it said were refused."""

    fake: FakeGoogle
    base_url: str
    token: str
    refresh_token: str
    provider: Provider = field(init=False)
    asked: list[str | None] = field(default_factory=list)

    async def access(self, refused: str | None) -> str:
        self.asked.append(refused)
        if refused is not None and refused == self.token:
            if self.fake.oauth.is_revoked(self.refresh_token):
                raise AccessLost("invalid_grant")
            self.token, _ = self.fake.oauth.issue(HOST)
        return self.token

    async def pages(self) -> list[Page]:
        return [page async for page in self.provider.full_sync(HOST, WINDOW)]

    async def synced(self) -> tuple[dict[str, RemoteEvent], str]:
        """Everything, by id, and where to go on."""
        pages = await self.pages()
        return _by_id(pages), pages[-1].token or ""

    async def changed(self, token: str) -> dict[str, RemoteEvent]:
        return _by_id([page async for page in self.provider.changes(HOST, token, WINDOW)])

    async def only(self) -> RemoteEvent:
        (event,) = (await self.synced())[0].values()
        return event

    def there(self, event_id: str) -> Any:
        """The event as Google has it."""
        return self.fake.event(HOST, event_id)


@asynccontextmanager
async def trying() -> AsyncIterator[Trial]:
    """Whatever is asked and answered is as Google describes it."""
    fake = FakeGoogle([HOST])
    base_url = await fake.start()
    try:
        async with aiohttp.ClientSession() as session:
            trial = Trial(fake, base_url, *fake.oauth.issue(HOST))
            trial.provider = Google(session, trial.access, base_url)
            yield trial
    finally:
        await fake.stop()
    assert fake.violations == []


def drafted(start: datetime = NINE, **changes: Any) -> Draft:
    fields: dict[str, Any] = {
        "uid": "b1@slotwire.example",
        "sequence": 0,
        "summary": "Intro with Ada",
        "description": "Ada <ada@example.org>",
        "location": "Room 1",
        "starts_at": start,
        "ends_at": start + HOUR,
        "timezone": "Europe/Berlin",
        "conference": False,
        "organizer": Person("Host", HOST),
        "attendees": (Person("Ada", "ada@example.org"),),
    }
    return Draft(**{**fields, **changes})


def a_mark() -> UUID:
    return uuid4()


def _by_id(pages: list[Page]) -> dict[str, RemoteEvent]:
    assert [page.token is None for page in pages] == [True] * (len(pages) - 1) + [False]
    events = [event for page in pages for event in page.events]
    assert len({event.remote_id for event in events}) == len(events)
    return {event.remote_id: event for event in events}
