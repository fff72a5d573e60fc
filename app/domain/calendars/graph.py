"""Events as Microsoft Graph writes them, and what they mean here.

The one rule: an entry that cannot be understood takes nobody's time and is never called gone. Pure: JSON comes in,
shapes of `provider` go out, and the other way round.
Source: Microsoft Graph v1.0, resource types event, calendar and dateTimeTimeZone; event: delta.
"""

import html
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from uuid import UUID

from app.core.times import parse_instant, zone
from app.domain.calendars.provider import Block, Draft, RemoteEvent
from app.domain.calendars.zones import iana

Entry = Mapping[str, Any]

PREFIX = "slotwire-"
"""Of the `transactionId` that holds a mark."""

FREE = frozenset({"free", "workingElsewhere"})

# what an occurrence of a delta may lack; its master has it
_OF_THE_MASTER = ("showAs", "isCancelled", "isAllDay", "responseStatus")
# Exchange draws this line above the join link (and it is how Outlook itself finds the link again)
_TEAMS_LINE = re.compile(r"_{20,}")


def transaction_id(mark: UUID) -> str:
    return PREFIX + mark.hex


def mark_of(entry: Entry) -> UUID | None:
    """A copy that somebody makes of our event has no transactionId."""
    given = entry.get("transactionId")
    if not isinstance(given, str) or not given.startswith(PREFIX):
        return None
    try:
        return UUID(hex=given.removeprefix(PREFIX))
    except ValueError:
        return None


def etag_of(entry: Entry) -> str | None:
    """The changeKey. Occurrences have it only inside of `@odata.etag`: W/"<changeKey>"."""
    given = entry.get("changeKey") or entry.get("@odata.etag")
    return given.removeprefix("W/").strip('"') if isinstance(given, str) else None


def completed(occurrence: Entry, master: Entry) -> Entry:
    """An occurrence with what stands on its master only."""
    return {**{name: master[name] for name in _OF_THE_MASTER if name in master}, **occurrence}


def event_of(entry: Entry, timezone: str) -> RemoteEvent:
    """timezone: the calendar's, for all-day events. A master is a series: it takes no time, its occurrences do."""
    remote_id, gone = str(entry["id"]), "@removed" in entry or entry.get("isCancelled") is True
    changed_at = _instant(entry.get("lastModifiedDateTime"))
    period = None if gone or entry.get("type") == "seriesMaster" else period_of(entry, timezone)
    return RemoteEvent(
        remote_id=remote_id,
        etag=etag_of(entry),
        mark=mark_of(entry),
        starts_at=period[0] if period else None,
        ends_at=period[1] if period else None,
        all_day=entry.get("isAllDay") is True,
        deleted=gone,
        blocks=_blocks(entry, period) if period else (),
        changed_at=changed_at,
        meeting_url=meeting_url_of(entry),
    )


def _blocks(entry: Entry, period: tuple[datetime, datetime]) -> tuple[Block, ...]:
    response = (entry.get("responseStatus") or {}).get("response")
    if period[0] >= period[1] or entry.get("showAs") in FREE or response == "declined":
        return ()
    return (Block(*period, tentative=entry.get("showAs") == "tentative"),)


