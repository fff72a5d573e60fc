"""Reading from Microsoft: calendars, syncs, series, and what must never be taken for a deletion."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.domain.calendars.provider import (
    AccessLost,
    Block,
    CalendarGone,
    EventGone,
    Refused,
    TokenExpired,
    TryLater,
)
from tests.workers.graph_account import ADA, DAY, HOUR, MARK, NINE, WINDOW, Account, connected, draft


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with connected() as made:
        yield made


async def test_calendars_come_from_all_pages_the_primary_first(account: Account) -> None:
    account.fake.page_limit = 2
    for number in range(3):
        account.fake.add_calendar(ADA, f"Team {number}", can_edit=number != 1)
    found = await account.client.list_calendars()
    assert [(each.name, each.primary, each.writable) for each in found] == [
        ("Calendar", True, True),
        ("Team 0", False, True),
        ("Team 1", False, False),
        ("Team 2", False, True),
    ]
    assert {each.account for each in found} == {ADA}


@pytest.mark.parametrize(
    ("named", "understood"),
    [
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("UTC", "UTC"),
        ("tzone://Microsoft/Custom", None),
    ],
)
async def test_windows_zones_are_understood(account: Account, named: str, understood: str | None) -> None:
    account.fake.store.mailboxes[ADA].timezone = named
    assert [each.timezone for each in await account.client.list_calendars()] == [understood]


async def test_a_zone_that_may_not_be_read_is_unknown(account: Account) -> None:
    account.fake.settings_forbidden = True
    assert [each.timezone for each in await account.client.list_calendars()] == [None]


async def test_a_full_sync_reads_every_page(account: Account) -> None:
    ids = {account.event(starts_at=NINE + n * HOUR, ends_at=NINE + (n + 1) * HOUR) for n in range(450)}
    found, _ = await account.sync()
    assert found.keys() == ids
    assert len(account.fake.calls_of("delta")) == 3
    assert {event.blocks[0].starts_at for event in found.values()} == {NINE + n * HOUR for n in range(450)}


async def test_the_window_takes_what_is_partly_in_it(account: Account) -> None:
    begins, ends = WINDOW.starts_at, WINDOW.ends_at
    inside = {
        account.event(starts_at=begins - HOUR, ends_at=begins + HOUR),
        account.event(starts_at=ends - HOUR, ends_at=ends + HOUR),
    }
    account.event(starts_at=begins - HOUR, ends_at=begins)
    account.event(starts_at=ends, ends_at=ends + HOUR)
    assert (await account.sync())[0].keys() == inside


async def test_what_takes_time_and_what_does_not(account: Account) -> None:
    hour = Block(NINE, NINE + HOUR)
    odd = account.event()
    account.stored(odd)["start"] = account.stored(odd)["end"] = {"dateTime": "never", "timeZone": "UTC"}
    expected = {
        account.event(): (hour,),
        account.event(showAs="oof"): (hour,),
        account.event(showAs="unknown"): (hour,),
        account.event(showAs="tentative"): (replace(hour, tentative=True),),
        account.event(showAs="free"): (),
        account.event(showAs="workingElsewhere"): (),
        account.event(isCancelled=True): (),
        account.event(responseStatus={"response": "declined", "time": None}): (),
        account.event(responseStatus={"response": "notResponded", "time": None}): (hour,),
        account.event(ends_at=NINE): (),
        # nobody's view has it: it is only ever read by id
        odd: (),
    }
    found, _ = await account.sync()
    for remote_id, blocks in expected.items():
        event = found.get(remote_id) or await account.client.get(account.calendar, remote_id, WINDOW)
        assert event.blocks == blocks, remote_id
        assert event.deleted is bool(account.stored(remote_id)["isCancelled"])


async def test_all_day_events_last_from_midnight_to_midnight_there(account: Account) -> None:
    # over the night in which Berlin's clocks go back
    days = account.event(starts_at=at(10, 24), ends_at=at(10, 26), isAllDay=True)
    one = account.event(starts_at=date(2026, 6, 5), ends_at=date(2026, 6, 6))
    empty = account.event(starts_at=at(6, 7), ends_at=at(6, 7, 0), isAllDay=True)
    shifted = account.event(starts_at=at(6, 9, 22), ends_at=at(6, 10, 22), isAllDay=True)
    found, _ = await account.sync()
    assert found[days].blocks == (Block(at(10, 23, 22), at(10, 25, 23)),)
    assert found[one].blocks == (Block(at(6, 4, 22), at(6, 5, 22)),)
    assert found[empty].blocks == (Block(at(6, 6, 22), at(6, 7, 22)),)
    assert found[shifted].blocks == (Block(at(6, 9, 22), at(6, 10, 22)),)
    assert all(event.all_day for event in found.values())


async def test_an_increment_has_only_what_changed(account: Account) -> None:
    moved, removed, left = account.event(), account.event(), account.event()
    account.event()
    _, token = await account.sync()
    assert (await account.sync(token))[0] == {}
    account.fake.edit(account.calendar, moved, start=NINE + 2 * HOUR, end=NINE + 3 * HOUR)
    account.fake.remove(account.calendar, removed)
    account.fake.edit(account.calendar, left, start=WINDOW.ends_at + DAY, end=WINDOW.ends_at + 2 * DAY)
    new = account.event()
    found, later = await account.sync(token)
    assert found.keys() == {moved, removed, left, new}
    assert found[moved].blocks == (Block(NINE + 2 * HOUR, NINE + 3 * HOUR),)
    for gone in removed, left:
        assert (found[gone].deleted, found[gone].blocks, found[gone].starts_at) == (True, (), None)
    assert (await account.sync(later))[0] == {}
    assert not (await account.client.get(account.calendar, left, WINDOW)).deleted, "it only left the window"


async def test_an_increment_of_many_pages(account: Account) -> None:
    _, token = await account.sync()
    account.fake.page_limit = 7
    ids = {account.event() for _ in range(30)}
    assert (await account.sync(token))[0].keys() == ids


async def test_an_expired_token_asks_for_a_full_sync(account: Account) -> None:
    _, token = await account.sync()
    account.fake.expire_delta_tokens()
    with pytest.raises(TokenExpired):
        await account.sync(token)


@pytest.mark.parametrize("code", ["SyncStateNotFound", "resyncRequired", "SyncStateInvalid"])
async def test_other_ways_to_say_so(account: Account, code: str) -> None:
    _, token = await account.sync()
    account.fake.fail_next("GET .*delta", 400, body={"error": {"code": code, "message": ""}})
    with pytest.raises(TokenExpired):
        await account.sync(token)
    account.fake.fail_next("GET .*delta", 410, body={"error": {"code": code, "message": ""}})
    with pytest.raises(TryLater):
        await account.sync()


async def test_a_link_elsewhere_never_gets_the_token(account: Account) -> None:
    with pytest.raises(Refused, match="foreign_address"):
        await account.sync("https://evil.example/v1.0/me/calendars/x/calendarView/delta?$deltatoken=1")


# Series.


@pytest.mark.parametrize("drops_masters", [False, True])
async def test_occurrences_are_completed_from_their_master(account: Account, drops_masters: bool) -> None:
    account.fake.drops_masters, account.fake.page_limit = drops_masters, 4
    busy = series(account)
    free = series(account, showAs="free")
    maybe = series(account, showAs="tentative")
    found, _ = await account.sync()
    assert [found[each].blocks for each in days_of(busy)] == [
        (Block(NINE + n * DAY, NINE + n * DAY + HOUR),) for n in range(5)
    ]
    assert {found[each].blocks for each in days_of(free)} == {()}
    assert {block.tentative for each in days_of(maybe) for block in found[each].blocks} == {True}
    if not drops_masters:
        assert (found[busy].blocks, found[busy].starts_at, found[busy].deleted) == ((), None, False)
    asked = account.fake.calls_of("GET .*/events/")
    assert len(asked) == (3 if drops_masters else 0), "each master once"


async def test_all_day_series(account: Account) -> None:
    series = account.fake.add_series(account.calendar, at(6, 5), at(6, 7), days=7, count=2, isAllDay=True)
    found, _ = await account.sync()
    assert found[f"{series['id']}-OID-20260612"].blocks == (Block(at(6, 11, 22), at(6, 13, 22)),)


async def test_moved_and_cancelled_occurrences(account: Account) -> None:
    master = series(account)
    first, second, third, fourth, fifth = days_of(master)
    _, token = await account.sync()
    account.fake.edit(account.calendar, second, start=NINE, end=NINE + 3 * HOUR)
    account.fake.edit(account.calendar, third, showAs="free")
    account.fake.remove(account.calendar, fourth)
    found, token = await account.sync(token)
    assert found.keys() == {second, third, fourth}
    assert found[second].blocks == (Block(NINE, NINE + 3 * HOUR),)
    assert (found[third].blocks, found[fourth].deleted) == ((), True)
    everything, _ = await account.sync()
    assert {each for each in everything if everything[each].blocks} == {first, second, fifth}
    account.fake.remove(account.calendar, master)
    found, _ = await account.sync(token)
    assert found.keys() == {master, first, second, third, fifth}
    assert all(event.deleted for event in found.values())


@pytest.mark.parametrize("alone", [False, True])
async def test_a_changed_series_changes_its_occurrences(account: Account, alone: bool) -> None:
    master = series(account)
    _, token = await account.sync()
    account.fake.masters_alone = alone
    account.fake.edit(account.calendar, master, showAs="free")
    found, _ = await account.sync(token)
    assert found.keys() == {master, *days_of(master)}
    assert all(event.blocks == () for event in found.values())


# What a 404 means.


async def test_get_tells_an_event_gone_from_a_calendar_gone(account: Account) -> None:
    remote_id = account.event()
    event = await account.client.get(account.calendar, remote_id, WINDOW)
    assert (event.starts_at, event.blocks, event.mark) == (NINE, (Block(NINE, NINE + HOUR),), None)
    account.fake.store.calendar(account.calendar).hidden = True
    account.fake.store.calendar(account.calendar).can_edit = False
    with pytest.raises(CalendarGone):
        await account.client.get(account.calendar, remote_id, WINDOW)
    account.fake.store.calendar(account.calendar).hidden = False
    account.fake.store.calendar(account.calendar).can_edit = True
    account.fake.remove(account.calendar, remote_id)
    with pytest.raises(EventGone):
        await account.client.get(account.calendar, remote_id, WINDOW)
    account.fake.remove_calendar(account.calendar)
    for call in (
        account.client.get(account.calendar, remote_id, WINDOW),
        account.client.update(account.calendar, remote_id, draft(), frozenset({"summary"})),
        account.client.create(account.calendar, MARK, draft()),
        account.client.list_own(account.calendar, WINDOW),
        account.sync(),
    ):
        with pytest.raises(CalendarGone):
            await call


async def test_no_mailbox_says_nothing_of_events(account: Account) -> None:
    account.fake.no_mailbox = True
    for call in (
        account.client.get(account.calendar, "any", WINDOW),
        account.client.update(account.calendar, "any", draft(), frozenset({"summary"})),
        account.client.delete(account.calendar, "any"),
        account.client.list_calendars(),
    ):
        with pytest.raises(Refused, match="no_mailbox"):
            await call


async def test_throttling_says_how_long(account: Account) -> None:
    account.fake.quota = 0
    with pytest.raises(TryLater) as raised:
        await account.sync()
    assert (raised.value.code, raised.value.seconds) == ("rate_limited", 7)
    account.fake.quota = None
    account.fake.fail_next("GET .*delta", 503)
    with pytest.raises(TryLater):
        await account.sync()


async def test_a_token_that_ran_out_is_replaced_once(account: Account) -> None:
    remote_id = account.event()
    account.fake.oauth.expire_access()
    assert (await account.sync())[0].keys() == {remote_id}
    assert len(account.tokens) == 2
    account.fake.fail_next("GET .*delta", 401, times=2)
    with pytest.raises(AccessLost):
        await account.sync()


async def test_no_permission_is_a_refusal(account: Account) -> None:
    account.fake.fail_next("GET .*delta", 403, body={"error": {"code": "ErrorAccessDenied", "message": ""}})
    with pytest.raises(Refused, match="forbidden"):
        await account.sync()


async def test_a_page_that_is_no_page_is_not_an_empty_calendar(account: Account) -> None:
    account.fake.fail_next("GET .*delta", 200, body={"message": "log in to the network first"})
    with pytest.raises(TryLater):
        await account.sync()


def at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def series(account: Account, **members: str) -> str:
    """Five days on end, an hour from nine."""
    return str(account.fake.add_series(account.calendar, NINE, NINE + HOUR, days=1, count=5, **members)["id"])


def days_of(master: str) -> list[str]:
    return [f"{master}-OID-202606{day:02d}" for day in range(3, 8)]
