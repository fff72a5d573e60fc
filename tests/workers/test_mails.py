"""From a booking to the mails that people get, through a worker and a real SMTP server."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from app.core import db
from app.core.ids import Kind, decode, new_id
from app.core.settings import Settings
from app.core.vault import Vault, digest
from app.domain.identity.keys import authenticate
from app.domain.identity.organizations import get_user
from app.domain.notifications.accounts import send_password_reset
from app.domain.notifications.audience import Owed
from app.domain.notifications.letters import Kind as Letters
from app.domain.notifications.letters import Role
from app.domain.notifications.queue import Mail, put_mails
from tests.itip import check_mail, check_thread
from tests.offers import booked, iso, offer
from tests.postbox import Arrived, Postbox
from tests.support import Api, Servers, Tenant, eventually, settings_for
from tests.visitors import BROWSER, Anybody
from tests.workers.mailing import JANE, at_rest, mailing

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


@pytest.fixture
async def host(api: Api) -> str:
    email: str = (await api.get("/v1/users/me")).ok()["user"]["email"]
    return email


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


def links(mail: Arrived, *words: str) -> list[str]:
    """The paths of this mail's links that hold one of the words."""
    found = re.findall(r"https?://\S+", mail.text)
    return [urlsplit(each).path for each in found if any(word in each for word in words)]


async def settled(conn: db.Connection, tenant: Tenant) -> None:
    await eventually(lambda: at_rest(conn, tenant))


async def test_everybody_hears_of_a_booking_and_can_put_it_into_a_calendar(
    api: Api, settings: Settings, box: Postbox, soon: datetime, host: str, anybody: Anybody
) -> None:
    guests = [{"email": "gus@example.com", "name": "Gus"}]
    async with mailing(settings):
        booking = await booked(api, await offer(api, title="Intro"), soon, guests=guests)
        mails = await box.wait_for(3)
    assert {mail.to for mail in mails} == {JANE, host, "gus@example.com"}
    for mail in mails:
        invitation = check_mail(mail.raw)
        assert invitation is not None
        assert (invitation.method, invitation.uid, invitation.sequence) == ("REQUEST", booking["ical_uid"], 0)
        assert mail.sender == "bookings@slotwire.example"
    (to_jane,) = box.for_(JANE)
    assert "America/New_York" in to_jane.text
    assert "(UTC)" in box.for_(host)[0].text
    (cancel,) = links(to_jane, "/cancel/")
    (reschedule,) = links(to_jane, "/reschedule/")
    for path in (cancel, reschedule):
        assert (await anybody.get(path, **BROWSER)).status == 200
    for other in (host, "gus@example.com"):
        assert links(box.for_(other)[0], "/cancel/", "/reschedule/") == []


async def test_nothing_is_in_a_calendar_before_a_host_has_agreed(
    api: Api, settings: Settings, box: Postbox, soon: datetime, host: str, anybody: Anybody
) -> None:
    async with mailing(settings):
        asked = await booked(api, await offer(api, requires_confirmation=True), soon)
        await box.wait_for(2)
        assert [mail.calendar for mail in box.arrived] == [None, None]
        (confirm,) = links(box.for_(host)[0], "/confirm")
        for _ in range(3):
            # a scanner opens it first
            assert (await anybody.get(confirm, **BROWSER)).status == 200
        assert (await api.get(f"/v1/bookings/{asked['id']}")).ok()["booking"]["status"] == "PENDING_CONFIRMATION"
        await anybody.press(confirm)
        await box.wait_for(4)
    assert (await api.get(f"/v1/bookings/{asked['id']}")).ok()["booking"]["status"] == "SCHEDULED"
    for address in (JANE, host):
        invitation = check_mail(box.for_(address)[1].raw)
        assert invitation is not None
        assert (invitation.method, invitation.uid) == ("REQUEST", asked["ical_uid"])


async def test_a_request_that_is_declined_was_never_in_a_calendar(
    api: Api, settings: Settings, box: Postbox, soon: datetime, host: str, conn: db.Connection, tenant: Tenant
) -> None:
    async with mailing(settings):
        asked = await booked(api, await offer(api, requires_confirmation=True), soon)
        await box.wait_for(2)
        (await api.post(f"/v1/bookings/{asked['id']}/decline", {"reason": "on leave"})).ok()
        await box.wait_for(2, JANE)
        await settled(conn, tenant)
    declined = box.for_(JANE)[1]
    assert declined.calendar is None
    assert "on leave" in declined.text
    assert len(box.for_(host)) == 1, "whoever declines knows"


