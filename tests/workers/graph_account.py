"""A connected account at the fake Microsoft, as the tests of its client have it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp

from app.domain.calendars.microsoft import Microsoft
from app.domain.calendars.provider import Draft, Page, Person, RemoteEvent, Window
from tests.fakes.microsoft import FakeMicrosoft

ADA = "ada@example.com"
MARK = UUID("018f0000-0000-7000-8000-00000000abcd")
NINE = datetime(2026, 6, 3, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WINDOW = Window(NINE - DAY, NINE + 370 * DAY, "Europe/Berlin")


@dataclass
class Account:
    fake: FakeMicrosoft
    client: Microsoft
    calendar: str
    tokens: list[str]

    async def sync(self, token: str | None = None, window: Window = WINDOW) -> tuple[dict[str, RemoteEvent], str]:
        """Everything by id, and the token of the last page."""
        pages = self.client.full_sync(self.calendar, window)
        if token is not None:
            pages = self.client.changes(self.calendar, token, window)
        return settled([page async for page in pages])

    def event(self, **members: Any) -> str:
        starts_at, ends_at = members.pop("starts_at", NINE), members.pop("ends_at", NINE + HOUR)
        return str(self.fake.add_event(self.calendar, starts_at, ends_at, **members)["id"])

    def stored(self, remote_id: str) -> dict[str, Any]:
        return self.fake.event(self.calendar, remote_id)


def settled(pages: list[Page]) -> tuple[dict[str, RemoteEvent], str]:
    assert [page.token is None for page in pages] == [True] * (len(pages) - 1) + [False], "only the last has a token"
    token = pages[-1].token
    assert token is not None
    return {event.remote_id: event for page in pages for event in page.events}, token


@asynccontextmanager
async def connected() -> AsyncIterator[Account]:
    """Afterwards nothing that was said may have been outside of Microsoft's description."""
    fake = FakeMicrosoft()
    base_url = await fake.start()
    calendar = fake.add_account(ADA).id
    tokens = [fake.oauth.issue(ADA)[0]]

    async def access(refused: str | None) -> str:
        if refused is not None:
            tokens.append(fake.oauth.issue(ADA)[0])
        return tokens[-1]

    async with aiohttp.ClientSession() as session:
        yield Account(fake, Microsoft(session, access, base_url), calendar, tokens)
    await fake.stop()
    assert fake.violations == []


def draft(**changes: Any) -> Draft:
    given: dict[str, Any] = {
        "uid": "bkg_1@slotwire.test",
        "sequence": 0,
        "summary": "Intro with Grace",
        "description": "Booked by Grace <grace@example.com>\n\nCancel: https://slotwire.test/c?a=1&b=2",
        "location": "Room 1",
        "starts_at": NINE,
        "ends_at": NINE + HOUR,
        "timezone": "Europe/Berlin",
        "conference": False,
        "organizer": Person("Ada", ADA),
        "attendees": (Person("Grace", "grace@example.com"),),
    }
    return Draft(**{**given, **changes})
