"""Invitations and new passwords, from the click to the log-in, through a worker and a real SMTP server."""

import re
from urllib.parse import urlsplit

import pytest

from app.core.settings import Settings
from tests.browsers import PASSWORD, Browser, Browsers
from tests.postbox import Arrived, Postbox
from tests.support import Tenant, unique_name
from tests.visitors import BROWSER
from tests.workers.mailing import mailing

NEW = "battery staple"
FORM = {"Content-Type": "application/x-www-form-urlencoded", **BROWSER}


@pytest.fixture
def settings(with_mail: Settings) -> Settings:
    return with_mail


def link(mail: Arrived, word: str) -> str:
    path: str
    (path,) = [urlsplit(each).path for each in re.findall(r"https?://\S+", mail.text) if f"/{word}/" in each]
    return path


async def test_a_member_is_invited_comes_and_leaves(
    owner: Browser, browsers: Browsers, settings: Settings, box: Postbox
) -> None:
    email = f"{unique_name()}@example.com"
    async with mailing(settings):
        invited = (await owner.post("/api/members", {"member": {"email": email, "name": "Ben"}})).ok(201)["data"]
        (mail,) = await box.wait_for(1)
        again = await owner.post(f"/api/members/{invited['id']}/invite")
        assert again.status == 202
        newer = (await box.wait_for(2))[-1]
    assert mail.to == newer.to == email
    ben = browsers()
    assert (await ben.call("POST", link(mail, "invite"), {"password": NEW})).status == 410, "the newer one counts"
    page = await ben.call("POST", link(newer, "invite"), f"password={NEW.replace(' ', '+')}".encode(), FORM)
    assert page.status == 200, page.raw
    assert (await ben.log_in(email, NEW)).ok(201)["data"]["role"] == "member"
    refused = (await owner.post(f"/api/members/{invited['id']}/invite")).ok(409)
    assert "has a password already" in refused["detail"]
    told = [each["action"] for each in (await owner.get("/api/audit?action=member")).ok()["data"]]
    assert told == ["member.joined", "member.invited", "member.invited"]
    assert (await owner.delete(f"/api/members/{invited['id']}")).status == 204
    assert (await ben.get("/api/session")).status == 401


async def test_a_forgotten_password_is_replaced_by_mail(
    owner: Browser, browsers: Browsers, tenant: Tenant, settings: Settings, box: Postbox
) -> None:
    email = f"{tenant.username}@example.com"
    forgetful = browsers()
    async with mailing(settings):
        (await forgetful.post("/api/password-resets", {"password_reset": {"email": email.upper()}})).ok(202)
        (mail,) = await box.wait_for(1)
    assert mail.to == email
    assert (await owner.get("/api/session")).status == 200, "asking changes nothing"
    page = await forgetful.call("POST", link(mail, "password"), f"password={NEW.replace(' ', '+')}".encode(), FORM)
    assert page.status == 200, page.raw
    assert (await owner.get("/api/session")).status == 401, "whoever was logged in is not any more"
    assert (await forgetful.log_in(email, PASSWORD)).status == 401
    assert (await forgetful.log_in(email, NEW)).status == 201
    assert (await forgetful.call("POST", link(mail, "password"), {"password": NEW})).status == 410
    told = [each["action"] for each in (await forgetful.get("/api/audit?action=password")).ok()["data"]]
    assert told == ["password.reset", "password.reset_requested"]
