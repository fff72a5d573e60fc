"""A running Slotwire, as one key sees it: for commands that work with any, on this machine or on another.

The one rule: it is a client like any other. What whoever calls can mend is a ConfigurationError of one line, what may
pass by itself is Away, and nothing of the server but its HTTP is known here.
"""

import ipaddress
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from yarl import URL

from app.core.settings import ConfigurationError

DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT = aiohttp.ClientTimeout(total=30)
_LONGEST_WAIT_SECONDS = 60.0
_NEW_KEY = "slotwire bootstrap --org … --email … --password … --new-key"


class Away(Exception):
    """No answer, or one that says to ask again. wait_seconds: as it was asked for, at most a minute; 0: it was not."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = min(wait_seconds, _LONGEST_WAIT_SECONDS)


class Stranger(Away):
    """An answer that is no Slotwire's: of a proxy, perhaps, whose Slotwire is being started."""

    def __init__(self, status: int) -> None:
        super().__init__(f"what answers there is no Slotwire ({status})")


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    key: str


def find_server(url: str | None, key: str | None, data_dir: Path) -> Server:
    """What the caller said; else what a running `slotwire up` on the directory says, whose demo key is for this machine
    only. Raises ConfigurationError."""
    found, local = find_url(url, data_dir, "--api")
    return Server(found, find_key(key, data_dir, local=local))


def find_url(url: str | None, data_dir: Path, option: str) -> tuple[str, bool]:
    """The server's address, and whether it is on this machine. Raises ConfigurationError."""
    if url:
        return url.rstrip("/"), is_local(url, option)
    return _running(data_dir) or DEFAULT_URL, True


def find_key(key: str | None, data_dir: Path, *, local: bool) -> str:
    """local: whether the demo's will do. Raises ConfigurationError."""
    found = key or (facts(data_dir / "demo.json").get("api_key") if local else None)
    if not found:
        raise ConfigurationError(
            "no API key: name one with --key or SLOTWIRE_API_KEY, or start `slotwire up`, whose demo key is used on "
            "its own machine; --data-dir or SLOTWIRE_DATA_DIR names its directory"
        )
    check_key(str(found))
    return str(found)


def facts(path: Path) -> dict[str, Any]:
    """What a running `slotwire up` keeps in this file; nothing where none runs."""
    try:
        return _object(path.read_bytes())
    except OSError:
        return {}


def _running(data_dir: Path) -> str | None:
    """Where a running `slotwire up` listens. Its base URL may be one that only others reach."""
    told = facts(data_dir / "run.json")
    host, port = told.get("host") or "127.0.0.1", told.get("port")
    if not port:
        return None
    return f"http://[{host}]:{port}" if ":" in str(host) else f"http://{host}:{port}"


def is_local(url: str, option: str) -> bool:
    """Whether an address is one of this machine's loopback. Raises ConfigurationError for what is no address."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        readable = is_host(host) and URL(url).raw_host is not None
    except ValueError:
        readable = False
    if not readable or parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"{option}: {url!r} is no server's address; expected one such as {DEFAULT_URL}")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_host(text: str) -> bool:
    """Whether it can be looked up: no label is empty or longer than 63 (RFC 1035, section 2.3.4)."""
    try:
        return text.isprintable() and " " not in text and bool(text.encode("idna"))
    except ValueError:
        return False


def printable(text: str) -> str:
    """Somebody else's text on one line, which moves no cursor."""
    return "".join(each if each.isprintable() else " " for each in text).strip()


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
            name, held = _member(answer, "organization", "name"), _member(answer, "key", "scopes")
            if not isinstance(name, str) or not isinstance(held, list):
                raise Stranger(200)
        except Stranger:
            raise ConfigurationError(
                f"what answers on {self.url} is no Slotwire; name the server's address with --api"
            ) from None
        except Away as away:
            raise ConfigurationError(
                f"{self.url} does not answer ({away}); start `slotwire up`, or name the server's address with --api"
            ) from None
        if scope not in held:
            raise ConfigurationError(f"this key lacks {scope}; make one that has every scope: {_NEW_KEY}")
        return printable(name)

    async def ask(self, method: str, path: str, body: Any = None, query: Collection[tuple[str, str]] = ()) -> Any:
        """The answer's JSON object. Raises Away, Stranger for what none of us would answer, and ConfigurationError for
        a problem of ours that asking again does not mend."""
        request = {"json": body, "params": list(query), "allow_redirects": False}
        try:
            async with self._session.request(method, self.url + path, **request) as response:
                raw, status, headers = await response.read(), response.status, response.headers
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or ("it takes too long" if isinstance(error, TimeoutError) else type(error).__name__)
            raise Away(printable(reason.partition("\n")[0])) from None
        self._read_clock(headers)
        parsed = _object(raw)
        if status < 300 and parsed:
            return parsed
        if status == 429 or status >= 500:
            told = headers.get("Retry-After", "")
            raise Away(f"it answers {status}", float(told) if told.isdecimal() else 0.0)
        if status < 400 or not isinstance(parsed.get("code"), str) or not isinstance(parsed.get("detail"), str):
            raise Stranger(status)
        raise self._refusal(status, parsed)

    def _refusal(self, status: int, problem: Mapping[str, Any]) -> ConfigurationError:
        if status == 401:
            return ConfigurationError(
                f"{self.url} does not accept this key; name another with --key or SLOTWIRE_API_KEY, "
                f"or make one: {_NEW_KEY}"
            )
        fields = problem.get("errors")
        told = [each for each in fields if isinstance(each, dict)] if isinstance(fields, list) else []
        details = [f"{each.get('field')}: {each.get('message')}" for each in told]
        return ConfigurationError(printable("; ".join(details) or problem["detail"] or problem["code"]))

    def _read_clock(self, headers: Mapping[str, str]) -> None:
        try:
            self.clock = parsedate_to_datetime(headers.get("Date", "")).astimezone(UTC)
        except ValueError:
            self.clock = datetime.now(UTC)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(raw)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _member(answer: Mapping[str, Any], name: str, inner: str) -> Any:
    found = answer.get(name)
    return found.get(inner) if isinstance(found, dict) else None
