"""Where `slotwire torture` plays: a running server as one key sees it, what is made there, and its removal.

The one rule: whatever was made is known here before anybody can interrupt us, and is removed, the youngest first. It
is a client like any other: it speaks HTTP, and knows nothing of how the server works.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from app.core.settings import ConfigurationError

Result = TypeVar("Result")

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_EVENT_TYPES = "/v1/event-types"
_BOOKINGS = "/v1/bookings"
_NEW_KEY = "slotwire bootstrap --org … --email … --password … --new-key"
_RATE_TRIES = 5
_LONGEST_WAIT_SECONDS = 60.0


class ArenaError(Exception):
    """The server does not let us prepare what a play needs; the text is one line."""


@dataclass(frozen=True, slots=True)
class Answer:
    """status: 0 when none came; then `body["detail"]` says why. seconds: until its last byte, connecting included."""

    status: int
    body: Mapping[str, Any]
    seconds: float
    retry_after: float = 1.0

    def __str__(self) -> str:
        if not self.status:
            return f"no answer: {self.body['detail']}"
        # our own problem documents have all three, a proxy's page none
        return " ".join([str(self.status), *(str(self.body[name]) for name in ("code", "detail") if name in self.body)])


@dataclass(frozen=True, slots=True)
class _Made:
    """name: as the operator reads it. removal: the requests that take it away."""

    name: str
    removal: tuple[tuple[str, str, Any], ...]


@asynccontextmanager
async def enter(url: str, key: str) -> AsyncIterator["Arena"]:
    """An arena on the server at `url`. Every request goes over a connection of its own, and nowhere else."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    headers = {"Authorization": f"Bearer {key}"}
    cookies = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, cookie_jar=cookies, timeout=_TIMEOUT
    ) as session:
        yield Arena(url, session)


class Arena:
    """What is made here is removed by `clear`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._made: list[_Made] = []
        self._stuck: list[str] = []
        self._unanswered = 0

    @property
    def left_behind(self) -> list[str]:
        """What has not been removed so far: what could not be, with the reason, what was not tried, and what nobody
        knows of, because the answer did not come or was not waited for."""
        unknown = [f"whatever {self._unanswered} unanswered calls have booked"] if self._unanswered else []
        return self._stuck + [made.name for made in reversed(self._made)] + unknown

    async def greet(self, scopes: Collection[str]) -> str:
        """The name of the organization. Raises ConfigurationError when nobody answers, or not to this key; ArenaError
        when the server has a problem of its own."""
        answer = await self._ask("GET", "/v1/users/me")
        if not answer.status:
            raise ConfigurationError(
                f"nobody answers on {self._url} ({answer.body['detail']}); "
                "start `slotwire up`, or name the server's address with --url"
            )
        self._check_allowed(answer)
        if answer.status != 200 and "code" in answer.body:
            raise ArenaError(f"GET /v1/users/me: {answer}")
        try:
            name, held = str(answer.body["organization"]["name"]), set(answer.body["key"]["scopes"])
        except (KeyError, TypeError):
            raise ConfigurationError(
                f"what answers on {self._url} is no Slotwire ({answer}); name the server's address with --url"
            ) from None
        missing = ", ".join(scope for scope in sorted(scopes) if scope not in held)
        if missing:
            raise ConfigurationError(f"this key lacks {missing}; make one that has every scope: {_NEW_KEY}")
        return name

    async def make(self, path: str, noun: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST to a collection; what it made. Raises ArenaError, and ConfigurationError for 401 and 403."""
        return await _undisturbed(self._make(path, noun, body))

    async def book_at_once(self, bodies: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """One POST per body, all at once; the answers in the bodies' order."""
        return await _undisturbed(asyncio.gather(*map(self._book, bodies)))

    async def clear(self) -> None:
        """Remove everything, as far as the server lets us; see `left_behind`."""
        while self._made:
            answer = await self._remove(self._made[-1])
            if not answer.status:
                # a server that is gone does not come back for the next one
                return
            made = self._made.pop()
            # one that somebody else has removed is gone, too
            if answer.status >= 400 and answer.status != 404:
                self._stuck.append(f"{made.name} ({answer})")

    async def _make(self, path: str, noun: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._ask_patiently("POST", path, body)
        self._check_allowed(answer)
        made = answer.body.get(noun)
        if answer.status != 201 or not isinstance(made, dict) or "id" not in made:
            raise ArenaError(f"POST {path}: {answer}")
        place = f"{path}/{made['id']}"
        removal: tuple[tuple[str, str, Any], ...] = (("DELETE", place, None),)
        if path == _EVENT_TYPES:
            # an archived event type would go on using its schedule, which then could not be deleted
            removal = (("PATCH", place, {"schedule_id": None}), *removal)
        self._made.append(_Made(f"{noun.replace('_', ' ')} {made.get('code', made['id'])}", removal))
        return made

    async def _book(self, body: Mapping[str, Any]) -> Answer:
        self._unanswered += 1
        answer = await self._ask("POST", _BOOKINGS, body)
        self._unanswered -= answer.status > 0
        booking = answer.body.get("booking")
        if answer.status == 201 and isinstance(booking, dict) and "id" in booking:
            cancel = ("POST", f"{_BOOKINGS}/{booking['id']}/cancel", {"reason": "torture is over"})
            self._made.append(_Made(f"booking {booking['id']}", (cancel,)))
        return answer

    async def _remove(self, made: _Made) -> Answer:
        """The last request's answer: it decides, the ones before it only help."""
        for method, path, body in made.removal:
            answer = await self._ask_patiently(method, path, body)
        return answer

    async def _ask_patiently(self, method: str, path: str, body: Any) -> Answer:
        """Wait as long as a rate limit asks for."""
        for _ in range(_RATE_TRIES - 1):
            answer = await self._ask(method, path, body)
            if answer.status != 429:
                return answer
            await asyncio.sleep(min(answer.retry_after, _LONGEST_WAIT_SECONDS))
        return await self._ask(method, path, body)

    async def _ask(self, method: str, path: str, body: Any = None) -> Answer:
        began = time.perf_counter()
        try:
            # a redirect could lead away from this machine
            async with self._session.request(method, self._url + path, json=body, allow_redirects=False) as response:
                raw = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            return Answer(0, {"detail": reason.splitlines()[0]}, time.perf_counter() - began)
        seconds = time.perf_counter() - began
        parsed: Any = None
        with contextlib.suppress(ValueError):
            parsed = json.loads(raw)
        told = response.headers.get("Retry-After", "")
        wait = float(told) if told.isdecimal() else 1.0
        return Answer(response.status, parsed if isinstance(parsed, dict) else {}, seconds, wait)

    def _check_allowed(self, answer: Answer) -> None:
        """Raises ConfigurationError for what the caller can mend by another key."""
        if answer.status == 401:
            raise ConfigurationError(
                f"{self._url} does not accept this key; name another with --key or SLOTWIRE_API_KEY, "
                f"or make one: {_NEW_KEY}"
            )
        if answer.status == 403:
            raise ConfigurationError(f"this key may not do that ({answer}); make one that may: {_NEW_KEY}")


async def _undisturbed(work: Awaitable[Result]) -> Result:
    """Ctrl-C waits for requests that are under way: what the server makes meanwhile must be known here."""
    task = asyncio.ensure_future(work)
    # whoever is interrupted twice leaves before it fails, and nobody need hear of that
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
