"""The same story with Microsoft and with CalDAV: a booking appears, follows, is followed, and goes."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from app.core import db
from app.core.settings import Settings
from app.domain.calendars.access import Login, seal_login
from app.domain.calendars.caldav import CalDav
from app.domain.calendars.connections import Account, save_account
from tests.calendaring import ACCOUNT, HOUR, Room, Worker, connect, working
from tests.fakes.google import FakeGoogle
from tests.fakes.microsoft import FakeMicrosoft
from tests.fakes.radicale import PASSWORD, USER, Radicale
from tests.support import Api, Servers, Tenant, settings_for


class There(Protocol):
    """The calendar, as its owner has it before them."""

    def ours(self) -> dict[str, datetime]: ...

    def drag(self, event: str, start: datetime) -> None: ...

    def delete(self, event: str) -> None: ...

    def add(self, start: datetime, end: datetime) -> None: ...


class Outlook:
    def __init__(self, fake: FakeMicrosoft) -> None:
        self.fake, self.calendar = fake, fake.primary(ACCOUNT)

    def ours(self) -> dict[str, datetime]:
        found = [each for each in self.fake.events(self.calendar) if each.get("transactionId")]
        return {each["id"]: _graph(each["start"]) for each in found}

    def drag(self, event: str, start: datetime) -> None:
        self.fake.edit(self.calendar, event, start=start, end=start + HOUR / 2)

    def delete(self, event: str) -> None:
        self.fake.remove(self.calendar, event)

    def add(self, start: datetime, end: datetime) -> None:
        self.fake.add_event(self.calendar, start, end)


def _graph(edge: dict[str, str]) -> datetime:
    assert edge["timeZone"] == "UTC"
    return datetime.fromisoformat(edge["dateTime"][:19]).replace(tzinfo=UTC)


class Shelf:
    """Radicale's."""

    def __init__(self, server: Radicale, path: str) -> None:
        self.server, self.path = server, path

    def ours(self) -> dict[str, datetime]:
        listing = self.server.reach("PROPFIND", self.path, "", Depth="1")
        found = {}
        for name in re.findall(r"([0-9a-f]{32})\.ics", listing):
            text = self.server.reach("GET", f"{self.path}{name}.ics")
            found[name] = datetime.strptime(text.split("DTSTART:")[1][:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return found

    def drag(self, event: str, start: datetime) -> None:
        text = self.server.reach("GET", f"{self.path}{event}.ics")
        for name, at in (("DTSTART", start), ("DTEND", start + HOUR / 2)):
            text = re.sub(f"{name}:[0-9TZ]+", f"{name}:{at:%Y%m%dT%H%M%SZ}", text)
        self.server.reach("PUT", f"{self.path}{event}.ics", text, **{"Content-Type": "text/calendar"})

    def delete(self, event: str) -> None:
        self.server.reach("DELETE", f"{self.path}{event}.ics")

    def add(self, start: datetime, end: datetime) -> None:
        lines = (f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}")
        self.server.put(f"{self.path}theirs.ics", *lines)


@pytest.fixture(scope="module")
def radicale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    server = Radicale(tmp_path_factory.mktemp("radicale"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def outlook() -> AsyncIterator[FakeMicrosoft]:
    fake = FakeMicrosoft([ACCOUNT])
    await fake.start()
    yield fake
    await fake.stop()
    assert fake.violations == []


@pytest.fixture
def settings(migrated: Servers, outlook: FakeMicrosoft) -> Settings:
    return settings_for(
        migrated,
        microsoft_client_id=outlook.oauth.client_id,
        microsoft_client_secret=outlook.oauth.client_secret,
        microsoft_base_url=outlook.base_url,
        microsoft_oauth_base_url=outlook.base_url,
        base_url="http://calendars.example.com",
    )


async def _connect_shelf(worker: Worker, tenant: Tenant, server: Radicale, path: str) -> Any:
    calendars = await CalDav(worker.roads.guarded, server.url + path, USER, PASSWORD).list_calendars()
    sealed = seal_login(Login(USER, PASSWORD), worker.roads.vault)
    kept = Account("caldav", f"{USER}@127.0.0.1", sealed, server.url + path)
    async with db.acquire(worker.pool) as conn, conn.transaction():
        return await save_account(conn, tenant.org_id, tenant.user_id, kept, calendars, worker.now())


@pytest.fixture(params=["microsoft", "caldav"])
async def both(
    request: pytest.FixtureRequest,
    api: Api,
    tenant: Tenant,
    settings: Settings,
    outlook: FakeMicrosoft,
    radicale: Radicale,
) -> AsyncIterator[tuple[Room, There]]:
    async with working(settings) as worker:
        schedule = await api.always_open()
        event_type = await api.event_type(schedule_id=schedule["id"], booking_window_days=None)
        there: There
        if request.param == "microsoft":
            connection_id = await connect(worker, tenant, outlook, provider="microsoft")
            there = Outlook(outlook)
        else:
            path = radicale.make_calendar(f"c{tenant.org_id.hex}")
            connection_id = await _connect_shelf(worker, tenant, radicale, path)
            there = Shelf(radicale, path)
        room = Room(api, tenant, worker, FakeGoogle([]), event_type, connection_id)
        await worker.tend()
        yield room, there


async def test_each_side_follows_the_other(both: tuple[Room, There], soon: datetime) -> None:
    room, there = both
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    ((event, start),) = there.ours().items()
    assert start == soon + 10 * HOUR
    await room.move(booking, soon + 12 * HOUR)
    await room.worker.tend()
    assert there.ours() == {event: soon + 12 * HOUR}
    await room.synced()
    there.add(soon + 17 * HOUR, soon + 18 * HOUR)
    there.drag(event, soon + 15 * HOUR)
    await room.synced()
    latest = await room.latest(booking)
    assert latest["start_time"] == (soon + 15 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert latest["history"][-1]["by"] == "calendar"
    assert "17:00" not in await room.slots(soon)
    assert "12:00" in await room.slots(soon)
    # onto what is busy there it goes back
    there.drag(event, soon + 17 * HOUR)
    await room.synced()
    await room.worker.later(seconds=10)
    assert there.ours() == {event: soon + 15 * HOUR}
    there.delete(event)
    await room.synced()
    ended = await room.latest(booking)
    assert (ended["status"], ended["cancellation"]["by"]) == ("CANCELLED", "calendar")
    await room.synced()
    assert await room.happened() == [
        *("booking.created", "booking.rescheduled", "booking.rescheduled", "booking.cancelled")
    ]


async def test_cancelled_here_it_goes_there(both: tuple[Room, There], soon: datetime) -> None:
    room, there = both
    booking = await room.book(soon + 10 * HOUR)
    await room.worker.tend()
    (await room.api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
    await room.worker.tend()
    assert there.ours() == {}
    await room.synced()
    assert "10:00" in await room.slots(soon)
    # and then it is left alone until it is due
    row = await room.row("select min(next_poll_at) as at from calendars where org_id = $1 and next_poll_at is not null")
    assert row["at"] > room.worker.now() + timedelta(seconds=40)
