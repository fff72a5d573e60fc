"""iCalendar as CalDAV servers keep it: what an object takes of its owner's time, and ours to put beside it.

The one rule: reading shares nothing between calendars. The library remembers every zone that it reads for everybody, so
it is only given names that IANA knows; a zone of somebody's own making counts for that one object. Pure. What cannot be
told in full counts as taken: a rule that is too much to expand, an end that nobody can read.
Source: RFC 5545; RFC 6638, section 7.1 (SCHEDULE-AGENT); [MS-STANOICAL] for X-MICROSOFT-CDO-BUSYSTATUS.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta, tzinfo
from itertools import chain, islice
from typing import Any
from uuid import UUID

import recurring_ical_events  # type: ignore[import-untyped]
from dateutil.rrule import rrulestr  # type: ignore[import-untyped]
from icalendar import Calendar, Component, Timezone, vBroken, vDuration, vRecur

from app.core.times import LATEST, zone
from app.domain.calendars.provider import Block, RemoteEvent, Window
from app.domain.calendars.zones import iana

# a week of minutes would fill the database; nobody's calendar needs more of one series in a year
_MOST_OCCURRENCES = 10_000
_MOST_A_DAY = 24
# days to go through from a series' beginning, and times on them: some tenths of a second
_MOST_STEPS = 300_000
# an alarm by the minute that rings a few times
_FEW = 1000
_DAY = timedelta(days=1)
# of the Gregorian calendar: leap years and days of the week come again
_CYCLE_YEARS = 400
_SHORT = {"SECONDLY": timedelta(seconds=1), "MINUTELY": timedelta(minutes=1), "HOURLY": timedelta(hours=1)}
_PERIODS = {**_SHORT, "DAILY": _DAY, "WEEKLY": 7 * _DAY}
_BY_TIMES = ("BYHOUR", "BYMINUTE", "BYSECOND")
_BY_DAYS = ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS")
_FOLD = re.compile(r"\r?\n[ \t]")
_ZONE = re.compile(r"^(?:BEGIN|END):VTIMEZONE[ \t]*\r?\n?", flags=re.MULTILINE | re.IGNORECASE)
_ZONE_ID = re.compile(r"^TZID[^:\r\n]*:([^\r\n]*)", flags=re.MULTILINE | re.IGNORECASE)
_LOCATION = re.compile(r"^X-LIC-LOCATION:([^\r\n]*)", flags=re.MULTILINE | re.IGNORECASE)
_TZID = re.compile(r';TZID=(?:"([^"\r\n]*)"|([^";:,\r\n]*))(?=[;:])', flags=re.IGNORECASE)
_EVENT = re.compile(r"^BEGIN:VEVENT[ \t]*\r?\n", flags=re.MULTILINE | re.IGNORECASE)
_INNER = re.compile(r"^(?:BEGIN|END):", flags=re.MULTILINE | re.IGNORECASE)
# not STATUS: nothing is called off on the word of a broken object
_RESCUED = re.compile(
    r"^(?:UID|DTSTART|DTEND|DURATION|RRULE|RDATE|EXDATE|RECURRENCE-ID|TRANSP|X-SLOTWIRE-\w+)[;:][^\r\n]*",
    flags=re.MULTILINE | re.IGNORECASE,
)
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE")
_FREE = frozenset({"FREE", "WORKINGELSEWHERE"})
_UNKNOWN = "~"
_READABLE = datetime(2026, 1, 1, tzinfo=UTC)
# a VEVENT of the library's; what its types leave open is caught as unreadable
Event = Any
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)


@dataclass(frozen=True, slots=True)
class Reader:
    """addresses: the account's own, in lower case, by which it is found among the attendees. unread: those of the
    objects that were broken; what could be told of them counts all the same."""

    window: Window
    addresses: frozenset[str]
    unread: list[str] = field(default_factory=list)

    def read(self, remote_id: str, etag: str | None, text: str) -> RemoteEvent:
        """One calendar object: an event, or a series with its exceptions. Of a broken one, the lines that say when
        count. One without any takes no time: nobody can say which."""
        events = self._events(remote_id, text)
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

    def _events(self, remote_id: str, text: str) -> list[Event]:
        place = zone(self.window.timezone)
        try:
            events = _events(text, place)
            if events or not _EVENT.search(text):
                return events
        except _UNREADABLE:
            pass
        self.unread.append(remote_id)
        try:
            return _events(_rescued(text), place)
        except _UNREADABLE:
            return []

    def _blocks(self, events: list[Event], *, single: bool) -> Iterator[Block]:
        for each in events if single else self._occurrences(events):
            period = self._period(each)
            if period is None or period[0] >= period[1] or not self._takes_time(each):
                continue
            if period[0] < self.window.ends_at and period[1] > self.window.starts_at:
                yield Block(*period, tentative=self._is_tentative(each))

    def _occurrences(self, events: list[Event]) -> list[Event]:
        # a day more at either end: an all-day event is compared by dates, which zones shift
        begins, ends = self.window.starts_at - _DAY, self.window.ends_at + _DAY
        try:
            if any(_is_too_much(each, ends) for each in events):
                return [self._filled(each) for each in events]
            calendar = Calendar()
            for each in events:
                calendar.add_component(_bounded(each, ends))
            series = recurring_ical_events.of(calendar).series
            found = list(islice(chain.from_iterable(each.between(begins, ends) for each in series), _MOST_OCCURRENCES))
            if len(found) == _MOST_OCCURRENCES:
                return [self._filled(each) for each in events]
            return [each.as_component(keep_recurrence_attributes=False) for each in found]
        except _UNREADABLE:
            # a rule that nobody understands: at least what is written out
            return events

    def _filled(self, event: Event) -> Event:
        """A series as one event that lasts from its first to its last, or as far as anybody looks."""
        period = self._period(event)
        if not _repeats(event) or period is None:
            return event
        rules = _listed(event.get("RRULE"))
        # dates beside a rule may lie anywhere
        far = [self.window.ends_at] if "RDATE" in event or not rules else []
        whole = event.copy()
        for name in ("DTEND", "DURATION", "RRULE", "RDATE"):
            whole.pop(name, None)
        whole.add("DTEND", max([*far, *(self._last(each, *period) for each in rules)]))
        return whole

    def _last(self, rule: vRecur, starts: datetime, ends: datetime) -> datetime:
        """No occurrence of it in the window ends later. starts, ends: of the first."""
        last = self.window.ends_at
        for until in _listed(rule.get("UNTIL")):
            if isinstance(until, datetime):
                last = min(last, _placed(until, UTC) + (ends - starts))
            elif until < last.date():
                last = min(last, self._instant(until + _DAY) + (ends - starts))
        frequency, count = _frequency(rule), _number(rule, "COUNT", 0)
        parts = (*_BY_DAYS, *_BY_TIMES) if frequency in _SHORT else _BY_DAYS
        if count > 0 and frequency in _PERIODS and _number(rule, "INTERVAL", 1) > 0 and not any(map(rule.get, parts)):
            # every period has one at least; one period more, for several in the first
            periods = count * _number(rule, "INTERVAL", 1)
            if periods < (last - ends) / _PERIODS[frequency]:
                last = ends + periods * _PERIODS[frequency]
        return last

    def _period(self, event: Event) -> tuple[datetime, datetime] | None:
        """[start, end), UTC; dates from midnight to midnight in the calendar's zone."""
        try:
            starts = event["DTSTART"].dt
            begins = self._instant(starts)
        except _UNREADABLE:
            return None
        try:
            return begins, self._instant(_end(event, starts))
        except _UNREADABLE:
            # nobody knows how long
            return begins, begins + min(_DAY, LATEST - begins)

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
    made = dict(each for each in map(_made, blocks) if each is not None)
    calendar = Calendar.from_ical(_TZID.sub(_renamed, rest))
    events = calendar.walk("VEVENT")
    for event in events:
        _mend(event)
        for name in _TIMES:
            for value in _listed(event.get(name)):
                for each in getattr(value, "dts", [value]):
                    each.dt = _placed(
                        each.dt, made.get(str(value.params.get("TZID", "")).removeprefix(_UNKNOWN), place)
                    )
    events = [each for each in events if "DTSTART" in each]
    return sorted(events, key=lambda each: "RECURRENCE-ID" in each)


