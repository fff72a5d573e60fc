"""Who is told of what: a pure table from events to letters.

The one rule: a calendar entry is asked for (REQUEST) once somebody has agreed to it, and taken back (CANCEL) only from
those who were asked. Where a calendar is written directly, its owner gets no second invitation by mail.
Source: RFC 5546, sections 3.2.2 and 3.2.5; the API contract, "Mail".
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
    """writes: their calendar is connected, and we write it. Nobody is invited by that: what we write there names the
    others in its text alone."""

    user_id: UUID
    address: str
    writes: bool = False


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
    """An event that people are told of. hosts: of the booking and of the one before it, unless removed since. asked: in
    small letters, whom our last message about this entry is known to have asked to keep it. deciders: who answers a
    request for a booking that has no host."""

    type: str
    booking: Shown
    previous: Shown | None
    hosts: Mapping[UUID, Host]
    asked: frozenset[str] = frozenset()
    deciders: tuple[Host, ...] = ()


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
        yield from _asked_and_deciding(news)
    else:
        yield from _everybody(news, Kind.BOOKED, Method.REQUEST)


def _confirmed(news: News) -> Iterator[Owed]:
    yield from _everybody(news, Kind.CONFIRMED, Method.REQUEST)


def _declined(news: News) -> Iterator[Owed]:
    """Nobody was asked to keep the time; whoever declined knows."""
    yield from _attendee(news.booking, Kind.DECLINED, None)
    yield from _waiting_guests(news, Kind.DECLINED)
    if len(news.booking["hosts"]) > 1:
        yield from _hosts(news, news.booking, Kind.DECLINED, None)


def _cancelled(news: News) -> Iterator[Owed]:
    if _was_agreed(news.booking):
        yield from _everybody(news, Kind.CANCELLED, Method.CANCEL)
    else:
        yield from _attendee(news.booking, Kind.CANCELLED, None)
        yield from _waiting_guests(news, Kind.CANCELLED)
        yield from _hosts(news, news.booking, Kind.CANCELLED, None)


def _rescheduled(news: News) -> Iterator[Owed]:
    assert news.previous is not None  # noqa: S101 -- its event says so
    taken_back = Method.CANCEL if _was_agreed(news.previous) else None
    before, after = _host_ids(news.previous), _host_ids(news.booking)
    if news.booking["status"] == Status.PENDING_CONFIRMATION:
        if taken_back:
            # The old time is gone at once. In a mail of its own: programs show whatever comes with a CANCEL as one.
            yield from _attendee(news.previous, Kind.WITHDRAWN, taken_back)
            yield from _guests(news.previous, Kind.WITHDRAWN, taken_back)
            yield from _hosts(news, news.previous, Kind.WITHDRAWN, taken_back, only=before & after)
        yield from _asked_and_deciding(news)
    else:
        yield from _attendee(news.booking, Kind.RESCHEDULED, Method.REQUEST)
        yield from _guests(news.booking, Kind.RESCHEDULED, Method.REQUEST)
        yield from _hosts(news, news.booking, Kind.RESCHEDULED, Method.REQUEST, only=before)
        yield from _hosts(news, news.booking, Kind.BOOKED, Method.REQUEST, only=after - before)
    yield from _hosts(news, news.previous, Kind.REMOVED, taken_back, only=before - after)


def _updated(news: News) -> Iterator[Owed]:
    """Of all that may be updated, people hear of another address, and of the link that they waited for."""
    place = news.booking.get("location")
    if news.previous is not None and news.previous.get("location", place) != place:
        yield from _attendee(news.booking, Kind.LINK_READY, Method.REQUEST)
        yield from _guests(news.booking, Kind.LINK_READY, Method.REQUEST)
    else:
        yield from _email_changed(news)


def _email_changed(news: News) -> Iterator[Owed]:
    """The new address gets what it needs to come, the old one an end to it (RFC 5546, section 3.2.2.3), unless it is
    still that of a guest or host."""
    agreed = news.booking["status"] != Status.PENDING_CONFIRMATION
    request, cancel = (Method.REQUEST, Method.CANCEL) if agreed else (None, None)
    yield from _attendee(news.booking, Kind.EMAIL_CHANGED, request)
    if news.previous is not None and news.previous["attendee"]:
        old = news.previous["attendee"]["email"].lower()
        others = {guest["email"].lower() for guest in news.booking["guests"]}
        others |= {host.address.lower() for host in news.hosts.values()}
        yield from _attendee(news.previous, Kind.REMOVED, None if old in others else cancel)
    yield from _hosts(news, news.booking, Kind.EMAIL_CHANGED, request)


def _offered(news: News) -> Iterator[Owed]:
    """The host hears of it when it is taken."""
    yield from _attendee(news.booking, Kind.WAITLIST_OFFER, None)


_PLANS = {
    events.CREATED: _created,
    events.CONFIRMED: _confirmed,
    events.DECLINED: _declined,
    events.CANCELLED: _cancelled,
    events.RESCHEDULED: _rescheduled,
    events.UPDATED: _updated,
    events.OFFERED: _offered,
}


def _was_agreed(ended: Shown) -> bool:
    """Whether a booking that has ended by now had been in calendars."""
    return bool(ended["history"]) and ended["history"][-1]["from"] != Status.PENDING_CONFIRMATION


def _asked_and_deciding(news: News) -> Iterator[Owed]:
    """Whoever waits for an answer, and who gives it. Of a reserved resource that is often one person, who is asked and
    not told to wait for themselves."""
    deciders = () if news.booking["hosts"] else news.deciders
    attendee = news.booking.get("attendee")
    if attendee and attendee["email"].lower() not in {each.address.lower() for each in deciders}:
        yield from _attendee(news.booking, Kind.PENDING, None)
    yield from _hosts(news, news.booking, Kind.PENDING, None)
    for each in deciders:
        yield Owed(Kind.PENDING, Role.MEMBER, each.address, user_id=each.user_id)


def _everybody(news: News, kind: Kind, method: Method) -> Iterator[Owed]:
    yield from _attendee(news.booking, kind, method)
    yield from _guests(news.booking, kind, method)
    yield from _hosts(news, news.booking, kind, method)


def _attendee(booking: Shown, kind: Kind, method: Method | None) -> Iterator[Owed]:
    if booking.get("attendee"):
        address = booking["attendee"]["email"]
        yield Owed(kind, Role.ATTENDEE, address, method)


def _guests(booking: Shown, kind: Kind, method: Method | None) -> Iterator[Owed]:
    attendee = booking["attendee"]["email"].lower() if booking.get("attendee") else None
    for guest in booking["guests"]:
        address = guest["email"]
        if address.lower() != attendee:
            yield Owed(kind, Role.GUEST, address, method)


def _waiting_guests(news: News, kind: Kind) -> Iterator[Owed]:
    """Guests hear of a request only when they wait for it, since the time that they knew was given up for it."""
    if news.booking.get("rescheduled_from_id"):
        yield from _guests(news.booking, kind, None)


def _hosts(
    news: News, booking: Shown, kind: Kind, method: Method | None, *, only: frozenset[UUID] | None = None
) -> Iterator[Owed]:
    wanted = _host_ids(booking)
    for host in news.hosts.values():
        if host.user_id in wanted and (only is None or host.user_id in only):
            message = _message(news, host.address, method, elsewhere=host.writes)
            yield Owed(kind, Role.HOST, host.address, message, host.user_id)


def _message(news: News, address: str, method: Method | None, *, elsewhere: bool) -> Method | None:
    """elsewhere: their calendar has the entry without us, so it needs neither an invitation nor an end to one, but for
    one that we are known to have sent."""
    if not elsewhere:
        return method
    return method if method is Method.CANCEL and address.lower() in news.asked else None


def _host_ids(booking: Shown) -> frozenset[UUID]:
    ids = (decode(IdKind.USER, host["user_id"]) for host in booking["hosts"])
    return frozenset(each for each in ids if each is not None)


def _without_repeats(letters: Iterable[Owed]) -> Iterator[Owed]:
    seen: set[tuple[Kind, Role, str]] = set()
    for letter in letters:
        key = (letter.kind, letter.role, letter.recipient.lower())
        if key not in seen:
            seen.add(key)
            yield letter
