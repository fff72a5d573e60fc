"""What mail servers and crashes do to mails: nothing is lost, nothing goes twice, and what bounces is known."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode, new_id
from app.core.settings import Settings
from app.domain.notifications import outgoing
from app.domain.notifications.transport import MailServerAway, NotOurs, Packed, open_smtp, opened
from tests.offers import booked, offer
from tests.postbox import Postbox, listening
from tests.processes import running
from tests.support import Api, Servers, Tenant, environment_for, eventually, settings_for
from tests.workers.mailing import JANE, at_rest, mailing

HOUR = timedelta(hours=1)
SENDER = "bookings@slotwire.example"


@pytest.fixture
async def box() -> AsyncIterator[Postbox]:
    async with listening() as box:
        yield box


@pytest.fixture
def settings(migrated: Servers, box: Postbox) -> Settings:
    return settings_for(migrated, smtp_url=box.url, mail_from=SENDER)


async def shown(api: Api, booking: Any) -> Any:
    return (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]


async def outcomes(conn: db.Connection, tenant: Tenant, recipient: str = JANE) -> list[tuple[str | None, int]]:
    rows = await conn.fetch(
        "select outcome, attempts from mails where org_id = $1 and recipient = $2 order by happened_at",
        *(tenant.org_id, recipient),
    )
    return [(row["outcome"], row["attempts"]) for row in rows]


async def hurry(conn: db.Connection, tenant: Tenant) -> None:
    """The time of the next attempt has come."""
    await conn.execute(
        "update mails set next_attempt_at = now() where org_id = $1 and next_attempt_at > now()", tenant.org_id
    )


@pytest.mark.parametrize("where", ["recipient", "content"])
async def test_an_address_that_the_server_refuses_is_marked_on_the_booking(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection, where: str
) -> None:
    def verdict(address: str) -> str:
        return "550 5.1.1 Nobody here" if address == JANE else "250 OK"

    setattr(box, where, verdict)
    async with mailing(settings):
        booking = await booked(api, await offer(api), soon)
        await eventually(lambda: at_rest(conn, tenant))
        refused = await shown(api, booking)
        assert refused["attendee_bounced_at"] is not None
        assert await outcomes(conn, tenant) == [("bounced", 1)]
        log = (await api.get(f"/v1/events?booking_id={booking['id']}")).ok()["events"]
        assert [each["type"] for each in log] == ["booking.created", "booking.updated"]
        assert log[1]["data"]["previous"] == {"attendee_bounced_at": None}
        change = {"attendee": {"email": "jane@better.example"}}
        mended = (await api.call("PATCH", f"/v1/bookings/{booking['id']}", change)).ok()["booking"]
        assert mended["attendee_bounced_at"] is None
        await box.wait_for(1, "jane@better.example")


async def test_a_host_or_guest_who_bounces_does_not_mark_the_attendee(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    box.recipient = lambda address: "250 OK" if address == JANE else "550 No"
    async with mailing(settings):
        booking = await booked(api, await offer(api), soon, guests=[{"email": "gus@example.com"}])
        await eventually(lambda: at_rest(conn, tenant))
    assert (await shown(api, booking))["attendee_bounced_at"] is None
    assert await outcomes(conn, tenant, "gus@example.com") == [("bounced", 1)]


async def test_a_server_that_says_later_is_asked_later(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    box.recipient = lambda _address: "451 4.7.1 Greylisted"
    async with mailing(settings):
        booking = await booked(api, await offer(api), soon)

        async def tried() -> bool:
            return await outcomes(conn, tenant) == [(None, 1)]

        await eventually(tried)
        ahead = await conn.fetchval(
            "select next_attempt_at - now() from mails where org_id = $1 and recipient = $2", tenant.org_id, JANE
        )
        assert timedelta(seconds=45) < ahead <= timedelta(minutes=1)
        box.recipient = lambda _address: "250 OK"
        await hurry(conn, tenant)
        await box.wait_for(1, JANE)
    assert (await shown(api, booking))["attendee_bounced_at"] is None
    assert await outcomes(conn, tenant) == [("sent", 2)]


@pytest.mark.parametrize(
    "answer",
    [
        "554 5.7.1 Relay access denied",
        "530 5.7.0 Issue STARTTLS first",
        "550 5.7.23 SPF fails",
        "553 5.1.8 Sender",
    ],
)
@pytest.mark.parametrize("where", ["recipient", "content"])
async def test_what_is_wrong_with_us_is_nobodys_bounce(
    api: Api,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    tenant: Tenant,
    conn: db.Connection,
    where: str,
    answer: str,
) -> None:
    """Relays say at RCPT whatever is wrong with the client or the sender. It may be mended, so it is tried again."""
    setattr(box, where, lambda _address: answer)
    async with mailing(settings):
        booking = await booked(api, await offer(api), soon)

        async def tried() -> bool:
            return await outcomes(conn, tenant) == [(None, 1)]

        await eventually(tried)
        assert (await shown(api, booking))["attendee_bounced_at"] is None
        setattr(box, where, lambda _address: "250 OK")
        await hurry(conn, tenant)
        await box.wait_for(1, JANE)


async def test_a_mail_that_the_server_hangs_up_on_keeps_no_other(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    """421 for one recipient, as when a filter dies of the mail: its own failure, not the server's absence."""
    box.recipient = lambda address: "421 4.3.2 Closing" if address == JANE else "250 OK"
    made = await offer(api)
    async with mailing(settings):
        for hour in range(5):
            await booked(api, made, soon + hour * HOUR)
        began = datetime.now(UTC)
        await box.wait_for(5)
        assert datetime.now(UTC) - began < timedelta(seconds=8)

        async def counted() -> bool:
            return await outcomes(conn, tenant) == [(None, 1)] * 5

        await eventually(counted)


