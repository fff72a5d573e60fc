"""A person decides what a key asks for, by the mail that they get."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.core import db
from app.core.ids import Kind, encode
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.bookings.due import take_due_steps
from tests.browsers import Browser, Browsers, colleague
from tests.budgets import make_key, reserved
from tests.itip import check_mail
from tests.offers import booked, iso, offer
from tests.postbox import Arrived, Postbox
from tests.rooms import location, room
from tests.support import Api, Tenant, eventually
from tests.visitors import BROWSER, Anybody, status_of
from tests.workers.mailing import JANE, at_rest, mailing

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


@pytest.fixture
async def agent(api: Api, owner: Browser) -> Api:
    return Api(api.client, (await make_key(owner, requires_approval=True))["secret"])


def links(mail: Arrived) -> dict[str, str]:
    """Paths by the last word of each."""
    paths = [urlsplit(each).path for each in re.findall(r"https?://\S+", mail.text)]
    return {path.rsplit("/", 1)[-1]: path for path in paths}


async def desk_of(api: Api) -> Any:
    return await room(api, await location(api, "UTC"), kind="desk", name="Desk 7")


async def test_the_host_confirms_what_a_key_has_booked(
    api: Api, agent: Api, conn: db.Connection, tenant: Tenant, settings: Settings, box: Postbox, soon: datetime
) -> None:
    me, anybody = f"{tenant.username}@example.com", Anybody(api.client)
    async with mailing(settings):
        mine = await booked(agent, await offer(api), soon)
        mails = {each.to: each for each in await box.wait_for(2)}
        assert "please confirm or decline" in mails[me].message["subject"]
        assert "waits for an answer" in mails[JANE].message["subject"]
        assert [each.calendar for each in mails.values()] == [None, None]
        page = await anybody.get(links(mails[me])["confirm"], **BROWSER)
        assert page.status == 200
        assert await status_of(api, mine["id"]) == "PENDING_CONFIRMATION", "a scanner that fetches it decides nothing"
        assert (await anybody.press(links(mails[me])["confirm"])).status == 200
        assert await status_of(api, mine["id"]) == "SCHEDULED"
        told = (await box.wait_for(4))[2:]
        assert {each.to for each in told} == {me, JANE}
        await eventually(lambda: at_rest(conn, tenant))
    entries = [check_mail(each.raw) for each in told]
    assert [entry and entry.method for entry in entries] == ["REQUEST", "REQUEST"]


@pytest.mark.parametrize(("step", "status", "subject"), [
    ("confirm", "SCHEDULED", None),
    ("decline", "CANCELLED", "declined"),
])  # fmt: skip
async def test_whose_key_it_is_decides_what_it_reserves(
    api: Api,
    agent: Api,
    conn: db.Connection,
    vault: Vault,
    tenant: Tenant,
    settings: Settings,
    box: Postbox,
    soon: datetime,
    step: str,
    status: str,
    subject: str | None,
) -> None:
    """Nobody hosts a desk. They are asked, and not told to wait for themselves."""
    anybody = Anybody(api.client)
    async with mailing(settings):
        made = await reserved(conn, vault, agent.key, await desk_of(api), soon)
        booking_id = encode(Kind.BOOKING, made.id)
        (asked,) = await box.wait_for(1)
        assert asked.to == f"{tenant.username}@example.com"
        assert "please confirm or decline" in asked.message["subject"]
        assert "Desk 7" in asked.text
        assert asked.calendar is None
        assert links(asked).keys() == {"confirm", "decline"}
        await eventually(lambda: at_rest(conn, tenant))
        assert len(box.arrived) == 1
        page = await anybody.get(links(asked)[step], **BROWSER)
        assert page.status == 200
        assert "Desk 7" in page.raw.decode()
        assert (await anybody.press(links(asked)[step])).status == 200
        assert await status_of(api, booking_id) == status
        told = (await box.wait_for(2))[1]
        await eventually(lambda: at_rest(conn, tenant))
        assert len(box.arrived) == 2
    assert subject is None or subject in told.message["subject"]
    entry = check_mail(told.raw)
    assert (entry.method if entry else None) == (None if subject else "REQUEST")


async def test_who_has_reserved_it_decides_where_a_key_moves_it(
    api: Api,
    agent: Api,
    owner: Browser,
    browsers: Browsers,
    conn: db.Connection,
    tenant: Tenant,
    settings: Settings,
    box: Postbox,
    soon: datetime,
) -> None:
    person, browser = await colleague(api, conn, browsers, "member")
    desk = await desk_of(api)
    times = {"starts_at": iso(soon), "ends_at": iso(soon + HOUR)}
    async with mailing(settings):
        theirs = (await browser.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)
        await eventually(lambda: at_rest(conn, tenant))
        # a mail is settled before its last line: at rest is not yet arrived
        before = len(await box.wait_for(1))
        path = f"/v1/bookings/{theirs['data']['id']}/reschedule"
        moved = (await agent.post(path, {"start_time": iso(soon + HOUR)})).ok()["booking"]
        await eventually(lambda: at_rest(conn, tenant))
        await box.wait_for(before + 2)
        withdrawn, asked = box.arrived[before:]
        assert (withdrawn.to, asked.to) == (person["email"], person["email"])
        entry = check_mail(withdrawn.raw)
        assert entry is not None
        assert entry.method == "CANCEL"
        assert "A program of" in withdrawn.text
        assert "please confirm or decline" in asked.message["subject"]
        assert (await browser.post(f"/api/bookings/{moved['id']}/confirm")).ok()["data"]["status"] == "confirmed"
        await eventually(lambda: at_rest(conn, tenant))
        confirmed = check_mail(box.arrived[-1].raw)
    assert confirmed is not None
    assert (confirmed.method, confirmed.sequence > entry.sequence) == ("REQUEST", True)


async def test_who_manages_decides_what_nobody_owns_any_more(
    api: Api,
    agent: Api,
    owner: Browser,
    browsers: Browsers,
    conn: db.Connection,
    tenant: Tenant,
    settings: Settings,
    box: Postbox,
    soon: datetime,
) -> None:
    """Somebody reserved a desk and has left; a key moves it, and an owner or admin is asked."""
    person, browser = await colleague(api, conn, browsers, "member")
    admin, _ = await colleague(api, conn, browsers, "admin")
    desk = await desk_of(api)
    times = {"starts_at": iso(soon), "ends_at": iso(soon + HOUR)}
    theirs = (await browser.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)["data"]
    (await owner.delete(f"/api/members/{person['id']}"))
    assert await status_of(api, theirs["id"]) == "SCHEDULED"
    async with mailing(settings):
        where = {"start_time": iso(soon + HOUR)}
        (await agent.post(f"/v1/bookings/{theirs['id']}/reschedule", where)).ok()
        await eventually(lambda: at_rest(conn, tenant))
    asked = {each.to for each in box.arrived if "please confirm or decline" in each.message["subject"]}
    assert asked == {f"{tenant.username}@example.com", admin["email"]}


async def test_an_unanswered_reservation_ends_and_says_so(
    api: Api,
    agent: Api,
    conn: db.Connection,
    vault: Vault,
    tenant: Tenant,
    settings: Settings,
    box: Postbox,
    soon: datetime,
) -> None:
    made = await reserved(conn, vault, agent.key, await desk_of(api), soon)
    async with mailing(settings):
        (asked,) = await box.wait_for(1)
        await conn.execute("update bookings set starts_at = now() - interval '1 minute' where id = $1", made.id)
        await take_due_steps(conn, 100_000, datetime.now(UTC))
        assert await status_of(api, encode(Kind.BOOKING, made.id)) == "CANCELLED"
        told = (await box.wait_for(2))[1]
    assert told.to == asked.to
    assert "not answered in time" in told.message["subject"]
