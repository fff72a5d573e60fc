"""Writing to Microsoft: one event for one booking, whatever is lost on the way, and subscriptions."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from aiohttp import web

from app.core.ids import new_id
from app.domain.calendars.graph import differences, with_meeting_kept
from app.domain.calendars.provider import CalendarGone, Channel, EventGone, Hook, Refused, TryLater
from tests.fakes.graph_store import LINE
from tests.workers.graph_account import ADA, DAY, HOUR, MARK, NINE, WINDOW, Account, connected, draft

ALL = frozenset({"summary", "description", "location", "starts_at", "ends_at", "attendees"})


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with connected() as made:
        yield made


async def test_create_says_what_the_draft_says(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    stored = account.stored(written.remote_id)
    assert (written.starts_at, written.ends_at, written.meeting_url) == (NINE, NINE + HOUR, None)
    assert (stored["subject"], stored["location"]["displayName"]) == ("Intro with Grace", "Room 1")
    assert stored["attendees"] == [], "Exchange would invite them"
    assert stored["transactionId"] == f"slotwire-{MARK.hex}"
    assert "c?a=1&amp;b=2" in stored["body"]["content"]
    (posted,) = account.fake.calls_of("POST")
    assert (posted.body["responseRequested"], posted.body["allowNewTimeProposals"]) == (False, False)
    found, token = await account.sync()
    event = found[written.remote_id]
    assert (event.mark, event.etag, event.starts_at) == (MARK, written.etag, NINE), "so that the echo is known as one"
    assert (await account.sync(token))[0] == {}


@pytest.mark.parametrize("duplicates", ["conflict", "existing"])
@pytest.mark.parametrize("shift", [timedelta(0), timedelta(days=40)])
async def test_a_lost_answer_makes_no_second_event(account: Account, duplicates: str, shift: timedelta) -> None:
    account.fake.duplicates = duplicates
    account.fake.drop_next("POST .*/events")
    with pytest.raises(TryLater):
        await account.client.create(account.calendar, MARK, draft())
    (event,) = account.fake.events(account.calendar)
    # meanwhile the booking was moved
    later = draft(starts_at=NINE + shift, ends_at=NINE + HOUR + shift, summary="Intro, moved")
    written = await account.client.create(account.calendar, MARK, later)
    assert (written.remote_id, written.starts_at) == (event["id"], NINE + shift)
    assert [each["subject"] for each in account.fake.events(account.calendar)] == ["Intro, moved"]


async def test_two_marks_are_two_events(account: Account) -> None:
    for _ in range(2):
        await account.client.create(account.calendar, new_id(), draft())
    assert len(account.fake.events(account.calendar)) == 2


async def test_a_duplicate_that_is_nowhere_is_not_made_again(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    account.fake.remove(account.calendar, written.remote_id)
    with pytest.raises(TryLater, match="duplicate_not_found"):
        await account.client.create(account.calendar, MARK, draft())
    assert account.fake.events(account.calendar) == []
    account.fake.forgets_deleted = True
    again = await account.client.create(account.calendar, MARK, draft())
    assert [each["id"] for each in account.fake.events(account.calendar)] == [again.remote_id]


async def test_a_calendar_that_may_not_be_written(account: Account) -> None:
    calendar = account.fake.add_calendar(ADA, "Theirs", can_edit=False).id
    with pytest.raises(Refused, match="forbidden"):
        await account.client.create(calendar, MARK, draft())


@pytest.mark.parametrize("reads", [0, 2])
async def test_a_meeting_has_its_link_even_when_it_comes_late(account: Account, reads: int) -> None:
    account.fake.links_late = reads
    written = await account.client.create(account.calendar, MARK, draft(conference=True))
    assert written.meeting_url
    assert written.meeting_url.startswith("https://teams.microsoft.com/")
    found, _ = await account.sync()
    assert found[written.remote_id].meeting_url == written.meeting_url


async def test_update_leaves_alone_what_was_edited_there(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    account.fake.edit(
        account.calendar,
        written.remote_id,
        subject="My own words",
        body={"contentType": "html", "content": "<b>Notes</b>"},
        categories=["Red"],
    )
    later = draft(starts_at=NINE + DAY, ends_at=NINE + DAY + HOUR)
    moved = await account.client.update(account.calendar, written.remote_id, later, frozenset({"starts_at", "ends_at"}))
    stored = account.stored(written.remote_id)
    assert (moved.starts_at, moved.ends_at) == (NINE + DAY, NINE + DAY + HOUR)
    assert (stored["subject"], stored["body"]["content"], stored["categories"]) == (
        "My own words",
        "<b>Notes</b>",
        ["Red"],
    )
    assert moved.etag != written.etag


async def test_attendees_alone_change_nothing(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    same = await account.client.update(account.calendar, written.remote_id, draft(), frozenset({"attendees"}))
    assert same == written
    assert account.fake.calls_of("PATCH") == []


async def test_another_text_keeps_the_meeting(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft(conference=True))
    for text in ("First\n<script>", "Second"):
        again = await account.client.update(
            account.calendar, written.remote_id, draft(conference=True, description=text), frozenset({"description"})
        )
        assert again.meeting_url == written.meeting_url
    content = account.stored(written.remote_id)["body"]["content"]
    assert (content.count("Second"), content.count("First"), content.count("Booked by")) == (1, 0, 0)
    assert content.count(LINE) == 1
    assert content.count("Join the meeting now") == 1


async def test_a_meeting_whose_part_is_not_found_keeps_its_text(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft(conference=True))
    stored = account.stored(written.remote_id)
    stored["body"] = {"contentType": "html", "content": "<html><body>Somebody wrote this</body></html>"}
    changed = draft(conference=True, description="Ours", location="Room 2")
    await account.client.update(account.calendar, written.remote_id, changed, ALL)
    assert "Somebody wrote this" in stored["body"]["content"]
    assert stored["location"]["displayName"] == "Room 2"


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (f"<body><div>Old<br></div><div><span>{LINE}</span></div><p>Join</p></body>", f"<div><span>{LINE}"),
        (f"<body>Old<br>\n<br>{LINE}<br>Join</body>", f"<br>\n<br>{LINE}<br>Join</body>"),
        (f"<body><div class='a'> <p>{LINE}</p>Join</div></body>", f"<div class='a'> <p>{LINE}"),
    ],
)
def test_only_what_holds_the_meeting_is_kept(content: str, kept: str) -> None:
    body = with_meeting_kept("a < b", {"contentType": "html", "content": content})
    assert body is not None
    assert body["content"].startswith(f"<html><body><div>a &lt; b</div>\n{kept}")


def test_a_line_in_a_plain_text_holds_no_meeting() -> None:
    assert with_meeting_kept("ours", {"contentType": "html", "content": f"<body>a{LINE}b</body>"}) is None


def test_white_space_is_no_difference() -> None:
    entry = {
        "subject": "Intro with Grace",
        "location": {"displayName": "Room 1"},
        "start": {"dateTime": "2026-06-03T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-06-03T10:00:00.0000000", "timeZone": "UTC"},
        "body": {"contentType": "text", "content": draft().description.replace("\n", "\r\n") + "\r\n"},
    }
    assert differences(entry, draft()) == frozenset()
    assert differences({**entry, "subject": "x"}, draft()) == {"summary"}
    assert differences({**entry, "body": None}, draft()) == {"description"}


async def test_update_and_get_of_what_was_deleted(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    account.fake.remove(account.calendar, written.remote_id)
    for changed in ({"summary"}, {"description"}, {"attendees"}):
        with pytest.raises(EventGone):
            await account.client.update(account.calendar, written.remote_id, draft(), frozenset(changed))


async def test_an_event_that_was_called_off_is_gone(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    account.fake.edit(account.calendar, written.remote_id, isCancelled=True)
    with pytest.raises(EventGone):
        await account.client.update(account.calendar, written.remote_id, draft(), frozenset({"summary"}))
    assert (await account.client.get(account.calendar, written.remote_id, WINDOW)).deleted


async def test_delete_twice_is_fine_but_not_without_a_calendar(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    for _ in range(2):
        await account.client.delete(account.calendar, written.remote_id)
    assert account.fake.events(account.calendar) == []
    account.fake.fail_next("DELETE", 403)
    with pytest.raises(Refused):
        await account.client.delete(account.calendar, written.remote_id)
    account.fake.remove_calendar(account.calendar)
    with pytest.raises(CalendarGone):
        await account.client.delete(account.calendar, written.remote_id)


async def test_two_writes_at_once_are_tried_again(account: Account) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    account.fake.fail_next("PATCH", 409, body={"error": {"code": "ErrorIrresolvableConflict", "message": ""}})
    with pytest.raises(TryLater):
        await account.client.update(account.calendar, written.remote_id, draft(), frozenset({"summary"}))


@pytest.mark.parametrize("keeps_id", [False, True])
async def test_an_event_is_found_in_the_calendar_that_it_was_moved_to(account: Account, keeps_id: bool) -> None:
    written = await account.client.create(account.calendar, MARK, draft())
    account.fake.add_calendar(ADA, "Read only", can_edit=False)
    other = account.fake.add_calendar(ADA, "Private").id
    where = (account.calendar, written.remote_id, MARK, WINDOW)
    assert await account.client.find_elsewhere(*where) is None
    account.fake.move_to_calendar(account.calendar, written.remote_id, other, keeps_id=keeps_id)
    assert await account.client.find_elsewhere(*where) == other


async def test_list_own_knows_ours_by_their_marks(account: Account) -> None:
    marks = {new_id() for _ in range(3)}
    for mark in marks:
        await account.client.create(account.calendar, mark, draft())
    account.event(subject="Theirs")
    account.event(transactionId="slotwire-nonsense")
    account.fake.page_limit = 2
    assert {event.mark for event in await account.client.list_own(account.calendar, WINDOW)} == marks


# Subscriptions.


class Receiver:
    """Where notifications come, as our own endpoint takes them."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, object]]] = []
        self.agrees = True
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        token = request.query.get("validationToken")
        if token is not None:
            return web.Response(text=token if self.agrees else "no", content_type="text/plain")
        body = await request.json()
        self.got += [(request.path, each) for each in body["value"]]
        return web.Response(status=202)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made, app = Receiver(), web.Application()
    app.router.add_post("/{kind}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def hook(receiver: Receiver) -> Hook:
    return Hook(UUID(int=1), f"{receiver.url}/changes", f"{receiver.url}/life?from=graph", "s3cret")


async def test_a_subscription_tells_of_changes_until_it_is_ended(account: Account, receiver: Receiver) -> None:
    channel = await account.client.watch(account.calendar, hook(receiver), datetime.now(UTC) + HOUR)
    assert channel.resource is None
    remote_id = account.event()
    account.fake.duplicate_pushes = True
    account.fake.edit(account.calendar, remote_id, subject="Other")
    account.fake.tell_life(channel.id, "reauthorizationRequired")
    await account.fake.settled()
    told = [(path, each.get("changeType") or each.get("lifecycleEvent")) for path, each in receiver.got]
    assert sorted(told) == [
        ("/changes", "created"),
        *[("/changes", "updated")] * 2,
        *[("/life", "reauthorizationRequired")] * 2,
    ]
    assert {(each["clientState"], each["subscriptionId"]) for _, each in receiver.got} == {("s3cret", channel.id)}
    for _ in range(2):
        await account.client.unwatch(channel)
    account.event()
    await account.fake.settled()
    assert len(receiver.got) == 5


async def test_it_lasts_as_long_as_microsoft_allows(account: Account, receiver: Receiver) -> None:
    until = datetime.now(UTC) + timedelta(days=30)
    most = datetime.now(UTC) + timedelta(minutes=4230)
    channel = await account.client.watch(account.calendar, hook(receiver), datetime.now(UTC) + HOUR)
    renewed = await account.client.renew(account.calendar, channel, until)
    assert renewed is not None
    assert channel.expires_at < most - DAY
    assert most - HOUR < renewed.expires_at <= most
    again = await account.client.watch(account.calendar, hook(receiver), until)
    assert most - HOUR < again.expires_at <= most
    account.fake.held = []
    account.fake.tell_life(channel.id, "missed")
    account.fake.tell_life(channel.id, "subscriptionRemoved")
    account.fake.release(backwards=True)
    await account.fake.settled()
    assert {each["lifecycleEvent"] for _, each in receiver.got} == {"subscriptionRemoved", "missed"}
    assert await account.client.renew(account.calendar, channel, until) is None
    account.fake.expire_subscriptions()
    assert await account.client.renew(account.calendar, again, until) is None


async def test_an_endpoint_that_does_not_agree(account: Account, receiver: Receiver) -> None:
    receiver.agrees = False
    with pytest.raises(Refused, match="no_handshake"):
        await account.client.watch(account.calendar, hook(receiver), datetime.now(UTC) + HOUR)


async def test_subscriptions_of_a_calendar_that_is_gone(account: Account, receiver: Receiver) -> None:
    account.fake.remove_calendar(account.calendar)
    until = datetime.now(UTC) + HOUR
    with pytest.raises(CalendarGone):
        await account.client.watch(account.calendar, hook(receiver), until)
    with pytest.raises(CalendarGone):
        await account.client.renew(account.calendar, Channel("sub-1", None, until), until)
