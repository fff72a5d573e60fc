"""Header fields of a mail as they travel (RFC 5322, RFC 2047): ASCII, folded, and one field each.

The one rule: nothing leaves here that could begin another field. The library's own folding is not used: it writes long
addresses and links as encoded words, which no reader of such a field understands.
"""

import base64
import re
from collections.abc import Iterator

from app.domain.bookings.ical import Mailbox
from app.domain.notifications.plain import one_line

_WIDTH = 76
# Fewer than an encoded word may have, 75 with its frame, so that a field's name fits before the first one.
_OCTETS = 39
_FIELD = re.compile(r"[!-~][ -~]*(\r\n [!-~][ -~]*)*")
# what needs neither escaping nor an opinion of the reader's about it
_QUOTABLE = re.compile(r"[A-Za-z0-9 .,'&@()/+_-]{1,60}")
_DOT_ATOM = re.compile(r"[^.]+(\.[^.]+)*")


def subject(text: str) -> str:
    """text: one line."""
    words = text.split()
    width = _WIDTH - len("Subject: ")
    if not text.isascii() or "=?" in text or any(len(word) > width for word in words):
        return _encoded(text)
    lines = [""]
    for word in words:
        room = width if len(lines) == 1 else _WIDTH - 1
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".lstrip()
    return checked("\r\n ".join(lines))


def mailbox(of: Mailbox) -> str:
    """`"Name" <address>`; the address alone where there is no name. The address is one by `is_email`."""
    local, _, domain = of.address.rpartition("@")
    address = of.address if _DOT_ATOM.fullmatch(local) else f'"{local}"@{domain}'
    name = one_line(of.name, 100)
    if not name:
        return checked(address)
    shown = f'"{name}"' if _QUOTABLE.fullmatch(name) else _encoded(name)
    fold = "\r\n" if len(shown) + len(address) > _WIDTH - len("Reply-To:  <>") else ""
    return checked(f"{shown}{fold} <{address}>")


def checked(value: str) -> str:
    """Raises ValueError for what is not one field's value."""
    if not _FIELD.fullmatch(value):
        raise ValueError("not a header field's value")
    return value


def _encoded(text: str) -> str:
    words = (f"=?utf-8?b?{base64.b64encode(part).decode()}?=" for part in _parts(text))
    return checked("\r\n ".join(words))


def _parts(text: str) -> Iterator[bytes]:
    """No character is torn (RFC 2047, section 5)."""
    part = b""
    for each in text:
        octets = each.encode()
        if len(part) + len(octets) > _OCTETS:
            yield part
            part = b""
        part += octets
    yield part
