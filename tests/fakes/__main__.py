"""`python -m tests.fakes up …`: `slotwire up` beside providers of calendars that run here, to try it without accounts.

Everything is in memory or in a temporary directory, and ends with Ctrl-C: the calendars always, and Slotwire's own data
unless --data-dir says where it is to stay.
"""

import asyncio
import json
import os
import re
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app import launch
from tests.fakes.google import FakeGoogle
from tests.fakes.microsoft import FakeMicrosoft
from tests.fakes.pages import Pages
from tests.fakes.radicale import PASSWORD, Radicale
from tests.fakes.trial import CALDAV, GOOGLE, MICROSOFT, CaldavAccount, GoogleAccount, MicrosoftAccount

_USAGE = "usage: python -m tests.fakes up [options of `slotwire up`]"
_LAST_LINE = "Ctrl-C stops everything"
_THEN = (
    "Give a calendar a second to be read; until then its owner counts as busy. Then book something (above): it",
    "appears in the calendar that was connected first. Move or delete it there, and see what became of the booking:",
)
# CalDAV servers push nothing, and whoever tries it out does not like to wait
_POLL_SECONDS = "1"


@dataclass(frozen=True)
class Trial:
    """What runs here. environment: what `slotwire up` needs to know of it."""

    environment: Mapping[str, str]
    pages_url: str
    caldav_url: str


async def open_trial(stack: AsyncExitStack, folder: Path) -> Trial:
    """Start the providers, and stop them with the stack."""
    now = datetime.now(UTC)
    google, microsoft, caldav = FakeGoogle(()), FakeMicrosoft(), Radicale(folder)
    google_url, microsoft_url = await google.start(), await microsoft.start()
    stack.push_async_callback(google.stop)
    stack.push_async_callback(microsoft.stop)
    stack.callback(caldav.stop)
    await asyncio.to_thread(caldav.start)
    pages = Pages(
        {
            "google": GoogleAccount(google, now),
            "microsoft": MicrosoftAccount(microsoft, now),
            "caldav": await asyncio.to_thread(CaldavAccount, caldav, now),
        }
    )
    await pages.start()
    stack.push_async_callback(pages.stop)
    environment = {
        "SLOTWIRE_GOOGLE_CLIENT_ID": google.oauth.client_id,
        "SLOTWIRE_GOOGLE_CLIENT_SECRET": google.oauth.client_secret,
        "SLOTWIRE_GOOGLE_BASE_URL": google_url,
        "SLOTWIRE_GOOGLE_OAUTH_BASE_URL": google_url,
        "SLOTWIRE_MICROSOFT_CLIENT_ID": microsoft.oauth.client_id,
        "SLOTWIRE_MICROSOFT_CLIENT_SECRET": microsoft.oauth.client_secret,
        "SLOTWIRE_MICROSOFT_BASE_URL": microsoft_url,
        "SLOTWIRE_MICROSOFT_OAUTH_BASE_URL": microsoft_url,
    }
    return Trial(environment, pages.base_url, caldav.url)


class Child:
    """`slotwire up`, which hears of Ctrl-C from us, and so once."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._asked = False

    def ask_to_stop(self) -> None:
        self._asked = True
        self._pass_on()

    def _pass_on(self) -> None:
        if self._asked and self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    async def run(self, options: Sequence[str], trial: Trial) -> int:
        """Its exit code. What it says is passed on; once it is up, how to go on is said, too."""
        if self._asked:
            return 0
        argv = launch.wrap([sys.executable, "-P", "-m", "app.cli", "up", *options], death_signal=signal.SIGTERM)
        environment = {"SLOTWIRE_CALENDAR_POLL_SECONDS": _POLL_SECONDS, **os.environ, **trial.environment}
        self._process = await asyncio.create_subprocess_exec(
            *argv, env=environment, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        self._pass_on()
        assert self._process.stdout is not None
        said = ""
        async for line in self._process.stdout:
            _say(line.decode(errors="replace"))
            said += line.decode(errors="replace")
            if _LAST_LINE in said:
                _say(_directions(trial, said))
                said = ""
        return await self._process.wait()


def _directions(trial: Trial, said: str) -> str:
    """said: by `slotwire up`: its address, and the key of its demo organization where it has made one."""
    base = _first(r"^Slotwire is up: (\S+)$", said)
    key = _first(r"^ +API key +(\S+)$", said) or "<an API key>"

    def curl(path: str, body: Mapping[str, str] | None = None) -> str:
        sent = f" -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}" if body else ""
        return f"  curl -sS {base}/v1/{path} -H 'Authorization: Bearer {key}'{sent}"

    connect, opened = "calendars/connect", "  and open the authorization_url that it answers, in a browser"
    login = {"provider": "caldav", "url": trial.caldav_url, "username": CALDAV, "password": PASSWORD}
    lines = [
        "",
        "Calendars to connect. They are in memory: with Ctrl-C they are lost.",
        *("", f"Google, {GOOGLE}", curl(connect, {"provider": "google"}), opened),
        *("", f"Microsoft, {MICROSOFT}", curl(connect, {"provider": "microsoft"}), opened),
        *("", f"CalDAV (a Radicale), {CALDAV}", curl(connect, login), "  and it is connected"),
        *("", "Look into them, as their owner:"),
        *(f"  {trial.pages_url}/{name}" for name in ("google", "microsoft", "caldav")),
        *("", *_THEN, curl("bookings"), ""),
    ]
    return "\n".join(lines) + "\n"


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _say(text: str) -> None:
    # a terminal that is gone is no reason to stop in disorder
    with suppress(OSError):
        os.write(1, text.encode())


async def run_up(options: Sequence[str]) -> int:
    child, loop = Child(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, child.ask_to_stop)
    with tempfile.TemporaryDirectory(prefix="slotwire-trial-") as folder:
        radicale = Path(folder) / "radicale"
        radicale.mkdir()
        kept = any(each == "--data-dir" or each.startswith("--data-dir=") for each in options)
        where = [] if kept else ["--data-dir", str(Path(folder) / "data")]
        async with AsyncExitStack() as stack:
            trial = await open_trial(stack, radicale)
            return await child.run([*options, *where], trial)


def main() -> int:
    if sys.argv[1:2] != ["up"]:
        print(_USAGE, file=sys.stderr)
        return 2
    return asyncio.run(run_up(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
