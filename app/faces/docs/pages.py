"""`/openapi.json`, `/docs`, `/docs/errors`, `/llms.txt`, `/.well-known/api-catalog`: for people, tools and agents.

The one rule: a page asks nothing of any other host. What it needs is served here, and its policy forbids the rest.
"""

import functools
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import orjson
from aiohttp import hdrs, web

from app.core.settings import Settings
from app.domain.identity.scopes import GRANTS
from app.web.catalog import CATALOG
from app.web.cors import allow
from app.web.routing import with_etag

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The renderer puts its styles into the page, and searches in a worker that it makes of a blob."""

_PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PROFILE = "https://www.rfc-editor.org/info/rfc9727"
_CATALOG_PATH = "/.well-known/api-catalog"
# of servers, browsers and bots; one document describes all
_FACES = ("/v1", "/api", "/api/v1")
_YEAR = "public, max-age=31536000, immutable"
_STATIC = {"redoc-2.5.4.js": "text/javascript", "docs.js": "text/javascript", "docs.css": "text/css"}

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Asset:
    """Bytes that stay the same as long as the process runs."""

    body: bytes
    content_type: str

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:12]

    @functools.cached_property
    def packed(self) -> bytes:
        return gzip.compress(self.body, mtime=0)

    def answer(self, request: web.Request, **headers: str) -> web.Response:
        packs = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
        response = web.Response(body=self.packed if packs else self.body, headers=headers)
        response.headers[hdrs.CONTENT_TYPE] = f"{self.content_type}; charset=utf-8"
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        response.headers[hdrs.ETAG] = f'W/"{self.digest}"'
        if packs:
            response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        return response


@functools.cache
def _static() -> dict[str, Asset]:
    """By address: the name stands behind the digest, so that another version has another one."""
    folder = files(__package__).joinpath("static")
    assets = {name: Asset(folder.joinpath(name).read_bytes(), kind) for name, kind in _STATIC.items()}
    return {f"/docs/static/{asset.digest}/{name}": asset for name, asset in assets.items()}


@functools.cache
def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(name)


@functools.cache
def _text(name: str, base: str) -> bytes:
    links = {address.rsplit("/", 1)[-1]: address for address in _static()}
    return _template(name).render(links=links, base=base, catalog=CATALOG, grants=GRANTS).encode()


def add_routes(app: web.Application, settings: Settings, openapi: bytes) -> None:
    base = settings.public_url
    app.router.add_get("/openapi.json", _open(Asset(openapi, "application/json")))
    app.router.add_get("/docs", _page(Asset(_text("docs.html", ""), "text/html")))
    app.router.add_get("/docs/errors", _page(Asset(_text("errors.html", ""), "text/html")))
    app.router.add_get("/llms.txt", _open(Asset(_text("llms.txt", base), "text/plain")))
    app.router.add_get(_CATALOG_PATH, _api_catalog(base))
    for address, asset in _static().items():
        app.router.add_get(address, _forever(asset))


def _open(asset: Asset) -> Answering:
    """For every site's JavaScript."""

    async def answer(request: web.Request) -> web.StreamResponse:
        allow(request, public=True)
        return with_etag(request, asset.answer(request))

    return answer


def _page(asset: Asset) -> Answering:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = with_etag(request, asset.answer(request))
        response.headers.update(_PAGE_HEADERS)
        return response

    return answer


def _forever(asset: Asset) -> Answering:
    """The address has the digest in it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return asset.answer(request, **{hdrs.CACHE_CONTROL: _YEAR, "X-Content-Type-Options": "nosniff"})

    return answer


def _api_catalog(base: str) -> Answering:
    """RFC 9727: what APIs there are, as a linkset (RFC 9264)."""
    documents = {
        "service-desc": [{"href": f"{base}/openapi.json", "type": "application/vnd.oai.openapi+json;version=3.1"}],
        "service-doc": [
            {"href": f"{base}/docs", "type": "text/html"},
            {"href": f"{base}/docs/errors", "type": "text/html"},
            {"href": f"{base}/llms.txt", "type": "text/plain"},
        ],
        "status": [{"href": f"{base}/healthz", "type": "application/json"}],
    }
    faces = [base + face for face in _FACES]
    catalog = {"anchor": base + _CATALOG_PATH, "item": [{"href": face} for face in faces]}
    body = orjson.dumps({"linkset": [catalog, *({"anchor": face, **documents} for face in faces)]})

    async def answer(request: web.Request) -> web.StreamResponse:
        allow(request, public=True)
        response = web.Response(body=body)
        response.headers[hdrs.CONTENT_TYPE] = f'application/linkset+json; profile="{_PROFILE}"'
        response.headers[hdrs.LINK] = f'<{base}{_CATALOG_PATH}>; rel="api-catalog"; type="application/linkset+json"'
        return with_etag(request, response)

    return answer
