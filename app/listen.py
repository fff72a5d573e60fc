"""`slotwire listen`: the event log of a running Slotwire, as the signed POSTs that a webhook would get, on a laptop.

The one rule: the place in the log only moves on, and only past what the receiver was given. A server or a receiver that
is away is waited for; an answer of the receiver's, whatever it says, is printed, and the next event is its turn.
"""

import asyncio
import base64
import hmac
import ipaddress
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import orjson

from app.core.errors import InvalidInput
from app.core.ids import Kind, decode, encode, new_id
from app.core.settings import ConfigurationError
from app.core.times import iso
from app.domain.webhooks.addresses import Guard, check_url
from app.domain.webhooks.deliver import Delivery, Outcome, attempt
from app.domain.webhooks.headers import check_header
from app.domain.webhooks.signing import PREFIX
from app.remote import Away, Remote, Server, Stranger, connect, is_host, printable

_SCOPE = "webhooks:read"
# Twice a second would be a fifth of what a key may ask; nobody sits before a log that has been quiet for a minute.
_POLL_SECONDS, _QUIET_POLL_SECONDS, _QUIET_SECONDS = 0.5, 2.0, 60.0
_LONGEST_PAUSE_SECONDS = 8.0
# As long as a webhook's receiver has.
_TIMEOUT_SECONDS = 15.0
_SHOWN = 200
_NOBODY = UUID(int=0)
# Whoever listens chose the address, on a machine of their own.
_ANYWHERE = Guard(development=True, allowed=(ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0")))
# Nobody was reached: the event waits.
_AWAY = {
    "connection_refused": "nobody answers there; is your receiver running?",
    "dns_failed": "its name is not found; is it spelled right?",
}
_FAILURES = {
    "timeout": f"no answer within {_TIMEOUT_SECONDS:.0f} s",
    "connection_broken": "the connection broke before an answer came",
    "tls_failed": "its certificate does not verify; SSL_CERT_FILE names an authority of your own",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """forward_to: None prints only. events: none named means all. since: None means from now on. headers: sent with
    every POST, besides those of a delivery."""

    server: Server
    forward_to: str | None = None
    events: tuple[str, ...] = ()
    since: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    as_json: bool = False


def run_listen(wish: Wish) -> int:
    """Until somebody interrupts it. Raises ConfigurationError for what the caller can mend."""
    return asyncio.run(_listen(wish))


def receiver_url(text: str) -> str:
    """The URL of `3000`, of `localhost:3000/hooks`, or of a whole one. Raises ConfigurationError."""
    whole = f"localhost:{text}" if text.isascii() and text.isdecimal() else text
    try:
        url = check_url(whole if "://" in whole else f"http://{whole}", _ANYWHERE)
        readable = is_host(url.raw_host or "")
    except InvalidInput:
        readable = False
    if not readable:
        raise ConfigurationError(
            f"--forward-to: {text!r} is no receiver's address; expected one such as localhost:3000/hooks, or 3000 for "
            "that port of this machine, without a user name (--header gives an Authorization)"
        )
    return str(url)


def header(text: str) -> tuple[str, str]:
    """Name and value of `Name: value`. Raises ConfigurationError."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon:
        raise ConfigurationError(f"--header: {text!r} has no colon; expected such as 'Authorization: Bearer abc'")
    if obstacle := check_header(name, value):
        raise ConfigurationError(f"--header: {name!r} {obstacle}")
    return name, value


def secret_of(key: str) -> str:
    """A signing secret for what is forwarded, the same whenever this key listens: a receiver is configured once."""
    return PREFIX + base64.b64encode(hmac.digest(key.encode(), b"slotwire listen", "sha256")).decode()


async def _listen(wish: Wish) -> int:
    async with (
        connect(wish.server) as remote,
        open_session() as session,
    ):
        organization = await remote.greet(_SCOPE)
        listener = Listener(wish, remote, session)
        listener.introduce(organization)
        await listener.run()
    return 0


def open_session() -> aiohttp.ClientSession:
    """As a webhook's, but for the names, which are those that this machine knows, of its neighbours (.local), too."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver(), limit=1),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "Slotwire-Webhooks/1", "Content-Type": "application/json"},
        skip_auto_headers=["Accept-Encoding"],
        auto_decompress=False,
    )


class Listener:
    """One run: where it is in the log, and what it does with an event."""

    def __init__(self, wish: Wish, remote: Remote, session: aiohttp.ClientSession) -> None:
        self._wish = wish
        self._remote = remote
        self._session = session
        self._place = ("since", iso(wish.since or remote.clock))
        self._heard_at = time.monotonic()

    def introduce(self, organization: str) -> None:
        wish = self._wish
        what = ", ".join(wish.events) or "every event"
        self._say(f"listening to {what} of {organization} on {self._remote.url}; Ctrl-C ends it")
        if wish.forward_to:
            self._say(f"forwarding to {wish.forward_to}")
            self._say(f"the signing secret is {secret_of(wish.server.key)} (always the same for this key)")

    async def run(self) -> None:
        """Every event from now on, once: the next one is its turn when the one before was dealt with."""
        while True:
            events, more = await self._next()
            for event in events:
                await self._take(event)
                self._place = ("cursor", event["id"])
                self._heard_at = time.monotonic()
            if not more:
                quiet = time.monotonic() - self._heard_at > _QUIET_SECONDS
                await asyncio.sleep(_QUIET_POLL_SECONDS if quiet else _POLL_SECONDS)

    async def _next(self) -> tuple[list[dict[str, Any]], bool]:
        """The next page of the log, and whether there is another one. A server that is away is waited for."""
        filters = [("type", each) for each in self._wish.events]
        pause, told = _POLL_SECONDS, False
        while True:
            try:
                page = await self._remote.ask("GET", "/v1/events", query=[self._place, ("samples", "true"), *filters])
                found = _page(page)
            except Away as away:
                if not told:
                    self._say(f"the server is away ({away}); trying again, nothing is lost")
                told, pause = True, min(2 * pause, _LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(max(pause, away.wait_seconds))
                continue
            if told:
                self._say("the server is back")
            return found

    async def _take(self, event: dict[str, Any]) -> None:
        """Print it, and forward it until somebody was there to get it."""
        body = orjson.dumps(event)
        if self._wish.as_json:
            sys.stdout.buffer.write(body + b"\n")
            sys.stdout.buffer.flush()
        else:
            sample = " (a sample)" if event.get("sequence") == 0 else ""
            self._say(f"--> {event['type']} [{event['id']}]{sample}")
        if self._wish.forward_to:
            await self._forward(self._delivery(event, body, self._wish.forward_to))

    def _delivery(self, event: dict[str, Any], body: bytes, url: str) -> Delivery:
        event_id = decode(Kind.EVENT, event["id"])
        assert event_id is not None  # noqa: S101 -- see `_is_event`
        return Delivery(
            org_id=_NOBODY,
            id=new_id(),
            event_id=event_id,
            webhook_id=_NOBODY,
            event_type=event["type"],
            body=body,
            url=url,
            secrets=(secret_of(self._wish.server.key),),
            attempts=0,
            retry_no=0,
            event_at=datetime.now(UTC),
            headers=self._wish.headers,
        )

    async def _forward(self, delivery: Delivery) -> None:
        pause, told, event_id = _POLL_SECONDS, "", encode(Kind.EVENT, delivery.event_id)
        while True:
            outcome = await self._attempt(delivery)
            if outcome.error == "connection_broken" and not delivery.attempts:
                # a receiver that was restarted breaks the connection that was kept for it: that is not its answer
                delivery = replace(delivery, attempts=1)
                continue
            if outcome.error is None or outcome.error not in _AWAY:
                self._say(f"<-- {_answer(outcome)} POST {delivery.url} [{event_id}] {outcome.duration_ms} ms")
                return
            if outcome.error != told:
                told = outcome.error
                self._say(f"<-- {delivery.url}: {_AWAY[told]} Trying again, nothing is lost")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        return await attempt(self._session, delivery, guard=_ANYWHERE, now=datetime.now(UTC))

    def _say(self, line: str) -> None:
        """Standard output is the events' alone where it is for programs."""
        moment = datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        print(f"{moment}  {line}", file=sys.stderr if self._wish.as_json else sys.stdout, flush=True)


def _page(page: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Its events, and whether there are more. Raises Stranger."""
    events, pagination = page.get("events"), page.get("pagination")
    if not isinstance(events, list) or not isinstance(pagination, dict) or not all(map(_is_event, events)):
        raise Stranger(200)
    return events, bool(pagination.get("has_more"))


def _is_event(found: object) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("id"), str) or not isinstance(found.get("type"), str):
        return False
    # it is sent as a header
    return decode(Kind.EVENT, found["id"]) is not None and found["type"].isascii() and found["type"].isprintable()


def _answer(outcome: Outcome) -> str:
    if outcome.status_code is None:
        return f"[failed: {_FAILURES.get(outcome.error or '', outcome.error)}]"
    if outcome.delivered:
        return f"[{outcome.status_code}]"
    shown = printable((outcome.response or "").strip().partition("\n")[0][:_SHOWN])
    return f"[{outcome.status_code}{': ' + shown if shown else ''}]"
