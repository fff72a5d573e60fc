"""What FakeMicrosoft keeps: mailboxes, calendars, events and series, as Exchange shows them.

An event is kept as the JSON that Graph would answer, in UTC. Versions stand for changes: a delta is the difference
between two tables of id and version.
"""

import html
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aiohttp import web

Json = dict[str, Any]

LINE = "_" * 80
_DAY = timedelta(days=1)


def graph_time(at: datetime | date) -> Json:
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=UTC)
    return {"dateTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": "UTC"}


def as_html(text: str) -> str:
    """What Exchange makes of a plain text."""
    lines = html.escape(text, quote=False).replace("\n", "<br>\r\n")
    return f'<html><head><meta charset="utf-8"></head><body><div class="PlainText">{lines}</div></body></html>'


def as_text(content: str) -> str:
    body = re.sub(r"<head>.*?</head>", "", content, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"<br>\s*|</div>\s*", "\r\n", body))).strip()


@dataclass
class Series:
    """Every so many days, so many times. changed and cancelled: by the day that the rule names."""

    start: datetime
    end: datetime
    every_days: int
    count: int
    changed: dict[date, Json] = field(default_factory=dict)
    cancelled: set[date] = field(default_factory=set)

    def days(self) -> Iterator[tuple[date, datetime, datetime]]:
        for number in range(self.count):
            shift = _DAY * self.every_days * number
            yield (self.start + shift).date(), self.start + shift, self.end + shift


@dataclass
class Calendar:
    id: str
    name: str
    owner: str
    can_edit: bool = True
    default: bool = False
    events: dict[str, Json] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    # shared less than before: shown, but not its events
    hidden: bool = False

    def shown(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "color": "auto",
            "owner": {"name": self.owner, "address": self.owner},
            "canEdit": self.can_edit,
            "canShare": self.can_edit,
            "canViewPrivateItems": True,
            "isDefaultCalendar": self.default,
            "isRemovable": not self.default,
            "allowedOnlineMeetingProviders": ["teamsForBusiness"],
            "defaultOnlineMeetingProvider": "teamsForBusiness",
        }

    def find(self, event_id: str) -> Json | None:
        """A single event, a master or one occurrence of a series."""
        if self.hidden:
            return None
        if event_id in self.events:
            return self.events[event_id]
        master_id = event_id.rpartition("-OID-")[0]
        occurrences = self.occurrences(master_id) if master_id in self.series else iter(())
        return next((each for each in occurrences if each["id"] == event_id), None)

    def occurrence(self, event_id: str) -> tuple[str, date]:
        """Its master, and the day that the rule names. Raises KeyError."""
        master_id, _, day = event_id.rpartition("-OID-")
        self.series[master_id]
        return master_id, date.fromisoformat(day)

    def occurrences(self, master_id: str) -> Iterator[Json]:
        """Whole ones, as /instances and GET show them."""
        master, series = self.events[master_id], self.series[master_id]
        for day, start, end in series.days():
            if day in series.cancelled:
                continue
            plain = {
                **{name: value for name, value in master.items() if name not in {"recurrence", "transactionId"}},
                "id": f"{master_id}-OID-{day:%Y%m%d}",
                "type": "occurrence",
                "seriesMasterId": master_id,
                "start": graph_time(start),
                "end": graph_time(end),
            }
            yield {**plain, **series.changed.get(day, {})}

    def visible(self, starts: str, ends: str, terse: bool) -> dict[str, tuple[str, Json]]:
        """Id, version and entry of whatever a view of this period has. starts, ends: as `dateTime` writes them. terse:
        occurrences as a delta shows them, with their masters."""
        found: dict[str, tuple[str, Json]] = {}
        for event in () if self.hidden else self.events.values():
            if event["type"] != "seriesMaster":
                if event["start"]["dateTime"] < ends and event["end"]["dateTime"] > starts:
                    found[event["id"]] = (event["changeKey"], event)
                continue
            inside = [
                each
                for each in self.occurrences(event["id"])
                if each["start"]["dateTime"] < ends and each["end"]["dateTime"] > starts
            ]
            if inside and terse:
                found[event["id"]] = (event["changeKey"], event)
            for each in inside:
                found[each["id"]] = (each["changeKey"], _terse(each) if terse else each)
        return found


