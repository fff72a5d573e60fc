"""`/dev/mail`: what would have been mailed, for whoever develops on this machine.

The one rule: it is there in development only, and for callers on this very machine: mails hold links that act. A mail's
HTML is a stranger's: it is shown in a frame without rights, as a document of its own that may load nothing.
"""

import asyncio
import base64
import hashlib
import ipaddress
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import jinja2
from aiohttp import hdrs, web

from app.core.errors import NotFound
from app.core.loopback import LOOPBACK
from app.core.settings import Settings
from app.faces.dev.mailbox import list_mails, read_mail, show_mail
from app.web.call import HEADERS, SETTINGS
from app.web.limits import caller_of

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(__package__),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = files(__package__).joinpath("templates", "style.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# the styles of a mail stand in it; nothing else of it does anything
_MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
_SOURCE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
_LOOPBACK_NETWORKS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

Handler = Callable[[web.Request, Path], Awaitable[web.Response]]


def add_routes(app: web.Application, settings: Settings) -> None:
    """Nothing but in development."""
    if settings.development:
        app.router.add_get("/dev/mail", _near(_list))
        app.router.add_get("/dev/mail/{name}", _near(_show))
        app.router.add_get("/dev/mail/{name}/html", _near(_html))
        app.router.add_get("/dev/mail/{name}/source", _near(_source))


def _near(handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        settings = request.app[SETTINGS]
        if settings.mail_dir is None or not _is_near(request, settings):
            raise NotFound("There is nothing at this path. The API begins at /v1.")
        request[HEADERS].update(
            {
                hdrs.CACHE_CONTROL: "no-store",
                hdrs.REFERRER_POLICY: "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "Cross-Origin-Resource-Policy": "same-origin",
            }
        )
        return await handler(request, settings.mail_dir)

    return answer


def _is_near(request: web.Request, settings: Settings) -> bool:
    """From this machine: not through a proxy on it, and not by a name of somebody else's that leads here, whose page
    could read what it gets."""
    caller = caller_of(request, (*settings.trusted_proxies, *_LOOPBACK_NETWORKS))
    try:
        name = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    return caller is not None and caller.is_loopback and name in {*LOOPBACK, urlsplit(settings.public_url).hostname}


async def _list(_request: web.Request, folder: Path) -> web.Response:
    mails = await asyncio.to_thread(list_mails, folder)
    return _page("mails.html", _PAGE_POLICY, mails=mails)


async def _show(request: web.Request, folder: Path) -> web.Response:
    name = request.match_info["name"]
    mail = await asyncio.to_thread(show_mail, name, await _raw(request, folder))
    return _page("mail.html", _PAGE_POLICY, mail=mail)


async def _html(request: web.Request, folder: Path) -> web.Response:
    mail = await asyncio.to_thread(show_mail, request.match_info["name"], await _raw(request, folder))
    return _answer(mail.html or "", "text/html", _MAIL_POLICY)


async def _source(request: web.Request, folder: Path) -> web.Response:
    raw = await _raw(request, folder)
    return _answer(raw.decode(errors="replace"), "text/plain", _SOURCE_POLICY)


async def _raw(request: web.Request, folder: Path) -> bytes:
    raw = await asyncio.to_thread(read_mail, folder, request.match_info["name"])
    if raw is None:
        raise NotFound("There is no such mail.")
    return raw


def _page(template: str, policy: str, **values: object) -> web.Response:
    return _answer(_TEMPLATES.get_template(template).render(style=_STYLE, **values), "text/html", policy)


def _answer(text: str, kind: str, policy: str) -> web.Response:
    # a mail may hold half of a pair, which UTF-8 cannot
    body = text.encode(errors="replace")
    return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Content-Security-Policy": policy})
