"""The few pages that a link in a mail opens: one heading, what it is about, one button, or one for each open slot.

The one rule: a page brings nothing and takes nothing. No script, no picture, nothing of another origin, and no address
of ours in anybody's referrer: the address is the credential.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.domain.notifications.language import DEFAULT, language
from app.web.call import HEADERS

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = (Path(__file__).parent / "templates" / "style.css").read_text("utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# read at the start, so that no request waits for the disk
_PAGE = _TEMPLATES.get_template("page.html")
_SLOTS = _TEMPLATES.get_template("slots.html")
_PASSWORD = _TEMPLATES.get_template("password.html")

_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def keep_secret(request: web.Request) -> None:
    """For addresses with a token: nobody keeps, indexes or passes on what is there, whatever the answer becomes."""
    request[HEADERS].update(
        {
            hdrs.CACHE_CONTROL: "no-store",
            hdrs.REFERRER_POLICY: "no-referrer",
            "X-Robots-Tag": "noindex, nofollow",
            # one address, two kinds of answers
            hdrs.VARY: "Accept",
        }
    )


def names(request: web.Request, media_type: str) -> bool:
    """Whether the Accept header names this very type, with any weight but none (RFC 9110, section 12.5.1)."""
    for each in ",".join(request.headers.getall(hdrs.ACCEPT, [])).split(","):
        found, *parameters = (part.strip().lower() for part in each.split(";"))
        if found == media_type:
            return not any(part.startswith("q=") and not part[2:].strip("0.") for part in parameters)
    return False


def wants_html(request: web.Request) -> bool:
    """A browser: it says so, and asks for nothing that a program would."""
    return names(request, "text/html") and not names(request, "application/json")


def is_form(request: web.Request) -> bool:
    return request.content_type.lower() in _FORMS


def page(status: int = 200, *, onward: str | None = None, **values: Any) -> web.Response:
    """values: title, lead, lines [(term, text)]; the button's label, its form's action, the (name, value) that it
    sends, if any, and the hidden ones that go along; other: the label and the action of a second one; or, with an
    action, the words of a link back to it. onward: another origin that the form's answer may lead to."""
    nothing = {"lead": "", "lines": (), "button": None, "action": None, "danger": False, "field": None, "back": None}
    response = _response(_PAGE.render(style=_STYLE, **{"other": None, "hidden": (), **nothing, **values}), status)
    if onward is not None:
        # browsers hold redirects after a form to it, too
        policy = _HEADERS[hdrs.CONTENT_SECURITY_POLICY].replace("form-action 'self'", f"form-action 'self' {onward}")
        response.headers[hdrs.CONTENT_SECURITY_POLICY] = policy
    return response


def slots_page(**values: Any) -> web.Response:
    """values: title, lead, lines; the action of the buttons, days [(heading, [(label, start_time)])], and ways to other
    days [(label, address)]."""
    return _response(_SLOTS.render(style=_STYLE, **values), 200)


def password_page(status: int = 200, **values: Any) -> web.Response:
    """values: title, lead, lines, the form's action, the account's e-mail, for programs that keep passwords, and what
    was wrong with the password before, if any."""
    return _response(_PASSWORD.render(style=_STYLE, **values), status)


def _response(text: str, status: int) -> web.Response:
    return web.Response(body=text.encode(), status=status, content_type="text/html", charset="utf-8", headers=_HEADERS)


def spell_day(day: date) -> str:
    """`Monday, 1 June 2026`."""
    return language(DEFAULT).date(day)


def spell_starts(starts: Sequence[datetime]) -> list[str]:
    """Clock times of one day; with their offset where a clock that goes back has a time twice."""
    times = Counter(map(_clock, starts))
    return [
        f"{_clock(start)} (UTC{start.isoformat()[-6:]})" if times[_clock(start)] > 1 else _clock(start)
        for start in starts
    ]


def _clock(local: datetime) -> str:
    return f"{local:%H:%M}"
