"""The organization behind the key: its name, and how its mails look."""

import asyncio
from typing import Any

import pytest

from app.core import db
from app.core.vault import Vault
from tests.support import Api, Tenant, make_tenant


async def shown(api: Api) -> Any:
    return (await api.get("/v1/organization")).ok()["organization"]


async def patched(api: Api, changes: Any) -> Any:
    return (await api.call("PATCH", "/v1/organization", changes)).ok()["organization"]


async def test_what_nobody_has_set(api: Api) -> None:
    me = (await api.get("/v1/users/me")).ok()["organization"]
    assert await shown(api) == {**me, "sender_name": None, "reply_to": None, "locale": "en"}


async def test_a_patch_merges(api: Api) -> None:
    expected = await shown(api)
    changes = {"name": "Acme & Söhne", "sender_name": "Acme", "reply_to": "hello@acme.example", "locale": "de"}
    for name, value in changes.items():
        expected[name] = value
        assert await patched(api, {name: value}) == expected
    assert (await api.get("/v1/users/me")).ok()["organization"]["name"] == "Acme & Söhne"
    assert await patched(api, {"sender_name": None, "reply_to": None}) == {
        **expected,
        "sender_name": None,
        "reply_to": None,
    }
    assert await patched(api, {}) == await shown(api)


async def test_two_edits_at_once_both_hold(api: Api) -> None:
    await asyncio.gather(patched(api, {"locale": "de"}), patched(api, {"sender_name": "Acme"}))
    assert (await shown(api))["locale"] == "de"
    assert (await shown(api))["sender_name"] == "Acme"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", ""),
        ("name", "x" * 201),
        ("sender_name", "two\nlines"),
        ("sender_name", "x" * 201),
        ("sender_name", ""),
        ("reply_to", "nobody"),
        ("reply_to", "a@b.example\r\nBcc: c@d.example"),
        ("locale", None),
        ("locale", "tlh"),
        ("locale", "../en"),
        ("id", "org_x"),
        ("secret_sealed", "x"),
    ],
)
async def test_a_wrong_field_is_named(api: Api, field: str, value: Any) -> None:
    before = await shown(api)
    answer = await api.call("PATCH", "/v1/organization", {field: value})
    assert [each["field"] for each in answer.ok(400)["errors"]] == [field]
    assert await shown(api) == before


async def test_nobody_sees_or_edits_another_one(api: Api, conn: db.Connection, vault: Vault) -> None:
    before = await shown(api)
    other = Api(api.client, (await make_tenant(conn, vault)).api_key)
    await patched(other, {"name": "Other", "reply_to": "other@acme.example"})
    assert await shown(api) == before


async def test_what_else_is_kept_stays(api: Api, conn: db.Connection, tenant: Tenant) -> None:
    await conn.execute("update organizations set settings = $2 where id = $1", tenant.org_id, {"theme": "dark"})
    await patched(api, {"locale": "de"})
    kept = await conn.fetchval("select settings from organizations where id = $1", tenant.org_id)
    assert kept == {"theme": "dark", "locale": "de"}


async def test_who_joins_speaks_its_language(api: Api) -> None:
    assert (await api.person())["locale"] == "en"
    await patched(api, {"locale": "de"})
    assert (await api.person())["locale"] == "de"
    assert (await api.person(locale="en"))["locale"] == "en"
    assert (await api.get("/v1/users/me")).ok()["user"]["locale"] == "en", "who is there already keeps theirs"
