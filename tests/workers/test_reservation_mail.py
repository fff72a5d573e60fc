"""Who reserves a desk gets a mail with the calendar entry, and its end too."""

import re
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest

from app.core import db
from app.core.settings import Settings
from tests.browsers import Browser
from tests.itip import check_mail, check_thread
from tests.postbox import Postbox
from tests.rooms import location, room
from tests.support import Api, Tenant, eventually
from tests.visitors import BROWSER, Anybody
from tests.workers.mailing import at_rest, mailing


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


async def test_a_reservation_is_told_like_a_booking(
    api: Api, owner: Browser, conn: db.Connection, tenant: Tenant, settings: Settings, box: Postbox, soon: datetime
) -> None:
    desk = await room(api, await location(api, "UTC"), kind="desk", name="Desk 7")
    times = {"starts_at": soon.isoformat(), "ends_at": (soon + timedelta(hours=8)).isoformat()}
    async with mailing(settings):
        made = (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)["data"]
        (booked,) = await box.wait_for(1)
        assert booked.to == f"{tenant.username}@example.com"
        assert "Desk 7" in booked.text
        entry = check_mail(booked.raw)
        assert entry is not None
        assert (entry.method, entry.sequence) == ("REQUEST", 0)
        later = {"booking": {"start_time": (soon + timedelta(hours=9)).isoformat()}}
        moved = (await owner.post(f"/api/bookings/{made['id']}/reschedule", later)).ok()["data"]
        await box.wait_for(2)
        (await owner.delete(f"/api/bookings/{moved['id']}")).ok()
        mails = await box.wait_for(3)
        await eventually(lambda: at_rest(conn, tenant))
    check_thread([each for mail in mails if (each := check_mail(mail.raw)) is not None])
    assert "Desk 7" in mails[-1].text


async def test_the_links_of_its_mail_work(
    api: Api, owner: Browser, settings: Settings, box: Postbox, soon: datetime
) -> None:
    desk = await room(api, await location(api, "UTC"), kind="desk", name="Desk 7")
    times = {"starts_at": soon.isoformat(), "ends_at": (soon + timedelta(hours=8)).isoformat()}
    async with mailing(settings):
        made = (await owner.post("/api/bookings", {"booking": {"bookable_id": desk["id"], **times}})).ok(201)["data"]
        (booked,) = await box.wait_for(1)
    assert "/reschedule/" not in booked.text, "its page could offer nothing: any time whatever is a slot"
    paths = [urlsplit(each).path for each in re.findall(r"https?://\S+", booked.text)]
    anybody = Anybody(api.client)
    for path in paths:
        page = await anybody.call("GET", path, **BROWSER)
        assert page.status == 200, (path, page.raw)
        assert "Desk 7" in page.raw.decode() or path.endswith(".ics")
    (cancel,) = [path for path in paths if "/cancel/" in path]
    (await anybody.call("POST", f"{cancel}/confirm")).ok()
    assert (await owner.get(f"/api/bookings/{made['id']}")).ok()["data"]["status"] == "cancelled"
