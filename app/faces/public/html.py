"""The few pages that a link in a mail opens: one heading, one booking, at most one button.

The one rule: a page brings nothing and takes nothing. No script, no picture, nothing of another origin, and no address
of ours in anybody's referrer: the address is the credential.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.times import zone
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


def page(status: int = 200, **values: Any) -> web.Response:
    """values: title, lead, lines [(term, text)], and the button's label and action, or neither."""
    filled: Mapping[str, Any] = {"lead": "", "lines": (), "button": None, "action": None, "danger": False, **values}
    body = _PAGE.render(style=_STYLE, **filled).encode()
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8", headers=_HEADERS)


def spell(start: datetime, end: datetime, zone_name: str) -> str:
    """`Monday, 1 June 2026, 10:00 to 10:30 (America/New_York, UTC-04:00)`; UTC where there is no such zone any more."""
    try:
        rules = zone(zone_name)
    except ValueError:
        rules, zone_name = zone("UTC"), "UTC"
    first, last = start.astimezone(rules), end.astimezone(rules)
    until = _clock(last) if last.date() == first.date() else f"{_day(last)}, {_clock(last)}"
    offset = first.isoformat()[-6:]
    where = "UTC" if zone_name == "UTC" else f"{zone_name}, UTC{offset}"
    return f"{_day(first)}, {_clock(first)} to {until} ({where})"


_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()


def _day(local: datetime) -> str:
    return f"{_DAYS[local.weekday()]}, {local.day} {_MONTHS[local.month - 1]} {local.year}"


def _clock(local: datetime) -> str:
    return f"{local:%H:%M}"
