"""Google's event resources as ours, and ours as theirs (Calendar API v3, "Events: resource").

The one rule: an event whose times cannot be read is a fault of the answer, never an event without any time. Busy time
that is silently left out is a double booking.
"""

import base64
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from app.core.times import EARLIEST, LATEST, iso, zone
from app.domain.calendars.provider import Block, Draft, RemoteEvent, TryLater, Window, Written

Json = dict[str, Any]

READ_FIELDS = (
    "id,etag,status,updated,start,end,recurrence,transparency,attendees(self,responseStatus),hangoutLink,"
    "conferenceData/entryPoints(entryPointType,uri),extendedProperties/private"
)
"""All that `read` looks at, for a partial response."""

_PROPERTY = "slotwire"
_TEXTS = ("summary", "description", "location")
_TIMES = frozenset({"starts_at", "ends_at"})


def event_id(mark: UUID) -> str:
    """The id that our event gets: base32hex, lower case, no padding (RFC 4648, section 7; what Google takes as an id).
    26 characters."""
    return base64.b32hexencode(mark.bytes).decode().rstrip("=").lower()


def mark_of(event: Json) -> UUID | None:
    """Whose event it is. A copy that somebody makes of ours has the property too, but not the id."""
    text = _member(_member(event, "extendedProperties"), "private").get(_PROPERTY)
    try:
        mark = UUID(hex=text) if isinstance(text, str) else None
    except ValueError:
        return None
    return mark if mark is not None and event_id(mark) == event.get("id") else None


def is_cancelled(event: Json) -> bool:
    return event.get("status") == "cancelled"


def read(event: Json, window: Window) -> RemoteEvent:
    """Raises TryLater for what no event looks like. A cancelled one may have no more than its id and status."""
    remote_id, deleted = _id(event), is_cancelled(event)
    starts_at, ends_at = (None, None) if deleted or event.get("recurrence") else span(event, window.timezone)
    blocks: tuple[Block, ...] = ()
    if starts_at and ends_at and starts_at < ends_at and _is_busy(event):
        blocks = (Block(starts_at, ends_at, _is_tentative(event)),)
    changed = event.get("updated")
    return RemoteEvent(
        remote_id=remote_id,
        etag=event.get("etag"),
        mark=mark_of(event),
        starts_at=starts_at,
        ends_at=ends_at,
        all_day="date" in _member(event, "start"),
        deleted=deleted,
        blocks=blocks,
        changed_at=_instant(changed) if changed else None,
        meeting_url=meeting_url(event),
    )


def span(event: Json, timezone: str) -> tuple[datetime, datetime]:
    """[start, end), UTC. timezone: IANA, in which whole days begin."""
    return _moment(_member(event, "start"), timezone), _moment(_member(event, "end"), timezone)


def written(event: Json, timezone: str) -> Written:
    starts_at, ends_at = span(event, timezone)
    return Written(_id(event), event.get("etag"), starts_at, ends_at, meeting_url(event))


def meeting_url(event: Json) -> str | None:
    conference = _member(event, "conferenceData")
    entries = [each for each in conference.get("entryPoints") or () if each.get("entryPointType") == "video"]
    link = event.get("hangoutLink") or (entries[0].get("uri") if entries else None)
    return link if isinstance(link, str) else None


def is_conference_pending(event: Json) -> bool:
    """Google makes conferences after it has answered ("conferenceData.createRequest.status")."""
    request = _member(_member(event, "conferenceData"), "createRequest")
    return meeting_url(event) is None and _member(request, "status").get("statusCode") == "pending"


def body_for(mark: UUID, draft: Draft) -> Json:
    """No attendees: Google would invite them a second time, or keep quiet to them for good."""
    return {
        **{field: getattr(draft, field) for field in _TEXTS},
        "start": _written_moment(draft.starts_at, draft.timezone),
        "end": _written_moment(draft.ends_at, draft.timezone),
        "extendedProperties": {"private": {_PROPERTY: mark.hex}},
    }


def conference_for(mark: UUID) -> Json:
    """The same request id again makes no second conference."""
    return {"createRequest": {"requestId": mark.hex, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}


def patch_for(draft: Draft, changed: frozenset[str]) -> Json:
    """Only what is named. Start and end go together, and the null takes away the date of an event that was made one of
    whole days there: with both members Google would refuse it."""
    patch: Json = {field: getattr(draft, field) for field in _TEXTS if field in changed}
    if changed & _TIMES:
        patch["start"] = {**_written_moment(draft.starts_at, draft.timezone), "date": None}
        patch["end"] = {**_written_moment(draft.ends_at, draft.timezone), "date": None}
    return patch


def _id(event: Json) -> str:
    remote_id = event.get("id")
    if not isinstance(remote_id, str):
        raise TryLater("unreadable")
    return remote_id


def _is_busy(event: Json) -> bool:
    return event.get("transparency") != "transparent" and _own_answer(event) != "declined"


def _is_tentative(event: Json) -> bool:
    return event.get("status") == "tentative" or _own_answer(event) == "tentative"


def _own_answer(event: Json) -> str | None:
    answers = [each.get("responseStatus") for each in event.get("attendees") or () if each.get("self")]
    return answers[0] if answers else None


def _moment(at: Json, timezone: str) -> datetime:
    if "dateTime" in at:
        return _instant(at["dateTime"])
    try:
        day = date.fromisoformat(at["date"])
    except (KeyError, TypeError, ValueError):
        raise TryLater("unreadable") from None
    return _utc(datetime(day.year, day.month, day.day, tzinfo=zone(timezone)))


def _instant(text: Any) -> datetime:
    try:
        value = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise TryLater("unreadable") from None
    if value.tzinfo is None:
        raise TryLater("unreadable")
    return _utc(value)


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        # the first or the last day that a datetime knows
        return EARLIEST if value.year < EARLIEST.year else LATEST


def _written_moment(at: datetime, timezone: str) -> Json:
    return {"dateTime": iso(at), "timeZone": timezone}


def _member(of: Json, name: str) -> Json:
    value = of.get(name)
    return value if isinstance(value, dict) else {}
