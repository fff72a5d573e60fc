"""One attempt: a signed POST to a checked address.

The one rule: an attempt never raises. Whatever a receiver does (answer anything, hang, reset, redirect, send without
end) becomes an Outcome; only 2xx is success.
"""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import aiohttp
from yarl import URL

from app.core.errors import InvalidInput
from app.core.ids import Kind, encode
from app.domain.webhooks.addresses import AddressRefused, GuardedResolver, Network, check_url
from app.domain.webhooks.signing import standard_signature, x_signature

_EXCERPT_BYTES = 1024
_USER_AGENT = "Slotwire-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one webhook is owed of one event; `attempts` counts the ones already made."""

    org_id: UUID
    id: UUID
    event_id: UUID
    webhook_id: UUID
    event_type: str
    body: bytes
    url: str
    secrets: tuple[str, ...]
    attempts: int
    retry_no: int
    event_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """at: when the attempt began. status_code is None when there was no answer; error then names why. retry_after:
    seconds, as it was asked."""

    at: datetime
    status_code: int | None
    duration_ms: int
    error: str | None
    response: str | None
    retry_after: int | None

    @property
    def delivered(self) -> bool:
        return self.error is None


def open_session(*, allowed: Sequence[Network], concurrency: int, timeout_seconds: float) -> aiohttp.ClientSession:
    """A client whose names resolve through the guard. No cookies: receivers of different customers share it."""
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(allowed), limit=concurrency, ttl_dns_cache=10)
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": _USER_AGENT, "Content-Type": "application/json"},
        skip_auto_headers=["Accept-Encoding"],
        auto_decompress=False,
    )


def signed_headers(delivery: Delivery, timestamp: int) -> dict[str, str]:
    """Both schemes beside each other; a retry has a fresh timestamp and signature and the same event id."""
    event_id = encode(Kind.EVENT, delivery.event_id)
    return {
        "X-Signature": x_signature(delivery.secrets, timestamp, delivery.body),
        "X-Event-Id": event_id,
        "X-Event-Type": delivery.event_type,
        "X-Delivery-Id": encode(Kind.DELIVERY, delivery.id),
        "X-Delivery-Attempt": str(delivery.attempts + 1),
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard_signature(delivery.secrets, event_id, timestamp, delivery.body),
    }


async def attempt(
    session: aiohttp.ClientSession, delivery: Delivery, *, development: bool, allowed: Sequence[Network], now: datetime
) -> Outcome:
    """POST once; redirects are not followed, and at most a kilobyte of the answer is kept."""
    if not delivery.secrets:
        return Outcome(now, None, 0, "secret_unreadable", None, None)
    began = time.perf_counter()
    status, error, excerpt, retry_after = None, None, None, None
    try:
        # the checked URL itself is what is connected to: parsing the text twice could give two hosts
        url = _checked(delivery.url, development, tuple(allowed))
        async with session.post(
            url,
            data=delivery.body,
            headers=signed_headers(delivery, int(now.timestamp())),
            allow_redirects=False,
        ) as response:
            status = response.status
            excerpt = (await response.content.read(_EXCERPT_BYTES)).decode("utf-8", "replace").replace("\0", "\ufffd")
            retry_after = _seconds(response.headers.get("Retry-After"))
            if not 200 <= status < 300:
                error = f"http_{status}"
    except InvalidInput:
        error = "address_not_allowed"
    except TimeoutError:
        status, error = None, "timeout"
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        status, error = None, _name(problem)
    return Outcome(now, status, round((time.perf_counter() - began) * 1000), error, excerpt or None, retry_after)


@functools.lru_cache(maxsize=4096)
def _checked(url: str, development: bool, allowed: tuple[Network, ...]) -> URL:
    """The same few URLs come again with every event. Only the text is judged here; names are resolved each time."""
    return check_url(url, development=development, allowed=allowed)


def _name(problem: BaseException) -> str:
    """A short word for the delivery log; never the exception's text, which may quote an address or a header."""
    if isinstance(problem.__cause__, AddressRefused) or isinstance(problem, AddressRefused):
        return "address_not_allowed"
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return "dns_failed"
    if isinstance(problem, aiohttp.ClientSSLError):
        return "tls_failed"
    if isinstance(problem, aiohttp.ClientConnectorError):
        return "connection_refused"
    return "connection_broken"


def _seconds(retry_after: str | None) -> int | None:
    """Retry-After as delta-seconds (RFC 9110, section 10.2.3); the date form is rare and counts as not given."""
    readable = retry_after and len(retry_after) < 10 and retry_after.isascii() and retry_after.isdigit()
    return int(retry_after) if retry_after and readable else None
