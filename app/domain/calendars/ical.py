"""iCalendar as CalDAV servers keep it: what an object takes of its owner's time, and ours to put beside it.

The one rule: reading shares nothing between calendars. The library remembers every zone that it reads for everybody, so
it is only given names that IANA knows; a zone of somebody's own making counts for that one object. Pure.
Source: RFC 5545; RFC 6638, section 7.1 (SCHEDULE-AGENT); [MS-STANOICAL] for X-MICROSOFT-CDO-BUSYSTATUS.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from uuid import UUID

import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar, Component, Timezone, vBroken

from app.core.times import zone
from app.domain.calendars.provider import Block, RemoteEvent, Window
from app.domain.calendars.zones import iana

# a week of minutes would fill the database; nobody's calendar needs more of one series in a year
_MOST_OCCURRENCES = 10_000
_FOLD = re.compile(r"\r?\n[ \t]")
_ZONE = re.compile(r"^(?:BEGIN|END):VTIMEZONE[ \t]*\r?\n?", flags=re.MULTILINE | re.IGNORECASE)
_ZONE_ID = re.compile(r"^TZID[^:\r\n]*:([^\r\n]*)", flags=re.MULTILINE | re.IGNORECASE)
_LOCATION = re.compile(r"^X-LIC-LOCATION:([^\r\n]*)", flags=re.MULTILINE | re.IGNORECASE)
_TZID = re.compile(r';TZID=(?:"([^"\r\n]*)"|([^";:,\r\n]*))(?=[;:])', flags=re.IGNORECASE)
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE")
_FREE = frozenset({"FREE", "WORKINGELSEWHERE"})
_UNKNOWN = "~"
# a VEVENT of the library's; what its types leave open is caught as unreadable
Event = Any
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)


@dataclass(frozen=True, slots=True)
class Reader:
    """addresses: the account's own, in lower case, by which it is found among the attendees."""

    window: Window
    addresses: frozenset[str]

    def read(self, remote_id: str, etag: str | None, text: str) -> RemoteEvent:
        """One calendar object: an event, or a series with its exceptions. What cannot be read takes no time."""
        try:
            events = _events(text, zone(self.window.timezone))
        except _UNREADABLE:
            events = []
        single = len(events) == 1 and not _repeats(events[0])
        cancelled = bool(events) and all(_word(each, "STATUS") == "CANCELLED" for each in events)
        period = self._period(events[0]) if single and not cancelled else None
        return RemoteEvent(
            remote_id=remote_id,
            etag=etag,
            mark=mark_of(events[0]) if events else None,
            starts_at=period[0] if period else None,
            ends_at=period[1] if period else None,
            all_day=bool(events) and not isinstance(_at(events[0], "DTSTART"), datetime),
            deleted=cancelled,
            blocks=() if cancelled else tuple(self._blocks(events, single=single)),
            changed_at=_changed_at(events),
        )

    def _blocks(self, events: list[Event], *, single: bool) -> Iterator[Block]:
        for each in events if single else self._occurrences(events):
            period = self._period(each)
            if period is None or period[0] >= period[1] or not self._takes_time(each):
                continue
            if period[0] < self.window.ends_at and period[1] > self.window.starts_at:
                yield Block(*period, tentative=self._is_tentative(each))

    def _occurrences(self, events: list[Event]) -> list[Event]:
        calendar = Calendar()
        for each in events:
            calendar.add_component(each)
        # a day more at either end: an all-day event is compared by dates, which zones shift
        begins, ends = self.window.starts_at - timedelta(days=1), self.window.ends_at + timedelta(days=1)
        try:
            if any(_is_too_much(each) for each in events):
                return [_filled(each, self.window) for each in events]
            found: list[Event] = recurring_ical_events.of(calendar).between(begins, ends)[:_MOST_OCCURRENCES]
            return found
        except _UNREADABLE:
            # a rule that nobody understands: at least what is written out
            return events

    def _period(self, event: Event) -> tuple[datetime, datetime] | None:
        """[start, end), UTC; dates from midnight to midnight in the calendar's zone."""
        try:
            starts = event["DTSTART"].dt
            ends = _end(event, starts)
            return self._instant(starts), self._instant(ends)
        except _UNREADABLE:
            return None

    def _instant(self, at: date) -> datetime:
        if not isinstance(at, datetime):
            at = datetime.combine(at, time.min, zone(self.window.timezone))
        elif at.tzinfo is None:
            at = at.replace(tzinfo=zone(self.window.timezone))
        return at.astimezone(UTC)

    def _takes_time(self, event: Event) -> bool:
        return not (
            _word(event, "TRANSP") == "TRANSPARENT"
            or _word(event, "STATUS") == "CANCELLED"
            or _word(event, "X-MICROSOFT-CDO-BUSYSTATUS") in _FREE
            or self._answer(event) == "DECLINED"
        )

    def _is_tentative(self, event: Event) -> bool:
        said = (_word(event, "STATUS"), _word(event, "X-MICROSOFT-CDO-BUSYSTATUS"), self._answer(event))
        return "TENTATIVE" in said

    def _answer(self, event: Event) -> str:
        """PARTSTAT of the account's owner; nothing where they are not an attendee."""
        for each in _listed(event.get("ATTENDEE")):
            if str(each).lower().removeprefix("mailto:") in self.addresses:
                return str(each.params.get("PARTSTAT", "")).upper()
        return ""


