"""The link in a reminder that ends reminders: by a button, by a mail program, and back again."""

import re
from uuid import UUID

import pytest

from app.core import db
from app.core.ids import new_id
from app.core.vault import Vault
from app.domain.notifications.optouts import unsubscribe_token
from tests.calendars import secret_of
from tests.support import Api, Tenant, make_tenant
from tests.visitors import BROWSER, Anybody, reminder

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


@pytest.fixture
async def link(conn: db.Connection, vault: Vault, tenant: Tenant) -> str:
    mail_id = await reminder(conn, tenant.org_id)
    return f"/v1/unsubscribe/{unsubscribe_token(await secret_of(conn, vault, tenant.org_id), tenant.org_id, mail_id)}"


async def unwanted(conn: db.Connection, org_id: UUID) -> list[str]:
    rows = await conn.fetch("select address from mail_optouts where org_id = $1 order by address", org_id)
    return [row["address"] for row in rows]


async def test_looking_changes_nothing(anybody: Anybody, conn: db.Connection, tenant: Tenant, link: str) -> None:
    for headers in [{}, BROWSER, {"Accept": "*/*"}, {"Accept": "application/json"}] * 2:
        assert (await anybody.get(link, **headers)).status == 200
        assert (await anybody.call("HEAD", link, **headers)).status == 200
    await anybody.call("OPTIONS", link)
    assert await unwanted(conn, tenant.org_id) == []
    shown = (await anybody.get(link)).ok()
    assert (shown["address"], shown["reminders"]) == ("J***@Example.com", True)


async def test_a_person_presses_the_button_and_takes_it_back(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: str
) -> None:
    page = (await anybody.get(link, **BROWSER)).raw.decode()
    assert "J***@Example.com" in page
    assert tenant.username in page, "whose reminders"
    assert "Jane.Smith" not in page
    assert re.findall(r'<form method="post" action="([^"]+)">', page) == [link]
    for _ in range(2):
        done = await anybody.press(link)
        assert (done.status, "No more reminders" in done.raw.decode()) == (200, True)
        assert await unwanted(conn, tenant.org_id) == ["jane.smith@example.com"]
    again = (await anybody.get(link, **BROWSER)).raw.decode()
    assert "You get no reminders" in again
    assert 'name="reminders" value="true"' in again
    back = await anybody.call("POST", link, b"reminders=true", Content_Type=FORM, **BROWSER)
    assert "You get reminders again" in back.raw.decode()
    assert await unwanted(conn, tenant.org_id) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"List-Unsubscribe=One-Click", FORM),
        (b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
         "multipart/form-data; boundary=x"),
        (b"", FORM),
        (b"{}", "application/json"),
        (b'{"reminders": false}', "application/json"),
        (None, ""),
    ],
)  # fmt: skip
async def test_a_mail_program_asks_for_it(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: str, body: bytes | None, kind: str
) -> None:
    """RFC 8058: one POST, no cookies, no redirect."""
    for _ in range(2):
        answer = await anybody.post(link, body, **({"Content_Type": kind} if kind else {}))
        assert answer.ok()["reminders"] is False
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
    assert await unwanted(conn, tenant.org_id) == ["jane.smith@example.com"]
    assert (await anybody.get(link)).ok()["reminders"] is False
    assert (await anybody.post(link, {"reminders": True})).ok()["reminders"] is True
    assert await unwanted(conn, tenant.org_id) == []


async def test_what_is_no_answer_is_refused(anybody: Anybody, conn: db.Connection, tenant: Tenant, link: str) -> None:
    assert (await anybody.post(link, {"reminders": "no"})).ok(400)["errors"][0]["field"] == "reminders"
    assert (await anybody.post(link, {"address": "x@y.example"})).ok(400)["errors"][0]["field"] == "address"
    assert (await anybody.post(link, b"x", Content_Type="text/plain")).status == 415
    assert await unwanted(conn, tenant.org_id) == []


async def test_it_is_about_one_organizations_reminders(
    anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, link: str
) -> None:
    other = await make_tenant(conn, vault)
    await reminder(conn, other.org_id)
    assert (await anybody.post(link)).status == 200
    assert await unwanted(conn, other.org_id) == []
    mail_id = await reminder(conn, tenant.org_id, "eve@example.com")
    theirs, ours = await secret_of(conn, vault, other.org_id), await secret_of(conn, vault, tenant.org_id)
    forged = [
        unsubscribe_token(theirs, tenant.org_id, mail_id),
        unsubscribe_token(theirs, other.org_id, mail_id),
        unsubscribe_token(ours, other.org_id, mail_id),
        unsubscribe_token(ours, tenant.org_id, new_id()),
        link.rsplit("/", 1)[1][:-1],
        "x",
        "%00",
    ]
    for token in forged:
        path = f"/v1/unsubscribe/{token}"
        assert (await anybody.get(path)).status == 404
        assert (await anybody.post(path)).status == 404
    assert "does not work" in (await anybody.get("/v1/unsubscribe/x", **BROWSER)).raw.decode()
    assert await unwanted(conn, tenant.org_id) == ["jane.smith@example.com"]


@pytest.mark.parametrize(
    ("address", "shown"), [("j@example.com", "j***@example.com"), ("a.long.one@b.example", "a***@b.example")]
)
async def test_an_address_is_not_told_in_full(
    anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, address: str, shown: str
) -> None:
    mail_id = await reminder(conn, tenant.org_id, address)
    token = unsubscribe_token(await secret_of(conn, vault, tenant.org_id), tenant.org_id, mail_id)
    assert (await anybody.get(f"/v1/unsubscribe/{token}")).ok()["address"] == shown