def _terse(occurrence: Json) -> Json:
    if occurrence["type"] == "exception":
        return occurrence
    kept = ("id", "type", "seriesMasterId", "start", "end")
    return {"@odata.etag": f'W/"{occurrence["changeKey"]}"', **{name: occurrence[name] for name in kept}}


@dataclass
class Mailbox:
    account: str
    timezone: str = "W. Europe Standard Time"
    calendars: dict[str, Calendar] = field(default_factory=dict)
    transactions: dict[str, str] = field(default_factory=dict)


MAILBOX = web.RequestKey("mailbox", Mailbox)
"""Whose a request is."""


class Store:
    """Every change goes through here, and gets a version."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, Mailbox] = {}
        self._numbers = itertools.count(1)

    def add_account(self, account: str, timezone: str = "W. Europe Standard Time") -> Calendar:
        """With one calendar, which is returned."""
        self.mailboxes[account] = Mailbox(account, timezone)
        return self.add_calendar(account, "Calendar", default=True)

    def add_calendar(self, account: str, name: str, *, can_edit: bool = True, default: bool = False) -> Calendar:
        calendar = Calendar(f"AAMkCal{next(self._numbers)}-_AAA=", name, account, can_edit, default)
        self.mailboxes[account].calendars[calendar.id] = calendar
        return calendar

    def calendar(self, calendar_id: str) -> Calendar:
        return next(each.calendars[calendar_id] for each in self.mailboxes.values() if calendar_id in each.calendars)

    def new_id(self) -> str:
        return f"AAkALgEv{next(self._numbers):06d}-_AA="

    def put(self, calendar: Calendar, given: Json) -> Json:
        """A whole event of a few members."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = given.get("body") or {"contentType": "text", "content": ""}
        number = next(self._numbers)
        event: Json = {
            "id": f"AAkALgEv{number:06d}-_AA=",
            "createdDateTime": now,
            "iCalUId": f"040000008200E00074C5B7101A82E008{number:08X}",
            "subject": "",
            "bodyPreview": str(body["content"])[:255],
            "importance": "normal",
            "sensitivity": "normal",
            "isAllDay": False,
            "isCancelled": False,
            "isOrganizer": True,
            "isReminderOn": True,
            "responseRequested": True,
            "allowNewTimeProposals": True,
            "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
            "showAs": "busy",
            "type": "singleInstance",
            "seriesMasterId": None,
            "recurrence": None,
            "attendees": [],
            "categories": [],
            "location": {"displayName": ""},
            "isOnlineMeeting": False,
            "onlineMeetingProvider": "unknown",
            "onlineMeeting": None,
            "transactionId": None,
            **given,
            "body": _stored(body),
        }
        if event["isOnlineMeeting"]:
            self._hold_meeting(event, number)
        calendar.events[event["id"]] = event
        self.touch(event)
        return event

    def change(self, event: Json, given: Json) -> None:
        """As PATCH does: a body without the part that holds the meeting ends it."""
        if "body" in given:
            given = {**given, "body": _stored(given["body"]), "bodyPreview": str(given["body"]["content"])[:255]}
            if event["isOnlineMeeting"] and LINE not in given["body"]["content"]:
                given |= {"isOnlineMeeting": False, "onlineMeeting": None, "onlineMeetingProvider": "unknown"}
        event.update(given)
        self.touch(event)

    def touch(self, event: Json) -> None:
        event["changeKey"] = f"ck{next(self._numbers):08d}/+=="
        event["@odata.etag"] = f'W/"{event["changeKey"]}"'
        event["lastModifiedDateTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @staticmethod
    def _hold_meeting(event: Json, number: int) -> None:
        url = f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{number}%40thread.v2/0"
        event["onlineMeeting"] = {"joinUrl": url}
        blob = (
            f'<div style="width:100%;"><span style="white-space:nowrap;">{LINE}</span></div>\r\n'
            f'<div class="me-email-text"><a href="{url}">Join the meeting now</a></div>'
        )
        event["body"]["content"] = event["body"]["content"].replace("</body>", f"<br>\r\n{blob}</body>")


def _stored(body: Json) -> Json:
    content = str(body.get("content") or "")
    return {"contentType": "html", "content": content if body.get("contentType") == "html" else as_html(content)}
