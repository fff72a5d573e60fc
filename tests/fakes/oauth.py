"""An authorization server: the code grant with PKCE (RFC 6749, RFC 7636), refresh with or without rotation, revocation
(RFC 7009). Google's and Microsoft's differ in their paths and in what it takes to be given a refresh token."""

import base64
import hashlib
import html
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

_NO_STORE = {"Cache-Control": "no-store"}


@dataclass
class Grant:
    """One consent. Revoking it ends every token."""

    account: str
    scope: str
    revoked: bool = False


@dataclass
class _Code:
    grant: Grant
    challenge: str
    redirect_uri: str
    offline: bool
    used: bool = False


@dataclass
class _Access:
    grant: Grant
    expires_at: float


@dataclass
class _Refresh:
    grant: Grant
    predecessor: "_Refresh | None" = None
    ended: bool = False


class OAuth:
    """rotates: every refresh gives another refresh token. grace: the old one works until the new one is used; without,
    it ends at once. one_grant: an account has one for all consents, and revoking a token of it ends them all (Google).
    offline_by_scope: a refresh token is given for the scope `offline_access` (Microsoft), not for
    `access_type=offline&prompt=consent` (Google)."""

    def __init__(
        self,
        accounts: Iterable[str] = (),
        *,
        authorize_path: str = "/o/oauth2/v2/auth",
        token_path: str = "/token",
        revoke_path: str | None = "/revoke",
        offline_by_scope: bool = False,
        rotates: bool = False,
        grace: bool = True,
        one_grant: bool = True,
        client_id: str = "slotwire",
        client_secret: str = "fake-client-secret",
    ) -> None:
        self.accounts = list(accounts)
        self.authorize_path, self.token_path, self.revoke_path = authorize_path, token_path, revoke_path
        self.client_id, self.client_secret = client_id, client_secret
        self.rotates, self.grace = rotates, grace
        self.one_grant = one_grant
        self.lifetime = 3600
        self.refreshes = 0
        self._offline_by_scope = offline_by_scope
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, _Access] = {}
        self._refresh: dict[str, _Refresh] = {}

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get(self.authorize_path, self._authorize)
        app.router.add_post(self.token_path, self._token)
        if self.revoke_path:
            app.router.add_post(self.revoke_path, self._revoke)

    # What tests reach for.

    def issue(self, account: str, scope: str = "calendar") -> tuple[str, str]:
        """An access token and a refresh token, without the way through a browser."""
        grant = Grant(account, scope)
        return self._new_access(grant), self._new_refresh(_Refresh(grant))

    def account_of(self, token: str) -> str | None:
        """Whose access token it is, as long as it is good."""
        known = self._access.get(token)
        if known is None or known.grant.revoked or known.expires_at <= time.monotonic():
            return None
        return known.grant.account

    def expire_access(self, account: str | None = None) -> None:
        """Access tokens have run out; refresh tokens have not."""
        for each in self._access.values():
            if account in {None, each.grant.account}:
                each.expires_at = 0.0

    def revoke(self, account: str) -> None:
        """As its owner does on the account's own page."""
        for each in self._refresh.values():
            if each.grant.account == account:
                each.grant.revoked = True
        for token in self._access.values():
            if token.grant.account == account:
                token.grant.revoked = True

    def is_revoked(self, refresh_token: str) -> bool:
        return self._refresh[refresh_token].grant.revoked

    # The consent page.

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        wrong = self._wrong_with(query)
        if wrong:
            # never a redirect to an address that nobody vouches for (RFC 6749, section 4.1.2.1)
            return web.Response(status=400, text=wrong)
        if query.get("deny"):
            raise web.HTTPFound(_back(query, error="access_denied"))
        hint = query.get("login_hint") or (self.accounts[0] if query.get("auto") and self.accounts else None)
        if hint in self.accounts:
            raise web.HTTPFound(_back(query, code=self._new_code(hint or "", query)))
        return web.Response(text=self._page(query), content_type="text/html")

    def _wrong_with(self, query: dict[str, str]) -> str | None:
        if query.get("client_id") != self.client_id:
            return "unknown client_id"
        if not query.get("redirect_uri", "").startswith(("https://", "http://127.0.0.1", "http://localhost")):
            return "redirect_uri is not allowed"
        if query.get("response_type") != "code" or not query.get("state") or not query.get("scope"):
            return "response_type=code, state and scope are needed"
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            return "PKCE with S256 is needed"
        return None

    def _page(self, query: dict[str, str]) -> str:
        kept = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
            if name != "login_hint"
        )
        buttons = "".join(
            f'<p><button name="login_hint" value="{html.escape(each)}">Allow as {html.escape(each)}</button></p>'
            for each in self.accounts
        )
        return (
            '<!doctype html><html lang="en"><title>A calendar provider for trials</title>'
            f"<h1>Allow Slotwire to see and edit your calendars?</h1><form>{kept}{buttons}"
            '<p><button name="deny" value="1">Deny</button></p></form></html>'
        )

    def _new_code(self, account: str, query: dict[str, str]) -> str:
        scope = query["scope"]
        offline = (
            "offline_access" in scope.split()
            if self._offline_by_scope
            else query.get("access_type") == "offline" and query.get("prompt") == "consent"
        )
        code = secrets.token_urlsafe(16)
        self._codes[code] = _Code(Grant(account, scope), query["code_challenge"], query["redirect_uri"], offline)
        return code

    # The token endpoint.

    async def _token(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl(await request.text(), keep_blank_values=True))
        if not self._is_client(request, form):
            return _refusal("invalid_client", 401)
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form)
        if form.get("grant_type") == "refresh_token":
            return self._renew(form)
        return _refusal("unsupported_grant_type")

    def _is_client(self, request: web.Request, form: dict[str, str]) -> bool:
        given = (form.get("client_id"), form.get("client_secret"))
        basic = request.headers.get("Authorization", "")
        if basic.startswith("Basic "):
            name, _, secret = base64.b64decode(basic[6:]).decode().partition(":")
            given = (name, secret)
        return given == (self.client_id, self.client_secret)

    def _exchange(self, form: dict[str, str]) -> web.Response:
        code = self._codes.get(form.get("code", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if code is None or code.redirect_uri != form.get("redirect_uri") or code.challenge != challenge:
            return _refusal("invalid_grant")
        if code.used:
            # somebody has read the code on its way (RFC 6749, section 4.1.2)
            code.grant.revoked = True
            return _refusal("invalid_grant")
        code.used = True
        return self._answer(code.grant, self._new_refresh(_Refresh(code.grant)) if code.offline else None)

    def _renew(self, form: dict[str, str]) -> web.Response:
        known = self._refresh.get(form.get("refresh_token", ""))
        if known is None or known.ended or known.grant.revoked:
            return _refusal("invalid_grant")
        self.refreshes += 1
        if known.predecessor is not None:
            known.predecessor.ended = True
        if not self.rotates:
            return self._answer(known.grant, None)
        known.ended = not self.grace
        return self._answer(known.grant, self._new_refresh(_Refresh(known.grant, predecessor=known)))

    def _answer(self, grant: Grant, refresh_token: str | None) -> web.Response:
        body = {
            "access_token": self._new_access(grant),
            "expires_in": self.lifetime,
            "scope": grant.scope,
            "token_type": "Bearer",
        }
        if refresh_token:
            body["refresh_token"] = refresh_token
        return web.json_response(body, headers=_NO_STORE)

    async def _revoke(self, request: web.Request) -> web.Response:
        token = dict(parse_qsl(await request.text())).get("token") or request.query.get("token", "")
        known = self._refresh.get(token) or self._access.get(token)
        if known is None or known.grant.revoked:
            return _refusal("invalid_token")
        known.grant.revoked = True
        if self.one_grant:
            self.revoke(known.grant.account)
        return web.json_response({})

    def _new_access(self, grant: Grant) -> str:
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self._access[token] = _Access(grant, time.monotonic() + self.lifetime)
        return token

    def _new_refresh(self, refresh: _Refresh) -> str:
        token = f"1//{secrets.token_urlsafe(24)}"
        self._refresh[token] = refresh
        return token


def _back(query: dict[str, str], **result: str) -> str:
    joint = "&" if "?" in query["redirect_uri"] else "?"
    return f"{query['redirect_uri']}{joint}{urlencode({**result, 'state': query['state']})}"


def _refusal(error: str, status: int = 400) -> web.Response:
    return web.json_response({"error": error, "error_description": "Refused."}, status=status, headers=_NO_STORE)
