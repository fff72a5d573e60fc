"""The links that mails about accounts hold: an invitation accepted, a password set anew, each link once."""

import asyncio
import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from app.core import db
from app.core.ids import new_id
from app.core.quota import Quota
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.identity import passwords
from app.domain.identity.account_tokens import LIFETIMES, AccountPurpose, account_token, issue_account_token
from app.domain.identity.organizations import RESERVED_HANDLES
from app.domain.identity.passwords import is_password
from app.domain.notifications.accounts import account_link
from app.domain.notifications.letters import Kind
from app.main import build_app
from tests.calendars import secret_of
from tests.conftest import AiohttpClient
from tests.support import Answer, Api, Tenant, make_tenant
from tests.visitors import BROWSER, PROGRAM, Anybody

FORM = "application/x-www-form-urlencoded"
WORDS = "correct horse battery staple"
PATHS = {AccountPurpose.INVITATION: "/invite/", AccountPurpose.PASSWORD_RESET: "/password/"}
PURPOSES = list(AccountPurpose)


@pytest.fixture
def anybody(api: Api) -> Anybody:
    return Anybody(api.client)


@pytest.fixture
def link(conn: db.Connection, vault: Vault, tenant: Tenant) -> Any:
    """Makes a link to the account of the tenant's owner, or of somebody else."""

    async def make(purpose: AccountPurpose, user_id: UUID | None = None, now: datetime | None = None) -> str:
        return await issued(conn, vault, tenant, purpose, user_id or tenant.user_id, now or datetime.now(UTC))

    return make


async def issued(
    conn: db.Connection, vault: Vault, tenant: Tenant, purpose: AccountPurpose, user_id: UUID, now: datetime
) -> str:
    secret = await secret_of(conn, vault, tenant.org_id)
    token_id = await issue_account_token(conn, secret, purpose, tenant.org_id, user_id, now)
    return PATHS[purpose] + account_token(secret, purpose, tenant.org_id, token_id)


async def pressed(anybody: Anybody, path: str, password: str, **more: str) -> Answer:
    body = urlencode({"password": password}).encode()
    return await anybody.call("POST", path, body, Content_Type=FORM, **{**BROWSER, **more})


async def account(conn: db.Connection, user_id: UUID) -> Any:
    row = await conn.fetchrow("select * from users where id = $1", user_id)
    assert row is not None
    return row


async def has_password(conn: db.Connection, user_id: UUID, password: str) -> bool:
    return is_password((await account(conn, user_id))["password_hash"], password)


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_the_page_says_whose_account_it_is_and_changes_nothing(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: Any, purpose: AccountPurpose
) -> None:
    path, before = await link(purpose), await account(conn, tenant.user_id)
    for headers in [{}, BROWSER, PROGRAM] * 2:
        for method in ["GET", "HEAD"]:
            answer = await anybody.call(method, path, **headers)
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "noindex" in answer.headers["X-Robots-Tag"]
            assert "Set-Cookie" not in answer.headers
    await anybody.call("OPTIONS", path)
    assert await account(conn, tenant.user_id) == before
    answer = await anybody.get(path, **BROWSER)
    page = answer.raw.decode()
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|https?://|\bsrc=|<link|@import|url\(", page)
    assert re.findall(r'<form method="post" action="([^"]+)">', page) == [path]
    (field,) = re.findall(r"<input[^>]*type=\"password\"[^>]*>", page)
    assert all(each in field for each in ['name="password"', 'autocomplete="new-password"', 'minlength="10"'])
    assert "At least 10 characters" in page
    assert f"{tenant.username}@example.com" in page
    assert page.count(f"<dd>{tenant.username}</dd>") == 1, "the organization"
    assert not re.search(r"log.?in|sign.?in", re.sub("<[^>]*>", "", page), re.IGNORECASE), "there is none yet"
    shown = (await anybody.get(path, **PROGRAM)).ok()
    assert shown == {"success": True, "email": f"{tenant.username}@example.com", "organization": tenant.username}


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_person_sets_a_password_once(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: Any, purpose: AccountPurpose
) -> None:
    path, before = await link(purpose), await account(conn, tenant.user_id)
    done = await pressed(anybody, path, WORDS)
    page = done.raw.decode()
    assert (done.status, "Your password is set" in page) == (200, True)
    assert f"{tenant.username}@example.com" in page
    assert WORDS not in page
    assert "<form" not in page
    assert "Set-Cookie" not in done.headers
    after = await account(conn, tenant.user_id)
    assert after["password_hash"].startswith("$argon2id$")
    assert is_password(after["password_hash"], WORDS)
    assert after["session_generation"] == before["session_generation"] + 1, "older sessions end"
    changed = {name for name in before.keys() if before[name] != after[name]}  # noqa: SIM118 -- a record
    assert changed == {"password_hash", "session_generation", "updated_at"}
    for again in [await pressed(anybody, path, "another pass phrase"), await anybody.get(path, **BROWSER)]:
        assert (again.status, "has ended" in again.raw.decode()) == (410, True)
    assert (await anybody.get(path)).ok(410)["code"] == "link_expired"
    assert (await anybody.post(path, {"password": WORDS})).ok(410)["success"] is False
    assert await account(conn, tenant.user_id) == after


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_programs_send_and_get_json(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: Any, purpose: AccountPurpose
) -> None:
    path = await link(purpose)
    for wrong, code in [({}, "missing"), ({"password": 1}, "string_type"), ({"password": "x" * 9}, "too_short"),
                        ({"password": "x" * 201}, "string_too_long"), ({"password": WORDS, "x": 1}, "unknown_field"),
                        ({"password": "nul" * 4 + "\0"}, "nul_character")]:  # fmt: skip
        problem = (await anybody.post(path, wrong)).ok(400)
        assert [error["code"] for error in problem["errors"]] == [code]
    assert (await anybody.post(path, b"x", Content_Type="text/plain")).status == 415
    assert (await anybody.post(path)).status in {400, 415}
    answer = await anybody.post(path, {"password": "  spaces are kept  "}, Origin="https://elsewhere.example")
    assert answer.ok() == {"success": True, "email": f"{tenant.username}@example.com"}
    assert await has_password(conn, tenant.user_id, "  spaces are kept  ")


