"""The folder that mails are put into where there is no mail server, as something to look at.

The one rule: a name is a name of this folder or nothing, and a file that is no mail is shown as what it is.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

# neither a folder nor a file that is still being written
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.eml", flags=re.ASCII)
_HEADERS = ("Date", "From", "Sender", "To", "Reply-To", "Subject", "Message-ID", "List-Unsubscribe")
_MOST = 200
_LARGEST = 5 * 1024 * 1024
_HEAD = 64 * 1024
_LINK = re.compile(r"(https?://[^\s<>\"]+)")


@dataclass(frozen=True, slots=True)
class Listed:
    name: str
    at: datetime
    subject: str
    to: str


@dataclass(frozen=True, slots=True)
class Shown:
    """text: in pieces, every other one an address. html, calendar: None where the mail has none."""

    name: str
    subject: str
    headers: list[tuple[str, str]]
    text: list[str]
    html: str | None
    calendar: str | None


def list_mails(folder: Path) -> list[Listed]:
    """The newest ones first; none where the folder is not there yet."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(_files(entries), reverse=True)[:_MOST]
    except OSError:
        return []
    return [_listed(folder, name, at) for at, name in found]


def read_mail(folder: Path, name: str) -> bytes | None:
    """None where there is no such mail, or it is no plain file. Up to 5 MiB of it."""
    return _read(folder, name, _LARGEST) if _NAME.fullmatch(name) else None


def show_mail(name: str, raw: bytes) -> Shown:
    message = _parsed(raw)
    text = _part(message, "text/plain")
    return Shown(
        name=name,
        subject=_header(message, "Subject") or "(no subject)",
        headers=[(each, value) for each in _HEADERS if (value := _header(message, each))],
        text=_LINK.split(text if text is not None else raw.decode(errors="replace")),
        html=_part(message, "text/html"),
        calendar=_part(message, "text/calendar"),
    )


def _files(entries: "Iterator[os.DirEntry[str]]") -> Iterator[tuple[float, str]]:
    for entry in entries:
        if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            yield entry.stat(follow_symlinks=False).st_mtime, entry.name


def _listed(folder: Path, name: str, at: float) -> Listed:
    message = _parsed((_read(folder, name, _HEAD) or b"").partition(b"\r\n\r\n")[0])
    subject = _header(message, "Subject") or "(no subject)"
    return Listed(name, datetime.fromtimestamp(at, UTC), subject, _header(message, "To"))


def _read(folder: Path, name: str, most: int) -> bytes | None:
    try:
        # not through a link to somewhere else, and not waiting for a pipe
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None


def _parsed(raw: bytes) -> EmailMessage:
    """The parser takes anything; it is asking for a part or a header that may fail."""
    message = message_from_bytes(raw, policy=policy.default)
    return message if isinstance(message, EmailMessage) else EmailMessage()


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message.get(name, ""))
    except Exception:  # noqa: BLE001 -- the standard library's parser fails in many ways on what is no header
        return "(cannot be read)"


def _part(message: EmailMessage, kind: str) -> str | None:
    """The first part of this type, as text."""
    try:
        for part in message.walk():
            if part.get_content_type() == kind:
                content = part.get_payload(decode=True)
                charset = part.get_content_charset("utf-8")
                return content.decode(charset, errors="replace") if isinstance(content, bytes) else ""
    except Exception:  # noqa: BLE001 -- unknown charsets, broken encodings: the raw source shows what it is
        return "(this part cannot be read)"
    return None
