"""The accounts of a trial, each at a fake provider with a few events in it, and what their owners do with them."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

import recurring_ical_events  # type: ignore[import-untyped]
from defusedxml import ElementTree
from icalendar import Calendar as ICalendar
from icalendar import Event as IEvent

from tests.fakes import radicale
from tests.fakes.google import FakeGoogle
from tests.fakes.microsoft import FakeMicrosoft
from tests.fakes.radicale import Radicale

GOOGLE, MICROSOFT, CALDAV = "demo@gmail.example", "demo@outlook.example", radicale.USER
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_WEEKS = 26


@dataclass(frozen=True)
class Entry:
    """As a person sees it. starts, ends: UTC; of a whole day its midnights. ours: Slotwire has made it. repeats: it is
    one of many. note: what else it says."""

    id: str
    title: str
    starts: datetime
    ends: datetime
    all_day: bool
    ours: bool
    repeats: bool
    note: str


class Account(Protocol):
    """One calendar of one account. Raises KeyError for an event that is not there."""

    provider: str
    name: str

    async def entries(self, starts: datetime, ends: datetime) -> list[Entry]: ...

    async def add(self, title: str, starts: datetime, ends: datetime) -> None: ...

    async def move(self, entry: Entry, starts: datetime) -> None: ...

    async def remove(self, entry: Entry) -> None: ...


@dataclass(frozen=True)
class _Plan:
    """What stands in a calendar from the beginning: a meeting each week, a whole day, and two other things. The next
    working day is left free, since `slotwire up` prints a line that books something on it."""

    weekly: datetime
    lunch: datetime
    dentist: datetime
    holiday: date

    @classmethod
    def of(cls, now: datetime) -> "_Plan":
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        working = [day for day in (midnight + number * _DAY for number in range(1, 14)) if day.weekday() < 5]
        return cls(
            weekly=working[1] + 9 * _HOUR,
            lunch=working[2] + 12 * _HOUR,
            dentist=working[4] + 14 * _HOUR,
            holiday=working[6].date(),
        )


class GoogleAccount:
    provider, name = "Google", GOOGLE

    def __init__(self, fake: FakeGoogle, now: datetime) -> None:
        fake.add_account(GOOGLE)
        self._fake, self._calendar, plan = fake, fake.calendars[GOOGLE], _Plan.of(now)
        each_week = {"recurrence": [f"RRULE:FREQ=WEEKLY;COUNT={_WEEKS}"]}
        fake.add_event(GOOGLE, plan.weekly, plan.weekly + _HOUR, summary="Team meeting", **each_week)
        fake.add_event(GOOGLE, plan.lunch, plan.lunch + _HOUR, summary="Lunch with Grace")
        fake.add_event(GOOGLE, plan.holiday, plan.holiday + _DAY, summary="Day off")
        fake.add_event(GOOGLE, plan.dentist, plan.dentist + _HOUR, summary="Dentist")

    async def entries(self, starts: datetime, ends: datetime) -> list[Entry]:
        return [self._entry(each) for each in self._calendar.listing((starts, ends), single=True, deleted=False)]

    def _entry(self, event: dict[str, Any]) -> Entry:
        starts, ends = (_moment(event[edge].get("dateTime") or event[edge]["date"]) for edge in ("start", "end"))
        return Entry(
            *(event["id"], event.get("summary", ""), starts, ends),
            all_day="date" in event["start"],
            ours="slotwire" in event.get("extendedProperties", {}).get("private", {}),
            repeats="recurringEventId" in event,
            note="\n".join(filter(None, (event.get("location"), event.get("hangoutLink"), event.get("description")))),
        )

    async def add(self, title: str, starts: datetime, ends: datetime) -> None:
        self._fake.add_event(GOOGLE, starts, ends, summary=title)

    async def move(self, entry: Entry, starts: datetime) -> None:
        self._fake.edit(GOOGLE, entry.id, start=starts, end=starts + (entry.ends - entry.starts))

    async def remove(self, entry: Entry) -> None:
        self._fake.remove(GOOGLE, entry.id)


class MicrosoftAccount:
    provider, name = "Microsoft", MICROSOFT

    def __init__(self, fake: FakeMicrosoft, now: datetime) -> None:
        self._fake, self._calendar, plan = fake, fake.add_account(MICROSOFT, "UTC"), _Plan.of(now)
        there = self._calendar.id
        weekly = (plan.weekly, plan.weekly + _HOUR)
        fake.add_series(there, *weekly, days=7, count=_WEEKS, subject="Team meeting")
        fake.add_event(there, plan.lunch, plan.lunch + _HOUR, subject="Lunch with Grace")
        fake.add_event(there, plan.holiday, plan.holiday + _DAY, subject="Day off", showAs="oof")
        fake.add_event(there, plan.dentist, plan.dentist + _HOUR, subject="Dentist")

    async def entries(self, starts: datetime, ends: datetime) -> list[Entry]:
        found = self._calendar.visible(f"{starts:%Y-%m-%dT%H:%M:%S}", f"{ends:%Y-%m-%dT%H:%M:%S}", terse=False)
        return [self._entry(event) for _, event in found.values()]

    def _entry(self, event: dict[str, Any]) -> Entry:
        link = (event.get("onlineMeeting") or {}).get("joinUrl")
        return Entry(
            *(event["id"], event["subject"], _moment(event["start"]["dateTime"]), _moment(event["end"]["dateTime"])),
            all_day=event["isAllDay"],
            ours=(event.get("transactionId") or "").startswith("slotwire-"),
            repeats=event["seriesMasterId"] is not None,
            note="\n".join(filter(None, (event["location"]["displayName"], link, event["bodyPreview"]))),
        )

    async def add(self, title: str, starts: datetime, ends: datetime) -> None:
        self._fake.add_event(self._calendar.id, starts, ends, subject=title)

    async def move(self, entry: Entry, starts: datetime) -> None:
        self._fake.edit(self._calendar.id, entry.id, start=starts, end=starts + (entry.ends - entry.starts))

    async def remove(self, entry: Entry) -> None:
        self._fake.remove(self._calendar.id, entry.id)


class CaldavAccount:
    provider, name = "CalDAV", CALDAV

    def __init__(self, server: Radicale, now: datetime) -> None:
        self._server, plan = server, _Plan.of(now)
        self._path = server.make_calendar("personal", timezone="UTC")
        self._put_new("Team meeting", plan.weekly, plan.weekly + _HOUR, rrule={"freq": "weekly", "count": _WEEKS})
        self._put_new("Lunch with Grace", plan.lunch, plan.lunch + _HOUR)
        self._put_new("Day off", plan.holiday, plan.holiday + _DAY)
        self._put_new("Dentist", plan.dentist, plan.dentist + _HOUR)

    async def entries(self, starts: datetime, ends: datetime) -> list[Entry]:
        found = await asyncio.to_thread(self._objects)
        return [each for href, calendar in found for each in _expanded(href, calendar, starts, ends)]

    async def add(self, title: str, starts: datetime, ends: datetime) -> None:
        await asyncio.to_thread(self._put_new, title, starts, ends)

    async def move(self, entry: Entry, starts: datetime) -> None:
        await asyncio.to_thread(self._move, entry, starts)

    async def remove(self, entry: Entry) -> None:
        await asyncio.to_thread(self._server.reach, "DELETE", entry.id)

    def _put_new(
        self, title: str, starts: datetime | date, ends: datetime | date, rrule: dict[str, Any] | None = None
    ) -> None:
        event, name = IEvent(), str(uuid4())
        for key, value in (("uid", name), ("summary", title), ("dtstart", starts), ("dtend", ends), ("rrule", rrule)):
            if value is not None:
                event.add(key, value)
        event.add("dtstamp", datetime.now(UTC))
        calendar = ICalendar()
        calendar.add("version", "2.0")
        calendar.add("prodid", "-//trial//")
        calendar.add_component(event)
        self._put(f"{self._path}{name}.ics", calendar)

    def _put(self, href: str, calendar: ICalendar) -> None:
        self._server.reach("PUT", href, calendar.to_ical().decode(), **{"Content-Type": "text/calendar"})

    def _move(self, entry: Entry, starts: datetime) -> None:
        calendar = ICalendar.from_ical(self._server.reach("GET", entry.id))
        (event,) = calendar.walk("VEVENT")
        for name in ("DTSTART", "DTEND", "DURATION", "LAST-MODIFIED"):
            event.pop(name, None)
        event.add("dtstart", starts)
        event.add("dtend", starts + (entry.ends - entry.starts))
        event.add("last-modified", datetime.now(UTC))
        self._put(entry.id, calendar)

    def _objects(self) -> list[tuple[str, ICalendar]]:
        """Addresses and what lies there (RFC 4791, section 7.8)."""
        query = (
            '<c:calendar-query xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav">'
            "<d:prop><c:calendar-data/></d:prop>"
            '<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT"/></c:comp-filter></c:filter>'
            "</c:calendar-query>"
        )
        answer = self._server.reach("REPORT", self._path, query, **{"Content-Type": "application/xml", "Depth": "1"})
        found = []
        for each in ElementTree.fromstring(answer).iter("{DAV:}response"):
            data = next(each.iter("{urn:ietf:params:xml:ns:caldav}calendar-data")).text
            found.append((each.findtext("{DAV:}href", ""), ICalendar.from_ical(data or "")))
        return found


def _expanded(href: str, calendar: ICalendar, starts: datetime, ends: datetime) -> Iterator[Entry]:
    repeats = any("RRULE" in each for each in calendar.walk("VEVENT"))
    for event in recurring_ical_events.of(calendar).between(starts, ends):
        begin, end = event["DTSTART"].dt, event["DTEND"].dt
        yield Entry(
            *(href, str(event.get("SUMMARY", "")), _utc(begin), _utc(end)),
            all_day=not isinstance(begin, datetime),
            ours="X-SLOTWIRE-MARK" in event,
            repeats=repeats,
            note="\n".join(filter(None, (str(event.get("LOCATION", "")), str(event.get("DESCRIPTION", ""))))),
        )


def _moment(text: str) -> datetime:
    return _utc(datetime.fromisoformat(text))


def _utc(at: datetime | date) -> datetime:
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=UTC)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda each: (each.starts, not each.all_day, each.title))
