"""What would have been mailed, in a page: for this machine and in development only, whatever the files hold."""

import os
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from app.core.settings import Settings
from app.main import build_app
from tests.conftest import AiohttpClient
from tests.support import SECRET_KEY, Answer
from tests.visitors import Anybody

HTML = "<html><head><style>p{color:red}</style></head><body><p onclick=x()>Hello<script>x()</script></p></body></html>"


def mail(subject: str, **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["To"], message["From"] = subject, "Jane <jane@example.com>", "bookings@example.com"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Cancel: https://book.example.com/v1/cancel/abc\n<b>plain</b>\n")
    message.add_alternative(HTML, subtype="html")
    message.add_alternative("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", subtype="calendar", params={"method": "REQUEST"})
    return message


def put(folder: Path, name: str, content: bytes | EmailMessage, at: int = 0) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.as_bytes())
    os.utime(folder / name, (1_800_000_000 + at, 1_800_000_000 + at))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "mail"
    found.mkdir()
    return found


@pytest.fixture
async def anybody(aiohttp_client: AiohttpClient, settings: Settings, folder: Path) -> Anybody:
    return Anybody(await aiohttp_client(build_app(settings.model_copy(update={"mail_dir": folder}))))


def is_page(answer: Answer) -> str:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.raw.decode()
    assert "<script" not in text
    return text


async def test_mails_are_listed_newest_first(anybody: Anybody, folder: Path) -> None:
    assert "none yet" in is_page(await anybody.get("/dev/mail"))
    for number in range(3):
        put(folder, f"{number}.eml", mail(f"Number {number} <b>"), at=(number * 2) % 3)
    put(folder, ".half.eml", mail("Half"))
    put(folder, "other.txt", mail("Text"))
    text = is_page(await anybody.get("/dev/mail"))
    assert re.findall(r'href="/dev/mail/([^"]+)">([^<]+)<', text) == [
        (f"{number}.eml", f"Number {number} &lt;b&gt;") for number in (1, 2, 0)
    ]
    assert "jane@example.com" in text


async def test_no_more_than_two_hundred_are_listed(anybody: Anybody, folder: Path) -> None:
    for number in range(203):
        put(folder, f"m{number:03}.eml", mail("x"), at=number)
    names = re.findall(r'href="/dev/mail/([^"]+)"', is_page(await anybody.get("/dev/mail")))
    assert (len(names), names[0], names[-1]) == (200, "m202.eml", "m003.eml")


async def test_a_mail_is_shown_with_all_its_parts(anybody: Anybody, folder: Path) -> None:
    put(folder, "a.eml", mail("Grüße", List_Unsubscribe="<https://book.example.com/v1/unsubscribe/x>"))
    text = is_page(await anybody.get("/dev/mail/a.eml"))
    assert "<h1>Grüße</h1>" in text
    assert "https://book.example.com/v1/unsubscribe/x" in text
    assert '<a href="https://book.example.com/v1/cancel/abc"' in text
    assert "&lt;b&gt;plain&lt;/b&gt;" in text
    assert "BEGIN:VCALENDAR" in text
    assert re.findall(r"<iframe [^>]*>", text) == [
        '<iframe title="The HTML of the mail" sandbox="" src="/dev/mail/a.eml/html">'
    ]
    frame = await anybody.get("/dev/mail/a.eml/html")
    assert frame.raw.decode().strip() == HTML, "as it is, since it may do nothing"
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'; ")
    assert "script" not in policy
    assert "frame-ancestors 'self'" in policy
    source = await anybody.get("/dev/mail/a.eml/source")
    assert source.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert source.headers["X-Content-Type-Options"] == "nosniff"
    assert source.raw == (folder / "a.eml").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"no mail at all",
        b"Subject: =?utf-8?b?/////w==?=\r\nContent-Type: text/html; charset=nonsense\r\n\r\n\xff<p>x",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n",
        b'To: "<@@,;:\r\nFrom: <>\r\nDate: never\r\nMessage-ID: <<<\r\nSubject: \r\n\r\nx',
        b"Content-Type: text/plain; charset*=utf-8''%ff\r\n\r\nx",
        b"Content-Type: message/rfc822\r\n\r\n" * 50,
    ],
)
async def test_what_is_no_mail_is_shown_all_the_same(anybody: Anybody, folder: Path, content: bytes) -> None:
    put(folder, "odd.eml", content)
    for path in ["/dev/mail", "/dev/mail/odd.eml", "/dev/mail/odd.eml/html", "/dev/mail/odd.eml/source"]:
        assert (await anybody.get(path)).status == 200, path


async def test_there_is_no_way_out_of_the_folder(anybody: Anybody, folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "secret.eml", mail("Secret"))
    (folder / "link.eml").symlink_to(tmp_path / "secret.eml")
    (folder / "folder.eml").mkdir()
    os.mkfifo(folder / "pipe.eml")
    names = [
        "../secret.eml",
        "..%2fsecret.eml",
        "%2e%2e%2fsecret.eml",
        "..%5csecret.eml",
        "link.eml",
        "folder.eml",
        "pipe.eml",
    ]
    names += [f"%2f{tmp_path.as_posix()[1:]}%2fsecret.eml", "secret.eml%00", ".eml", "none.eml", "a%0a.eml", "x" * 300]
    for name in names:
        for path in [f"/dev/mail/{name}", f"/dev/mail/{name}/html", f"/dev/mail/{name}/source"]:
            answer = await anybody.get(path)
            assert answer.status == 404, path
            assert b"Secret" not in answer.raw
    text = is_page(await anybody.get("/dev/mail"))
    assert "href" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.7"},
        {"Host": "attacker.example:8000"},
        {"Host": "127.0.0.1.attacker.example"},
        {"Host": "["},
        {"Host": ""},
    ],
)
async def test_it_is_for_this_machine(anybody: Anybody, folder: Path, headers: dict[str, str]) -> None:
    """Not through a proxy here, and not for a page whose name was made to lead here."""
    put(folder, "a.eml", mail("x"))
    for path in ["/dev/mail", "/dev/mail/a.eml", "/dev/mail/a.eml/html", "/dev/mail/a.eml/source"]:
        response = await anybody.client.get(path, headers=headers)
        assert response.status in {400, 404}, headers
    for host in ["localhost:8000", "127.0.0.1"]:
        assert (await anybody.client.get("/dev/mail", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "changes", [{"env": "production", "mail_dir": "here"}, {"env": "development", "mail_dir": None}]
)
async def test_it_is_for_development(
    aiohttp_client: AiohttpClient, settings: Settings, folder: Path, changes: dict[str, Any]
) -> None:
    put(folder, "a.eml", mail("x"))
    given = {**changes, "mail_dir": folder if changes["mail_dir"] else None, "secret_keys": (SECRET_KEY,)}
    elsewhere = Anybody(await aiohttp_client(build_app(settings.model_copy(update=given))))
    for path in ["/dev/mail", "/dev/mail/a.eml", "/dev/mail/a.eml/html", "/dev/mail/a.eml/source"]:
        assert (await elsewhere.get(path)).ok(404)["code"] == "not_found"


async def test_a_folder_that_is_not_there_yet_is_empty(anybody: Anybody, folder: Path) -> None:
    folder.rename(folder.with_name("moved"))  # noqa: ASYNC240 -- nothing else runs here
    assert "none yet" in is_page(await anybody.get("/dev/mail"))