def _mend(event: Event) -> None:
    """What the library could not read is left out, and an end of that kind becomes a day: nobody knows how long. Of
    several ends the last counts."""
    for name in _TIMES:
        values = _listed(event.get(name))
        kept = [each for each in values if not isinstance(each, vBroken)]
        if values and not kept:
            del event[name]
            if name == "DTEND":
                event["DURATION"] = vDuration(_DAY)
        elif name == "DTEND" and len(values) > 1:
            event[name] = max(kept, key=lambda each: bytes(each.to_ical()))
        elif len(kept) < len(values) or (name == "DTSTART" and len(values) > 1):
            event[name] = kept[0] if len(kept) == 1 or name == "DTSTART" else kept


def _rescued(text: str) -> str:
    """The lines of a broken object that say when, as an object of their own."""
    parts = [_INNER.split(part, maxsplit=1)[0] for part in _EVENT.split(_FOLD.sub("", text))[1:]]
    inside = "".join("\r\n".join(["BEGIN:VEVENT", *_RESCUED.findall(part), "END:VEVENT", ""]) for part in parts)
    return f"BEGIN:VCALENDAR\r\n{inside}END:VCALENDAR\r\n"


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


def _made(block: str) -> tuple[str, tzinfo] | None:
    """A VTIMEZONE whose name says nothing: the place that libical names in it, or its own rules. None: it is broken."""
    found = _ZONE_ID.search(block)
    name = found[1].strip() if found else ""
    if known := iana(name):
        return name, zone(known)
    located = _LOCATION.search(block)
    if located and (known := iana(located[1])):
        return name, zone(known)
    # under a name that the library knows, it does not keep these rules
    try:
        parsed = Component.from_ical(_ZONE_ID.sub("TZID:UTC", block))
        made = parsed.to_tz(lookup_tzid=False) if isinstance(parsed, Timezone) else None
        return (name, made) if made is not None and _READABLE.astimezone(made) else None
    except _UNREADABLE:
        return None


