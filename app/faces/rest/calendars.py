"""Connected calendars, of `/v1` and `/api`: connect, choose, look after, disconnect.

The one rule: a password or a token is never shown again, and of all these requests only connecting and the report wait
for a provider.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from aiohttp import web
from yarl import URL

from app.core.db import Connection
from app.core.errors import Conflict, InvalidInput
from app.core.ids import Kind, encode
from app.domain.calendars import choices, connections, oauth
from app.domain.calendars.access import Login, seal_login
from app.domain.calendars.caldav import CalDav
from app.domain.calendars.choices import Calendar, represent_calendar
from app.domain.calendars.connections import Account
from app.domain.calendars.oauth import OAuthProvider
from app.domain.calendars.provider import AccessLost, CalendarError, RemoteCalendar, TryLater
from app.domain.calendars.report import RepairShown, Report, compare, reach_for_report, represent_report
from app.domain.calendars.report import repair as make_good
from app.domain.webhooks.addresses import Guard, check_url
from app.faces.rest.shapes.calendars import CalendarPatch, ConnectIn
from app.faces.rest.shapes.webhooks import NothingIn
from app.web.auditing import note
from app.web.call import Call, json_response
from app.web.consents import callback_url, checked_return, mark_browser, new_browser
from app.web.operation import WRAPPED
from app.web.paging import list_page
from app.web.providers import reaching_out

_NAMES = {"google": "Google", "microsoft": "Microsoft"}
_WRONG_LOGIN = (
    "the server does not accept this name and password; many want an app password, made in the account's settings"
)
_NO_ANSWER = "no answer came from this server; check the address, and that it can be reached from here"
_NO_CALENDARS = "no calendars were found there; give the address of the CalDAV server, or of one calendar"
_BUSY = "The calendar server is there, but cannot answer just now; try again in a few minutes."


async def list_all(call: Call) -> web.Response:
    """A member's own."""
    own = call.principal.only_own_user_id

    async def fetch(conn: Connection, org_id: UUID, after: UUID | None, limit: int) -> Sequence[Calendar]:
        return await choices.list_calendars(conn, org_id, after, limit, of_user_id=own)

    return await list_page(call, Kind.CALENDAR, fetch, lambda calendar: represent_calendar(calendar, call.now))


async def read(call: Call) -> web.Response:
    return _answer(call, await _named(call))


async def connect(call: Call) -> web.Response:
    given = call.body(ConnectIn)
    if given.provider == "caldav":
        return await _connect_caldav(call, given.url or "", Login(given.username or "", given.password or ""))
    return await _ask_for_consent(call, given.provider, given.redirect_to)


async def _ask_for_consent(call: Call, provider: OAuthProvider, redirect_to: str | None) -> web.Response:
    client = oauth.client_of(call.settings, provider)
    if client is None:
        name, variable = _NAMES[provider], f"SLOTWIRE_{provider.upper()}_CLIENT_ID"
        raise InvalidInput.of(
            "provider",
            f"{name} is not set up here; the operator registers an application with {name} and sets {variable} and "
            f"{variable.removesuffix('ID')}SECRET, with {callback_url(call.settings)} as its redirect address",
            "not_configured",
        )
    target = None if redirect_to is None else checked_return(redirect_to, call.settings)
    browser = new_browser() if call.principal.session_id is not None else None

    async def begin(conn: Connection) -> tuple[str, str]:
        return await connections.begin_authorization(conn, call.principal, provider, target, browser, call.now)

    state, verifier = await call.write(begin)
    response = call.answer(
        {"authorization_url": oauth.authorize_url(client, callback_url(call.settings), state, verifier)}
    )
    if browser is not None:
        mark_browser(call.request, response, state, browser)
    return response


async def _connect_caldav(call: Call, given: str, login: Login) -> web.Response:
    url = check_url(given, Guard.of(call.settings))
    found = await _calendars_of(call, url, login)
    name = f"{login.username}@{url.authority}"
    account = Account("caldav", name, seal_login(login, call.vault), str(url))

    async def save(conn: Connection) -> list[Calendar]:
        about = (call.principal.org_id, call.principal.user_id, account, found)
        saved = await choices.connect_account(conn, *about, call.now)
        await _note(conn, call, "calendar.connected", saved[0])
        return saved

    shown = [represent_calendar(each, call.now) for each in await call.write(save)]
    (besides,) = call.operation.besides
    flat = {"success": True, "calendars": shown}
    body = besides.answer.wrap(shown) if isinstance(besides.answer, WRAPPED) else flat
    return json_response(body, besides.status)


