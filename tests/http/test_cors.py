"""Which sites' JavaScript may read our answers: of what needs no key all, of `/v1` those that the operator names."""

from typing import Any

import pytest

from app.core.settings import ConfigurationError, load_settings
from app.faces.public.routes import ROUTES as PUBLIC_ROUTES
from app.main import build_app
from tests.conftest import AiohttpClient
from tests.support import SECRET_KEY, Answer, Api, Servers, Tenant, settings_for

SHOP, OTHER = "https://shop.example.com", "https://evil.example.com"


async def serving(aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, origins: str) -> Api:
    app = build_app(settings_for(migrated, cors_origins=origins))
    return Api(await aiohttp_client(app), tenant.api_key)


async def preflight(api: Api, path: str, method: str, origin: str = SHOP) -> Answer:
    given: dict[str, Any] = {"Origin": origin, "Access_Control_Request_Method": method, "Authorization": ""}
    return await api.call("OPTIONS", path, **given)


@pytest.mark.parametrize("route", PUBLIC_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_what_needs_no_key_is_open_to_every_site(api: Api, route: Any) -> None:
    path = route.path.replace("{", "").replace("}", "")
    asked = await preflight(api, path, route.method)
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == "*"
    assert route.method in asked.headers["Access-Control-Allow-Methods"].split(", ")
    assert "Idempotency-Key" in asked.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in asked.headers
    answer = await api.call(route.method, path, Authorization="", Origin=SHOP)
    assert answer.status >= 400
    assert answer.headers["Access-Control-Allow-Origin"] == "*", "a problem is for the site's eyes too"
    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]


async def test_v1_is_closed_unless_it_is_opened(api: Api) -> None:
    asked = await preflight(api, "/v1/bookings", "POST")
    assert "Access-Control-Allow-Origin" not in asked.headers
    answer = await api.get("/v1/users/me", Origin=SHOP)
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_v1_is_opened_to_the_sites_that_are_named(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant
) -> None:
    api = await serving(aiohttp_client, migrated, tenant, f"{SHOP}, https://two.example.com/")
    asked = await preflight(api, "/v1/bookings", "POST")
    assert asked.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert asked.headers["Vary"] == "Origin"
    for answer in (
        await api.get("/v1/users/me", Origin=SHOP),
        await api.get("/v1/users/me", Origin=SHOP, Authorization=""),
        await api.get("/v1/bookings/bkg_x", Origin=SHOP),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    refused = await api.get("/v1/users/me", Origin=OTHER)
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert refused.headers["Vary"] == "Origin", "a cache must not give one site's answer to another"
    assert "Access-Control-Allow-Origin" not in (await preflight(api, "/v1/bookings", "POST", OTHER)).headers


async def test_a_star_opens_v1_to_all(aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant) -> None:
    api = await serving(aiohttp_client, migrated, tenant, "*")
    assert (await api.get("/v1/users/me", Origin=OTHER)).headers["Access-Control-Allow-Origin"] == "*"


async def test_options_that_is_no_preflight_is_a_wrong_method(api: Api) -> None:
    answer = await api.call("OPTIONS", "/v1/bookings")
    assert answer.ok(405)["code"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("origin", ["shop.example.com", "https://", "https://a.example.com/path", "javascript:x"])
def test_a_wrong_origin_stops_the_start(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOTWIRE_CORS_ORIGINS", origin)
    with pytest.raises(ConfigurationError, match="SLOTWIRE_CORS_ORIGINS"):
        load_settings(env="development", secret_keys=(SECRET_KEY,))


@pytest.mark.parametrize("step", ["confirm", "decline", "cancel"])
async def test_a_path_that_keys_and_tokens_share_is_the_ones_or_the_others(
    aiohttp_client: AiohttpClient, migrated: Servers, tenant: Tenant, step: str
) -> None:
    """A confirm link is open to every site; the same path with a booking's id belongs to `/v1`."""
    api = await serving(aiohttp_client, migrated, tenant, SHOP)
    for origin, allowed in ((SHOP, SHOP), (OTHER, None)):
        asked = await preflight(api, f"/v1/bookings/bkg_01h2xcejqtf2nbrexx3vqjhp41/{step}", "POST", origin)
        assert asked.headers.get("Access-Control-Allow-Origin") == allowed
        assert ("Authorization" in asked.headers.get("Access-Control-Allow-Headers", "")) == (allowed is not None)
    if step != "cancel":
        by_token = await preflight(api, f"/v1/bookings/cft_x/{step}", "POST", OTHER)
        assert by_token.headers["Access-Control-Allow-Origin"] == "*"
