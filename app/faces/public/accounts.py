"""`/invite/{token}` and `/password/{token}`: the links that mails about a person's own account hold.

The one rule: a link is asked whether it is good before anything else, so that nobody has us hash passwords for nothing;
and looking changes nothing, since mail scanners look first.
"""

from dataclasses import dataclass

from aiohttp import web

from app.core.db import Connection
from app.core.errors import InvalidInput
from app.core.ids import Kind, encode
from app.domain.identity import audit
from app.domain.identity.account_tokens import AccountLink, AccountPurpose, open_account_link, set_password
from app.domain.identity.passwords import make_hash
from app.faces.public import html
from app.faces.public.links import by_link
from app.faces.public.shapes import AccountShown, PasswordIn, PasswordSet
from app.web.auditing import visitor
from app.web.call import Visit, json_response
from app.web.routing import PublicHandler


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    lead: str


_WORDS = {
    AccountPurpose.INVITATION: _Words("Accept the invitation", "Choose a password, and the account is yours."),
    AccountPurpose.PASSWORD_RESET: _Words("Choose a new password", "It takes the place of the one before."),
}
_NOTED = {AccountPurpose.INVITATION: "member.joined", AccountPurpose.PASSWORD_RESET: "password.reset"}
_REASONS = {
    "missing": "Write a password first.",
    "too_short": "This is too short: at least 10 characters, please.",
    "string_too_long": "This is too long: at most 200 characters, please.",
    "nul_character": "This has a character that no password can have.",
}


def asked_to(purpose: AccountPurpose) -> PublicHandler:
    @by_link
    async def show(visit: Visit) -> web.StreamResponse:
        link = await _open(visit, purpose)
        if html.wants_html(visit.request):
            return _form(visit, purpose, link)
        shown: AccountShown = {"success": True, "email": link.email, "organization": link.org_name}
        return json_response(shown)

    return show


def decided(purpose: AccountPurpose) -> PublicHandler:
    """POST: by the page's form, or by a program."""

    @by_link
    async def decide(visit: Visit) -> web.StreamResponse:
        link = await _open(visit, purpose)
        try:
            given = visit.form(PasswordIn) if html.is_form(visit.request) else visit.body(PasswordIn)
        except InvalidInput as error:
            if not html.wants_html(visit.request):
                raise
            return _form(visit, purpose, link, error)
        hashed = await make_hash(given.password)

        async def change(conn: Connection) -> None:
            await set_password(conn, link, hashed, visit.now)
            target, doer = encode(Kind.USER, link.user_id), visitor(visit, link.user_id)
            await audit.note(conn, link.org_id, doer, _NOTED[purpose], target, {}, visit.now)

        await visit.write(change)
        if html.wants_html(visit.request):
            return html.page(title="Your password is set", lead="The account is ready.", lines=_lines(link))
        done: PasswordSet = {"success": True, "email": link.email}
        return json_response(done)

    return decide


async def _open(visit: Visit, purpose: AccountPurpose) -> AccountLink:
    return await open_account_link(visit.conn, visit.request.match_info["token"], purpose, visit.now)


def _form(visit: Visit, purpose: AccountPurpose, link: AccountLink, error: InvalidInput | None = None) -> web.Response:
    """error: what was wrong with the password before."""
    words = _WORDS[purpose]
    return html.password_page(
        status=400 if error else 200,
        title=words.title,
        lead=words.lead,
        lines=_lines(link),
        action=visit.request.path,
        email=link.email,
        wrong=_reason(error) if error else None,
    )


def _reason(error: InvalidInput) -> str:
    return next((_REASONS[each.code] for each in error.errors if each.code in _REASONS), error.detail)


def _lines(link: AccountLink) -> list[tuple[str, str]]:
    return [("Account", link.email), ("Organization", link.org_name)]
