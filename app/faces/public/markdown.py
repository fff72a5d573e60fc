"""`/{username}/{slug}.md`: a booking page as text, for agents that only read.

The one rule: it tells what `/v1/book` tells, no more, and changes nothing. What hosts wrote stands in it as text: it
makes no headings, no links and no HTML.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.times import from_epoch, zone
from app.domain.availability.service import find_open_slots
from app.domain.event_types.pages import Page, find_page, no_page, show_page
from app.domain.identity.models import Visitor
from app.web.call import Visit

MEDIA = "text/markdown"
_AHEAD = timedelta(days=14)
_MOST_DAYS = 7
_WHERE = {"in_person": "in person", "phone": "by phone", "link": "online", "resource": "in a room of the host's"}
_MARKUP = re.compile(r"([\\`*_\[\]<>#|])")
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=False,  # noqa: S701 -- it is no HTML; `plain` takes away what Markdown would make of it
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _plain(text: object) -> str:
    """On one line, with nothing that is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


_TEMPLATES.filters["plain"] = _plain
_PAGE = _TEMPLATES.get_template("page.md")


async def show(visit: Visit) -> web.Response:
    path = visit.request.match_info
    door = await find_page(visit.conn, path["username"], path["event_slug"], visit.vault)
    if not door.active:
        raise no_page()
    page = await show_page(visit.conn, door.visitor.org_id, door.event_type_id)
    days = await _open_days(visit, door.visitor, page)
    text = _PAGE.render(
        page=page,
        organization=door.visitor.org_name,
        where=_WHERE.get(page.location["kind"]) if page.location else None,
        days=days,
        example=f"{days[0].day.isoformat()}T{days[0].clocks[0]}:00{days[0].offset}" if days else None,
        base=visit.settings.public_url,
        username=path["username"],
    )
    return web.Response(body=text.encode(), content_type=MEDIA, charset="utf-8")


@dataclass(frozen=True)
class _Day:
    """Open starts of one local day, as the clock on the wall says. offset: from UTC, such as `+01:00`: a day on which
    clocks change has two, and comes twice."""

    day: date
    offset: str
    clocks: list[str]


async def _open_days(visit: Visit, visitor: Visitor, page: Page) -> list[_Day]:
    """The next open starts."""
    found = await find_open_slots(
        *(visit.conn, visitor.caller, page.id, visit.now, visit.now + _AHEAD),
        duration=None,
        host_id=None,
        now=visit.now,
    )
    days: dict[tuple[date, str], _Day] = {}
    for start in found.starts:
        wall = from_epoch(start).astimezone(zone(page.timezone))
        place = (wall.date(), wall.isoformat()[-6:])
        if place not in days and len(days) == _MOST_DAYS:
            break
        days.setdefault(place, _Day(*place, [])).clocks.append(f"{wall:%H:%M}")
    return list(days.values())
