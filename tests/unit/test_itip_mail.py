"""The checks of tests/itip.py: what we send passes every one, and each can fail."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.bookings.ical import Method
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.letters import Kind, Role
from tests import itip
from tests.unit.mail_samples import EVERY, HALF_HOUR, SENT, START, full, invitation, letter, meeting

REQUEST = to_bytes(compose(invitation(guests=(replace(meeting().organizer, address="bob@guest.example"),))))
CANCEL = to_bytes(compose(letter(Kind.CANCELLED, meeting=meeting(method=Method.CANCEL, sequence=1))))


def content(raw: bytes) -> bytes:
    message = itip.check_mail(raw)
    assert message is not None
    return message.calendar.content


def with_content(raw: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    """The mail with another calendar in it."""
    before = base64.encodebytes(content(raw)).replace(b"\n", b"\r\n")
    edited = edit(content(raw))
    assert edited != content(raw)
    return _replaced(raw, before, base64.encodebytes(edited).replace(b"\n", b"\r\n"))


def _replaced(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw
    return raw.replace(old, new, 1)


def text(raw: bytes, old: str, new: str) -> bytes:
    return with_content(raw, lambda ics: _replaced(ics, old.encode(), new.encode()))


def renamed(raw: bytes, method: str) -> bytes:
    """With another METHOD, in both places."""
    edited = text(raw, "METHOD:REQUEST", f"METHOD:{method}")
    return _replaced(edited, b'method="REQUEST"', f'method="{method}"'.encode())


def without(raw: bytes, name: str) -> bytes:
    def edit(ics: bytes) -> bytes:
        lines = ics.replace(b"\r\n ", b"").split(b"\r\n")
        kept = [line for line in lines if not line.startswith((f"{name}:".encode(), f"{name};".encode()))]
        return folded(kept)

    return with_content(raw, edit)


def twice(raw: bytes, name: str, inside: str = "VEVENT", value: str = "1") -> bytes:
    line = f"{name}:{value}\r\n"
    both = line if f"\r\n{name}".encode() in content(raw) else line * 2
    return text(raw, f"BEGIN:{inside}\r\n", f"BEGIN:{inside}\r\n{both}")


def folded(lines: list[bytes]) -> bytes:
    return b"\r\n".join(b"\r\n ".join(line[at : at + 70] for at in range(0, len(line) or 1, 70)) for line in lines)


_ADDRESS = "mailto:bookings@acme.example"
BROKEN = {
    "RFC 6047 2.4: a mail has one calendar part": _replaced(REQUEST, b"text/html", b"text/calendar"),
    "RFC 6047 2.4: the parameter method is the METHOD": _replaced(REQUEST, b'method="REQUEST"', b'method="CANCEL"'),
    "RFC 6047 2.4: the parameter charset says UTF-8": _replaced(REQUEST, b'charset="utf-8";', b'charset="latin-1";'),
    "the calendar part travels as base64": _replaced(REQUEST, b"Encoding: base64", b"Encoding: 8bit").replace(
        base64.encodebytes(content(REQUEST)).replace(b"\n", b"\r\n"), content(REQUEST).replace(b"\xc3\xa4", b"a")
    ),
    "RFC 5322 2.3: a mail has CRLF": _replaced(REQUEST, b"\r\n\r\n", b"\n\n"),
    "RFC 5321 2.4: a mail has 7 bits": _replaced(REQUEST, b"Acme", "Äcme".encode()),
    "RFC 5322 2.1.1: a mail's line has at most 998 octets": _replaced(REQUEST, b"Subject: ", b"Subject: " + b"x" * 998),
    "RFC 5545 3.1.4: a calendar is UTF-8": with_content(REQUEST, lambda ics: _replaced(ics, b"Intro", b"Intr\xf6")),
    "RFC 5545 3.1: lines end with CRLF": with_content(REQUEST, lambda ics: ics.replace(b"\r\n", b"\n")),
    "RFC 5545 3.1: lines are folded at 75 octets": with_content(REQUEST, lambda ics: ics.replace(b"\r\n ", b"")),
    "RFC 5545 3.1: a line is a name, parameters and a value": text(REQUEST, "END:VEVENT\r\n", ""),
    "RFC 5545 3.1: no control characters": text(REQUEST, "SUMMARY:", "SUMMARY:\x07"),
    "RFC 5545 3.6: VERSION is 2.0": text(REQUEST, "VERSION:2.0", "VERSION:1.0"),
    "RFC 5545 3.6: one PRODID": without(REQUEST, "PRODID"),
    "RFC 5546 1.4: METHOD is one of these, once": renamed(REQUEST, "ASK"),
    **{
        f"RFC 5546 3.2: one {name}": without(REQUEST, name)
        for name in ("UID", "DTSTAMP", "DTSTART", "ORGANIZER", "SEQUENCE", "SUMMARY", "DTEND")
    },
    **{
        f"RFC 5546 3.2: at most one {name}": twice(REQUEST, name)
        for name in ("STATUS DESCRIPTION LOCATION URL TRANSP CREATED LAST-MODIFIED CLASS PRIORITY".split())
    },
    "RFC 5546 3.2: UID is not empty": text(REQUEST, "UID:0198c0de@slotwire", "UID:"),
    "RFC 5546 3.2: SEQUENCE is a number": text(REQUEST, "SEQUENCE:0", "SEQUENCE:-1"),
    "RFC 5545 3.8.7.2: DTSTAMP is in UTC": text(REQUEST, "DTSTAMP:20260220T093000Z", "DTSTAMP:20260220T093000"),
    "RFC 5545 3.3.11: ORGANIZER and ATTENDEE are mail addresses": text(REQUEST, _ADDRESS, "bookings@acme.example"),
    "RFC 5546 3.2: an ATTENDEE stands once": text(
        REQUEST, "BEGIN:VEVENT", "BEGIN:VEVENT\r\nATTENDEE:mailto:ANN@guest.example"
    ),
    "RFC 5546 3.2.1: PUBLISH has no ATTENDEE": renamed(REQUEST, "PUBLISH"),
    "RFC 5546 3.2.2: REQUEST has an ATTENDEE": without(REQUEST, "ATTENDEE"),
    "RFC 5546 3.2.2: REQUEST is TENTATIVE or CONFIRMED": text(REQUEST, "STATUS:CONFIRMED", "STATUS:CANCELLED"),
    "RFC 5546 3.2.5: CANCEL names an ATTENDEE": without(CANCEL, "ATTENDEE"),
    "RFC 5546 3.2.5: CANCEL is CANCELLED": without(CANCEL, "STATUS"),
    "RFC 5546 2.1.4: CANCEL has raised SEQUENCE": text(CANCEL, "SEQUENCE:1", "SEQUENCE:0"),
    "RFC 5545 3.3.5: times are in UTC, or in a zone that is there": text(
        REQUEST, "DTSTART:20260310T140000Z", "DTSTART;TZID=Europe/Berlin:20260310T140000"
    ),
    "RFC 5545 3.6.1: DTEND comes after DTSTART": text(REQUEST, "DTEND:20260310T143000Z", "DTEND:20260310T140000Z"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_rule_catches_what_breaks_it(name: str) -> None:
    with pytest.raises(AssertionError) as failure:
        itip.check_mail(BROKEN[name])
    assert str(failure.value).startswith(name)


def test_every_rule_is_broken_once() -> None:
    assert set(itip.RULES) <= BROKEN.keys()


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize(("kind", "role"), EVERY)
def test_every_calendar_part_keeps_to_every_rule(kind: Kind, role: Role, locale: str) -> None:
    given = full(kind, role, locale)
    message = itip.check_mail(to_bytes(compose(given)))
    assert (message is None) == (given.meeting is None)


def test_a_mail_without_a_calendar_part_is_none_of_them() -> None:
    assert itip.check_mail(to_bytes(compose(letter()))) is None


def test_a_file_is_checked_without_its_mail() -> None:
    published = content(REQUEST).replace(b"METHOD:REQUEST", b"METHOD:PUBLISH")
    with pytest.raises(AssertionError, match="PUBLISH has no ATTENDEE"):
        itip.check_file(published)


# --- what follows one another ---


def sent(after_minutes: int, **changes: object) -> itip.ItipMessage:
    given = replace(invitation(**changes), at=SENT + timedelta(minutes=after_minutes))
    message = itip.check_mail(to_bytes(compose(given)))
    assert message is not None
    return message


MOVED = {"starts_at": START + HALF_HOUR, "ends_at": START + 2 * HALF_HOUR}
BOOKED = sent(0)

BROKEN_THREADS = {
    "RFC 5546 2.1.4: one UID": sent(1, uid="another@slotwire"),
    "RFC 5546 2.1.4: ORGANIZER stays": sent(1, organizer=meeting().hosts[0]),
    "RFC 5546 2.1.4: SEQUENCE never falls": replace(sent(1), sequence=-1),
    "RFC 5546 2.1.4: SEQUENCE rises with another time or status": sent(1, **MOVED),
    "RFC 5546 2.1.4: SEQUENCE rises with each CANCEL": replace(sent(1), method="CANCEL"),
    "RFC 5546 2.1.5: DTSTAMP never falls": sent(-1, sequence=1),
    "RFC 5546 2.1.5: DTSTAMP rises where SEQUENCE does not": sent(0),
}


@pytest.mark.parametrize("name", BROKEN_THREADS)
def test_each_rule_of_a_thread_catches_what_breaks_it(name: str) -> None:
    with pytest.raises(AssertionError) as failure:
        itip.check_thread([BOOKED, BROKEN_THREADS[name]])
    assert str(failure.value).startswith(name)


def test_every_rule_of_a_thread_is_broken_once() -> None:
    assert BROKEN_THREADS.keys() == itip.THREAD_RULES.keys()


def test_a_booking_that_is_moved_and_cancelled_is_one_thread() -> None:
    moved = sent(5, sequence=1, **MOVED)
    itip.check_thread([BOOKED, None, moved, sent(6, sequence=1, **MOVED), sent(9, sequence=2, method=Method.CANCEL)])
