"""CalDAV against a real server: Radicale, with something between it and us where the network has to play its part."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from app.core.ids import new_id
from app.domain.calendars.dav import Dav as Requests
from app.domain.calendars.provider import (
    AccessLost,
    Block,
    CalendarGone,
    Channel,
    EventGone,
    Hook,
    Page,
    Refused,
    TokenExpired,
    TryLater,
)
from tests.fakes.between import Said
from tests.fakes.radicale import PASSWORD, USER, Radicale
from tests.workers.daving import ALL, HOURS, Dav, numbers, trying
from tests.workers.graph_account import DAY, HOUR, MARK, NINE, WINDOW, draft, settled


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Radicale]:
    radicale = Radicale(tmp_path_factory.mktemp("radicale"))
    radicale.start()
    try:
        yield radicale
    finally:
        radicale.stop()


@pytest.fixture
async def dav(server: Radicale) -> AsyncIterator[Dav]:
    async with trying(server) as made:
        yield made


async def test_calendars_are_found_from_wherever_the_search_begins(dav: Dav) -> None:
    dav.server.make_calendar("tasks", "VTODO")
    for path in ("", "/", f"/{USER}", f"/{USER}/"):
        found = {each.remote_id: each for each in await dav.at(path).list_calendars()}
        assert not any(each.endswith("/tasks/") for each in found), "it takes no events"
        mine = found[dav.calendar]
        assert (mine.name, mine.timezone) == (f"Called {dav.path.split('/')[2]}", "Europe/Berlin")
        assert (mine.writable, mine.account) == (True, USER)
        assert [each.primary for each in found.values()].count(True) == 1
    (only,) = await dav.at(dav.path).list_calendars()
    assert only.remote_id == dav.calendar


async def test_the_well_known_address_helps(dav: Dav) -> None:
    dav.between.answers[("PROPFIND", "/")] = Said(405)
    dav.between.answers[("PROPFIND", "/.well-known/caldav")] = Said(
        301, headers={"Location": f"{dav.between.url}/{USER}/"}
    )
    nothing = '<d:multistatus xmlns:d="DAV:"><d:response><d:href>/</d:href></d:response></d:multistatus>'
    for root in (Said(405), Said(207, nothing)):
        dav.between.answers[("PROPFIND", "/")] = root
        assert dav.calendar in {each.remote_id for each in await dav.at("/").list_calendars()}
    dav.between.answers[("PROPFIND", "/.well-known/caldav")] = Said(404)
    with pytest.raises(Refused, match="no_calendars"):
        await dav.at("/").list_calendars()


async def test_a_wrong_password_is_lost_access(dav: Dav) -> None:
    with pytest.raises(AccessLost, match="wrong_password"):
        await dav.at("/", "wrong").list_calendars()


async def test_a_full_sync_of_many_batches(dav: Dav) -> None:
    lines = [(f"e{n}", f"DTSTART:20260604T{n % 24:02}0000Z\r\nDURATION:PT30M") for n in range(320)]
    dav.server.fill(dav.path, [*lines, ("old", "DTSTART:20200101T000000Z\r\nDURATION:PT1H")])
    pages: list[Page] = [page async for page in dav.client.full_sync(dav.calendar, WINDOW)]
    events, _ = settled(pages)
    assert (len(pages), len(events)) == (4, 320)
    assert all(len(event.blocks) == 1 for event in events.values())


async def test_increments_have_changes_and_deletions(dav: Dav) -> None:
    for name in ("a", "b", "c"):
        dav.server.put(f"{dav.path}{name}.ics", *HOURS)
    first, token = await dav.sync()
    assert first.keys() == {"a.ics", "b.ics", "c.ics"}
    assert (await dav.sync(token))[0] == {}
    dav.server.put(f"{dav.path}a.ics", "DTSTART:20260604T090000Z", "DURATION:PT1H", uid="a.ics")
    dav.server.reach("DELETE", f"{dav.path}b.ics")
    dav.server.put(f"{dav.path}d.ics", *HOURS, "RRULE:FREQ=DAILY;COUNT=3")
    found, later = await dav.sync(token)
    assert found.keys() == {"a.ics", "b.ics", "d.ics"}
    assert found["a.ics"].blocks == (Block(NINE + DAY, NINE + DAY + HOUR),)
    assert (found["b.ics"].deleted, found["b.ics"].blocks) == (True, ())
    assert len(found["d.ics"].blocks) == 3
    assert found["a.ics"].etag != first["a.ics"].etag
    assert (await dav.sync(later))[0] == {}
    again, _ = await dav.sync()
    assert again.keys() == {"a.ics", "c.ics", "d.ics"}


async def test_an_empty_calendar_has_a_token(dav: Dav) -> None:
    found, token = await dav.sync()
    assert found == {}
    assert token


@pytest.mark.parametrize("token", ["", "nonsense", f"http://radicale.org/ns/sync/{'0' * 64}"])
async def test_a_token_that_is_not_good_asks_for_a_full_sync(dav: Dav, token: str) -> None:
    with pytest.raises(TokenExpired):
        await dav.sync(token)


async def test_a_server_that_has_more(dav: Dav) -> None:
    """507 for the collection itself: RFC 6578, section 3.6."""
    dav.server.put(f"{dav.path}a.ics", *HOURS)
    _, token = await dav.sync()
    dav.server.put(f"{dav.path}b.ics", *HOURS)
    dav.between.answers[("REPORT", dav.path)] = Said(
        207,
        '<d:multistatus xmlns:d="DAV:"><d:response><d:href>'
        f"{dav.path}gone.ics</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>"
        f"<d:response><d:href>{dav.path}</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status></d:response>"
        f"<d:sync-token>{token}</d:sync-token></d:multistatus>",
    )
    pages = []
    async for page in dav.client.changes(dav.calendar, token, WINDOW):
        pages.append(page)
        dav.between.answers.clear()
    found, _ = settled(pages)
    assert [remote_id.rpartition("/")[2] for remote_id in found] == ["gone.ics", "b.ics"]


# Ours.


async def test_create_update_and_delete(dav: Dav) -> None:
    written = await dav.client.create(dav.calendar, MARK, draft())
    name = f"{MARK.hex}.ics"
    assert (written.remote_id, written.starts_at, written.ends_at) == (dav.calendar + name, NINE, NINE + HOUR)
    found, token = await dav.sync()
    assert (found[name].mark, found[name].etag) == (MARK, written.etag), "so that the echo is known as one"
    later = draft(starts_at=NINE + DAY, ends_at=NINE + DAY + HOUR, sequence=1, summary="Not this")
    moved = await dav.client.update(dav.calendar, written.remote_id, later, frozenset({"starts_at", "ends_at"}))
    assert (moved.starts_at, moved.ends_at) == (NINE + DAY, NINE + DAY + HOUR)
    text = dav.read(name)
    assert "SUMMARY:Intro with Grace" in text
    assert "SEQUENCE:1" in text
    assert text.count("SCHEDULE-AGENT=CLIENT") == 2
    found, token = await dav.sync(token)
    assert found[name].etag == moved.etag
    event = await dav.client.get(dav.calendar, written.remote_id, WINDOW)
    assert (event.mark, event.starts_at) == (MARK, NINE + DAY)
    for _ in range(2):
        await dav.client.delete(dav.calendar, written.remote_id)
    with pytest.raises(EventGone):
        await dav.client.get(dav.calendar, written.remote_id, WINDOW)
    with pytest.raises(EventGone):
        await dav.client.update(dav.calendar, written.remote_id, draft(), ALL)
    assert (await dav.sync(token))[0][name].deleted


async def test_a_lost_answer_makes_no_second_event(dav: Dav) -> None:
    # the HTTP client itself tries a second time
    dav.between.lost += ["PUT", "PUT"]
    with pytest.raises(TryLater):
        await dav.client.create(dav.calendar, MARK, draft())
    again = await dav.client.create(dav.calendar, MARK, draft(summary="Changed meanwhile"))
    found, _ = await dav.sync()
    assert [event.mark for event in found.values()] == [MARK]
    assert "SUMMARY:Changed meanwhile" in dav.read(again.remote_id.rpartition("/")[2])


async def test_a_server_that_gives_it_another_name(dav: Dav) -> None:
    at = f"{dav.path}{MARK.hex}.ics"

    def rename() -> None:
        text = dav.read(f"{MARK.hex}.ics")
        dav.server.reach("DELETE", at)
        dav.server.reach("PUT", f"{dav.path}theirs.ics", text, **{"Content-Type": "text/calendar"})

    dav.between.before.append(("GET", rename))
    written = await dav.client.create(dav.calendar, MARK, draft())
    assert (written.remote_id, written.starts_at) == (f"{dav.calendar}theirs.ics", NINE)
    # an answer that was lost: the server knows the UID
    again = await dav.client.create(dav.calendar, MARK, draft(summary="Changed meanwhile"))
    assert again.remote_id == written.remote_id
    assert "SUMMARY:Changed meanwhile" in dav.read("theirs.ics")
    assert (await dav.sync())[0].keys() == {"theirs.ics"}


async def test_what_was_taken_and_is_not_shown_is_not_gone(dav: Dav) -> None:
    at = f"{dav.path}{MARK.hex}.ics"
    dav.between.before.append(("GET", lambda: dav.server.reach("DELETE", at)))
    with pytest.raises(TryLater, match="not_there_yet"):
        await dav.client.create(dav.calendar, MARK, draft())
    dav.between.answers[("PUT", at)] = Said(412)
    with pytest.raises(TryLater, match="not_there_yet"):
        await dav.client.create(dav.calendar, MARK, draft())
    dav.between.answers.clear()
    written = await dav.client.create(dav.calendar, MARK, draft())
    dav.between.before += [("GET", lambda: None), ("GET", lambda: dav.server.reach("DELETE", at))]
    with pytest.raises(TryLater, match="not_there_yet"):
        await dav.client.update(dav.calendar, written.remote_id, draft(), ALL)


async def test_what_is_not_ours_is_left_alone(dav: Dav) -> None:
    dav.server.put(f"{dav.path}{MARK.hex}.ics", *HOURS, "SUMMARY:Theirs")
    with pytest.raises(Refused, match="address_taken"):
        await dav.client.create(dav.calendar, MARK, draft())
    assert "SUMMARY:Theirs" in dav.read(f"{MARK.hex}.ics")
    dav.server.put(f"{dav.path}mail.ics", *HOURS, uid="from-a-mail")
    with pytest.raises(Refused, match="uid_taken"):
        await dav.client.create(dav.calendar, new_id(), draft(uid="from-a-mail"))


async def test_an_edit_meanwhile_is_not_overwritten(dav: Dav) -> None:
    written = await dav.client.create(dav.calendar, MARK, draft())
    name = f"{MARK.hex}.ics"

    def edit() -> None:
        text = dav.read(name).replace("LOCATION:Room 1", f"LOCATION:My room {next(numbers)}")
        text = text.replace("LOCATION:My room", "LOCATION:My own room")
        dav.server.reach("PUT", dav.path + name, text, **{"Content-Type": "text/calendar"})

    dav.between.before.append(("PUT", edit))
    await dav.client.update(dav.calendar, written.remote_id, draft(summary="Ours"), frozenset({"summary"}))
    assert "SUMMARY:Ours" in dav.read(name)
    assert "LOCATION:My own room" in dav.read(name)
    dav.between.before += [("PUT", lambda: _touch(dav, name))] * 3
    with pytest.raises(TryLater, match="edited_meanwhile"):
        await dav.client.update(dav.calendar, written.remote_id, draft(summary="Never"), frozenset({"summary"}))


def _touch(dav: Dav, name: str) -> None:
    text = dav.read(name).replace("TRANSP:OPAQUE", f"TRANSP:OPAQUE\r\nX-TOUCHED:{next(numbers)}")
    dav.server.reach("PUT", dav.path + name, text, **{"Content-Type": "text/calendar"})


async def test_an_event_that_was_called_off_is_gone(dav: Dav) -> None:
    written = await dav.client.create(dav.calendar, MARK, draft())
    name = f"{MARK.hex}.ics"
    off = dav.read(name).replace("STATUS:CONFIRMED", "STATUS:CANCELLED")
    dav.server.reach("PUT", dav.path + name, off, **{"Content-Type": "text/calendar"})
    assert (await dav.client.get(dav.calendar, written.remote_id, WINDOW)).deleted
    with pytest.raises(EventGone):
        await dav.client.update(dav.calendar, written.remote_id, draft(), ALL)
    with pytest.raises(EventGone):
        await dav.client.create(dav.calendar, MARK, draft())


async def test_list_own_and_an_event_that_was_moved(dav: Dav) -> None:
    mark = new_id()
    written = await dav.client.create(dav.calendar, mark, draft())
    dav.server.put(f"{dav.path}theirs.ics", *HOURS)
    assert [event.mark for event in await dav.client.list_own(dav.calendar, WINDOW)] == [mark]
    where = (dav.calendar, written.remote_id, mark, WINDOW)
    assert await dav.client.find_elsewhere(*where) is None
    other = dav.server.make_calendar(f"other{next(numbers)}")
    text = dav.read(f"{mark.hex}.ics")
    dav.server.reach("PUT", f"{other}any.ics", text, **{"Content-Type": "text/calendar"})
    dav.server.reach("DELETE", f"{dav.path}{mark.hex}.ics")
    assert await dav.client.find_elsewhere(*where) == dav.between.url + other
    dav.server.reach("DELETE", other)


# What may be missing, and what must not happen.


async def test_a_calendar_that_is_gone_says_nothing_of_events(dav: Dav) -> None:
    written = await dav.client.create(dav.calendar, MARK, draft())
    _, token = await dav.sync()
    dav.server.reach("DELETE", dav.path)
    for call in (
        dav.client.get(dav.calendar, written.remote_id, WINDOW),
        dav.client.update(dav.calendar, written.remote_id, draft(), ALL),
        dav.client.delete(dav.calendar, written.remote_id),
        dav.client.create(dav.calendar, MARK, draft()),
        dav.client.list_own(dav.calendar, WINDOW),
        dav.sync(),
        dav.sync(token),
    ):
        with pytest.raises(CalendarGone):
            await call


async def test_an_answer_that_is_none_is_no_empty_calendar(dav: Dav) -> None:
    for text in (
        "<html>log in to the network</html>",
        "not xml",
        '<!DOCTYPE x [<!ENTITY a "b">]><d:multistatus xmlns:d="DAV:">&a;</d:multistatus>',
    ):
        dav.between.answers[("REPORT", dav.path)] = Said(207, text)
        with pytest.raises(TryLater, match="unreadable"):
            await dav.sync()


async def test_the_password_stays_with_its_host(dav: Dav) -> None:
    dav.between.answers[("PROPFIND", "/")] = Said(302, headers={"Location": "http://localhost/"})
    with pytest.raises(Refused, match="foreign_address"):
        await dav.client.list_calendars()
    with pytest.raises(Refused, match="foreign_address"):
        await dav.client.get(dav.calendar, "https://elsewhere.example/a.ics", WINDOW)
    dav.between.answers[("PROPFIND", "/")] = Said(302, headers={"Location": "/"})
    with pytest.raises(Refused, match="too_many_redirects"):
        await dav.client.list_calendars()


@pytest.mark.parametrize(
    ("given", "said", "fine"),
    [
        ("https://caldav.icloud.com/", "https://p34-caldav.icloud.com:443/1/calendars/", True),
        ("https://caldav.icloud.com/", "https://icloud.com.evil.example/", False),
        ("https://caldav.icloud.com/", "http://p34-caldav.icloud.com/", False),
        ("https://caldav.icloud.com/", "https://p34-caldav.icloud.com:8443/", False),
        ("https://caldav.icloud.com/", "https://user@p34-caldav.icloud.com/", False),
        ("https://example.com/", "https://other.com/", False),
        ("https://192.0.2.1/", "https://9.0.2.1/", False),
    ],
)
async def test_calendars_on_a_host_beside_it(dav: Dav, given: str, said: str, fine: bool) -> None:
    requests = Requests(dav.session, given, USER, PASSWORD)
    if fine:
        assert requests.joined(given, said).startswith("https://p34-caldav.icloud.com/1/")
    else:
        with pytest.raises(Refused, match="foreign_address"):
            requests.joined(given, said)


async def test_there_is_no_push(dav: Dav) -> None:
    assert not dav.client.has_push
    until = NINE + timedelta(days=1)
    channel, hook = Channel("1", None, until), Hook(UUID(int=1), "https://a.test", "https://a.test", "s")
    for call in (
        dav.client.watch(dav.calendar, hook, until),
        dav.client.renew(dav.calendar, channel, until),
        dav.client.unwatch(channel),
    ):
        with pytest.raises(Refused, match="no_push"):
            await call
