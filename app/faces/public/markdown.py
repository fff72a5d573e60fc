"""`/{username}/{slug}.md`: a booking page as text, for agents that only read.

The one rule: it tells what `/v1/book` tells, no more, and changes nothing. What hosts wrote stands in it as text: it
makes no headings, no links and no HTML.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
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
_MOST_CLOCKS = 12
_SOME_TIME = "2026-05-01T14:00:00+02:00"
_WHERE = {
    "in_person": "in person",
    "phone": "by phone",
    "link": "online",
    "resource": "in a room of the host's",
    "conference": "online",
}
# What would be markup on a line, or begin a link of GitHub's (GFM, "Autolinks"), or a block at the beginning of a line.
# E-mail addresses are no text to it however they are escaped, except as code.
_MARKUP = re.compile(
    r"(?P<address>(?<![\w.+-])[\w.+-]+@[\w.+@-]+)|[\\`*_\[\]<>#|~&@]|:(?=//)|(?<=www)\.", flags=re.ASCII | re.IGNORECASE
)
_BLOCK = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+=]))")
# what an answer may look like; of those with options, an option
_ANSWERS: Mapping[str, Any] = {"number": 1, "email": "boss@example.com", "phone": "+1 555 0100", "checkbox": True}
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=False,  # noqa: S701 -- it is no HTML; `plain` takes away what Markdown would make of it
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _plain(text: object) -> str:
    """On one line, with nothing that is markup."""
    return _BLOCK.sub(r"\1\\", _MARKUP.sub(_as_text, " ".join(str(text).split())))


def _as_text(found: re.Match[str]) -> str:
    return f"`{found[0]}`" if found["address"] else f"\\{found[0]}"


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
        example=_example(page, days[0].starts[0] if days else _SOME_TIME),
        choices=_choices(page),
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

    @property
    def starts(self) -> list[str]:
        return [f"{self.day.isoformat()}T{clock}:00{self.offset}" for clock in self.clocks]

    @property
    def some_clocks(self) -> list[str]:
        """From all over the day, its first among them: an agent pays for each."""
        count = len(self.clocks)
        few = range(count) if count <= _MOST_CLOCKS else (each * count // _MOST_CLOCKS for each in range(_MOST_CLOCKS))
        return [self.clocks[each] for each in few]


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


def _choices(page: Page) -> list[str]:
    """What the query of the slots names where another length is meant than the usual one."""
    services = [f"`&service_id={page.services[0]['id']}`"] if page.services else []
    return services + ([f"`&duration={page.durations_minutes[-1]}`"] if len(page.durations_minutes) > 1 else [])


def _example(page: Page, start: str) -> str:
    """A body that books, one member a line: whatever has to be answered is, with what its kind allows. Rules that turn
    some answers away are the host's own."""
    body: dict[str, Any] = {
        "start_time": start,
        "attendee_name": "Jane Smith",
        "attendee_email": "jane@example.com",
        "timezone": page.timezone,
    }
    if required := [question for question in page.questions if question["required"]]:
        body["answers"] = [{"question_id": each["id"], "answer": _answer(each)} for each in required]
    members = (f'"{name}": {orjson.dumps(value).decode()}' for name, value in body.items())
    return "{" + ",\n     ".join(members) + "}"


def _answer(question: Mapping[str, Any]) -> Any:
    kind, options = question["type"], question["options"]
    if kind == "multi_select":
        return options[:1]
    return options[0] if kind == "select" else _ANSWERS.get(kind, "…")
