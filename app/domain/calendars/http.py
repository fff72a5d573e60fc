"""One call to a provider: JSON there, JSON back.

The one rule: an address of another origin never gets the token. Links to next pages come out of answers, and whoever
holds the token holds the account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import orjson
from yarl import URL

from app.core.times import EARLIEST, http_date, seconds_to_wait
from app.domain.calendars.provider import Access, AccessLost, CalendarError, Refused, TryLater

_TIMEOUT = aiohttp.ClientTimeout(total=15)
_LONGEST_WAIT = timedelta(hours=1)
_READ_BYTES = 20 * 1024 * 1024
_TOO_EARLY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """body: parsed JSON; None where there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def retry_after(self) -> int | None:
        """Seconds, as the provider asked."""
        return _seconds(self.headers)


class Http:
    """A connected account's calls. base_url: only below its origin is anything called."""

    def __init__(self, session: aiohttp.ClientSession, access: Access, base_url: str) -> None:
        self._session = session
        self._access = access
        self._origin = URL(base_url).origin()

    async def call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any status but 401, 408, 425, 429 and 5xx is returned, for the provider to judge. json: the body, unless it
        is None. A token that is refused is replaced once.

        Raises AccessLost, TryLater, and Refused for an address elsewhere and for an answer over 20 MB.
        """
        where = self._checked(url)
        body = None if json is None else orjson.dumps(json)
        token = None
        for _ in range(2):
            token = await self._access(token)
            sent = {"Accept": "application/json", **(headers or {}), "Authorization": f"Bearer {token}"}
            if body is not None:
                sent["Content-Type"] = "application/json"
            answer = await exchange(self._session, method, where, params=params, data=body, headers=sent)
            if answer.status != 401:
                return Answer(answer.status, answer.headers, _parsed(answer))
        raise AccessLost("unauthorized")

    def _checked(self, url: str) -> URL:
        try:
            where = URL(url)
            if where.origin() == self._origin:
                return where
        except ValueError:
            pass
        raise Refused("foreign_address")


def asked_wait(error: CalendarError) -> timedelta | None:
    """For how long the provider asked to be left alone (Retry-After; RFC 9110, section 10.2.3), if it did. An hour at
    most: a calendar that rests for longer because of one answer is broken, whatever was meant."""
    if not isinstance(error, TryLater) or error.seconds is None:
        return None
    return timedelta(seconds=min(error.seconds, int(_LONGEST_WAIT.total_seconds())))


@dataclass(frozen=True, slots=True)
class Raw:
    status: int
    headers: Mapping[str, str]
    content: bytes


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    params: Mapping[str, str] | None = None,
    data: bytes | None = None,
    headers: Mapping[str, str],
    patience: aiohttp.ClientTimeout | None = None,
) -> Raw:
    """A request as it is, whatever it holds. Redirects are not followed: they would take the credentials along.

    Raises TryLater (408, 425, 429, 5xx; no answer within 15 s, or as long as the patience lasts, or none at all) and
    Refused (an answer over 20 MB).
    """
    try:
        async with session.request(
            method, url, params=params, data=data, headers=headers, allow_redirects=False, timeout=patience or _TIMEOUT
        ) as response:
            content = await _read(response)
    except TimeoutError:
        raise TryLater("timeout") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise TryLater("unreachable") from None
    if response.status in _TOO_EARLY or response.status >= 500:
        code = "rate_limited" if response.status == 429 else f"http_{response.status}"
        raise TryLater(code, _seconds(response.headers))
    return Raw(response.status, response.headers, content)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Counted as it comes: what was sent may be small, and unpack to anything."""
    kept = bytearray()
    async for chunk in response.content.iter_any():
        kept += chunk
        if len(kept) > _READ_BYTES:
            response.close()
            raise Refused("answer_too_large")
    return bytes(kept)


def _parsed(answer: Raw) -> Any:
    if not answer.content:
        return None
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        if answer.status < 300:
            # somebody else has answered: a proxy, or a page that asks to log in
            raise TryLater("unreadable") from None
        return None


def _seconds(headers: Mapping[str, str]) -> int | None:
    """Retry-After. A date in it counts from the answer's own Date: the provider's clock need not be ours."""
    given = headers.get("Retry-After")
    answered_at = http_date(headers.get("Date", ""))
    if answered_at is None:
        return seconds_to_wait(given, EARLIEST) if (given or "").isdigit() else None
    return seconds_to_wait(given, answered_at)
