"""`/calendars/callback`: the way back from a provider's consent page.

The one rule: a consent counts once, and in the browser that asked for it; where a server asked, once its person has
seen in a page whose bookings the calendar is for. Whatever goes wrong, the person is told what to do, and the
provider's own words are told to nobody.
"""

from dataclasses import dataclass

from aiohttp import hdrs, web

from app.core.db import Connection
from app.core.errors import Conflict, Forbidden, MethodNotAllowed
from app.core.ids import Kind, encode
from app.domain.calendars import choices, oauth
from app.domain.calendars.access import Asker, Roads, find_asker, provider_of, seal_tokens, within
from app.domain.calendars.connections import Account, Consent, take_authorization
from app.domain.calendars.oauth import OAuthProvider, Tokens
from app.domain.calendars.provider import Access, AccessLost, CalendarError, RemoteCalendar, TryLater
from app.domain.identity import audit
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.shapes import ConsentIn, ConsentQuery, ConsentTaken
from app.web.auditing import visitor
from app.web.call import Visit, json_response
from app.web.consents import PATH, callback_url, is_marked, origin_of, unmark_browser, with_outcome
from app.web.providers import reaching_out

# for as long as somebody waits before a page
_PATIENCE_SECONDS = 30.0
_DENIED = frozenset({"access_denied", "consent_required"})
_NAMES = {"google": "Google", "microsoft": "Microsoft"}
_ELSEWHERE = (
    "This was begun in another browser. Go to where you began, in this browser, and connect the calendar again. If you "
    "followed a link that somebody sent you, do not: it would connect your calendar to their account."
)
_AGAIN = {
    "access_denied": "You said no, so nothing was connected. To connect the calendar after all, begin again.",
    "not_allowed": "Not everything was allowed that is needed. Connect the calendar again, and tick every box that "
    "{name} shows.",
    "provider_away": "{name} did not answer. Nothing was connected; begin again in a few minutes.",
    "too_many": "You have as many accounts connected as is possible. Disconnect one of them, and begin again.",
    "not_configured": "{name} is not set up here any more. Ask whoever runs this service.",
}


class _Failed(Exception):
    """code: one of `_AGAIN`, and of `calendar_error`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Given:
    """What came back. error: the provider's, where there is no code."""

    state: str
    code: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class _Granted:
    """What a consent gave us."""

    account: Account
    calendars: list[RemoteCalendar]


@by_link
async def come_back(visit: Visit) -> web.StreamResponse:
    query = visit.query(ConsentQuery)
    if visit.request.method == hdrs.METH_HEAD:
        raise MethodNotAllowed("Only a person's browser comes back here.", allowed=[hdrs.METH_GET, hdrs.METH_POST])
    given = _Given(query.state, query.code if query.error is None else None, query.error)
    if visit.request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        # a page of somebody's has asked, and not the person
        raise Forbidden(_ELSEWHERE)
    # only a browser can have been sent here by somebody who hopes for another one's calendar
    if given.code is not None and html.wants_html(visit.request):
        asker = await find_asker(visit.conn, given.state, visit.now)
        if asker is not None:
            return _ask(asker, given.state, given.code)
    return await _take(visit, given)


@by_link
async def confirm(visit: Visit) -> web.StreamResponse:
    given = visit.form(ConsentIn) if html.is_form(visit.request) else visit.body(ConsentIn)
    return await _take(visit, _Given(given.state, given.code, None))


def _ask(asker: Asker, state: str, code: str) -> web.Response:
    return html.page(
        title=f"Connect your calendar to the bookings of {asker.name} at {asker.org_name}?",
        lead=f"What is taken in your {_NAMES[asker.provider]} calendar will count there, and bookings will be written "
        "into it. If these are not your bookings, or you did not expect to be asked, close this window: nothing is "
        "connected then.",
        button="Connect the calendar",
        action=PATH,
        hidden=[("state", state), ("code", code)],
        onward=origin_of(asker.redirect_to),
    )


