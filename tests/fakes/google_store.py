"""A calendar of the fake Google: events as their resources, what changed since when, and recurring ones expanded."""

import itertools
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar as ICalendar

Json = dict[str, Any]
Span = tuple[datetime, datetime]

EVER: Span = (datetime(1970, 1, 2, tzinfo=UTC), datetime(2199, 12, 30, tzinfo=UTC))
# of a series without end no more is expanded
_FAR = timedelta(days=800)
_ID = re.compile(r"[0-9a-v]{5,1024}")
_INSTANCE = re.compile(r"(.+)_(\d{8}(?:T\d{6}Z)?)")


class ApiError(Exception):
    def __init__(self, status: int, reason: str, message: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.message, self.headers = status, reason, message or reason, headers or {}


@dataclass
class Calendar:
    """role: of its only user. meets: whether conferences can be made in it. floor: sync tokens from before that
    revision have expired."""

    id: str
    owner: str
    summary: str
    timezone: str
    role: str = "owner"
    primary: bool = False
    deleted: bool = False
    hidden: bool = False
    name_there: str | None = None
    meets: bool = True
    revision: int = 0
    floor: int = 0
    events: dict[str, Json] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    _log: list[tuple[int, str]] = field(default_factory=list)
    _told: dict[str, set[str]] = field(default_factory=dict)

    def new(self, fields: Json) -> Json:
        """Insert. fields: as a client gives them."""
        known = fields.get("id")
        if known is not None and not _ID.fullmatch(known):
            raise ApiError(400, "invalid", "Invalid resource id value.")
        if known in self.events:
            raise ApiError(409, "duplicate", "The requested identifier already exists.")
        event_id = known or f"ev{self.revision:05d}{next(_numbers):05d}"
        who = {"email": self.owner, "self": True} if self.primary else {"email": self.owner}
        event = {
            "status": "confirmed",
            "created": _stamp(),
            "creator": who,
            "organizer": {"email": self.id, "self": True},
            "iCalUID": f"{event_id}@google.com",
            "sequence": 0,
            "reminders": {"useDefault": True},
            "eventType": "default",
            **deepcopy(fields),
            "id": event_id,
        }
        return self.put(event)

    def put(self, event: Json) -> Json:
        """Keep it as it is now: another etag, another place in what changed."""
        for edge in ("start", "end"):
            event[edge] = self._local(event.get(edge) or {})
        if _edge(event["end"], self.timezone) < _edge(event["start"], self.timezone):
            raise ApiError(400, "timeRangeEmpty", "The specified time range is empty.")
        self.revision += 1
        event.update(
            kind="calendar#event",
            etag=f'"{self.revision:08d}{next(_numbers):06d}"',
            updated=_stamp(),
            htmlLink=f"https://www.google.com/calendar/event?eid={event['id']}",
        )
        self.events[event["id"]] = event
        self.bodies.pop(event["id"], None)
        self._log.append((self.revision, event["id"]))
        return event

    def find(self, event_id: str) -> Json:
        event = self.events.get(event_id)
        if event is not None:
            return event
        match = _INSTANCE.fullmatch(event_id)
        series = self.events.get(match[1]) if match else None
        if series is not None and series.get("recurrence"):
            for each in self._occurrences(series, EVER):
                if each["id"] == event_id:
                    return each
        raise ApiError(404, "notFound", "Not Found")

    def patch(self, event_id: str, fields: Json) -> Json:
        event = deepcopy(self.find(event_id))
        before = (event["start"], event["end"])
        _merge(event, fields)
        self.put(event)
        if (event["start"], event["end"]) != before:
            event["sequence"] += 1
        return event

    def cancel(self, event_id: str) -> None:
        event = self.find(event_id)
        if event["status"] == "cancelled":
            raise ApiError(410, "deleted", "Resource has been deleted")
        for each in [*self._exceptions(event_id), event]:
            self.put({**each, "status": "cancelled"})

    def purge(self, event_id: str) -> None:
        """As Google does some weeks after a deletion."""
        del self.events[event_id]

    def listing(self, span: Span, *, single: bool, deleted: bool) -> Iterator[Json]:
        for event in list(self.events.values()):
            if single and event.get("recurrence"):
                if event["status"] != "cancelled":
                    yield from self._expanded(event, span)
            elif (event["status"] != "cancelled" or deleted) and self._is_in(event, span):
                yield event

    def changed(self, since: int, span: Span, *, single: bool) -> Iterator[Json]:
        """Each event once, as it is now; deletions included, with little more than their id."""
        ids = dict.fromkeys(event_id for _, event_id in self._since(since))
        for event_id in ids:
            event = self.events.get(event_id)
            if event is None:
                yield _remnant({"id": event_id})
            elif not (single and event.get("recurrence")):
                yield _remnant(event) if event["status"] == "cancelled" else event
            else:
                told = self._told.get(event_id, set())
                there = [] if event["status"] == "cancelled" else list(self._expanded(event, span))
                overridden = {each["id"] for each in self._exceptions(event_id)}
                yield from there
                yield from (_remnant({"id": each}) for each in told - {each["id"] for each in there} - overridden)

    def _since(self, revision: int) -> Iterable[tuple[int, str]]:
        return itertools.takewhile(lambda each: each[0] > revision, reversed(self._log))

    def _exceptions(self, series_id: str) -> list[Json]:
        if not self.events.get(series_id, {}).get("recurrence"):
            return []
        return [each for each in self.events.values() if each.get("recurringEventId") == series_id]

    def _expanded(self, series: Json, span: Span) -> Iterator[Json]:
        """The occurrences that nothing has changed; the others are events of their own."""
        overridden = {each["id"] for each in self._exceptions(series["id"])}
        told = self._told.setdefault(series["id"], set())
        for each in self._occurrences(series, span):
            if each["id"] not in overridden:
                told.add(each["id"])
                yield each

    def _occurrences(self, series: Json, span: Span) -> Iterator[Json]:
        begin = _edge(series["start"], self.timezone)
        until = min(span[1], max(begin, span[0]) + _FAR)
        lines = [
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//fake//", "BEGIN:VEVENT", f"UID:{series['id']}"),
            *(_property("DTSTART", series["start"]), _property("DTEND", series["end"]), *series["recurrence"]),
            *("END:VEVENT", "END:VCALENDAR"),
        ]
        calendar = ICalendar.from_ical("\r\n".join(lines))
        for each in recurring_ical_events.of(calendar).between(max(begin, span[0]), until):
            start, end = each["DTSTART"].dt, each["DTEND"].dt
            origin = self._local(_json_edge(start, series["start"]))
            occurrence = {key: value for key, value in series.items() if key != "recurrence"}
            occurrence.update(
                id=f"{series['id']}_{_suffix(start)}",
                recurringEventId=series["id"],
                originalStartTime=origin,
                start=origin,
                end=self._local(_json_edge(end, series["end"])),
            )
            if self._is_in(occurrence, span):
                yield occurrence

    def _is_in(self, event: Json, span: Span) -> bool:
        """timeMin is below the end, timeMax above the start ("Events: list")."""
        return _edge(event["start"], self.timezone) < span[1] and _edge(event["end"], self.timezone) > span[0]

    def _local(self, at: Json) -> Json:
        """A time as Google shows it: in its zone, with the offset."""
        given = {key: value for key, value in at.items() if value is not None}
        if ("date" in given) == ("dateTime" in given):
            raise ApiError(400, "invalid", "Invalid start or end time.")
        if "date" in given:
            return {"date": given["date"]}
        value = datetime.fromisoformat(given["dateTime"])
        zone = given.get("timeZone") or self.timezone
        value = value.replace(tzinfo=ZoneInfo(zone)) if value.tzinfo is None else value.astimezone(ZoneInfo(zone))
        return {"dateTime": value.isoformat(timespec="seconds").replace("+00:00", "Z"), "timeZone": zone}


_numbers = itertools.count()


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _edge(at: Json, timezone: str) -> datetime:
    if "dateTime" in at:
        return datetime.fromisoformat(at["dateTime"])
    return datetime.fromisoformat(at["date"]).replace(tzinfo=ZoneInfo(timezone))


def _remnant(event: Json) -> Json:
    """What an increment says of a deleted event."""
    kept = ("kind", "etag", "id", "recurringEventId", "originalStartTime")
    return {"kind": "calendar#event", **{key: event[key] for key in kept if key in event}, "status": "cancelled"}


def _merge(into: Json, fields: Json) -> None:
    """Patch semantics: null takes away, objects are merged, arrays replaced."""
    for name, value in fields.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = deepcopy(value)


def _property(name: str, at: Json) -> str:
    if "date" in at:
        return f"{name};VALUE=DATE:{at['date'].replace('-', '')}"
    local = datetime.fromisoformat(at["dateTime"]).astimezone(ZoneInfo(at["timeZone"]))
    return f"{name};TZID={at['timeZone']}:{local:%Y%m%dT%H%M%S}"


def _json_edge(at: datetime | date, like: Json) -> Json:
    if isinstance(at, datetime):
        return {"dateTime": at.isoformat(), "timeZone": like["timeZone"]}
    return {"date": at.isoformat()}


def _suffix(at: datetime | date) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}" if isinstance(at, datetime) else f"{at:%Y%m%d}"


def body_of(event: Json) -> bytes:
    return orjson.dumps(event)