async def test_a_server_that_never_says_whether_it_took_a_mail_gets_it_three_times(
    api: Api,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    tenant: Tenant,
    conn: db.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.domain.notifications.transport._LAST_ANSWER_SECONDS", 0.2)
    box.pause = 1.0
    async with mailing(settings):
        await booked(api, await offer(api), soon)
        for times in (1, 2):

            async def tried(times: int = times) -> bool:
                return await outcomes(conn, tenant) == [(None, times)]

            await eventually(tried)
            await hurry(conn, tenant)

        async def given_up() -> bool:
            return await outcomes(conn, tenant) == [("unknown", 3)]

        await eventually(given_up)
    assert box.begun[JANE] == 3


@pytest.mark.parametrize("answer", ["451 Later", "550 Nobody"])
async def test_what_the_server_said_is_not_forgotten_while_the_database_is_away(
    api: Api,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    tenant: Tenant,
    conn: db.Connection,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    """The mail stands there as sent by then."""
    failures = iter([OSError, TimeoutError, ConnectionResetError])
    real = outgoing.refused

    async def away(*args: Any) -> str | None:
        if (failure := next(failures, None)) is not None:
            raise failure
        return await real(*args)

    monkeypatch.setattr("workers.notices.SWEEP_SECONDS", 0.05)
    monkeypatch.setattr(outgoing, "refused", away)
    box.content = lambda address: answer if address == JANE else "250 OK"
    async with mailing(settings):
        await booked(api, await offer(api), soon)

        async def known() -> bool:
            return await outcomes(conn, tenant) == [("bounced" if answer.startswith("5") else None, 1)]

        await eventually(known)


@pytest.mark.parametrize("committed", [True, False])
async def test_a_mail_whose_settling_fails_is_sent_later_and_once(
    api: Api,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    tenant: Tenant,
    conn: db.Connection,
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    """The database took the note and the connection broke before it said so; or it did not."""
    real, failed = outgoing.settle, [0]

    async def lost(own: db.Connection, mail: Any, now: datetime) -> bool:
        if mail["recipient"] == JANE and not failed[0]:
            failed[0] += 1
            if committed:
                await real(own, mail, now)
            raise ConnectionResetError
        return await real(own, mail, now)

    monkeypatch.setattr(outgoing, "settle", lost)
    async with mailing(settings):
        await booked(api, await offer(api), soon)
        await eventually(lambda: at_rest(conn, tenant))
    assert failed == [1]
    assert len(box.for_(JANE)) == 1
    assert await outcomes(conn, tenant) == [("sent", 1)]


async def test_a_notice_that_nobody_can_read_keeps_no_other(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    """As a newer version might write one during a deployment."""
    made = await offer(api)
    spoiled = await booked(api, made, soon)
    spoil = "update events set body = replace(body, '\"guests\"', '\"x\"') where booking_id = $1"
    await conn.execute(spoil, decode(Kind.BOOKING, spoiled["id"]))
    await conn.execute(
        "insert into outbox (org_id, topic, ref_id, data, due_at) values ($1, 'notice', $2, $3, now())",
        *(tenant.org_id, new_id(), {"kind": "of_tomorrow"}),
    )
    await booked(api, made, soon + HOUR)
    async with mailing(settings):
        await box.wait_for(2)
    kept = await conn.fetch(
        "select attempts, due_at > now() as later from outbox where org_id = $1 and topic = 'notice'", tenant.org_id
    )
    assert [(row["attempts"], row["later"]) for row in kept] == [(1, True), (1, True)]
    await conn.execute("delete from outbox where org_id = $1", tenant.org_id)


async def test_a_refused_sender_is_nobodys_bounce(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    box.sender = lambda _address: "550 5.7.1 Not from you"
    async with mailing(settings):
        booking = await booked(api, await offer(api), soon)

        async def tried() -> bool:
            return await outcomes(conn, tenant) == [(None, 1)]

        await eventually(tried)
    assert (await shown(api, booking))["attendee_bounced_at"] is None


async def test_mails_wait_while_the_server_is_away_and_nobody_counts(
    api: Api, migrated: Servers, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    async with listening() as gone:
        port = gone.port
    settings = settings_for(migrated, smtp_url=f"smtp://127.0.0.1:{port}", mail_from=SENDER)
    async with mailing(settings):
        await booked(api, await offer(api), soon)

        async def waits() -> bool:
            return await outcomes(conn, tenant) == [(None, 0)]

        await eventually(waits)
        await asyncio.sleep(1.5)
        assert await waits()
        async with listening(port=port) as box:
            await box.wait_for(2)
            await eventually(lambda: at_rest(conn, tenant))
    assert await outcomes(conn, tenant) == [("sent", 1)]


async def test_what_was_told_later_waits_for_what_was_earlier(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    """A cancellation must not arrive before the booking, whatever the server says to the first."""
    box.recipient = lambda address: "451 Later" if address == JANE else "250 OK"
    async with mailing(settings, workers=2):
        booking = await booked(api, await offer(api), soon)
        (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()

        async def first_tried() -> bool:
            return await outcomes(conn, tenant) == [(None, 1), (None, 0)]

        await eventually(first_tried)
        await asyncio.sleep(0.5)
        assert await first_tried()
        box.recipient = lambda _address: "250 OK"
        await hurry(conn, tenant)
        await box.wait_for(2, JANE)
    methods = [mail.message.get_body(("calendar",)) for mail in box.for_(JANE)]
    assert [part["Content-Type"].params["method"] for part in methods if part] == ["REQUEST", "CANCEL"]


async def test_two_workers_send_each_mail_once(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    made = await offer(api)
    for hour in range(20):
        await booked(api, made, soon + hour * HOUR)
    async with mailing(settings, workers=3):
        await eventually(lambda: at_rest(conn, tenant))
    assert len(box.arrived) == 40
    assert set(Counter(mail.message["Message-ID"] for mail in box.arrived).values()) == {1}


async def test_a_fault_of_ours_in_one_mail_keeps_no_other(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    made = await offer(api)
    spoiled, other = await booked(api, made, soon), await booked(api, made, soon + HOUR)
    spoil = "update events set body = replace(body, '\"history\"', '\"x\"') where booking_id = $1"
    await conn.execute(spoil, decode(Kind.BOOKING, spoiled["id"]))
    async with mailing(settings):
        await box.wait_for(2)
        assert {mail.calendar and other["ical_uid"] in mail.calendar for mail in box.arrived} == {True}

        async def counted() -> bool:
            return sorted(await outcomes(conn, tenant), key=str) == [("sent", 1), (None, 1)]

        await eventually(counted)


@pytest.fixture
def packed() -> Packed:
    content = b"Subject: x\r\n\r\nfirst\r\n.hidden\r\n..\r\n"
    return Packed(new_id(), SENDER, JANE, content, datetime.now(UTC))


async def test_a_mail_is_sent_only_by_whoever_holds_its_lease(settings: Settings, box: Postbox, packed: Packed) -> None:
    """The server has the whole text by then, but for the line that ends it."""
    make = opened(settings)
    assert make is not None
    way = make()

    async def lost() -> bool:
        return False

    async def kept() -> bool:
        assert box.arrived == [], "written down before the server takes it over"
        return True

    with pytest.raises(NotOurs):
        await way.send(packed, lost)
    await way.send(packed, kept)
    await way.close()
    (mail,) = box.arrived
    assert mail.raw == packed.content, "lines that begin with a dot arrive as they were"


async def test_a_password_does_not_go_over_an_open_line(migrated: Servers, box: Postbox) -> None:
    """127.0.0.2 is not this machine's own name: a stand-in for any other host."""
    url = f"smtp://me:secret@127.0.0.2:{box.port}"
    with pytest.raises(MailServerAway) as refused:
        await open_smtp(settings_for(migrated, smtp_url=url))
    assert "secret" not in str(refused.value)


async def test_without_a_server_mails_are_files(
    api: Api, migrated: Servers, soon: datetime, tenant: Tenant, conn: db.Connection, tmp_path: Path
) -> None:
    settings = settings_for(migrated, mail_dir=tmp_path / "mail", mail_from=SENDER)
    async with mailing(settings):
        await booked(api, await offer(api), soon)
        await eventually(lambda: at_rest(conn, tenant))
    files = sorted((tmp_path / "mail").iterdir())
    assert [path.suffix for path in files] == [".eml", ".eml"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files), "they hold links that act"
    read = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in files]
    assert JANE in {message["To"].addresses[0].addr_spec for message in read}


async def test_a_killed_worker_leaves_its_mails_to_the_other_and_none_goes_twice(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection, tmp_path: Path
) -> None:
    """SIGKILL in the middle of it. What it had claimed comes back when its lease runs out, which this test shortens."""
    made = await offer(api, reminders_minutes_before=[])
    first = await booked(api, made, soon)
    count = 400
    await copies(conn, first, count)
    environment = environment_for(settings) | {"SLOTWIRE_SMTP_URL": box.url, "SLOTWIRE_MAIL_FROM": SENDER}
    async with (
        running(["workers.main"], environment, tmp_path / "one.log") as one,
        running(["workers.main"], environment, tmp_path / "two.log"),
    ):
        await box.wait_for(100, seconds=60)
        one.signal(signal.SIGKILL)
        await one.ended()
        sent = len(box.arrived)
        assert sent < count
        await asyncio.sleep(2)
        await conn.execute("update mails set leased_until = now() where leased_until > now() + interval '50 seconds'")
        await box.wait_for(count + 2, seconds=60)
        await eventually(lambda: at_rest(conn, tenant), seconds=60)
    times = Counter(mail.message["Message-ID"] for mail in box.arrived)
    assert len(times) == count + 2
    assert set(times.values()) == {1}


async def copies(conn: db.Connection, booking: Any, count: int) -> None:
    """So many mails of one kind that wait, to people of their own."""
    await conn.execute(
        """
        insert into mails (org_id, id, kind, role, recipient, booking_id, event_id, thread, happened_at,
                           next_attempt_at, created_at)
        select e.org_id, gen_random_uuid(), 'booked', 'guest', 'guest-' || n || '@example.com', e.booking_id, e.id,
               'thread-' || n, e.at, now(), now()
        from events e, generate_series(1, $2::int) as n
        where e.booking_id = $1
        """,
        *(decode(Kind.BOOKING, booking["id"]), count),
    )
