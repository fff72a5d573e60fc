"""Letters to compose in tests: one of every kind, about one meeting."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from app.domain.bookings.ical import Mailbox, Method
from app.domain.notifications.compose import compose, to_bytes
from app.domain.notifications.letters import Kind, Letter, Meeting, Role
from app.domain.notifications.wording import is_worded

ANN = Mailbox("Ann Lee", "ann@guest.example")
GRETA = Mailbox("Greta Gräber", "greta@host.example")
SENDER = Mailbox("Acme Clinic", "bookings@acme.example")
SENT = datetime(2026, 2, 20, 9, 30, tzinfo=UTC)
START = datetime(2026, 3, 10, 14, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)

EVERY = [(kind, role) for kind in Kind for role in Role if is_worded(kind, role)]

_LINKS = {
    name: f"https://book.example/{name}/abc123"
    for name in ("confirm", "decline", "cancel", "reschedule", "invite", "accept", "reset", "offer", "settings")
}
_FACTS = {
    Kind.WAITLIST_OFFER: {"until": "2026-03-09T18:00:00Z"},
    Kind.INVITATION: {"inviter": "Greta Gräber", "days": "7"},
    Kind.PASSWORD_RESET: {"minutes": "60"},
    Kind.WEBHOOK_DISABLED: {"url": "https://hooks.example/in", "reason": "gone"},
    Kind.CALENDAR_REAUTH: {"account": "greta@gmail.example", "provider": "google"},
    Kind.CALENDAR_PAUSED: {"account": "greta@gmail.example", "provider": "google", "count": "12"},
    Kind.CALENDAR_RESTORED: {
        "title": "Intro call",
        "starts_at": "2026-03-10T14:00:00Z",
        "moved_to": "2026-03-10T15:00:00Z",
        "reason": "slot_taken",
    },
}


def meeting(**changes: Any) -> Meeting:
    given: dict[str, Any] = {
        "uid": "0198c0de@slotwire",
        "sequence": 0,
        "title": "Intro call",
        "starts_at": START,
        "ends_at": START + HALF_HOUR,
        "organizer": SENDER,
        "hosts": (GRETA,),
        "attendee": ANN,
        "created_at": SENT,
        "updated_at": SENT,
    }
    return Meeting(**{**given, **changes})


def links(*names: str) -> Mapping[str, str]:
    return {name: _LINKS[name] for name in names}


def letter(kind: Kind = Kind.BOOKED, role: Role = Role.ATTENDEE, **changes: Any) -> Letter:
    given: dict[str, Any] = {
        "id": UUID("0198c0de-0000-7000-8000-000000000001"),
        "kind": kind,
        "role": role,
        "locale": "en",
        "zone": "America/New_York",
        "to": GRETA if role in {Role.HOST, Role.MEMBER} else ANN,
        "sender": SENDER,
        "organization": "Acme Clinic",
        "at": SENT,
        "meeting": None if role is Role.MEMBER and kind is not Kind.PENDING else meeting(),
        "facts": _FACTS.get(kind, {}),
    }
    return Letter(**{**given, **changes})


def invitation(**changes: Any) -> Letter:
    """A letter with a calendar part; changes: of the meeting."""
    return letter(meeting=meeting(**{"method": Method.REQUEST, **changes}))


def full(kind: Kind, role: Role, locale: str) -> Letter:
    """With everything that a letter may hold."""
    plain = letter(kind, role, locale=locale, links=_LINKS, unsubscribe="https://book.example/stop/abc123")
    if plain.meeting is None:
        return plain
    everything = replace(
        plain.meeting,
        guests=(Mailbox("Bob", "bob@guest.example"), Mailbox("", "eve@guest.example")),
        was=(START - timedelta(days=1), START - timedelta(days=1) + HALF_HOUR),
        location=("link", "https://meet.example/room?a=1&b=2"),
        notes="Two things:\n- the contract\n- the weather",
        attendee_phone="+1 212 555 0100",
        answers=(("What is it about?", "Taxes"), ("Anything else?", "No")),
        reason="A cold",
        by="attendee",
        method=Method.CANCEL if kind in {Kind.CANCELLED, Kind.REMOVED} else Method.REQUEST,
        sequence=1,
    )
    return replace(plain, meeting=everything)


def mail(of: Letter) -> EmailMessage:
    """As whoever receives it reads it."""
    received = message_from_bytes(to_bytes(compose(of)), policy=policy.default)
    assert isinstance(received, EmailMessage)
    return received


def part(of: Letter, subtype: str) -> str:
    """The text of the part of this type, with simple line ends."""
    parts = [each for each in mail(of).walk() if each.get_content_type() == f"text/{subtype}"]
    content = parts[0].get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode().replace("\r\n", "\n")
