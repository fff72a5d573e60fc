"""What crashes do to mails: nothing is lost, and nothing goes twice."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode, new_id
from app.core.settings import Settings
from app.domain.notifications import outgoing
from app.domain.notifications.transport import NotOurs, Packed, opened
from tests.offers import booked, offer
from tests.postbox import Postbox
from tests.processes import running
from tests.support import Api, Servers, Tenant, environment_for, eventually, settings_for
from tests.workers.mailing import JANE, SENDER, at_rest, hurry, mailing, outcomes

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


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

    @asynccontextmanager
    async def lost() -> AsyncIterator[bool]:
        yield False

    @asynccontextmanager
    async def kept() -> AsyncIterator[bool]:
        assert box.arrived == [], "written down before the server takes it over"
        yield True

    with pytest.raises(NotOurs):
        await way.send(packed, lost)
    await way.send(packed, kept)
    await way.close()
    (mail,) = box.arrived
    assert mail.raw == packed.content, "lines that begin with a dot arrive as they were"


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
    """SIGKILL in the middle of it. What it had claimed comes back when its lease runs out, which this test shortens. A
    mail that was written down as sent, and whose last line was not on its way yet, is the price of sending none twice:
    on a busy machine that instant is met now and then."""
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
        await eventually(lambda: at_rest(conn, tenant), seconds=60)
    times = Counter(mail.message["Message-ID"] for mail in box.arrived)
    assert set(times.values()) == {1}
    assert count + 2 - len(times) in {0, 1}


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
