"""A booking as calendar programs read it: iCalendar (RFC 5545), and the iTIP messages that go in mails (RFC 5546).

The one rule: one booking and all its reschedules are one entry: the same UID, the same ORGANIZER, and a SEQUENCE that
only grows. Pure: what is true of a booking comes in, bytes go out.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from icalendar import Calendar, Event, vCalAddress, vDuration, vText

from app.domain.bookings.lifecycle import Status

PRODUCT = "-//Slotwire//Slotwire//EN"

# RFC 5545, section 3.1: no control character but the tab; a line break is a matter of escaping (section 3.3.11)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")

# A parameter cannot quote a quote (RFC 5545, section 3.2), and a backslash at its end hides it from some readers.
_IN_A_PARAMETER = str.maketrans('"\\', "'/")


class Method(StrEnum):
    """What a message asks for (RFC 5546, section 1.4). PUBLISH: a calendar to look at, which invites nobody."""

    REQUEST = "REQUEST"
    CANCEL = "CANCEL"
    PUBLISH = "PUBLISH"


@dataclass(frozen=True, slots=True)
class Mailbox:
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One VEVENT. attendees: left out of what is published. tentative: nobody has confirmed it yet."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    summary: str
    description: str
    location: str
    organizer: Mailbox
    attendees: tuple[Mailbox, ...]
    tentative: bool
    cancelled: bool
    created_at: datetime
    updated_at: datetime
    url: str = ""


def is_tentative(status: Status) -> bool:
    return status in {Status.DRAFT, Status.PENDING_CONFIRMATION}


def calendar_of(
    method: Method, entries: Iterable[Entry], *, name: str = "", refresh: timedelta | None = None, now: datetime
) -> bytes:
    """A VCALENDAR: UTF-8, CRLF, folded at 75 octets. name: what a subscribed feed is called; refresh: how often it is
    worth a look (RFC 7986, section 5.7, and the name that older programs know). now: the DTSTAMP of what is sent; what
    is published carries its last change, so that an unchanged feed is the same bytes."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method.value)
    if called := _line(name):
        # typed here: the library writes what it does not know as it is, without escapes
        calendar["name"] = calendar["x-wr-calname"] = vText(called)
    if refresh is not None:
        interval = vDuration(refresh)
        interval.params["VALUE"] = vText("DURATION")
        calendar["refresh-interval"] = interval
        calendar["x-published-ttl"] = vDuration(refresh)
    for entry in entries:
        calendar.add_component(_event(method, entry, now))
    content: bytes = calendar.to_ical()
    return content


def _event(method: Method, entry: Entry, now: datetime) -> Event:
    event = Event()
    event.add("uid", _line(entry.uid))
    event.add("sequence", entry.sequence)
    event.add("dtstamp", _utc(entry.updated_at if method is Method.PUBLISH else now))
    event.add("dtstart", _utc(entry.starts_at))
    event.add("dtend", _utc(entry.ends_at))
    event.add("summary", _text(entry.summary))
    event.add("status", _status(entry))
    event.add("transp", "OPAQUE")
    event.add("created", _utc(entry.created_at))
    event.add("last-modified", _utc(entry.updated_at))
    event["organizer"] = _address(entry.organizer)
    if entry.description:
        event.add("description", _text(entry.description))
    if entry.location:
        event.add("location", _text(entry.location))
    if entry.url:
        event.add("url", _line(entry.url))
    if method is not Method.PUBLISH:
        for attendee in entry.attendees:
            address = _address(attendee)
            address.params["CUTYPE"] = vText("INDIVIDUAL")
            address.params["ROLE"] = vText("REQ-PARTICIPANT")
            # whoever books has accepted, and answers by mail are not read
            address.params["PARTSTAT"] = vText("ACCEPTED")
            address.params["RSVP"] = vText("FALSE")
            event.add("attendee", address, encode=False)
    return event


def _status(entry: Entry) -> str:
    if entry.cancelled:
        return "CANCELLED"
    return "TENTATIVE" if entry.tentative else "CONFIRMED"


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(microsecond=0)


def _address(mailbox: Mailbox) -> vCalAddress:
    where = _line(mailbox.address)
    address = vCalAddress(f"mailto:{where}")
    address.params["CN"] = vText(_line(mailbox.name).translate(_IN_A_PARAMETER) or where)
    return address


def _line(text: str) -> str:
    return " ".join(_harmless(text).split())


def _text(text: str) -> str:
    return _harmless(text.replace("\r\n", "\n").replace("\r", "\n"))


def _harmless(text: str) -> str:
    # the library would take a backslash and an N, as in `C:\New`, for the escape of a line break
    return _CONTROLS.sub(" ", text.replace("\\N", "/N"))