@pytest.mark.parametrize("password", ["", "x" * 9, "x" * 201, "\0" * 10])
async def test_a_password_that_will_not_do_is_asked_for_again(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: Any, password: str
) -> None:
    path, before = await link(AccountPurpose.INVITATION), await account(conn, tenant.user_id)
    answer = await pressed(anybody, path, password)
    page = answer.raw.decode()
    assert answer.status == 400
    assert re.findall(r'<form method="post" action="([^"]+)">', page) == [path]
    (reason,) = re.findall(r'<p id="wrong"[^>]*>([^<]+)</p>', page)
    assert reason
    assert 'aria-invalid="true"' in page
    assert "value=" not in re.findall(r"<input[^>]*type=\"password\"[^>]*>", page)[0]
    assert await account(conn, tenant.user_id) == before
    assert (await pressed(anybody, path, "ö" * 200)).status == 200, "the link is good for another try"
    assert await has_password(conn, tenant.user_id, "ö" * 200)


@pytest.mark.parametrize(
    "body", [b"", b"password=a&password=b", b"\xff", b"x=1", b"password=%ff", b"&".join([b"a"] * 200)]
)
async def test_a_form_that_says_nothing_is_asked_again(anybody: Anybody, link: Any, body: bytes) -> None:
    path = await link(AccountPurpose.PASSWORD_RESET)
    answer = await anybody.call("POST", path, body, Content_Type=FORM, **BROWSER)
    assert (answer.status, 'type="password"' in answer.raw.decode()) == (400, True)
    assert (await anybody.call("POST", path, body, Content_Type=FORM)).ok(400)["success"] is False


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_link_that_is_over_or_was_replaced_has_ended(
    anybody: Anybody, conn: db.Connection, tenant: Tenant, link: Any, purpose: AccountPurpose
) -> None:
    now, second = datetime.now(UTC), timedelta(seconds=1)
    over = await link(purpose, now=now - LIFETIMES[purpose])
    replaced = await link(purpose, now=now - LIFETIMES[purpose] + 60 * second)
    assert (await anybody.get(replaced)).status == 200
    newest = await link(purpose)
    for path in (over, replaced):
        assert (await anybody.get(path)).ok(410)["code"] == "link_expired"
        assert (await anybody.post(path, {"password": WORDS})).ok(410)["code"] == "link_expired"
        assert (await pressed(anybody, path, "short")).status == 410
    assert not await has_password(conn, tenant.user_id, WORDS)
    assert (await anybody.get(newest)).status == 200


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_garbled_and_forged_links_are_unknown(
    anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant, link: Any, purpose: AccountPurpose
) -> None:
    path, other = await link(purpose), await make_tenant(conn, vault)
    here, token = path.rsplit("/", 1)[0] + "/", path.rsplit("/", 1)[1]
    ours, theirs = [await secret_of(conn, vault, each.org_id) for each in (tenant, other)]
    (elsewhere,) = {*PATHS.values()} - {here}
    token_id = await issue_account_token(conn, ours, purpose, tenant.org_id, tenant.user_id, datetime.now(UTC))
    (another,) = {*PURPOSES} - {purpose}
    forged = [
        account_token(theirs, purpose, tenant.org_id, token_id),
        account_token(ours, another, tenant.org_id, token_id),
        account_token(ours, purpose, other.org_id, token_id),
        account_token(ours, purpose, tenant.org_id, new_id()),
        token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:],
        *(token[:-1], token + "A", "x", "%00"),
    ]
    valid = account_token(ours, purpose, tenant.org_id, token_id)
    for wrong in [*(here + each for each in forged), elsewhere + valid]:
        assert (await anybody.get(wrong)).ok(404)["success"] is False, wrong
        assert (await anybody.post(wrong, {"password": WORDS})).status == 404
        if "%" not in wrong:
            assert (await anybody.get(wrong)).json["code"] == "link_not_found"
            assert "does not work" in (await pressed(anybody, wrong, WORDS)).raw.decode()
    assert (await anybody.get(f"/v1/unsubscribe/{valid}")).status == 404
    assert (await anybody.get(here + valid)).status == 200
    assert not await has_password(conn, tenant.user_id, WORDS)


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_whoever_is_removed_has_no_link(
    api: Api, anybody: Anybody, link: Any, tenant: Tenant, conn: db.Connection, purpose: AccountPurpose
) -> None:
    person = await api.person()
    user_id = await conn.fetchval("select id from users where email = $1", person["email"])
    path = await link(purpose, user_id)
    assert (await anybody.get(path)).ok()["email"] == person["email"]
    assert (await api.call("DELETE", f"/v1/users/{person['id']}")).status == 204
    assert (await anybody.get(path)).ok(404)["code"] == "link_not_found"
    assert (await anybody.post(path, {"password": WORDS})).ok(404)["code"] == "link_not_found"
    assert (await account(conn, user_id))["password_hash"] is None


