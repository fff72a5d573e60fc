"""A running Slotwire, as one key sees it: for commands that work with any, on this machine or on another.

The one rule: it is a client like any other. What whoever calls can mend is a ConfigurationError of one line, what may
pass by itself is Away, and nothing of the server but its HTTP is known here.
"""

import ipaddress
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from app.core.settings import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_NEW_KEY = "slotwire bootstrap --org … --email … --password … --new-key"


class Away(Exception):
    """No answer, or one that says to ask again. wait_seconds: as it was asked for; 0: it was not."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    key: str


def find_server(url: str | None, key: str | None, data_dir: Path) -> Server:
    """What the caller said; else what a running `slotwire up` on the directory says, whose demo key is for this machine
    only. Raises ConfigurationError."""
    found = (url or str(facts(data_dir / "run.json").get("base_url") or DEFAULT_URL)).rstrip("/")
    if is_local(found, "--api") and not key:
        key = facts(data_dir / "demo.json").get("api_key")
    if not key:
        raise ConfigurationError(
            "no API key: name one with --key or SLOTWIRE_API_KEY, or start `slotwire up`, whose demo key is used"
        )
    check_key(key)
    return Server(found, key)


def facts(path: Path) -> dict[str, Any]:
    """What a running `slotwire up` keeps in this file; nothing where none runs."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_local(url: str, option: str) -> bool:
    """Whether an address is one of this machine's loopback. Raises ConfigurationError for what is no address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"{option}: {url!r} is no server's address; expected one such as {DEFAULT_URL}")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_key(key: str) -> None:
    """Raises ConfigurationError for what cannot stand in a header."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError("--key is no API key; expected slw_live_ and letters and digits")


@asynccontextmanager
async def connect(server: Server) -> AsyncIterator["Remote"]:
    headers = {"Authorization": f"Bearer {server.key}"}
    cookies = aiohttp.DummyCookieJar()
    # names as this machine knows them, those of its neighbours (.local), too
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, cookie_jar=cookies, timeout=_TIMEOUT
    ) as session:
        yield Remote(server.url, session)


class Remote:
    """clock: the server's, of its last answer, to the second."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.clock = datetime.now(UTC)
        self._session = session

    async def greet(self, scope: str) -> str:
        """The name of the organization. Raises ConfigurationError where nobody answers, or not to this key."""
        try:
            answer = await self.ask("GET", "/v1/users/me")
        except Away as away:
            raise ConfigurationError(
                f"{self.url} does not answer ({away}); start `slotwire up`, or name the server's address with --api"
            ) from None
        try:
            name, held = str(answer["organization"]["name"]), answer["key"]["scopes"]
        except (KeyError, TypeError):
            raise self.stranger() from None
        if scope not in held:
            raise ConfigurationError(f"this key lacks {scope}; make one that has every scope: {_NEW_KEY}")
        return name

    async def ask(self, method: str, path: str, body: Any = None, query: Collection[tuple[str, str]] = ()) -> Any:
        """The answer's JSON. Raises Away, and ConfigurationError for what asking again does not mend."""
        request = {"json": body, "params": list(query), "allow_redirects": False}
        try:
            async with self._session.request(method, self.url + path, **request) as response:
                raw, status, headers = await response.read(), response.status, response.headers
        except (aiohttp.ClientError, OSError) as error:
            reason = str(error) or ("it takes too long" if isinstance(error, TimeoutError) else type(error).__name__)
            raise Away(reason.splitlines()[0]) from None
        self._read_clock(headers)
        parsed = _object(raw)
        if status < 300 and parsed:
            return parsed
        if status == 429 or status >= 500:
            told = headers.get("Retry-After", "")
            raise Away(f"it answers {status}", float(told) if told.isdecimal() else 0.0)
        raise self._refusal(status, parsed)

    def stranger(self) -> ConfigurationError:
        return ConfigurationError(f"what answers on {self.url} is no Slotwire; name the server's address with --api")

    def _refusal(self, status: int, problem: Mapping[str, Any]) -> ConfigurationError:
        if "code" not in problem:
            return self.stranger()
        if status == 401:
            return ConfigurationError(
                f"{self.url} does not accept this key; name another with --key or SLOTWIRE_API_KEY, "
                f"or make one: {_NEW_KEY}"
            )
        fields = problem.get("errors") or ()
        details = [f"{each.get('field')}: {each.get('message')}" for each in fields if isinstance(each, dict)]
        return ConfigurationError("; ".join(details) or str(problem.get("detail") or problem["code"]))

    def _read_clock(self, headers: Mapping[str, str]) -> None:
        try:
            self.clock = parsedate_to_datetime(headers.get("Date", "")).astimezone(UTC)
        except ValueError:
            self.clock = datetime.now(UTC)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(raw)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
