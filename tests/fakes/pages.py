"""Pages on which a person sees what stands in the trial's calendars, and adds, moves and deletes. Without script.

All times are UTC, as the trial's calendars are.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

from aiohttp import web

from tests.fakes.trial import Account, Entry, in_order

_BEFORE, _AHEAD = timedelta(days=1), timedelta(days=21)
_LONGEST_MINUTES = 24 * 60
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
a { color: #0b57d0 } nav a { margin-right: 1rem } nav a[aria-current] { font-weight: 600; text-decoration: none }
table { border-collapse: collapse; width: 100%; margin: 1.5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .6rem .8rem .6rem 0; border-top: 1px solid #d8dee4 }
th { font-weight: 600; white-space: nowrap } td.when { white-space: nowrap; font-variant-numeric: tabular-nums }
td form { display: inline-block; margin: 0 .6rem .3rem 0 } tr.ours td { background: #f0f6ff }
mark { background: #0b57d0; color: #fff; border-radius: .3rem; padding: .05rem .45rem; font-size: .8rem }
small, .quiet { color: #57606a } pre { white-space: pre-wrap; font: inherit; color: #57606a; margin: .3rem 0 0 }
input, button { font: inherit; padding: .25rem .5rem } button { cursor: pointer }
fieldset { border: 1px solid #d8dee4; border-radius: .4rem; padding: 1rem } label { margin-right: 1rem }
"""


class Pages:
    """accounts: by the last part of their pages' addresses. base_url: once it is started."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = dict(accounts)
        self._runner: web.AppRunner | None = None
        self.base_url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._first)
        app.router.add_get("/{account}", self._show)
        app.router.add_post("/{account}/{action:add|move|remove}", self._act)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _first(self, _: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{next(iter(self._accounts))}")

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return self._page(request, await _listed(self._account(request)))

    async def _act(self, request: web.Request) -> web.StreamResponse:
        account, form = self._account(request), await request.post()
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        try:
            await _do(account, request.match_info["action"], given)
        except (KeyError, HTTPError):
            return self._page(request, await _listed(account), "This event is not there any more.")
        except ValueError as wrong:
            return self._page(request, await _listed(account), str(wrong))
        raise web.HTTPSeeOther(f"/{request.match_info['account']}")

    def _account(self, request: web.Request) -> Account:
        try:
            return self._accounts[request.match_info["account"]]
        except KeyError:
            raise web.HTTPNotFound(text="No such calendar; look at / for those that there are.\n") from None

    def _page(self, request: web.Request, entries: Sequence[Entry], wrong: str = "") -> web.Response:
        path = request.match_info["account"]
        account = self._accounts[path]
        links = "".join(
            f'<a href="/{html.escape(each)}"{" aria-current=page" if each == path else ""}>'
            f"{html.escape(self._accounts[each].provider)}</a>"
            for each in self._accounts
        )
        title = f"{account.provider}: {account.name}"
        told = f"<p role=alert><strong>{html.escape(wrong)}</strong></p>" if wrong else ""
        text = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style>'
            f"<nav>{links}</nav><h1>{html.escape(title)}</h1>{told}"
            f'<p>A calendar of a trial, in memory. All times are UTC. <a href="/{html.escape(path)}">Look again</a></p>'
            f"<table><tr><th>When<th>What<th>Change it here{''.join(_row(path, each) for each in entries)}</table>"
            f"{_adding(path, _next_hour())}</html>"
        )
        return web.Response(status=400 if wrong else 200, text=text, content_type="text/html")


async def _listed(account: Account) -> list[Entry]:
    now = datetime.now(UTC)
    return in_order(await account.entries(now - _BEFORE, now + _AHEAD))


async def _do(account: Account, action: str, given: dict[str, str]) -> None:
    """Raises KeyError for an event that is gone, and ValueError with what to do."""
    if action == "add":
        starts, minutes = _instant(given), int(given.get("minutes") or 60)
        if not 1 <= minutes <= _LONGEST_MINUTES:
            raise ValueError(f"Give a length of 1 to {_LONGEST_MINUTES} minutes.")
        await account.add(given.get("title") or "Busy", starts, starts + timedelta(minutes=minutes))
        return
    found = {each.id: each for each in await _listed(account) if not each.repeats}
    entry = found[given.get("id", "")]
    if action == "move":
        await account.move(entry, _instant(given))
    else:
        await account.remove(entry)


def _instant(given: dict[str, str]) -> datetime:
    try:
        return datetime.fromisoformat(given.get("starts", "")).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("Give the day and the time, such as 2027-01-31T15:00.") from None


def _next_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)


def _row(path: str, entry: Entry) -> str:
    badge = " <mark>from Slotwire</mark>" if entry.ours else ""
    note = f"<details><summary><small>more</small></summary><pre>{html.escape(entry.note)}</pre></details>"
    return (
        f"<tr{' class=ours' if entry.ours else ''}><td class=when>{html.escape(_when(entry))}"
        f"<td>{html.escape(entry.title)}{badge}{note if entry.note else ''}"
        f"<td>{_changing(path, entry) if not entry.repeats else '<small>one of a series</small>'}"
    )


def _when(entry: Entry) -> str:
    if entry.all_day:
        return f"{entry.starts:%a %d %b}, all day"
    return f"{entry.starts:%a %d %b, %H:%M} to {entry.ends:%H:%M}"


def _changing(path: str, entry: Entry) -> str:
    removing = _form(path, "remove", entry.id, "<button>Delete</button>")
    if entry.all_day:
        return removing
    value = f"{entry.starts:%Y-%m-%dT%H:%M}"
    field = f'<input type="datetime-local" name="starts" aria-label="New start" required value="{value}">'
    return _form(path, "move", entry.id, f"{field} <button>Move</button>") + removing


def _form(path: str, action: str, entry_id: str, inside: str) -> str:
    known = f'<input type="hidden" name="id" value="{html.escape(entry_id)}">'
    return f'<form method="post" action="/{html.escape(path)}/{action}">{known}{inside}</form>'


def _adding(path: str, starts: datetime) -> str:
    fields: Iterable[str] = (
        '<label>What <input name="title" value="Busy" required></label>',
        f'<label>From <input type="datetime-local" name="starts" value="{starts:%Y-%m-%dT%H:%M}" required></label>',
        f'<label>Minutes <input type="number" name="minutes" value="60" min="1" max="{_LONGEST_MINUTES}"></label>',
        "<button>Add</button>",
    )
    return (
        f'<form method="post" action="/{html.escape(path)}/add"><fieldset><legend>Add an event</legend>'
        f"{''.join(fields)}</fieldset></form>"
    )