async def test_one_entry_follows_a_booking_through_every_move_to_its_end(
    api: Api, settings: Settings, box: Postbox, soon: datetime, migrated: Servers, conn: db.Connection, tenant: Tenant
) -> None:
    """One UID and one ORGANIZER, whatever is configured meanwhile, and a SEQUENCE that calendar programs can follow."""
    async with mailing(settings):
        first = await booked(api, await offer(api), soon)
        await box.wait_for(1, JANE)
        move = {"start_time": iso(soon + HOUR), "reason": "train"}
        second = (await api.post(f"/v1/bookings/{first['id']}/reschedule", move)).ok()["booking"]
        await box.wait_for(2, JANE)
    other = settings_for(migrated, smtp_url=box.url, mail_from="other@elsewhere.example")
    async with mailing(other):
        (await api.post(f"/v1/bookings/{second['id']}/confirm")).ok()
        await box.wait_for(3, JANE)
        (await api.post(f"/v1/bookings/{second['id']}/cancel", {"reason": "ill"})).ok()
        await box.wait_for(4, JANE)
        await settled(conn, tenant)
    mails = box.for_(JANE)
    messages = [message for mail in mails if (message := check_mail(mail.raw))]
    assert [message.method for message in messages] == ["REQUEST", "REQUEST", "REQUEST", "CANCEL"]
    check_thread(messages)
    assert {message.uid for message in messages} == {first["ical_uid"]}
    assert mails[-1].sender == "other@elsewhere.example"
    assert "train" in mails[1].text
    assert "ill" in mails[-1].text


async def test_an_attendee_who_moves_what_needs_an_answer_takes_the_old_time_out_of_calendars(
    api: Api,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    host: str,
    anybody: Anybody,
    conn: db.Connection,
    tenant: Tenant,
) -> None:
    async with mailing(settings):
        asked = await booked(api, await offer(api, requires_confirmation=True), soon)
        (await api.post(f"/v1/bookings/{asked['id']}/confirm")).ok()
        await box.wait_for(2, JANE)
        (path,) = links(box.for_(JANE)[1], "/reschedule/")
        moved = (await anybody.post(path, {"start_time": iso(soon + HOUR)})).ok()
        assert moved["status"] == "pending"
        await box.wait_for(4, JANE)
        await box.wait_for(4, host)
        (confirm,) = {path for mail in box.for_(host)[2:] for path in links(mail, "/confirm")}
        await anybody.press(confirm)
        await box.wait_for(5, JANE)
        await settled(conn, tenant)
    for address in (JANE, host):
        # the question and the cancellation are two mails: programs show whatever comes with a CANCEL as one
        assert not [mail for mail in box.for_(address) if "CANCEL" in (mail.calendar or "") and links(mail, "/confirm")]
        messages = [message for mail in box.for_(address) if (message := check_mail(mail.raw))]
        assert [message.method for message in messages] == ["REQUEST", "CANCEL", "REQUEST"]
        check_thread(messages)


async def test_a_changed_address_gets_what_the_old_one_loses(
    api: Api,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    host: str,
    anybody: Anybody,
    conn: db.Connection,
    tenant: Tenant,
) -> None:
    async with mailing(settings):
        booking = await booked(api, await offer(api), soon)
        await box.wait_for(2)
        (await api.call("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": {"email": "jo@example.com"}})).ok()
        await box.wait_for(5)
        # a name that changes is no news to anybody
        (await api.call("PATCH", f"/v1/bookings/{booking['id']}", {"attendee": {"name": "Jo"}})).ok()
        await settled(conn, tenant)
    assert len(box.arrived) == 5
    old, new = box.for_(JANE)[1], box.for_("jo@example.com")[0]
    cancelled, invited = check_mail(old.raw), check_mail(new.raw)
    assert cancelled is not None
    assert invited is not None
    assert (cancelled.method, invited.method) == ("CANCEL", "REQUEST")
    assert cancelled.sequence == invited.sequence == 1
    assert b"jo@example.com" not in old.raw
    assert "jo@example.com" not in (old.calendar or "") + old.text
    assert (await anybody.get(links(box.for_(JANE)[0], "/cancel/")[0])).status == 404
    assert (await anybody.get(links(new, "/cancel/")[0])).status == 200


