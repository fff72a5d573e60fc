"""The books that are kept while everything breaks: what was promised, what happened, what arrived; and the audit.

The one rule: the audit is pure. Each check takes what was written down and what was found and returns complaints, one
sentence each, so that a test can hand it a bad book and see that it complains.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import standardwebhooks
import stripe
import svix

LIBRARIES = ("stripe", "standardwebhooks", "svix")
_TOLERANCE_SECONDS = 300
# svix raises what it takes from standardwebhooks
_REFUSALS = (stripe.SignatureVerificationError, standardwebhooks.WebhookVerificationError)


@dataclass
class Promise:
    """What the acknowledged answers say of a booking. start: None where the suite itself has moved it."""

    status: str
    start: str | None
    moved_to: str | None = None
    events: list[str] = field(default_factory=list)


@dataclass
class Ledger:
    """Every acknowledged answer. duels: the winners of each pair that asked for one slot at once."""

    promises: dict[str, Promise] = field(default_factory=dict)
    answers: int = 0
    retries: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    duels: list[int] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def booked(self, booking: Mapping[str, Any]) -> None:
        self.promises[booking["id"]] = Promise(booking["status"], booking["start_time"], events=["booking.created"])

    def moved(self, old_id: str, booking: Mapping[str, Any]) -> None:
        old = self.promises[old_id]
        old.status, old.moved_to = "CANCELLED", booking["id"]
        self.promises[booking["id"]] = Promise(booking["status"], booking["start_time"], events=["booking.rescheduled"])

    def stepped(self, booking: Mapping[str, Any], event: str) -> None:
        """A booking that was changed or ended, and the event that tells of it."""
        promise = self.promises[booking["id"]]
        promise.status = booking["status"]
        promise.events.append(event)


@dataclass(frozen=True, slots=True)
class Found:
    """A booking as the service has it in the end."""

    status: str
    start: str
    moved_to: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """The time of an active booking, half-open, of one of its hosts."""

    host: str
    start: datetime
    end: datetime
    booking_id: str


@dataclass(frozen=True, slots=True)
class Logged:
    """An event of the log. digest: of its bytes."""

    id: str
    type: str
    booking_id: str
    sequence: int
    at: datetime
    digest: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A request that a receiver got. happened_at, at: of the event and of its arrival, in unix seconds.
    accepted: whether it was answered with 2xx."""

    event_id: str
    delivery_id: str
    digest: bytes
    happened_at: float
    at: float
    accepted: bool


def lost(ledger: Ledger, found: Mapping[str, Found]) -> list[str]:
    """Bookings that are not there, or not in the state that was acknowledged."""
    complaints = []
    for booking_id, promise in ledger.promises.items():
        booking = found.get(booking_id)
        if booking is None:
            complaints.append(f"{booking_id} was acknowledged as {promise.status} and is not there")
        elif (booking.status, booking.moved_to) != (promise.status, promise.moved_to):
            complaints.append(f"{booking_id} was acknowledged as {promise} and is {booking}")
        elif promise.start not in (None, booking.start):
            complaints.append(f"{booking_id} was acknowledged at {promise.start} and is at {booking.start}")
    return complaints


def unpromised(ledger: Ledger, found: Iterable[str]) -> list[str]:
    """Bookings that nobody was told of: every request was repeated until its answer came."""
    return [f"{each} exists, and no answer told of it" for each in found if each not in ledger.promises]


def undecided(ledger: Ledger) -> list[str]:
    """Two requests for one free slot have one winner, whatever is killed meanwhile."""
    return [f"{winners} of two requests won the same slot" for winners in ledger.duels if winners != 1]


def overlapping(held: Iterable[Held]) -> list[str]:
    """Active bookings of one host that share an instant."""
    complaints = []
    latest: dict[str, Held] = {}
    for each in sorted(held, key=lambda held: (held.host, held.start)):
        before = latest.get(each.host)
        if before is not None and each.start < before.end:
            complaints.append(f"{before.booking_id} and {each.booking_id} overlap, at {each.start} with {each.host}")
        if before is None or each.end > before.end:
            latest[each.host] = each
    return complaints


def gaps(ledger: Ledger, events: Sequence[Logged]) -> list[str]:
    """Each booking's events: once each, numbered 1 to n, and those that the answers imply in their order."""
    complaints = [f"{each} is in the log {n} times" for each, n in Counter(e.id for e in events).items() if n > 1]
    of: dict[str, list[Logged]] = defaultdict(list)
    for event in events:
        of[event.booking_id].append(event)
    for booking_id, promise in ledger.promises.items():
        own = sorted(of.pop(booking_id, []), key=lambda event: event.sequence)
        if [event.sequence for event in own] != list(range(1, len(own) + 1)):
            complaints.append(f"{booking_id} has the sequence {[event.sequence for event in own]}")
        if [event.type for event in own] != promise.events:
            complaints.append(f"{booking_id} has {[event.type for event in own]}, expected {promise.events}")
    return complaints + [f"{each} has events, and no answer told of it" for each in of]


