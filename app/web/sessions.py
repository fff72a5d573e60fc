"""The session cookie: what it looks like, how it is read and set, and from which pages it may be used.

The one rule: whatever a browser sends, a cookie is good or there is none. It is encrypted and dated under keys derived
from the key ring, and holds a random token; the session itself is a row of the database.

Source: RFC 6265bis (cookies, the `__Host-` prefix); W3C Fetch Metadata (`Sec-Fetch-Site`); RFC 6454 (`Origin`).
"""

from typing import Any, cast
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp_session import Session
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from cryptography.fernet import Fernet, MultiFernet

from app.core.errors import Forbidden, UnsupportedMediaType
from app.core.settings import Settings
from app.core.vault import Vault
from app.domain.identity.sessions import LIFETIME, Where
from app.web.body import is_json
from app.web.call import SETTINGS
from app.web.limits import caller_of

COOKIE = "slotwire_session"
# a browser takes the prefix as our word that no other host could have set the cookie
SECURE_COOKIE = f"__Host-{COOKIE}"
_SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
_OURS = frozenset({"same-origin", "none"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# what a page of any site can send without asking, even of nothing
_OF_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
_TOKEN = "token"  # noqa: S105 -- the name of a member


class RingCookieStorage(EncryptedCookieStorage):
    """aiohttp-session's own, but for a ring of keys: the first one encrypts, all decrypt."""

    def __init__(self, vault: Vault, *, secure: bool) -> None:
        keys = vault.derived_ring("session cookie")
        super().__init__(
            Fernet(keys[0]),
            cookie_name=SECURE_COOKIE if secure else COOKIE,
            max_age=int(LIFETIME.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )
        self._fernet = cast("Fernet", MultiFernet([Fernet(key) for key in keys]))


STORAGE = web.AppKey("session_storage", RingCookieStorage)


def storage_of(settings: Settings, vault: Vault) -> RingCookieStorage:
    """Without Secure only where a browser would refuse the cookie with it: in development over http."""
    return RingCookieStorage(vault, secure=not settings.development or settings.public_url.startswith("https://"))


async def session_token(request: web.Request) -> str | None:
    """The token in the request's cookie, if there is one that we made."""
    try:
        session = await request.app[STORAGE].load_session(request)
    except (ValueError, TypeError, KeyError):
        return None  # no UTF-8, or no JSON of ours
    token = session.get(_TOKEN)
    return token if isinstance(token, str) else None


async def remember(request: web.Request, response: web.Response, token: str) -> web.Response:
    """Set the cookie: another one than before, always."""
    storage = request.app[STORAGE]
    session = Session(None, data=None, new=True, max_age=storage.max_age)
    cast("Any", session)[_TOKEN] = token
    await storage.save_session(request, response, session)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    return response


def forget(request: web.Request, response: web.Response) -> web.Response:
    """Take the cookie away, with the attributes that it was set with: a browser keeps a `__Host-` cookie otherwise."""
    storage = request.app[STORAGE]
    secure = bool(storage.cookie_params["secure"])
    response.del_cookie(storage.cookie_name, path="/", secure=secure, httponly=True, samesite="Lax")
    return response


def where_of(request: web.Request) -> Where:
    address = caller_of(request, request.app[SETTINGS].trusted_proxies)
    agent = request.headers.get(hdrs.USER_AGENT, "")
    # without the zone of a link-local address, which the database does not know
    where = str(address).partition("%")[0] if address else None
    return Where(where, agent if agent.isprintable() and agent.isascii() else None)


def check_site(request: web.Request) -> None:
    """Raises Forbidden for a request that changes something and comes from another site's page, UnsupportedMediaType
    for a body that a plain form could send."""
    if request.method in _SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get(hdrs.ORIGIN)
    if (site is not None and site not in _OURS) or (origin is not None and not _is_ours(request, origin)):
        raise Forbidden("This request came from a page of another site. Only the service's own pages may do this.")
    if not is_json(request) and (request.body_exists or request.content_type.lower() in _OF_FORMS):
        raise UnsupportedMediaType("Send the body with 'Content-Type: application/json'.")


def is_public_page(request: web.Request, origin: str) -> bool:
    """Whether this origin is the service's public address."""
    return origin.lower() == _origin(request.app[SETTINGS].public_url)


def is_loopback_page(origin: str) -> bool:
    """Whether a page of this origin comes from the browser's own machine."""
    try:
        return urlsplit(origin).hostname in _LOOPBACK
    except ValueError:
        return False


def _is_ours(request: web.Request, origin: str) -> bool:
    """The public address, or the one that the browser has connected to."""
    if is_public_page(request, origin):
        return True
    return origin.lower() in {f"http://{request.host}".lower(), f"https://{request.host}".lower()}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
