"""The way to a consent page and back: where it may lead in the end, and the cookie that says whose browser it was.

The one rule: a consent that a session asked for is taken from the browser that asked, and from no other: somebody could
send the link on otherwise, and have a stranger's calendar for their own. What a server asked for any browser may bring
back, and so its person is asked first whom they connect it for.
Source: RFC 6749, section 10.12; RFC 9700, sections 4.7 and 4.11 (open redirectors); RFC 6265bis (cookies).
"""

import hmac
from secrets import token_urlsafe

from aiohttp import web
from yarl import URL

from app.core.errors import InvalidInput
from app.core.settings import Settings
from app.core.vault import digest
from app.domain.calendars.connections import AUTHORIZATION_LIFETIME
from app.web.sessions import STORAGE

PATH = "/calendars/callback"
_COOKIE = "slotwire_consent_"
_WHERE = "/calendars"
_ELSEWHERE = "expected a path of ours, such as /settings, or an address of a site that SLOTWIRE_CORS_ORIGINS names"


def callback_url(settings: Settings) -> str:
    """Where providers send people back to: what an operator registers there."""
    return settings.public_url + PATH


def checked_return(redirect_to: str, settings: Settings) -> str:
    """Where somebody may be sent afterwards. Raises InvalidInput for any address that is neither ours nor named."""
    readable = redirect_to.isascii() and redirect_to.isprintable() and not set(redirect_to) & {"\\", " "}
    if readable and redirect_to.startswith("/") and not redirect_to.startswith("//"):
        return redirect_to
    ours = (settings.public_url, *(each for each in settings.cors_origins if each != "*"))
    try:
        url = URL(redirect_to if readable else "")
        fine = url.user is None and url.password is None and url.origin() in {URL(each).origin() for each in ours}
    except ValueError:
        fine = False
    if not fine or url.scheme not in {"http", "https"}:
        raise InvalidInput.of("redirect_to", _ELSEWHERE, "not_allowed")
    return redirect_to


def with_outcome(redirect_to: str, **outcome: str) -> str:
    """The address with what became of it in its query."""
    return str(URL(redirect_to).update_query(outcome))


def origin_of(redirect_to: str | None) -> str | None:
    """Of an address of somebody else's that was checked; None for a path of ours."""
    url = URL(redirect_to or "")
    return str(url.origin()) if url.absolute else None


def new_browser() -> str:
    """What the cookie holds."""
    return token_urlsafe(32)


def mark_browser(request: web.Request, response: web.Response, state: str, browser: str) -> None:
    """A cookie of this one consent: several may be under way. Lax, since the way back is a link from elsewhere."""
    response.set_cookie(
        _name(state),
        browser,
        max_age=int(AUTHORIZATION_LIFETIME.total_seconds()),
        path=_WHERE,
        secure=bool(request.app[STORAGE].cookie_params["secure"]),
        httponly=True,
        samesite="Lax",
    )


def is_marked(request: web.Request, state: str, browser_hash: bytes | None) -> bool:
    """Whether it is the browser that asked; where a server asked, any will do."""
    if browser_hash is None:
        return True
    held = request.cookies.get(_name(state), "")
    return held.isascii() and hmac.compare_digest(digest(held), browser_hash)


def unmark_browser(request: web.Request, response: web.StreamResponse, state: str) -> None:
    if _name(state) in request.cookies:
        response.del_cookie(_name(state), path=_WHERE, httponly=True, samesite="Lax")


def _name(state: str) -> str:
    return _COOKIE + digest(state).hex()[:16]
