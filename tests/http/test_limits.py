"""How often somebody may call: told in every answer, refused with a time to come back, and never a 500."""

import asyncio
import ipaddress
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from app.core import wake
from app.core.errors import RateLimited
from app.core.quota import Quota, parse_quota
from app.core.settings import ConfigurationError, Settings, load_settings
from app.main import build_app
from app.web.call import HEADERS
from app.web.limits import Limit, Limiter, address_of
from tests.conftest import AiohttpClient
from tests.support import SECRET_KEY, Api, Servers, Tenant, settings_for, unique_name


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine Redis may be slow, and then a process counts for itself: not what is asked here."""
    monkeypatch.setattr("app.web.limits._PATIENCE_SECONDS", 10.0)


async def limited(aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, **changes: Any) -> Api:
    return Api(await aiohttp_client(build_app(settings_for(migrated, **changes))), tenant.api_key)


async def test_a_key_is_counted_and_told(aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant) -> None:
    api = await limited(aiohttp_client, migrated, tenant, limit_key=Quota(3, 60))
    for left in (2, 1, 0):
        answer = await api.get("/v1/users/me")
        assert answer.status == 200
        assert answer.headers["RateLimit-Policy"] == '"key";q=3;w=60'
        assert re.fullmatch(rf'"key";r={left};t=(60|59)', answer.headers["RateLimit"])
    refused = await api.get("/v1/users/me")
    problem = refused.ok(429)
    assert problem["code"] == "rate_limited"
    assert problem["violated-policies"] == ["key"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"key";r=0;t=')
    assert (await api.get("/v1/users/me")).status == 429


async def test_one_key_does_not_use_up_anothers(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, conn: Any, vault: Any
) -> None:
    from tests.support import make_tenant

    api = await limited(aiohttp_client, migrated, tenant, limit_key=Quota(1, 60))
    other = Api(api.client, (await make_tenant(conn, vault)).api_key)
    assert [(await api.get("/v1/users/me")).status for _ in range(2)] == [200, 429]
    assert (await other.get("/v1/users/me")).status == 200


async def test_a_key_may_have_a_limit_of_its_own(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, conn: Any, now: Any
) -> None:
    from app.domain.identity.keys import create_key

    api = await limited(aiohttp_client, migrated, tenant, limit_key=Quota(1, 60))
    given = {"name": "own", "scopes": ("slots:read",), "now": now}
    _, key = await create_key(conn, tenant.org_id, tenant.user_id, limit="3/h", **given)
    answers = [await Api(api.client, key).get("/v1/users/me") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=3600'


async def test_a_refusal_of_another_kind_says_so_too(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant
) -> None:
    api = await limited(aiohttp_client, migrated, tenant, limit_key=Quota(9, 60))
    answer = await api.get("/v1/bookings/bkg_x")
    assert answer.status == 404
    assert answer.headers["RateLimit"].startswith('"key";r=8;')


async def test_processes_share_one_count(aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant) -> None:
    """Small limits are exact; a large one is handed out in portions of a hundredth."""
    ours = [await limited(aiohttp_client, migrated, tenant, limit_key=Quota(20, 60)) for _ in range(2)]
    answers = await asyncio.gather(*(ours[n % 2].get("/v1/users/me") for n in range(60)))
    assert sorted(answer.status for answer in answers) == [200] * 20 + [429] * 40


async def test_without_redis_each_process_counts_for_itself(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant
) -> None:
    dead = "redis://127.0.0.1:1/0"
    api = await limited(aiohttp_client, migrated, tenant, limit_key=Quota(5, 60), redis_url=dead)
    assert [(await api.get("/v1/users/me")).status for _ in range(7)] == [200] * 5 + [429] * 2


async def test_off_is_off(api: Api) -> None:
    answer = await api.get("/v1/users/me")
    assert "RateLimit" not in answer.headers
    assert "RateLimit-Policy" not in answer.headers


async def test_visitors_are_counted_by_address(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant
) -> None:
    one, other = (str(ipaddress.ip_address(0xC6120000 + random.getrandbits(16))) for _ in range(2))
    api = await limited(
        *(aiohttp_client, migrated, tenant), limit_public=Quota(2, 60), trusted_proxies="127.0.0.0/8,::1/128"
    )
    path = "/v1/book/nobody/nothing"
    answers = [await api.call("GET", path, Authorization="", X_Forwarded_For=one) for _ in range(3)]
    assert [answer.status for answer in answers] == [404, 404, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"address";q=2;w=60'
    elsewhere = await api.call("GET", path, Authorization="", X_Forwarded_For=other)
    assert elsewhere.status == 404


class Bare:
    """A limiter of its own, and requests that are counted by it."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter

    async def count(self, limit: Limit, times: int) -> int:
        """How many of so many are let through."""
        passed = 0
        for _ in range(times):
            request = make_mocked_request("GET", "/")
            request[HEADERS] = {}
            try:
                await self.limiter.check(request, limit)
            except RateLimited:
                continue
            passed += 1
        return passed


