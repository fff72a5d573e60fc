"""`slotwire listen`: the event log of a running Slotwire, as the signed POSTs that a webhook would get, on a laptop.

The one rule: the place in the log only moves on, and only past what the receiver was given. A server or a receiver that
is away is waited for; an answer of the receiver's, whatever it says, is printed, and the next event is its turn.
"""

import asyncio
import base64
import hmac
import ipaddress
import sys
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
from app.domain.webhooks.deliver import Delivery, Outcome, attempt, open_session
from app.domain.webhooks.headers import check_header
from app.domain.webhooks.signing import PREFIX
from app.remote import Away, Remote, Server, connect

_SCOPE = "webhooks:read"
_POLL_SECONDS = 0.5
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
    """The URL of `localhost:3000/hooks`, or of a whole one. Raises ConfigurationError."""
    try:
        return str(check_url(text if "://" in text else f"http://{text}", _ANYWHERE))
    except InvalidInput as error:
        told = "; ".join(each.message for each in error.errors)
        raise ConfigurationError(f"--forward-to: {told}; or one such as localhost:3000/hooks") from None


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
        open_session(guard=_ANYWHERE, concurrency=1, timeout_seconds=_TIMEOUT_SECONDS) as session,
    ):
        organization = await remote.greet(_SCOPE)
        listener = Listener(wish, remote, session)
        listener.introduce(organization)
        await listener.run()
    return 0


class Listener:
    """One run: where it is in the log, and what it does with an event."""

    def __init__(self, wish: Wish, remote: Remote, session: aiohttp.ClientSession) -> None:
        self._wish = wish
        self._remote = remote
        self._session = session
        self._place = ("since", iso(wish.since or remote.clock))

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
            if not more:
                await asyncio.sleep(_POLL_SECONDS)

    async def _next(self) -> tuple[list[dict[str, Any]], bool]:
        """The next page of the log, and whether there is another one. A server that is away is waited for."""
        filters = [("type", each) for each in self._wish.events]
        pause, told = _POLL_SECONDS, False
        while True:
            try:
                page = await self._remote.ask("GET", "/v1/events", query=[self._place, ("samples", "true"), *filters])
            except Away as away:
                if not told:
                    self._say(f"the server is away ({away}); trying again, nothing is lost")
                told, pause = True, min(2 * pause, _LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(max(pause, away.wait_seconds))
                continue
            if told:
                self._say("the server is back")
            try:
                events, more = list(page["events"]), bool(page["pagination"]["has_more"])
                known = all(decode(Kind.EVENT, each["id"]) and str(each["type"]) for each in events)
            except (KeyError, TypeError, AttributeError):
                known = False
            if not known:
                raise self._remote.stranger()
            return events, more

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
        assert event_id is not None  # noqa: S101 -- see `_next`
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


def _answer(outcome: Outcome) -> str:
    if outcome.status_code is None:
        return f"[failed: {_FAILURES.get(outcome.error or '', outcome.error)}]"
    if outcome.delivered:
        return f"[{outcome.status_code}]"
    first = (outcome.response or "").strip().partition("\n")[0][:_SHOWN]
    shown = "".join(each if each.isprintable() else " " for each in first).strip()
    return f"[{outcome.status_code}{': ' + shown if shown else ''}]"
