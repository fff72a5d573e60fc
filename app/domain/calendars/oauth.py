"""OAuth 2.0 with Google and Microsoft: the authorization-code grant with PKCE, refreshing, revoking.

The one rule: oauthlib says what is sent and reads what comes back; here is only the sending. An answer's text never
leaves this module: it may quote a code or a token.
Source: RFC 6749, sections 4.1 and 6; RFC 7636 (S256); RFC 7009; RFC 9700, section 2.1.1.
"""

import base64
import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import aiohttp
import orjson
from oauthlib.oauth2 import InvalidClientError, OAuth2Error, WebApplicationClient
from yarl import URL

from app.core.settings import Settings
from app.domain.calendars.http import Raw, exchange
from app.domain.calendars.provider import AccessLost, Refused, TryLater

OAuthProvider = Literal["google", "microsoft"]

# A token is replaced so long before its end: a call that began with it must not fail on the way.
_SPARE = timedelta(minutes=1)
_USUAL_SECONDS = 3600
# a refresh holds its connection's lock meanwhile
_TIMEOUT = aiohttp.ClientTimeout(total=8)
_GOOGLE_SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
    "https://www.googleapis.com/auth/calendar.calendars.readonly",
)
_MICROSOFT_SCOPES = ("offline_access", "Calendars.ReadWrite", "MailboxSettings.Read")
# what the provider says of a grant that only its owner can mend
_ENDED = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})


@dataclass(frozen=True, slots=True)
class Client:
    """Our registration with a provider, and where it is asked. more: what the consent page needs besides. revoke_url:
    None where the provider has none."""

    provider: OAuthProvider
    id: str
    secret: str
    authorize_url: str
    token_url: str
    revoke_url: str | None
    scopes: tuple[str, ...]
    more: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant gave us. expires_at: of the access token."""

    access_token: str
    refresh_token: str
    expires_at: datetime

    def is_good(self, now: datetime) -> bool:
        return now < self.expires_at - _SPARE


def client_of(settings: Settings, provider: OAuthProvider) -> Client | None:
    """None where the operator has registered none."""
    client = _google(settings) if provider == "google" else _microsoft(settings)
    return client if client.id else None


def _google(settings: Settings) -> Client:
    base = settings.google_oauth_base_url
    return Client(
        "google",
        settings.google_client_id,
        settings.google_client_secret,
        (base or "https://accounts.google.com") + "/o/oauth2/v2/auth",
        (base or "https://oauth2.googleapis.com") + "/token",
        (base or "https://oauth2.googleapis.com") + "/revoke",
        _GOOGLE_SCOPES,
        # a refresh token comes only with these
        (("access_type", "offline"), ("prompt", "consent")),
    )


def _microsoft(settings: Settings) -> Client:
    base = settings.microsoft_oauth_base_url
    return Client(
        "microsoft",
        settings.microsoft_client_id,
        settings.microsoft_client_secret,
        base + "/oauth2/v2.0/authorize",
        base + "/oauth2/v2.0/token",
        None,
        _MICROSOFT_SCOPES,
        (("prompt", "select_account"),),
    )


def authorize_url(client: Client, redirect_uri: str, state: str, verifier: str) -> str:
    """The consent page."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    url = URL(client.authorize_url)
    # oauthlib refuses http, which an authorization server on this machine may speak
    asked: str = WebApplicationClient(client.id).prepare_request_uri(
        str(url.with_scheme("https")),
        redirect_uri=redirect_uri,
        scope=list(client.scopes),
        state=state,
        code_challenge=challenge,
        code_challenge_method="S256",
        **dict(client.more),
    )
    return asked if url.scheme == "https" else asked.replace("https://", "http://", 1)


async def redeem(
    session: aiohttp.ClientSession, client: Client, code: str, verifier: str, redirect_uri: str, now: datetime
) -> Tokens:
    """The tokens of a consent. Raises Refused (the code is not good, or the grant is without a refresh token) and
    TryLater."""
    body = WebApplicationClient(client.id).prepare_request_body(
        code=code, redirect_uri=redirect_uri, code_verifier=verifier, client_secret=client.secret
    )
    try:
        answer = _read(await _post(session, client.token_url, body))
    except AccessLost as error:
        raise Refused(error.code) from None
    if not answer.get("refresh_token"):
        raise Refused("no_refresh_token")
    return _tokens(answer, str(answer["refresh_token"]), now)


async def refresh(session: aiohttp.ClientSession, client: Client, refresh_token: str, now: datetime) -> Tokens:
    """Fresh tokens; the refresh token may be another one from now on. Raises AccessLost and TryLater."""
    body = WebApplicationClient(client.id).prepare_refresh_body(
        refresh_token=refresh_token, client_id=client.id, client_secret=client.secret
    )
    answer = _read(await _post(session, client.token_url, body))
    return _tokens(answer, str(answer.get("refresh_token") or refresh_token), now)


async def revoke(session: aiohttp.ClientSession, client: Client, refresh_token: str) -> None:
    """End the grant, where the provider offers that. Ended already is fine. Raises TryLater."""
    if client.revoke_url is not None:
        await _post(session, client.revoke_url, str(URL.build(query={"token": refresh_token}).raw_query_string))


async def _post(session: aiohttp.ClientSession, url: str, body: str) -> Raw:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return await exchange(session, "POST", URL(url), data=body.encode(), headers=headers, patience=_TIMEOUT)


def _read(answer: Raw) -> Mapping[str, Any]:
    """Raises AccessLost for a grant that is not good, TryLater for what a proxy may have answered and for what our own
    registration is refused for: its operator can mend that, and the grant is as good as before."""
    try:
        given = orjson.loads(answer.content)
        with warnings.catch_warnings():
            # a person may have allowed less than was asked for; what is missing is found by the first call
            warnings.simplefilter("ignore")
            read: Mapping[str, Any] = WebApplicationClient("").parse_request_body_response(orjson.dumps(given).decode())
    except InvalidClientError:
        raise TryLater("invalid_client") from None
    except OAuth2Error as error:
        # anything else may be a fault of ours or theirs, and passes
        raise (AccessLost(error.error) if error.error in _ENDED else TryLater("oauth_error")) from None
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise TryLater("unreadable") from None
    return read


def _tokens(answer: Mapping[str, Any], refresh_token: str, now: datetime) -> Tokens:
    try:
        seconds = int(answer.get("expires_in") or _USUAL_SECONDS)
    except (TypeError, ValueError):
        seconds = _USUAL_SECONDS
    return Tokens(str(answer["access_token"]), refresh_token, now + timedelta(seconds=seconds))