def mark_of(event: Event) -> UUID | None:
    """A copy that somebody makes of our event has another UID, and so is nobody's."""
    try:
        mark = UUID(hex=str(event["X-SLOTWIRE-MARK"]))
    except (KeyError, ValueError):
        return None
    return mark if event.get("X-SLOTWIRE-UID") == event.get("UID") else None


def _events(text: str, place: tzinfo) -> list[Event]:
    """The VEVENTs, a series first, all their times with a zone. place: for times without one."""
    text = _FOLD.sub("", text)
    rest, blocks = _parted(text)
    made = dict(map(_made, blocks))
    calendar = Calendar.from_ical(_TZID.sub(_renamed, rest))
    events = calendar.walk("VEVENT")
    for event in events:
        for name in _TIMES:
            if any(isinstance(value, vBroken) for value in _listed(event.get(name))):
                del event[name]
            for value in _listed(event.get(name)):
                for each in getattr(value, "dts", [value]):
                    each.dt = _placed(
                        each.dt, made.get(str(value.params.get("TZID", "")).removeprefix(_UNKNOWN), place)
                    )
    events = [each for each in events if "DTSTART" in each]
    return sorted(events, key=lambda each: "RECURRENCE-ID" in each)


def _parted(text: str) -> tuple[str, list[str]]:
    """All but the VTIMEZONEs, and those."""
    kept, blocks, at, begun = [], list[str](), 0, None
    for found in _ZONE.finditer(text):
        begins = found[0][:5].upper() == "BEGIN"
        if begins and begun is None:
            kept.append(text[at : found.start()])
            begun = found.start()
        elif not begins and begun is not None:
            blocks.append(text[begun : found.end()])
            at, begun = found.end(), None
    return "".join([*kept, text[at:] if begun is None else ""]), blocks


def _renamed(match: re.Match[str]) -> str:
    """IANA's name, or one that the library cannot make anything of, so that its times come without a zone."""
    name = match[1] if match[1] is not None else match[2]
    known = iana(name)
    return f";TZID={known}" if known else f';TZID="{_UNKNOWN}{name}"'


def _made(block: str) -> tuple[str, tzinfo]:
    """A VTIMEZONE whose name says nothing: the place that libical names in it, or its own rules."""
    found = _ZONE_ID.search(block)
    name = found[1].strip() if found else ""
    if known := iana(name):
        return name, zone(known)
    located = _LOCATION.search(block)
    if located and (known := iana(located[1])):
        return name, zone(known)
    # under a name that the library knows, it does not keep these rules
    parsed = Component.from_ical(_ZONE_ID.sub("TZID:UTC", block))
    if not isinstance(parsed, Timezone):
        raise ValueError("not a zone")
    return name, parsed.to_tz(lookup_tzid=False)


def _placed(at: Any, place: tzinfo) -> Any:
    if isinstance(at, tuple):
        return tuple(_placed(each, place) for each in at)
    return at.replace(tzinfo=place) if isinstance(at, datetime) and at.tzinfo is None else at


def _end(event: Event, starts: date) -> date:
    """DTEND, or DTSTART and DURATION; a date alone is a day (RFC 5545, section 3.6.1)."""
    if "DTEND" in event:
        ends: date = event["DTEND"].dt
        # some write the last day instead of the day after
        return ends if isinstance(starts, datetime) or ends > starts else starts + timedelta(days=1)
    if "DURATION" in event:
        lasts: timedelta = event["DURATION"].dt
        if isinstance(starts, datetime):
            # a duration of hours is exact, whatever the clocks do meanwhile
            return starts.astimezone(UTC) + lasts
        return starts + max(lasts, timedelta(days=1))
    return starts if isinstance(starts, datetime) else starts + timedelta(days=1)


def _repeats(event: Event) -> bool:
    return "RRULE" in event or "RDATE" in event


def _is_too_much(event: Event) -> bool:
    """Rules by the hour or less would be counted from their beginning, one by one."""
    return any(
        str(frequency).upper() in {"SECONDLY", "MINUTELY", "HOURLY"}
        for rule in _listed(event.get("RRULE"))
        for frequency in _listed(rule.get("FREQ"))
    )


def _filled(event: Event, window: Window) -> Event:
    """Such a series as one event that lasts from its first to its last, or as far as anybody looks."""
    if not _repeats(event):
        return event
    whole = event.copy()
    until = [_placed(each, UTC) for rule in _listed(event.get("RRULE")) for each in _listed(rule.get("UNTIL"))]
    ends = [each for each in until if isinstance(each, datetime)]
    for name in ("DTEND", "DURATION", "RRULE", "RDATE"):
        whole.pop(name, None)
    whole.add("DTEND", max(ends, default=window.ends_at))
    return whole


def _changed_at(events: Iterable[Event]) -> datetime | None:
    found = [_at(each, "LAST-MODIFIED") for each in events]
    aware = [each.astimezone(UTC) for each in found if isinstance(each, datetime) and each.tzinfo is not None]
    return max(aware, default=None)


def _at(event: Event, name: str) -> Any:
    return getattr(event.get(name), "dt", None)


def _word(event: Event, name: str) -> str:
    return str(event.get(name, "")).strip().upper()


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