def _placed(at: Any, place: tzinfo) -> Any:
    if isinstance(at, tuple):
        return tuple(_placed(each, place) for each in at)
    return at.replace(tzinfo=place) if isinstance(at, datetime) and at.tzinfo is None else at


def _end(event: Event, starts: date) -> date:
    """DTEND, or DTSTART and DURATION; a date alone is a day (RFC 5545, section 3.6.1)."""
    if "DTEND" in event:
        ends: date = event["DTEND"].dt
        if isinstance(starts, datetime) or isinstance(ends, datetime):
            return ends
        # some write the last day instead of the day after
        return ends if ends > starts else starts + _DAY
    if "DURATION" in event:
        lasts: timedelta = event["DURATION"].dt
        if isinstance(starts, datetime):
            # a duration of hours is exact, whatever the clocks do meanwhile
            return starts.astimezone(UTC) + lasts
        return starts + max(lasts, _DAY)
    return starts if isinstance(starts, datetime) else starts + _DAY


def _repeats(event: Event) -> bool:
    return "RRULE" in event or "RDATE" in event


def _is_too_much(event: Event, ends: datetime) -> bool:
    """Rules by the hour or less, of many times a day, or that go through centuries of days: they would be counted from
    their beginning, one by one. An interval of nothing never ends. ends: of the window."""
    starts = _at(event, "DTSTART")
    days = (ends.date() - date(starts.year, starts.month, starts.day)).days
    for rule in _listed(event.get("RRULE")):
        interval = _number(rule, "INTERVAL", 1)
        few = 0 < _number(rule, "COUNT", 0) <= _FEW and not any(map(rule.get, (*_BY_DAYS, *_BY_TIMES)))
        times = math.prod(len(_listed(rule.get(name))) or 1 for name in _BY_TIMES)
        steps = days * times * (len(_listed(rule.get("BYSETPOS"))) or 1)
        short = _frequency(rule) in _SHORT
        if interval < 1 or (short and not few) or times > _MOST_A_DAY or (not short and steps > _MOST_STEPS * interval):
            return True
    return False


def _bounded(event: Event, ends: datetime) -> Event:
    """With rules that end their search. ends: of the window."""
    if "RRULE" not in event:
        return event
    rules = [_with_until(each, event["DTSTART"].dt, ends) for each in _listed(event["RRULE"])]
    kept = [each for each in rules if not _never(each, event["DTSTART"].dt)]
    bounded = event.copy()
    bounded.subcomponents = []
    bounded["RRULE"] = kept[0] if len(kept) == 1 else kept
    if not kept:
        del bounded["RRULE"]
    return bounded


def _with_until(rule: vRecur, starts: date, ends: datetime) -> vRecur:
    """A day as the end of a series of times means all of that day. One beyond the window says nothing."""
    rule = vRecur(rule)
    until = next(iter(_listed(rule.get("UNTIL"))), None)
    if until is not None and until.year > ends.year + 1:
        del rule["UNTIL"]
    elif until is not None and isinstance(starts, datetime) and not isinstance(until, datetime):
        last = datetime.combine(until + _DAY, time.min, starts.tzinfo) - timedelta(seconds=1)
        rule["UNTIL"] = [last.astimezone(UTC)]
    if "UNTIL" in rule:
        # RFC 5545, section 3.3.10: never both
        rule.pop("COUNT", None)
    return rule


def _never(rule: vRecur, starts: date) -> bool:
    """Whether no day is ever meant, such as 30 February: dateutil looks for one until the year 9999. As many cycles of
    the calendar later, it is there soon."""
    if not any(map(rule.get, _BY_DAYS)):
        return False
    alone = vRecur({name: value for name, value in rule.items() if name not in {"UNTIL", "COUNT"}})
    years = (MAXYEAR - starts.year) // _CYCLE_YEARS * _CYCLE_YEARS
    begins = datetime.combine(starts.replace(year=starts.year + years), time.min)
    text = alone.to_ical().decode()  # type: ignore[no-untyped-call]
    return next(iter(rrulestr(text, dtstart=begins)), None) is None


def _changed_at(events: Iterable[Event]) -> datetime | None:
    found = [_at(each, "LAST-MODIFIED") for each in events]
    aware = [each.astimezone(UTC) for each in found if isinstance(each, datetime) and each.tzinfo is not None]
    return max(aware, default=None)


def _at(event: Event, name: str) -> Any:
    return getattr(event.get(name), "dt", None)


def _word(event: Event, name: str) -> str:
    return str(event.get(name, "")).strip().upper()


def _frequency(rule: vRecur) -> str:
    return str(next(iter(_listed(rule.get("FREQ"))), "")).upper()


def _number(rule: vRecur, name: str, otherwise: int) -> int:
    return int(next(iter(_listed(rule.get(name))), otherwise))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
