"""What every provider of calendars is asked for, and what it may answer.

The one rule: the rest of the room knows no provider. Whatever Google, Microsoft or a CalDAV server says becomes one of
these shapes or one of these errors; what is unknown is never called gone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

HORIZON = timedelta(days=370)
"""So far ahead busy time is mirrored. What lies beyond is unknown."""

PAST = timedelta(days=1)
"""So far back, for what is still going on."""


class CalendarError(Exception):
    """A call that did not succeed. code: short and stable, for logs and the API; never the provider's own text, which
    may quote a token or somebody's data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class AccessLost(CalendarError):
    """The grant is over (revoked, expired, a changed password): nothing works until its owner connects again."""


class TryLater(CalendarError):
    """Too many calls, a fault of the provider's, or no answer. seconds: as the provider asked; None: it did not."""

    def __init__(self, code: str, seconds: int | None = None) -> None:
        super().__init__(code)
        self.seconds = seconds


DUPLICATE_NOT_FOUND = "duplicate_not_found"
"""The code of a TryLater: one was made for this mark, and cannot be found."""


class Refused(CalendarError):
    """The provider understood and said no, and will again: no permission, an event that it will not take."""


class CalendarGone(CalendarError):
    """The calendar itself cannot be found or read any more. Says nothing about any event in it."""


class EventGone(CalendarError):
    """The calendar is readable, and the event is not in it."""


class TokenExpired(CalendarError):
    """The sync token or delta link is not good any more (410): only a full sync helps."""


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """timezone: IANA. writable: whether events may be put into it. account: the address of the account that it is in,
    where the calendar tells."""

    remote_id: str
    name: str
    timezone: str | None
    primary: bool
    writable: bool
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A period that counts as taken: [starts_at, ends_at), UTC."""

    starts_at: datetime
    ends_at: datetime
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """An event, or one occurrence of a recurring one, as it is there now.

    mark: the id that `create` was given for it, where the event carries it. starts_at, ends_at: of the event itself,
    UTC; None where it is deleted, or is a series. deleted: the provider says that it is gone (a deletion, or
    `status: cancelled`). blocks: what it takes of its owner's time: none when it is free, declined, cancelled or
    deleted; a CalDAV series has one for each occurrence. changed_at: when it was last changed there, where the provider
    tells.
    """

    remote_id: str
    etag: str | None
    mark: UUID | None
    starts_at: datetime | None
    ends_at: datetime | None
    all_day: bool
    deleted: bool
    blocks: tuple[Block, ...]
    changed_at: datetime | None
    meeting_url: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes. token: on the last page, from which the next sync goes on."""

    events: tuple[RemoteEvent, ...]
    token: str | None


@dataclass(frozen=True, slots=True)
class Window:
    """What a full sync reads: whatever lies at least partly in [starts_at, ends_at), UTC. timezone: the calendar's, for
    all-day events."""

    starts_at: datetime
    ends_at: datetime
    timezone: str


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What our event is to say. uid: of the mails' calendar entry (only CalDAV can have the same). sequence: grows by
    each change (RFC 5545). timezone: IANA, for showing it. conference: the provider's own video meeting is wanted.
    attendees: named where the provider can be kept from inviting them itself; elsewhere they stand in the description.
    """

    uid: str
    sequence: int
    summary: str
    description: str
    location: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    conference: bool
    organizer: Person
    attendees: tuple[Person, ...]


FIELDS = ("summary", "description", "location", "starts_at", "ends_at", "attendees")
"""What of a Draft may change later."""


@dataclass(frozen=True, slots=True)
class Written:
    """What stands there now. starts_at, ends_at: as the provider answered."""

    remote_id: str
    etag: str | None
    starts_at: datetime
    ends_at: datetime
    meeting_url: str | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A push channel or subscription. resource: what it takes besides the id to end it, if anything."""

    id: str
    resource: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Hook:
    """Where notifications are to come. url: for changes; lifecycle_url: for what concerns the subscription itself.
    secret: comes back with every notification. id: for providers that let us choose the channel's."""

    id: UUID
    url: str
    lifecycle_url: str
    secret: str


Access = Callable[[str | None], Awaitable[str]]
"""Gives an access token. The argument is a token that was just refused, to be replaced by another; None at first.
Raises AccessLost or TryLater."""


class Provider(Protocol):
    """A connected account. Every method may raise AccessLost, TryLater, Refused; those about a calendar CalendarGone.

    A 401 is met with a fresh token once, and only then is it AccessLost. Each call is bounded in time and in what it
    reads. calendar: the calendar's `remote_id`.
    """

    has_push: bool

    async def list_calendars(self) -> list[RemoteCalendar]:
        """All pages."""
        ...

    def full_sync(self, calendar: str, window: Window) -> AsyncIterator[Page]:
        """Everything in the window; only the last page has a token."""
        ...

    def changes(self, calendar: str, token: str, window: Window) -> AsyncIterator[Page]:
        """Everything that changed since the token, deletions included. Raises TokenExpired."""
        ...

    async def get(self, calendar: str, remote_id: str, window: Window) -> RemoteEvent:
        """One event as it is now, `deleted` where the provider still knows it as such. Raises EventGone only when the
        calendar was seen to be readable; else CalendarGone."""
        ...

    async def find_elsewhere(self, calendar: str, remote_id: str, mark: UUID, window: Window) -> str | None:
        """The `remote_id` of the calendar of this account that has the event now, because its owner moved it there;
        None where none has it."""
        ...

    async def create(self, calendar: str, mark: UUID, draft: Draft) -> Written:
        """Make the event, or find the one that was made for this mark by a call whose answer was lost, and bring it to
        the draft. Never two for one mark. Raises EventGone where one was made, and has been deleted."""
        ...

    async def update(self, calendar: str, remote_id: str, draft: Draft, changed: frozenset[str]) -> Written:
        """Write only the fields that are named (see FIELDS) and leave alone whatever else was edited there. Raises
        EventGone."""
        ...

    async def delete(self, calendar: str, remote_id: str) -> None:
        """Gone already is fine."""
        ...

    async def list_own(self, calendar: str, window: Window) -> list[RemoteEvent]:
        """The events that carry a mark, in the window."""
        ...

    async def watch(self, calendar: str, hook: Hook, until: datetime) -> Channel:
        """Ask to be told of changes, until then at the latest."""
        ...

    async def renew(self, calendar: str, channel: Channel, until: datetime) -> Channel | None:
        """Make it last longer; None where the provider cannot, or has forgotten it, and another one has to be made."""
        ...

    async def unwatch(self, channel: Channel) -> None:
        """Gone already is fine."""
        ...