async def test_those_who_share_a_session_learn_nothing_of_each_other(
    api: Api, settings: Settings, box: Postbox, soon: datetime, conn: db.Connection, tenant: Tenant
) -> None:
    course = await offer(api, seats=5, title="Course")
    people = {
        "ann@example.com": [{"email": "anns-friend@example.com", "name": "Friend of Ann"}],
        "bob@example.com": [{"email": "bobs-friend@example.com", "name": "Friend of Bob"}],
    }
    async with mailing(settings):
        for email, guests in people.items():
            attendee = {"name": email.split("@", 1)[0].title(), "email": email, "timezone": "UTC"}
            booking = await booked(api, course, soon, attendee=attendee, guests=guests)
        await settled(conn, tenant)
        (await api.post(f"/v1/bookings/{booking['id']}/cancel", {"reason": "flu"})).ok()
        await settled(conn, tenant)
    everybody = {*people, *(guests[0]["email"] for guests in people.values())}
    assert {mail.to for mail in box.arrived} >= everybody
    for mail in box.arrived:
        if mail.to not in everybody:
            continue
        said = "".join([str(mail.message), mail.text, mail.part("text/html") or "", mail.calendar or ""]).lower()
        party = mail.to.split("@", 1)[0].removesuffix("s-friend")
        for other in everybody - {mail.to}:
            if other.startswith(party) and not mail.to.startswith(f"{party}s-friend"):
                continue  # whom they bring themselves
            assert other not in said, f"{mail.to} sees {other}"


async def test_a_connected_calendar_gets_no_second_invitation(
    api: Api, settings: Settings, box: Postbox, soon: datetime, host: str, tenant: Tenant, conn: db.Connection
) -> None:
    """We write the host's calendar ourselves, in a way that invites nobody; so whoever comes is asked by our mail."""
    made = await offer(api)
    async with mailing(settings):
        for hours, provider in enumerate(("google", "microsoft")):
            await connect(conn, tenant, provider)
            await booked(api, made, soon + hours * HOUR)
            await box.wait_for(2 * hours + 2)
    assert [mail.calendar is None for mail in box.for_(host)] == [True, True]
    assert [mail.calendar is None for mail in box.for_(JANE)] == [False, False]


async def connect(conn: db.Connection, tenant: Tenant, provider: str) -> None:
    await conn.execute("delete from calendar_connections where org_id = $1", tenant.org_id)
    connection = new_id()
    await conn.execute(
        "insert into calendar_connections "
        "(org_id, id, user_id, provider, account, credentials_sealed, status, created_at, updated_at) "
        "values ($1, $2, $3, $4, 'a', '', 'active', now(), now())",
        *(tenant.org_id, connection, tenant.user_id, provider),
    )
    await conn.execute(
        "insert into calendars "
        "(org_id, id, connection_id, user_id, remote_id, name, read_busy, is_write_target, created_at, updated_at) "
        "values ($1, $2, $3, $4, 'primary', 'mine', false, true, now(), now())",
        *(tenant.org_id, new_id(), connection, tenant.user_id),
    )


async def test_a_new_person_is_invited(api: Api, settings: Settings, box: Postbox, conn: db.Connection) -> None:
    async with mailing(settings):
        person = await api.person(name="Bea")
        (mail,) = await box.wait_for(1, person["email"])
    (path,) = links(mail, "/invite/")
    token = path.rsplit("/", 1)[1]
    kept = await conn.fetch("select t::text as row from mail_tokens t union all select m::text from mails m")
    assert kept
    assert not [row for row in kept if token in row["row"]], "what is kept opens nothing"


async def test_an_invitation_follows_a_corrected_address(
    api: Api, settings: Settings, box: Postbox, anybody: Anybody
) -> None:
    """Whoever got it by mistake cannot take the account."""
    async with mailing(settings):
        person = await api.person(name="Bea")
        (first,) = await box.wait_for(1, person["email"])
        right = person["email"].replace("@", "-right@")
        (await api.call("PATCH", f"/v1/users/{person['id']}", {"email": right})).ok()
        (second,) = await box.wait_for(1, right)
    (wrong,), (good,) = links(first, "/invite/"), links(second, "/invite/")
    assert (await anybody.get(wrong, **BROWSER)).status == 410
    assert (await anybody.get(good, **BROWSER)).status == 200


