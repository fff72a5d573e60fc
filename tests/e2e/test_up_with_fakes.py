"""`make up-with-fakes` as a newcomer meets it: what it prints is followed, and what it promises is seen."""

import asyncio
import html
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest

from app import launch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stops what it starts by signals of Linux")

_START_SECONDS = 60.0
_SECONDS = 10.0


@dataclass
class Trial:
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    said: str = ""
    pages: dict[str, str] = field(default_factory=dict)

    async def until(self, text: str) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said += line.decode()
            if text in line.decode():
                return
        raise AssertionError(f"it ended after saying:\n{self.said}")

    async def curl(self, part: str) -> Any:
        """What the printed line with this part in it answers."""
        (line,) = [each for each in self.said.splitlines() if each.strip().startswith("curl") and part in each]
        words = shlex.split(line)
        headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
        data = words[words.index("-d") + 1] if "-d" in words else None
        async with self.session.request("POST" if data else "GET", words[2], headers=headers, data=data) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def page(self, url: str) -> str:
        async with self.session.get(url) as response:
            assert response.status == 200, await response.text()
            return await response.text()

    async def press(self, page_url: str, form: str, **given: str) -> str:
        """Send a form of a page, whose text is given; what comes then."""
        opening, _, _ = form.partition(">")
        fields = {html.unescape(name): html.unescape(value) for name, value in _HIDDEN.findall(form)} | given
        action = re.search(r'action="([^"]*)"', opening)
        url = urljoin(page_url, html.unescape(action[1])) if action else page_url.partition("?")[0]
        if 'method="post"' in opening:
            async with self.session.post(url, data=fields) as response:
                assert response.status == 200, await response.text()
                return await response.text()
        async with self.session.get(url, params=fields) as response:
            assert response.status == 200, await response.text()
            return await response.text()

    async def seen(self, name: str, title: str) -> str:
        """The row of an event of ours on a page, once it is there."""
        async with asyncio.timeout(_SECONDS):
            while True:
                rows = re.split(r"(?=<tr)", await self.page(self.pages[name]))
                found = [row for row in rows if title in row and "from Slotwire" in row]
                if found:
                    return found[0]
                await asyncio.sleep(0.05)

    async def change(self, name: str, action: str, **given: str) -> None:
        """Press a button beside the one event of ours on a page."""
        forms = (await self.seen(name, "Jane Smith")).split("<form")[1:]
        await self.press(self.pages[name], next(each for each in forms if f"/{action}" in each), **given)

    async def becomes(self, booking_id: str, **members: str) -> Any:
        """A booking, once it is like that."""
        return await self._listed("bookings", booking_id, members)

    async def has_read(self, calendar_id: str) -> None:
        """Once a calendar counts."""
        await self._listed("calendars", calendar_id, {"fresh": True})

    async def _listed(self, nouns: str, wanted: str, members: Mapping[str, Any]) -> Any:
        async with asyncio.timeout(_SECONDS):
            while True:
                for each in (await self.call("GET", f"/v1/{nouns}"))[nouns]:
                    if each["id"] == wanted and all(each[name] == value for name, value in members.items()):
                        return each
                await asyncio.sleep(0.05)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """With the printed key."""
        printed = re.search(r"curl -sS (http://\S+)/v1/\S+ -H '(Authorization): (Bearer \S+)'", self.said)
        assert printed
        base, name, key = printed.groups()
        async with self.session.request(method, base + path, headers={name: key}, json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()


_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[Trial]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLOTWIRE_")}
    environment.pop("PYTHONWARNINGS", None)
    options = ["--port", "0", "--processes", "1", "--data-dir", str(tmp_path / "data")]
    # it passes a signal on; a test that is killed leaves nothing either
    argv = launch.wrap([sys.executable, "-m", "tests.fakes", "up", *options], death_signal=signal.SIGTERM)
    process = await asyncio.create_subprocess_exec(
        *argv, env=environment, stdout=asyncio.subprocess.PIPE, start_new_session=True, cwd=Path(__file__).parents[2]
    )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        started = Trial(process, session)
        try:
            await asyncio.wait_for(started.until("became of the booking:"), _START_SECONDS)
            await asyncio.wait_for(started.until("/v1/bookings"), _SECONDS)
            found = re.findall(r"^  (http://\S+/(google|microsoft|caldav))$", started.said, re.MULTILINE)
            started.pages = {name: url for url, name in found}
            yield started
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 40) == 0


async def test_what_it_prints_leads_to_a_booking_in_a_calendar_and_back(trial: Trial) -> None:
    assert "Team meeting" in await trial.page(trial.pages["microsoft"])

    consent = (await trial.curl('{"provider": "google"}'))["authorization_url"]
    page = await trial.page(consent)
    told = await trial.press(consent, page[page.index("<form") :], login_hint="demo@gmail.example")
    assert "demo@gmail.example" in told
    (google,) = (await trial.call("GET", "/v1/calendars"))["calendars"]
    await trial.has_read(google["id"])

    booking = (await trial.curl('"event_type"'))["booking"]
    await trial.change("google", "remove")
    assert "Jane Smith" not in await trial.page(trial.pages["google"])
    await trial.becomes(booking["id"], status="CANCELLED")

    (caldav,) = (await trial.curl('"caldav"'))["calendars"]
    await trial.call("PATCH", f"/v1/calendars/{caldav['id']}", {"is_write_target": True})
    await trial.has_read(caldav["id"])
    again = (await trial.curl('"event_type"'))["booking"]
    moved = f"{again['start_time'][:11]}14:30"
    await trial.change("caldav", "move", starts=moved)
    old = await trial.becomes(again["id"], status="CANCELLED")
    assert (await trial.becomes(old["rescheduled_to_id"]))["start_time"].startswith(moved)
