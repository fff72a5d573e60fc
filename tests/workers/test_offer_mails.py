"""How offers are told: by mail, in the reader's language, and by webhook."""

import asyncio
import json
import re
from datetime import datetime

import pytest

from app.core import db
from app.core.settings import Settings
from app.core.vault import Vault
from tests.offers import booked
from tests.postbox import Postbox
from tests.support import Api, Receiver, Tenant
from tests.visitors import BROWSER, Anybody
from tests.waiting import awaited, cancel, entry_of, joined, run_out, states, tend
from tests.workers.mailing import mailing, outcomes
from workers.deliveries import Deliveries


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


@pytest.mark.parametrize("locale", ["en", "de"])
async def test_the_offer_comes_by_mail_and_its_link_works(
    api: Api, settings: Settings, box: Postbox, conn: db.Connection, tenant: Tenant, soon: datetime, locale: str
) -> None:
    (await api.call("PATCH", "/v1/organization", {"locale": locale})).ok()
    made = await awaited(api, title="Yoga & more")
    taken = await booked(api, made, soon)
    who = {"name": "Wendy Wu", "email": "wendy@example.com", "timezone": "Asia/Tokyo"}
    entry = await joined(api, made, soon, attendee=who)
    await cancel(api, taken)
    await tend(conn, settings)
    async with mailing(settings):
        (mail,) = await box.wait_for(1, who["email"])
    assert mail.message["To"].addresses[0].display_name == "Wendy Wu"
    assert mail.message["Content-Language"] == locale
    assert mail.calendar is None, "what nobody has taken belongs into no calendar"
    words = {"en": ("a place is free", "held for you until"), "de": ("ein Platz ist frei", "für Sie freigehalten")}
    assert words[locale][0] in mail.message["Subject"]
    text = " ".join(mail.text.split())
    assert words[locale][1] in text
    assert "Asia/Tokyo" in text
    assert "Yoga & more" in text
    html = mail.part("text/html") or ""
    (path,) = set(re.findall(r"/v1/offers/[\w-]+", html)) | set(re.findall(r"/v1/offers/[\w-]+", mail.text))
    assert "/v1/cancel/" not in html
    anybody = Anybody(api.client)
    assert (await anybody.get(path, **BROWSER)).raw.decode().count("<form") == 2
    assert (await anybody.press(f"{path}/accept")).status == 200
    assert await states(api, entry) == ["booked"]
    async with mailing(settings):
        (_, confirmed) = await box.wait_for(2, who["email"])
    assert confirmed.calendar is not None
    assert await outcomes(conn, tenant, who["email"]) == [("sent", 1), ("sent", 1)]


async def test_nobody_is_mailed_about_what_is_over(
    api: Api, settings: Settings, box: Postbox, conn: db.Connection, tenant: Tenant, soon: datetime
) -> None:
    made = await awaited(api)
    taken = await booked(api, made, soon)
    line = [await joined(api, made, soon, name) for name in ("ann", "ben")]
    await cancel(api, taken)
    await tend(conn, settings)
    await run_out(conn, tenant, settings)
    assert await states(api, *line) == ["expired", "offered"]
    async with mailing(settings):
        await box.wait_for(1, "ben@example.com")
    assert box.for_("ann@example.com") == []
    assert await outcomes(conn, tenant, "ann@example.com") == [("superseded", 1)]


async def test_webhooks_carry_the_offer(
    api: Api, settings: Settings, conn: db.Connection, vault: Vault, soon: datetime
) -> None:
    receiver = Receiver()
    body = {"url": await receiver.start(), "events": ["waitlist.offered"]}
    (await api.post("/v1/webhooks", body)).ok(201)
    made = await awaited(api)
    taken = await booked(api, made, soon)
    entry = await joined(api, made, soon)
    await cancel(api, taken)
    await tend(conn, settings)
    async with db.open_pool(settings.database_url, size=4, name="deliveries") as pool:
        deliveries = Deliveries(pool, vault, settings)
        task = asyncio.create_task(deliveries.run())
        (received,) = await receiver.wait_for(1)
        deliveries.stop()
        await task
    await receiver.stop()
    assert received.json["type"] == "waitlist.offered"
    assert received.json["data"]["waitlist_entry"] == await entry_of(api, entry)
    assert received.json["data"]["booking"]["status"] == "DRAFT"
    listed = (await api.get("/v1/events?type=waitlist.offered")).ok()["events"]
    assert [json.dumps(each) for each in listed] == [json.dumps(received.json)]