async def _take(visit: Visit, given: _Given) -> web.Response:
    # its turn comes first: the consent is used up by what follows
    async with reaching_out(visit) as roads:
        consent = await take_authorization(visit.conn, given.state, visit.vault, visit.now)
        if not is_marked(visit.request, given.state, consent.browser_hash):
            raise Forbidden(_ELSEWHERE)
        response = await _finish(visit, roads, consent, given)
    unmark_browser(visit.request, response, given.state)
    return response


async def _finish(visit: Visit, roads: Roads, consent: Consent, given: _Given) -> web.Response:
    try:
        if given.code is None:
            raise _Failed("access_denied" if given.error in _DENIED else "not_allowed")
        granted = await _redeem(visit, roads, consent, given.code)
        await _save(visit, consent, granted)
    except _Failed as failure:
        return _refused(visit, consent, failure.code)
    return _connected(visit, consent, granted)


async def _redeem(visit: Visit, roads: Roads, consent: Consent, code: str) -> _Granted:
    provider: OAuthProvider = "google" if consent.provider == "google" else "microsoft"
    client = oauth.client_of(visit.settings, provider)
    if client is None:
        raise _Failed("not_configured")
    try:
        back = callback_url(visit.settings)
        async with within(_PATIENCE_SECONDS):
            tokens = await oauth.redeem(roads.session, client, code, consent.verifier, back, visit.now)
            found = await provider_of(roads, provider, _access(tokens)).list_calendars()
    except TryLater:
        raise _Failed("provider_away") from None
    except CalendarError:
        raise _Failed("not_allowed") from None
    name = next((each.account for each in sorted(found, key=lambda each: not each.primary) if each.account), None)
    if name is None:
        raise _Failed("not_allowed")
    return _Granted(Account(provider, name, seal_tokens(tokens, visit.vault)), found)


def _access(tokens: Tokens) -> Access:
    """Of a token that has just been given: one that is refused will not get better."""

    async def access(refused: str | None) -> str:
        if refused is not None:
            raise AccessLost("unauthorized")
        return tokens.access_token

    return access


async def _save(visit: Visit, consent: Consent, granted: _Granted) -> None:
    account = granted.account

    async def save(conn: Connection) -> None:
        about = (consent.org_id, consent.user_id, account, granted.calendars)
        first = (await choices.connect_account(conn, *about, visit.now))[0]
        doer, target = visitor(visit, consent.user_id), encode(Kind.CALENDAR, first.id)
        details = {"provider": account.provider, "account": account.name}
        await audit.note(conn, consent.org_id, doer, "calendar.connected", target, details, visit.now)

    try:
        await visit.write(save)
    except Conflict:
        raise _Failed("too_many") from None


def _connected(visit: Visit, consent: Consent, granted: _Granted) -> web.Response:
    if consent.redirect_to is not None:
        return _onward(with_outcome(consent.redirect_to, calendar="connected"))
    provider, account = granted.account.provider, granted.account.name
    if not html.wants_html(visit.request):
        shown: ConsentTaken = {"provider": "google" if provider == "google" else "microsoft", "account": account}
        return json_response(shown)
    lines = [("Account", account), ("Calendars", str(len(granted.calendars)))]
    lead = "What is taken there counts here from now on. You can close this window."
    return html.page(title=f"{_NAMES[provider]} is connected", lead=lead, lines=lines)


def _refused(visit: Visit, consent: Consent, code: str) -> web.Response:
    if consent.redirect_to is not None:
        return _onward(with_outcome(consent.redirect_to, calendar_error=code))
    detail = _AGAIN[code].format(name=_NAMES[consent.provider])
    if not html.wants_html(visit.request):
        raise Conflict(detail)
    return html.page(409, title="Nothing was connected", lead=detail)


def _onward(address: str) -> web.Response:
    return web.Response(status=303, headers={hdrs.LOCATION: address})