async def test_whoever_looks_after_webhooks_hears_that_one_is_disabled(
    api: Api, settings: Settings, box: Postbox, host: str, tenant: Tenant, conn: db.Connection
) -> None:
    """As the delivery engine says it, in the statement that disables it."""
    await api.person(role="member")
    await conn.execute(
        "insert into outbox (org_id, topic, ref_id, data, due_at) values ($1, 'notice', $2, $3, now())",
        *(tenant.org_id, new_id(), {"kind": "webhook_disabled", "reason": "gone", "url": "https://old.example/hook"}),
    )
    async with mailing(settings):
        await settled(conn, tenant)
    (mail,) = box.for_(host)
    assert "https://old.example/hook" in mail.text
    assert len([each for each in box.arrived if "old.example" in each.text]) == 1


async def test_whoever_has_to_connect_a_calendar_again_hears_of_it_alone(
    api: Api, settings: Settings, box: Postbox, tenant: Tenant, conn: db.Connection
) -> None:
    person = await api.person(role="admin")
    notice = {"kind": "calendar_reauth", "provider": "google", "account": "cal@x.example"}
    await conn.execute(
        "insert into outbox (org_id, topic, ref_id, data, due_at) values ($1, 'notice', $2, $3, now())",
        *(tenant.org_id, new_id(), {**notice, "user_id": str(decode(Kind.USER, person["id"]))}),
    )
    async with mailing(settings):
        await settled(conn, tenant)
    assert [mail.to for mail in box.arrived if "cal@x.example" in mail.text] == [person["email"]]


async def test_a_new_password_can_be_asked_for(
    api: Api, settings: Settings, box: Postbox, host: str, tenant: Tenant, vault: Vault, conn: db.Connection
) -> None:
    """The newer link ends the older one."""
    principal = await authenticate(conn, tenant.api_key, vault, datetime.now(UTC))
    user = await get_user(conn, principal)
    for _ in range(2):
        await db.run(conn, lambda conn: send_password_reset(conn, principal, user, datetime.now(UTC)))
    async with mailing(settings):
        mails = await box.wait_for(2, host)
    paths = {path for mail in mails for path in links(mail, "/password/")}
    assert len(paths) == 2
    good = await conn.fetch(
        "select token_hash from mail_tokens where org_id = $1 and used_at is null and expires_at > now()", tenant.org_id
    )
    assert [row["token_hash"] for row in good] == [digest(links(mails[-1], "/password/")[0].rsplit("/", 1)[1])]


async def test_a_free_place_is_offered(
    api: Api, settings: Settings, box: Postbox, soon: datetime, tenant: Tenant, conn: db.Connection
) -> None:
    """The waiting list makes the offer; this is how it is told."""
    owed = Owed(Letters.WAITLIST_OFFER, Role.ATTENDEE, "wendy@example.com")
    data = {"name": "Wendy", "timezone": "Asia/Tokyo", "until": iso(soon), "links": {"offer": "/offer/abc"}}
    await put_mails(conn, [Mail(tenant.org_id, owed, soon, data=data)], datetime.now(UTC))
    async with mailing(settings):
        (mail,) = await box.wait_for(1, "wendy@example.com")
    assert "Asia/Tokyo" in mail.text
    assert links(mail, "/offer/") == ["/offer/abc"]
    assert mail.message["To"].addresses[0].display_name == "Wendy"


async def test_people_read_their_own_language(
    api: Api, settings: Settings, box: Postbox, soon: datetime, host: str, tenant: Tenant, conn: db.Connection
) -> None:
    await conn.execute("update users set locale = 'de' where org_id = $1", tenant.org_id)
    (
        await api.call("PATCH", "/v1/organization", {"sender_name": "Praxis\u00a0Dr. Ü", "reply_to": "desk@x.example"})
    ).ok()
    async with mailing(settings):
        await booked(api, await offer(api), soon)
        await box.wait_for(2)
    (to_host,), (to_jane,) = box.for_(host), box.for_(JANE)
    assert to_host.message["Content-Language"] == "de"
    assert to_jane.message["Content-Language"] == "en"
    assert "Praxis" in to_jane.message["From"]
    assert to_jane.message["Reply-To"] == "desk@x.example"
    assert to_host.message["Reply-To"].addresses[0].addr_spec == JANE