def premature(early: Iterable[str]) -> list[str]:
    """Events that came before they could be found: they may never have happened."""
    return [f"{event_id} was delivered and not to be found" for event_id in early]


def redirected(calls: int) -> list[str]:
    """Calls of a path that nobody subscribed: only a redirect leads there."""
    return ["a redirect was followed"] * calls


def missing(events: Sequence[Logged], receipts: Iterable[Receipt]) -> list[str]:
    """Events that a receiver never accepted."""
    reached = {each.event_id for each in receipts if each.accepted}
    return [f"{event.id} ({event.type}, {event.at}) never arrived" for event in events if event.id not in reached]


def altered(events: Sequence[Logged], receipts: Iterable[Receipt]) -> list[str]:
    """Requests whose bytes are not the log's, of events that are not in it, or with another delivery's id."""
    complaints = []
    digests = {event.id: event.digest for event in events}
    delivery: dict[str, str] = {}
    for each in receipts:
        if each.event_id not in digests:
            complaints.append(f"{each.event_id} arrived and is not in the log")
        elif digests[each.event_id] != each.digest:
            complaints.append(f"{each.event_id} arrived with other bytes than the log's")
        if delivery.setdefault(each.event_id, each.delivery_id) != each.delivery_id:
            complaints.append(f"{each.event_id} arrived as {delivery[each.event_id]} and as {each.delivery_id}")
    return complaints


def firsts(receipts: Iterable[Receipt]) -> dict[str, Receipt]:
    """The first accepted receipt of each event, in the order of their arrival."""
    found: dict[str, Receipt] = {}
    for each in sorted(receipts, key=lambda receipt: receipt.at):
        if each.accepted:
            found.setdefault(each.event_id, each)
    return found


def duplicates(receipts: Sequence[Receipt]) -> int:
    """How often an event came that had been accepted already."""
    first = firsts(receipts)
    return sum(1 for each in receipts if each.event_id in first and each.at > first[each.event_id].at)


def overtaken(events: Sequence[Logged], receipts: Iterable[Receipt]) -> list[str]:
    """Events that were accepted for the first time after a later one of the same booking."""
    return _disordered(events, firsts(receipts))


def disordered(events: Sequence[Logged], receipts: Iterable[Receipt]) -> list[str]:
    """Events that were sent for the first time after a later one of the same booking. A retry that comes late is none
    of these: its event was sent in time, and refused."""
    return _disordered(events, (each.event_id for each in sorted(receipts, key=lambda receipt: receipt.at)))


def _disordered(events: Sequence[Logged], arrivals: Iterable[str]) -> list[str]:
    known = {event.id: event for event in events}
    highest: dict[str, int] = {}
    complaints = []
    for event_id in dict.fromkeys(arrivals):
        event = known.get(event_id)
        if event is None:
            continue
        before = highest.get(event.booking_id, 0)
        if event.sequence < before:
            complaints.append(f"{event_id}, number {event.sequence} of {event.booking_id}, came after number {before}")
        highest[event.booking_id] = max(before, event.sequence)
    return complaints


class Verifier:
    """What a receiver does first, by each of the three libraries, unchanged."""

    def __init__(self, secret: str) -> None:
        standard, of_svix = standardwebhooks.Webhook(secret), svix.Webhook(secret)
        self._checks: dict[str, Callable[[bytes, dict[str, str]], Any]] = {
            "stripe": lambda body, headers: stripe.WebhookSignature.verify_header(
                body.decode(), headers.get("x-signature", ""), secret, tolerance=_TOLERANCE_SECONDS
            ),
            "standardwebhooks": standard.verify,
            "svix": of_svix.verify,
        }

    def refusing(self, body: bytes, headers: Mapping[str, str]) -> list[str]:
        """The libraries that do not take it."""
        lowered = {name.lower(): value for name, value in headers.items()}
        return [name for name, check in self._checks.items() if not _passes(check, body, lowered)]


def _passes(check: Callable[[bytes, dict[str, str]], Any], body: bytes, headers: dict[str, str]) -> bool:
    try:
        check(body, headers)
    except (*_REFUSALS, ValueError):
        return False
    return True
