"""The documentation that the service serves: pages that ask nothing of another host, and say what the document says."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.domain.identity.scopes import SCOPES
from app.faces.docs.pages import CONTENT_SECURITY_POLICY
from app.main import ROUTES, build_app
from app.web.catalog import CATALOG
from tests.conftest import AiohttpClient
from tests.support import Answer, Api

STATIC = Path(__file__).parents[2] / "app" / "faces" / "docs" / "static"
ADDRESS = re.compile(r"""(?:src|href|action)=["']([^"']*)["']""")


async def page(api: Api, path: str) -> Answer:
    answer = await api.call("GET", path, Authorization="")
    assert answer.status == 200
    return answer


@pytest.mark.parametrize("path", ["/docs", "/docs/errors"])
async def test_a_page_asks_nothing_of_another_host(api: Api, path: str) -> None:
    answer = await page(api, path)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert not re.search(r"https?:|\*", CONTENT_SECURITY_POLICY)
    assert "script-src 'self';" in CONTENT_SECURITY_POLICY
    addresses = ADDRESS.findall(answer.raw.decode())
    assert addresses
    for address in addresses:
        assert address.startswith(("/", "#", "data:,")), address
        if address.startswith("/"):
            assert (await api.call("GET", address, Authorization="")).status == 200


async def test_what_a_page_needs_is_kept_for_a_year_under_a_name_that_changes_with_it(api: Api) -> None:
    static = [each for each in ADDRESS.findall((await page(api, "/docs")).raw.decode()) if "/static/" in each]
    assert {each.rsplit("/", 1)[-1] for each in static} == {
        path.name for path in STATIC.iterdir() if path.suffix != ".txt"
    }
    for address in static:
        answer = await page(api, address)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.raw == (STATIC / address.rsplit("/", 1)[-1]).read_bytes()
        assert (await api.call("GET", re.sub(r"/[0-9a-f]{12}/", "/000000000000/", address))).status == 404


def test_the_renderer_is_vendored_whole() -> None:
    """With its licence, without the logo that it would fetch, and without source maps that are not there."""
    (script,) = STATIC.glob("redoc-*.js")
    text = script.read_text()
    assert "cdn.redoc" not in text
    assert not re.search(r"sourceMappingURL=[\w.]+\.map", text)
    assert (STATIC / f"{script.stem}.LICENSE.txt").read_text().count("MIT") > 1


async def test_an_uncompressed_and_a_compressed_page_are_one(api: Api) -> None:
    plain = await api.call("GET", "/docs/errors", Accept_Encoding="identity")
    packed = await api.call("GET", "/docs/errors", Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.raw == plain.raw, "the client unpacks it"
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert plain.headers["Vary"] == "Accept-Encoding"
    assert (await api.call("GET", "/docs/errors", If_None_Match=plain.headers["ETag"])).status == 304


async def test_every_problem_leads_to_its_explanation(api: Api) -> None:
    text = (await page(api, "/docs/errors")).raw.decode()
    for entry in CATALOG.values():
        assert f'<section id="{entry.code}"' in text
    problem = (await api.get("/v1/nothing")).ok(404)
    path, _, anchor = problem["type"].partition("#")
    assert path == "/docs/errors"
    assert f'id="{anchor}"' in text


async def test_the_errors_are_a_page_that_a_screen_reader_can_read(api: Api) -> None:
    text = (await page(api, "/docs/errors")).raw.decode()
    assert '<html lang="en">' in text
    assert text.count("<h1>") == text.count("<main") == 1
    assert text.count("<h2") == len(CATALOG)
    assert '<meta name="viewport"' in text
    assert "prefers-color-scheme: dark" in (STATIC / "docs.css").read_text()
    assert "'Authorization: Bearer &lt;key&gt;'" in text.replace("&#39;", "'"), "what stands there is escaped"


async def test_llms_txt_names_what_there_is(aiohttp_client: AiohttpClient, settings: Settings, tenant: Any) -> None:
    base = "https://book.example.com"
    client = await aiohttp_client(build_app(settings.model_copy(update={"base_url": base})))
    answer = await page(Api(client, tenant.api_key), "/llms.txt")
    text = answer.raw.decode()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text.startswith("# Slotwire\n\n> ")
    for path in ["/openapi.json", "/docs", "/docs/errors"]:
        assert f"({base}{path})" in text
    for scope in SCOPES:
        assert f"`{scope}`" in text
    called = {re.sub(r"bkg_…", "{id}", each) for each in re.findall(rf"{base}(/(?:v1|api)/[\w/…-]+)", text)}
    assert called - {"/api/v1"} <= {route.path for route in ROUTES}
    for face in ["/v1/", "/api/v1/", "/api/"]:
        assert len([path for path in called if path.startswith(face)]) >= 3
    assert "{{" not in text


async def test_the_api_catalog_leads_to_everything(
    aiohttp_client: AiohttpClient, settings: Settings, tenant: Any
) -> None:
    """RFC 9727, sections 2 to 4."""
    base = "https://book.example.com"
    api = Api(await aiohttp_client(build_app(settings.model_copy(update={"base_url": base}))), tenant.api_key)
    answer = await page(api, "/.well-known/api-catalog")
    assert answer.headers["Content-Type"] == (
        'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
    )
    catalog, *faces = answer.json["linkset"]
    assert catalog["anchor"] == f"{base}/.well-known/api-catalog"
    anchors = [f"{base}/v1", f"{base}/api", f"{base}/api/v1"]
    assert [each["href"] for each in catalog["item"]] == [each["anchor"] for each in faces] == anchors
    for relation in ("service-desc", "service-doc", "status"):
        for each in [link for face in faces for link in face[relation]]:
            assert each["href"].startswith(base)
            await page(api, each["href"].removeprefix(base))
    head = await api.call("HEAD", "/.well-known/api-catalog", Authorization="")
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["Link"].startswith(f'<{base}/.well-known/api-catalog>; rel="api-catalog"')