@pytest.fixture
async def shared(migrated: Servers) -> AsyncIterator[list[Bare]]:
    clients = [wake.connect(migrated.redis_url) for _ in range(2)]
    yield [Bare(Limiter(client)) for client in clients]
    for client in clients:
        await client.aclose()


async def test_a_window_ends(shared: list[Bare]) -> None:
    limit = Limit("key", unique_name(), Quota(3, 1))
    assert await shared[0].count(limit, 5) == 3
    assert await shared[1].count(limit, 5) == 0
    await asyncio.sleep(1.1)
    assert await shared[1].count(limit, 2) == 2
    assert await shared[0].count(limit, 5) == 1


async def test_a_large_limit_is_never_passed(shared: list[Bare]) -> None:
    limit = Limit("key", unique_name(), Quota(1000, 60))
    passed = await asyncio.gather(*(each.count(limit, 900) for each in shared))
    assert sum(passed) == 1000


async def test_concurrent_callers_of_one_process_share_its_portion(shared: list[Bare]) -> None:
    limit = Limit("key", unique_name(), Quota(50, 60))
    passed = await asyncio.gather(*(shared[n % 2].count(limit, 5) for n in range(40)))
    assert sum(passed) == 50


async def test_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses call, and even when none of their windows is over yet."""
    monkeypatch.setattr("app.web.limits._MOST_WINDOWS", 10)
    alone = Bare(Limiter(None))
    for number in range(100):
        await alone.count(Limit("address", f"a{number}", Quota(1, 60)), 1)
        assert len(alone.limiter._windows) <= 10  # noqa: SLF001 -- what is bounded is inside


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("600/m", Quota(600, 60)),
        ("1/s", Quota(1, 1)),
        ("5/h", Quota(5, 3600)),
        ("9/d", Quota(9, 86_400)),
        ("off", None),
    ],
)
def test_quotas_are_read(text: str, expected: Quota | None) -> None:
    assert parse_quota(text) == expected


@pytest.mark.parametrize("text", ["", "600", "0/m", "-1/m", "6/w", "1e3/m", "600/min", "on"])
def test_a_wrong_limit_stops_the_start(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTWIRE_LIMIT_PUBLIC", text)
    with pytest.raises(ConfigurationError, match="SLOTWIRE_LIMIT_PUBLIC: expected a number per"):
        load_settings(env="development", secret_keys=(SECRET_KEY,))


def test_the_defaults_are_those_of_the_contract() -> None:
    settings: Settings = load_settings(env="development", secret_keys=(SECRET_KEY,))
    assert (settings.limit_key, settings.limit_public) == (Quota(600, 60), Quota(60, 60))


PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not a proxy of ours: it may write what it likes
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # what a client wrote itself stands on the left
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "garbage", "10.0.0.1"),
        ("10.0.0.1", "garbage, 198.51.100.1", "198.51.100.1"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
        ("", "198.51.100.1", "unknown"),
    ],
)
def test_who_calls(peer: str, forwarded: str, expected: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)
    assert address_of(request, PROXIES) == expected
