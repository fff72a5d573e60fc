"""Ours, as objects of a CalDAV calendar: made once, and afterwards changed line by line.

The one rule: a change leaves every other line as it was, byte for byte: what its owner wrote there, the alarms, and
what other programs keep in it. ORGANIZER never changes (Google answers 403 to it). Pure.
Source: RFC 5545; RFC 4791, section 4.1 (no METHOD in a calendar object); RFC 6638, section 7.1: SCHEDULE-AGENT=CLIENT
keeps the server from sending invitations beside our own.
"""

import re
from datetime import UTC, datetime
from uuid import UUID

from icalendar import Calendar, Event, vCalAddress, vText

from app.domain.bookings.ical import PRODUCT
from app.domain.calendars.provider import FIELDS, Draft, Person

# RFC 5545, section 3.1, as in bookings.ical
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_IN_A_PARAMETER = str.maketrans('"\\', "'/")
_LINE = re.compile(r"[^\n]*(?:\n[ \t][^\n]*)*(?:\n|$)")
_NAME = re.compile(r"[A-Za-z0-9-]+")
# what a field is made of; a new end takes the place of a duration, too
_PROPERTIES = {
    "summary": {"SUMMARY"},
    "description": {"DESCRIPTION"},
    "location": {"LOCATION"},
    "starts_at": {"DTSTART", "DTEND", "DURATION"},
    "ends_at": {"DTSTART", "DTEND", "DURATION"},
    "attendees": {"ATTENDEE"},
}
_ALWAYS = frozenset({"SEQUENCE", "DTSTAMP", "LAST-MODIFIED"})


def new_object(mark: UUID, draft: Draft, at: datetime) -> bytes:
    """The calendar object of a new event. at: when it is made."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    event = _event(draft, draft.sequence, at)
    event.add("uid", _line(draft.uid))
    event.add("created", _utc(at))
    event.add("status", "CONFIRMED")
    event.add("transp", "OPAQUE")
    event["organizer"] = _address(draft.organizer)
    event["x-slotwire-mark"] = vText(mark.hex)
    # a copy keeps the mark, but has a UID of its own
    event["x-slotwire-uid"] = vText(_line(draft.uid))
    calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content


def edited(text: str, draft: Draft, changed: frozenset[str], at: datetime) -> bytes:
    """An object with the fields (see FIELDS) that are named as the draft has them. Of attendees, only those that were
    ours are replaced. text: bytes that are no UTF-8 as surrogates. Raises ValueError where there is no event in it."""
    lines = _LINE.findall(text)
    begins, ends = _master(lines)
    names = _ALWAYS.union(*(_PROPERTIES[field] for field in changed & frozenset(FIELDS)))
    before = lines[begins:ends]
    sequences = [int(value) for value in map(_sequence, before) if value.isdigit()]
    wanted = _event(draft, max([draft.sequence, *sequences]), at).to_ical().decode()
    fresh = [line for line in _LINE.findall(wanted) if _name(line) in names]
    kept = _without(before, names)
    return "".join([*lines[:begins], kept[0], *fresh, *kept[1:], *lines[ends:]]).encode("utf-8", "surrogateescape")


def _event(draft: Draft, sequence: int, at: datetime) -> Event:
    event = Event()
    event.add("dtstart", _utc(draft.starts_at))
    event.add("dtend", _utc(draft.ends_at))
    event.add("dtstamp", _utc(at))
    event.add("last-modified", _utc(at))
    event.add("sequence", sequence)
    event.add("summary", _text(draft.summary))
    if draft.description:
        event.add("description", _text(draft.description))
    if draft.location:
        event.add("location", _text(draft.location))
    for each in draft.attendees:
        address = _address(each)
        address.params["CUTYPE"] = vText("INDIVIDUAL")
        address.params["ROLE"] = vText("REQ-PARTICIPANT")
        address.params["PARTSTAT"] = vText("ACCEPTED")
        event.add("attendee", address, encode=False)
    return event


def _address(person: Person) -> vCalAddress:
    where = _line(person.email)
    address = vCalAddress(f"mailto:{where}")
    address.params["CN"] = vText(_line(person.name).translate(_IN_A_PARAMETER) or where)
    address.params["SCHEDULE-AGENT"] = vText("CLIENT")
    return address


def _master(lines: list[str]) -> tuple[int, int]:
    """From BEGIN:VEVENT to END:VEVENT, exclusive, of the event that is no exception to another."""
    begins = None
    for place, line in enumerate(lines):
        said = line.strip().upper()
        if said == "BEGIN:VEVENT":
            begins = place
        elif begins is not None and _name(line) == "RECURRENCE-ID":
            begins = None
        elif begins is not None and said == "END:VEVENT":
            return begins, place
    raise ValueError("no event")


def _without(lines: list[str], names: frozenset[str]) -> list[str]:
    """Alarms have descriptions and durations, too; theirs stay."""
    kept, depth = [], 0
    for line in lines[1:]:
        depth += _name(line) == "BEGIN"
        theirs = _name(line) == "ATTENDEE" and "SCHEDULE-AGENT=CLIENT" not in _unfolded(line).upper()
        if depth or theirs or _name(line) not in names:
            kept.append(line)
        depth -= _name(line) == "END"
    return [lines[0], *kept]


def _sequence(line: str) -> str:
    return _unfolded(line).partition(":")[2].strip() if _name(line) == "SEQUENCE" else ""


def _name(line: str) -> str:
    found = _NAME.match(line)
    return found[0].upper() if found else ""


def _unfolded(line: str) -> str:
    return re.sub(r"\r?\n[ \t]", "", line)


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(microsecond=0)


def _line(text: str) -> str:
    return " ".join(_harmless(text).split())


def _text(text: str) -> str:
    return _harmless(text.replace("\r\n", "\n").replace("\r", "\n"))


def _harmless(text: str) -> str:
    # the library would take a backslash and an N for the escape of a line break
    return _CONTROLS.sub(" ", text.replace("\\N", "/N"))