def period_of(entry: Entry, timezone: str) -> tuple[datetime, datetime] | None:
    """[start, end), UTC. All-day events last from midnight to midnight in their calendar's zone, at least a day."""
    try:
        starts_at, ends_at = _time(entry["start"]), _time(entry["end"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if entry.get("isAllDay") is not True:
        return starts_at, ends_at
    place = zone(timezone)
    first = _day(starts_at, place)
    return _midnight(first, place), _midnight(max(_day(ends_at, place), first + timedelta(days=1)), place)


def _time(value: Any) -> datetime:
    """A dateTimeTimeZone: `2026-06-03T09:00:00.0000000` and the name of a zone, UTC as it was asked for.

    Raises ValueError, KeyError and TypeError for anything else."""
    at = datetime.fromisoformat(value["dateTime"])
    if at.tzinfo is not None:
        return at.astimezone(UTC)
    name = iana(value.get("timeZone") or "UTC")
    if name is None:
        raise ValueError("unknown zone")
    return at.replace(tzinfo=zone(name)).astimezone(UTC)


def _day(at: datetime, place: tzinfo) -> date:
    """Graph names the days of an all-day event as midnights in the zone that was asked for. What is no midnight is one
    of another zone, put in by an old client: the nearest day."""
    if at.time() == time.min:
        return at.date()
    return (at.astimezone(place) + timedelta(hours=12)).date()


def _midnight(day: date, place: tzinfo) -> datetime:
    return datetime.combine(day, time.min, place).astimezone(UTC)


def _instant(text: Any) -> datetime | None:
    try:
        return parse_instant(text)
    except (ValueError, TypeError):
        return None


class Series:
    """The masters of one sync, and the occurrences that wait for theirs: an occurrence of a delta has little more than
    its times."""

    def __init__(self) -> None:
        self._masters: dict[str, Entry] = {}
        self._waiting: list[Entry] = []
        self._seen: set[str] = set()

    def take(self, entry: Entry) -> list[Entry]:
        """What of it is complete."""
        if entry.get("type") == "seriesMaster" and "@removed" not in entry:
            self._masters[entry["id"]] = entry
            return [entry]
        if (master_id := entry.get("seriesMasterId")) is None or "@removed" in entry:
            return [entry]
        self._seen.add(master_id)
        if "showAs" in entry and "isCancelled" in entry:
            return [entry]
        if master_id in self._masters:
            return [completed(entry, self._masters[master_id])]
        self._waiting.append(entry)
        return []

    def meet(self, master: Entry) -> None:
        if "id" in master:
            self._masters[master["id"]] = master

    def unknown(self) -> list[str]:
        """Masters that did not come."""
        return sorted({each["seriesMasterId"] for each in self._waiting} - self._masters.keys())

    def alone(self) -> list[str]:
        """Masters that came without any occurrence."""
        return sorted(self._masters.keys() - self._seen)

    def rest(self) -> list[Entry]:
        """Those whose master is not there either are taken at their word: they take time."""
        return [completed(each, self._masters.get(each["seriesMasterId"], {})) for each in self._waiting]


def meeting_url_of(entry: Entry) -> str | None:
    return (entry.get("onlineMeeting") or {}).get("joinUrl") or None


# Ours, as Graph takes it.


def body_of(draft: Draft, mark: UUID) -> dict[str, Any]:
    """A new event. It names no attendees: Exchange would invite them itself, and our own mail does."""
    fields = changes_of(draft, frozenset({"summary", "description", "location", "starts_at", "ends_at"}))
    online = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"} if draft.conference else {}
    return {
        **fields,
        **online,
        "showAs": "busy",
        "responseRequested": False,
        "allowNewTimeProposals": False,
        "transactionId": transaction_id(mark),
    }


def changes_of(draft: Draft, changed: frozenset[str]) -> dict[str, Any]:
    """Only what is named. Both ends go together: Graph takes no event that ends before it starts."""
    fields: dict[str, Any] = {}
    if "summary" in changed:
        fields["subject"] = draft.summary
    if "description" in changed:
        fields["body"] = {"contentType": "text", "content": draft.description}
    if "location" in changed:
        fields["location"] = {"displayName": draft.location}
    if changed & {"starts_at", "ends_at"}:
        fields["start"], fields["end"] = _utc(draft.starts_at), _utc(draft.ends_at)
        fields["isAllDay"] = False
    return fields


def _utc(at: datetime) -> dict[str, str]:
    return {"dateTime": at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"), "timeZone": "UTC"}


def differences(entry: Entry, draft: Draft) -> frozenset[str]:
    """What an event that was made earlier does not say yet. Exchange changes white space, and puts a join link below
    the text."""
    found: set[str] = set()
    if (entry.get("subject") or "") != draft.summary:
        found.add("summary")
    if ((entry.get("location") or {}).get("displayName") or "") != draft.location:
        found.add("location")
    if period_of(entry, "UTC") != (draft.starts_at, draft.ends_at):
        found |= {"starts_at", "ends_at"}
    said, wanted = _words(entry.get("body") or {}), draft.description.split()
    if said[: len(wanted)] != wanted or (len(said) > len(wanted) and not entry.get("isOnlineMeeting")):
        found.add("description")
    return frozenset(found)


def _words(body: Entry) -> list[str]:
    content = str(body.get("content") or "")
    if body.get("contentType") == "html":
        content = html.unescape(re.sub(r"<[^>]*>", " ", content))
    return content.split()


def with_meeting_kept(description: str, body: Entry) -> dict[str, str] | None:
    """The body of a Teams event, with another text of ours above the part that holds the meeting: a body without it
    would end the meeting (Graph, "Update event"). None: the part was not found, so the body must not be touched."""
    content = str(body.get("content") or "")
    line = _TEAMS_LINE.search(content)
    if line is None:
        return None
    if body.get("contentType") != "html":
        return {"contentType": "text", "content": f"{description}\n{content[line.start() :]}"}
    begins = _opened_at(content, line.start())
    if begins is None:
        return None
    ours = html.escape(description, quote=False).replace("\n", "<br>\n")
    return {"contentType": "html", "content": f"<html><body><div>{ours}</div>\n{content[begins:]}"}


def _opened_at(content: str, place: int) -> int | None:
    """Where the elements begin that hold only what stands at this place, not the text before it."""
    begins = None
    while (before := content[:place].rstrip()).endswith(">"):
        place = before.rfind("<")
        if place < 0 or before.startswith(("</", "<body"), place):
            break
        begins = place
    return begins