async def _calendars_of(call: Call, url: URL, login: Login) -> list[RemoteCalendar]:
    """What the account has, by a log-in. Raises InvalidInput naming what is wrong, and Conflict for a server that
    cannot answer just now."""
    async with reaching_out(call) as roads:
        try:
            found = await CalDav(roads.guarded, str(url), login.username, login.password).list_calendars()
        except AccessLost:
            raise InvalidInput.of("password", _WRONG_LOGIN, "login_refused") from None
        except TryLater as error:
            if error.code not in {"unreachable", "timeout"}:
                raise Conflict(_BUSY) from None
            raise InvalidInput.of("url", _NO_ANSWER, error.code) from None
        except CalendarError as error:
            raise InvalidInput.of("url", _NO_CALENDARS, error.code) from None
    if not found:
        raise InvalidInput.of("url", _NO_CALENDARS, "no_calendars")
    return found


async def update(call: Call) -> web.Response:
    changes, calendar_id = call.body(CalendarPatch).changes(), call.path_id(Kind.CALENDAR)

    async def change(conn: Connection) -> Calendar:
        changed = await choices.update_calendar(conn, call.principal, calendar_id, changes, call.now)
        await _note(conn, call, "calendar.changed", changed, **changes)
        return changed

    return _answer(call, await call.write(change))


async def delete(call: Call) -> web.Response:
    calendar = await _named(call)

    async def end(conn: Connection) -> None:
        await connections.disconnect(conn, call.principal.org_id, calendar.connection_id, call.now)
        await _note(conn, call, "calendar.disconnected", calendar)

    await call.write(end)
    return web.Response(status=204)


async def sync(call: Call) -> web.Response:
    call.optional_body(NothingIn)
    about = (call.principal, call.path_id(Kind.CALENDAR))
    return _answer(call, await call.write(lambda conn: choices.sync_now(conn, *about, call.now)))


Deciding = Callable[..., Awaitable[tuple[Calendar, int]]]


def _decision(decide: Deciding, action: str) -> Callable[[Call], Awaitable[web.Response]]:
    async def handle(call: Call) -> web.Response:
        call.optional_body(NothingIn)
        calendar_id = call.path_id(Kind.CALENDAR)

        async def follow(conn: Connection) -> Calendar:
            calendar, count = await decide(conn, call.principal, calendar_id, call.now)
            await _note(conn, call, action, calendar, changes=count)
            return calendar

        return _answer(call, await call.write(follow))

    return handle


apply = _decision(choices.approve_changes, "calendar.applied")
restore = _decision(choices.withdraw_changes, "calendar.restored")


async def report(call: Call) -> web.Response:
    return call.answer(represent_report(await _compared(call)))


async def repair(call: Call) -> web.Response:
    call.optional_body(NothingIn)
    found = await _compared(call)
    repaired = await call.write(lambda conn: make_good(conn, call.principal.org_id, found, call.now))
    shown: RepairShown = {**represent_report(found), "repaired": repaired}
    return call.answer(shown)


async def _compared(call: Call) -> Report:
    calendar, org_id = await _named(call), call.principal.org_id
    async with reaching_out(call) as roads:
        provider = await reach_for_report(roads, org_id, calendar.connection_id, calendar.status)
        return await compare(call.conn, org_id, calendar.id, provider, call.now)


async def _named(call: Call) -> Calendar:
    return await choices.get_calendar(call.conn, call.principal, call.path_id(Kind.CALENDAR))


def _answer(call: Call, calendar: Calendar) -> web.Response:
    return call.answer(represent_calendar(calendar, call.now))


async def _note(conn: Connection, call: Call, action: str, calendar: Calendar, **details: Any) -> None:
    about = {"provider": calendar.provider, "account": calendar.account}
    await note(conn, call, action, encode(Kind.CALENDAR, calendar.id), **about, **details)
