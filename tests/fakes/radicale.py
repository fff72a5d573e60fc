"""A real CalDAV server for tests: Radicale, as a process of its own, with one account."""

import base64
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

USER, PASSWORD = "ada@example.com", "correct horse: battery"


class Radicale:
    """url: of the server. Calendars lie at /ada@example.com/<name>/."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        users = self._folder / "users"
        users.write_text(f"{USER}:{PASSWORD}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        config = self._folder / "config"
        config.write_text(
            f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = htpasswd\nhtpasswd_filename = {users}\n"
            f"htpasswd_encryption = plain\ndelay = 0\n[storage]\nfilesystem_folder = {self._folder / 'data'}\n"
        )
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "radicale", "--config", str(config)], stdout=log, stderr=log
            )
        self._wait(port)

    def _wait(self, port: int) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=10)

    def reach(self, method: str, path: str, body: str = "", **headers: str) -> str:
        """As its owner's own program does. What it answers."""
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = Request(  # noqa: S310 -- our own server
            self.url + path, data=body.encode(), method=method, headers={"Authorization": f"Basic {token}", **headers}
        )
        with urlopen(request, timeout=60) as response:  # noqa: S310
            return str(response.read().decode())

    def make_calendar(self, name: str, components: str = "VEVENT", timezone: str = "Europe/Berlin") -> str:
        """Its path."""
        path = f"/{USER}/{name}/"
        zone = f"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:{timezone}\nEND:VTIMEZONE\nEND:VCALENDAR"
        self.reach(
            "MKCOL",
            path,
            '<d:mkcol xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:set><d:prop>'
            "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
            f"<d:displayname>Called {name}</d:displayname><c:calendar-timezone>{zone}</c:calendar-timezone>"
            f'<c:supported-calendar-component-set><c:comp name="{components}"/></c:supported-calendar-component-set>'
            "</d:prop></d:set></d:mkcol>",
        )
        return path

    def fill(self, path: str, events: list[tuple[str, str]]) -> None:
        """Many at once: pairs of UID and lines."""
        inside = "".join(f"BEGIN:VEVENT\r\nUID:{uid}\r\n{lines}\r\nEND:VEVENT\r\n" for uid, lines in events)
        text = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//\r\n{inside}END:VCALENDAR\r\n"
        self.reach("PUT", path, text, **{"Content-Type": "text/calendar"})

    def put(self, path: str, *lines: str, uid: str | None = None) -> None:
        """An event of these lines."""
        uid = uid or path.rpartition("/")[2]
        inside = "\r\n".join(lines)
        text = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//\r\nBEGIN:VEVENT\r\n"
            f"UID:{uid}\r\nDTSTAMP:20260101T000000Z\r\n{inside}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        self.reach("PUT", path, text, **{"Content-Type": "text/calendar"})
