"""One attempt: a signed POST to a checked address.

The one rule: an attempt never raises. Whatever a receiver does (answer anything, hang, reset, redirect, send without
end) becomes an Outcome; only 2xx is success.
"""

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import aiohttp
from yarl import URL

from app.core.errors import InvalidInput
from app.core.ids import Kind, encode
from app.core.times import seconds_to_wait
from app.domain.webhooks.addresses import AddressRefused, Guard, GuardedResolver, check_url
from app.domain.webhooks.signing import standard_signature, x_signature

# What is read of an answer, so that its connection can be used again; and what is kept of it.
_READ_BYTES = 65_536
_EXCERPT_BYTES = 1024
_USER_AGENT = "Slotwire-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one webhook is owed of one event; `attempts` counts the ones already made. headers: the webhook's own."""

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
    headers: Mapping[str, str] = field(default_factory=dict)


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


class _Connector(aiohttp.TCPConnector):
    """Closes the resolver, too, which is its own: aiohttp leaves one that it was given open."""

    def __init__(self, guard: Guard, limit: int) -> None:
        self._guarded = GuardedResolver(guard)
        # what is kept for these seconds is what was checked
        super().__init__(resolver=self._guarded, limit=limit, ttl_dns_cache=10)

    async def close(self, *, abort_ssl: bool = False) -> None:
        try:
            await super().close(abort_ssl=abort_ssl)
        finally:
            await self._guarded.close()


def open_session(*, guard: Guard, concurrency: int, timeout_seconds: float) -> aiohttp.ClientSession:
    """A client whose names resolve through the guard. No cookies: receivers of different customers share it."""
    connector = _Connector(guard, concurrency)
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
        **delivery.headers,
        "X-Signature": x_signature(delivery.secrets, timestamp, delivery.body),
        "X-Event-Id": event_id,
        "X-Event-Type": delivery.event_type,
        "X-Delivery-Id": encode(Kind.DELIVERY, delivery.id),
        "X-Delivery-Attempt": str(delivery.attempts + 1),
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard_signature(delivery.secrets, event_id, timestamp, delivery.body),
    }


async def attempt(session: aiohttp.ClientSession, delivery: Delivery, *, guard: Guard, now: datetime) -> Outcome:
    """POST once; redirects are not followed, and at most a kilobyte of the answer is kept."""
    if not delivery.secrets:
        return Outcome(now, None, 0, "secret_unreadable", None, None)
    began = time.perf_counter()
    status, error, excerpt, retry_after = None, None, None, None
    try:
        # the checked URL itself is what is connected to: parsing the text twice could give two hosts
        url = _checked(delivery.url, guard)
        async with session.post(
            url,
            data=delivery.body,
            headers=signed_headers(delivery, int(now.timestamp())),
            allow_redirects=False,
        ) as response:
            status = response.status
            if not 200 <= status < 300:
                error = f"http_{status}"
                retry_after = seconds_to_wait(response.headers.get("Retry-After"), now)
            excerpt = await _excerpt(response)
    except InvalidInput:
        error = "address_not_allowed"
    except TimeoutError:
        status, error = None, "timeout"
    except (aiohttp.ClientError, OSError, ValueError) as problem:
        status, error = None, _name(problem)
    return Outcome(now, status, round((time.perf_counter() - began) * 1000), error, excerpt or None, retry_after)


@functools.lru_cache(maxsize=4096)
def _checked(url: str, guard: Guard) -> URL:
    """The same few URLs come again with every event. Only the text is judged here; names are resolved each time."""
    return check_url(url, guard)


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


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The beginning of the answer. The rest is read, too, as long as it is short: an answer that was read to its end
    leaves the connection for the next delivery."""
    if response.content.at_eof():
        return ""
    kept, count = bytearray(), 0
    async for chunk in response.content.iter_any():
        kept += chunk[: _EXCERPT_BYTES - len(kept)]
        count += len(chunk)
        if count > _READ_BYTES:
            response.close()
            break
    return kept.decode("utf-8", "replace").replace("\0", "\ufffd")
