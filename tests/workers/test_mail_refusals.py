"""What mail servers say to mails: a bounce is known, what may be mended is tried again, and none holds up another."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import db
from app.core.ids import Kind, decode
from app.core.settings import Settings
from app.domain.notifications.transport import MailServerAway, open_smtp
from tests.offers import booked, offer
from tests.postbox import Postbox, listening
from tests.support import Api, Servers, Tenant, eventually, settings_for
from tests.workers.mailing import JANE, SENDER, at_rest, hurry, mailing, outcomes

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


async def shown(api: Api, booking: Any) -> Any:
    return (await api.get(f"/v1/bookings/{booking['id']}")).ok()["booking"]


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


async def test_a_server_that_never_says_whether_it_took_a_mail_gets_it_twice(
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

        async def tried() -> bool:
            return await outcomes(conn, tenant) == [(None, 1)]

        await eventually(tried)
        await hurry(conn, tenant)

        async def given_up() -> bool:
            return await outcomes(conn, tenant) == [("unknown", 2)]

        await eventually(given_up)
    assert box.begun[JANE] == 2


@pytest.mark.parametrize(("verb", "outcome"), [("RCPT", ("bounced", 1)), (".", ("bounced", 1)), ("220", (None, 0))])
async def test_an_answer_in_no_encoding_is_an_answer(
    api: Api,
    migrated: Servers,
    soon: datetime,
    tenant: Tenant,
    conn: db.Connection,
    verb: str,
    outcome: tuple[str | None, int],
) -> None:
    """A server may say anything, in its greeting too: the database and the log are told what can be written."""

    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = dict.fromkeys(("220", "EHLO", "MAIL", "RCPT", "RSET", "QUIT", "."), b"250 x") | {"DATA": b"354 x"}
        answers |= {"220": b"220 x", verb: b"550 Empf\xe4nger \x00unbekannt"}
        said = "220"
        while said:
            if said.strip()[:4] in answers:
                writer.write(answers[said.strip()[:4]] + b"\r\n")
            said = (await reader.readline()).decode(errors="replace")
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = settings_for(migrated, smtp_url=f"smtp://127.0.0.1:{port}", mail_from=SENDER)
    async with server, mailing(settings):
        booking = await booked(api, await offer(api), soon)

        async def told() -> bool:
            return await outcomes(conn, tenant) == [outcome]

        await eventually(told)
        await asyncio.sleep(1.5)
        assert await told()
    assert ((await shown(api, booking))["attendee_bounced_at"] is not None) is (outcome[0] == "bounced")
    await conn.execute("delete from mails where org_id = $1", tenant.org_id)


async def test_a_server_that_takes_nobody_just_now_costs_no_mail_an_attempt(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    box.sender = lambda _address: "421 4.7.0 Too many connections"
    async with mailing(settings):
        await booked(api, await offer(api), soon)
        await asyncio.sleep(2.5)
        assert await outcomes(conn, tenant) == [(None, 0)]
        box.sender = lambda _address: "250 OK"
        await box.wait_for(2)
    assert await outcomes(conn, tenant) == [("sent", 1)]


async def test_news_does_not_wait_behind_a_reminder(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    """Of what is cancelled nobody needs to be reminded."""
    booking = await booked(api, await offer(api), soon)
    async with mailing(settings):
        await eventually(lambda: at_rest(conn, tenant))
        await conn.execute(
            "update reminders set due_at = now() where booking_id = $1", decode(Kind.BOOKING, booking["id"])
        )
        box.recipient = lambda _address: "451 Later"

        async def waits() -> bool:
            return await outcomes(conn, tenant) == [("sent", 1), (None, 1)]

        await eventually(waits)
        box.recipient = lambda _address: "250 OK"
        (await api.post(f"/v1/bookings/{booking['id']}/cancel")).ok()
        await box.wait_for(2, JANE)
        await hurry(conn, tenant)
        await eventually(lambda: at_rest(conn, tenant))
    assert [each for each, _ in await outcomes(conn, tenant)] == ["sent", "superseded", "sent"]


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


async def test_a_password_does_not_go_over_an_open_line(migrated: Servers, box: Postbox) -> None:
    """127.0.0.2 is not this machine's own name: a stand-in for any other host."""
    url = f"smtp://me:secret@127.0.0.2:{box.port}"
    with pytest.raises(MailServerAway) as refused:
        await open_smtp(settings_for(migrated, smtp_url=url))
    assert "secret" not in str(refused.value)