async def test_an_invitation_is_accepted_by_the_link_of_its_mail(
    api: Api, anybody: Anybody, conn: db.Connection, vault: Vault, tenant: Tenant
) -> None:
    person = await api.person()
    row = await conn.fetchrow(
        "select org_id, user_id, data from mails where org_id = $1 and recipient = $2", tenant.org_id, person["email"]
    )
    assert row is not None
    mailed = account_link(Kind.INVITATION, row, await secret_of(conn, vault, tenant.org_id))["accept"]
    assert person["email"] in (await anybody.get(mailed, **BROWSER)).raw.decode()
    assert "account is ready" in (await pressed(anybody, mailed, WORDS)).raw.decode()
    assert await has_password(conn, row["user_id"], WORDS)


async def test_ten_at_once_and_one_wins(anybody: Anybody, conn: db.Connection, tenant: Tenant, link: Any) -> None:
    path = await link(AccountPurpose.PASSWORD_RESET)
    words = [f"pass phrase number {number}" for number in range(10)]
    answers = await asyncio.gather(*(anybody.post(path, {"password": each}) for each in words))
    assert sorted(answer.status for answer in answers) == [200] + [410] * 9
    (winner,) = [each for each, answer in zip(words, answers, strict=True) if answer.status == 200]
    assert await has_password(conn, tenant.user_id, winner)
    assert (await account(conn, tenant.user_id))["session_generation"] == 1


async def test_a_password_is_hashed_beside_the_event_loop_and_only_for_a_good_link(
    anybody: Anybody, link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def note(password: str) -> str:
        threads.append(threading.get_ident())
        return hash_now(password)

    hash_now = passwords.hash_password
    monkeypatch.setattr(passwords, "hash_password", note)
    path = await link(AccountPurpose.INVITATION)
    for wrong in ["/invite/x", path[:-1], path.replace("/invite/", "/password/")]:
        assert (await anybody.post(wrong, {"password": WORDS})).status == 404
    assert (await anybody.post(path, {"password": "short"})).status == 400
    assert threads == [], "nobody has us work for nothing"
    assert (await anybody.post(path, {"password": WORDS})).status == 200
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_it_is_counted_like_every_public_route(
    aiohttp_client: AiohttpClient, settings: Settings, link: Any, tenant: Tenant
) -> None:
    mine = settings.model_copy(update={"limit_public": Quota(2, 60)})
    visitor = Anybody(await aiohttp_client(build_app(mine)))
    path = await link(AccountPurpose.INVITATION)
    statuses = [(await visitor.get(path)).status, (await visitor.post("/password/x", {"password": WORDS})).status]
    assert [*statuses, (await visitor.post(path, {"password": WORDS})).status] == [200, 404, 429]


def test_the_words_are_reserved() -> None:
    assert {"invite", "password"} <= RESERVED_HANDLES
