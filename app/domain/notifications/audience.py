"""Who is told of what: a pure table from events to letters.

The one rule: a calendar entry is asked for (REQUEST) once somebody has agreed to it, and taken back (CANCEL) only from
those who were asked. Where a calendar is written directly, or its provider invites by itself, mails carry no second
invitation. Source: RFC 5546, sections 3.2.2 and 3.2.5; the API contract, "Mail".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.ids import Kind as IdKind
from app.core.ids import decode
from app.domain.bookings import events
from app.domain.bookings.ical import Method
from app.domain.bookings.lifecycle import Status
from app.domain.notifications.letters import Kind, Role

Shown = Mapping[str, Any]
"""A booking as its event shows it."""


@dataclass(frozen=True, slots=True)
class Host:
    """writes: their calendar is connected, and we write it. invites: its provider mails the others by itself."""

    user_id: UUID
    address: str
    writes: bool = False
    invites: bool = False


@dataclass(frozen=True, slots=True)
class Owed:
    """One letter to one person; user_id: of a host."""

    kind: Kind
    role: Role
    recipient: str
    method: Method | None = None
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class News:
    """An event that people are told of. hosts: of the booking and of the one before it, unless removed since."""

    type: str
    booking: Shown
    previous: Shown | None
    hosts: Mapping[UUID, Host]


def letters_owed(news: News) -> list[Owed]:
    """Every letter that follows from an event; nobody gets two in one role."""
    plan = _PLANS.get(news.type)
    return list(_without_repeats(plan(news))) if plan else []


def reminders_owed(booking: Shown, unwanted: frozenset[str]) -> list[Owed]:
    """To the attendee and whom they bring; hosts have their calendar. unwanted: addresses in small letters."""
    people = [*_attendee(booking, Kind.REMINDER, None), *_guests(booking, Kind.REMINDER, None)]
    return list(_without_repeats(each for each in people if each.recipient.lower() not in unwanted))


def _created(news: News) -> Iterator[Owed]:
    if news.booking["status"] == Status.PENDING_CONFIRMATION:
        yield from _attendee(news.booking, Kind.PENDING, None)
        yield from _hosts(news, news.booking, Kind.PENDING, None)
    else:
        yield from _everybody(news, Kind.BOOKED, Method.REQUEST)


def _confirmed(news: News) -> Iterator[Owed]:
    yield from _everybody(news, Kind.CONFIRMED, Method.REQUEST)


def _declined(news: News) -> Iterator[Owed]:
    """Nobody was asked to keep the time; whoever declined knows."""
    yield from _attendee(news.booking, Kind.DECLINED, None)
    if len(news.booking["hosts"]) > 1:
        yield from _hosts(news, news.booking, Kind.DECLINED, None)


def _cancelled(news: News) -> Iterator[Owed]:
    if _was_asked(news.booking):
        yield from _everybody(news, Kind.CANCELLED, Method.CANCEL)
    else:
        yield from _attendee(news.booking, Kind.CANCELLED, None)
        yield from _hosts(news, news.booking, Kind.CANCELLED, None)


def _rescheduled(news: News) -> Iterator[Owed]:
    assert news.previous is not None  # noqa: S101 -- its event says so
    taken_back = Method.CANCEL if _was_asked(news.previous) else None
    before, after = _host_ids(news.previous), _host_ids(news.booking)
    if news.booking["status"] == Status.PENDING_CONFIRMATION:
        # the new time waits for an answer, and the old one is gone
        yield from _attendee(news.booking, Kind.PENDING, _unless_invited(news, taken_back))
        if taken_back:
            yield from _guests(news.booking, Kind.CANCELLED, _unless_invited(news, taken_back))
        yield from _hosts(news, news.booking, Kind.PENDING, taken_back, only=before)
        yield from _hosts(news, news.booking, Kind.PENDING, None, only=after - before)
    else:
        yield from _attendee(news.booking, Kind.RESCHEDULED, _unless_invited(news, Method.REQUEST))
        yield from _guests(news.booking, Kind.RESCHEDULED, _unless_invited(news, Method.REQUEST))
        yield from _hosts(news, news.booking, Kind.RESCHEDULED, Method.REQUEST, only=before)
        yield from _hosts(news, news.booking, Kind.BOOKED, Method.REQUEST, only=after - before)
    yield from _hosts(news, news.previous, Kind.REMOVED, taken_back, only=before - after)


def _email_changed(news: News) -> Iterator[Owed]:
    """The new address gets what it needs to come, the old one an end to it (RFC 5546, section 3.2.2.3)."""
    asked = news.booking["status"] != Status.PENDING_CONFIRMATION
    request, cancel = (Method.REQUEST, Method.CANCEL) if asked else (None, None)
    yield from _attendee(news.booking, Kind.EMAIL_CHANGED, _unless_invited(news, request))
    if news.previous is not None:
        yield from _attendee(news.previous, Kind.REMOVED, _unless_invited(news, cancel))
    yield from _hosts(news, news.booking, Kind.EMAIL_CHANGED, request)


_PLANS = {
    events.CREATED: _created,
    events.CONFIRMED: _confirmed,
    events.DECLINED: _declined,
    events.CANCELLED: _cancelled,
    events.RESCHEDULED: _rescheduled,
    events.UPDATED: _email_changed,
}


def _was_asked(ended: Shown) -> bool:
    """Whether anybody had been invited to a booking that has ended by now."""
    return bool(ended["history"]) and ended["history"][-1]["from"] != Status.PENDING_CONFIRMATION


def _everybody(news: News, kind: Kind, method: Method) -> Iterator[Owed]:
    yield from _attendee(news.booking, kind, _unless_invited(news, method))
    yield from _guests(news.booking, kind, _unless_invited(news, method))
    yield from _hosts(news, news.booking, kind, method)


def _attendee(booking: Shown, kind: Kind, method: Method | None) -> Iterator[Owed]:
    if booking.get("attendee"):
        yield Owed(kind, Role.ATTENDEE, booking["attendee"]["email"], method)


def _guests(booking: Shown, kind: Kind, method: Method | None) -> Iterator[Owed]:
    attendee = booking["attendee"]["email"].lower() if booking.get("attendee") else None
    for guest in booking["guests"]:
        if guest["email"].lower() != attendee:
            yield Owed(kind, Role.GUEST, guest["email"], method)


def _hosts(
    news: News, booking: Shown, kind: Kind, method: Method | None, *, only: frozenset[UUID] | None = None
) -> Iterator[Owed]:
    wanted = _host_ids(booking)
    for host in news.hosts.values():
        if host.user_id in wanted and (only is None or host.user_id in only):
            yield Owed(kind, Role.HOST, host.address, None if host.writes else method, host.user_id)


def _unless_invited(news: News, method: Method | None) -> Method | None:
    return None if any(host.invites for host in news.hosts.values()) else method


def _host_ids(booking: Shown) -> frozenset[UUID]:
    ids = (decode(IdKind.USER, host["user_id"]) for host in booking["hosts"])
    return frozenset(each for each in ids if each is not None)


def _without_repeats(letters: Iterable[Owed]) -> Iterator[Owed]:
    seen: set[tuple[Role, str]] = set()
    for letter in letters:
        key = (letter.role, letter.recipient.lower())
        if key not in seen:
            seen.add(key)
            yield letter
