"""What a mail says, before it is words: the facts of one letter to one person.

The one rule: a letter holds only what its reader may know. Who is left out here is left out of the text, the HTML and
the calendar part alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.bookings.ical import Mailbox, Method


class Kind(StrEnum):
    """What a letter is about; each has its words in every language."""

    BOOKED = "booked"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    DECLINED = "declined"
    RESCHEDULED = "rescheduled"
    CANCELLED = "cancelled"
    # the time that is gone while another one waits for an answer
    WITHDRAWN = "withdrawn"
    # to the new address, and to the hosts
    EMAIL_CHANGED = "email_changed"
    # to whoever is no longer part of it: the old address, or the host who was before
    REMOVED = "removed"
    # of the video meeting that a host's calendar made
    LINK_READY = "link_ready"
    REMINDER = "reminder"
    WAITLIST_OFFER = "waitlist_offer"
    INVITATION = "invitation"
    PASSWORD_RESET = "password_reset"  # noqa: S105 -- the name of a letter
    WEBHOOK_DISABLED = "webhook_disabled"
    CALENDAR_REAUTH = "calendar_reauth"
    # so much was changed there at once that its owner is asked first
    CALENDAR_PAUSED = "calendar_paused"
    # what was moved there, and could not be moved here
    CALENDAR_RESTORED = "calendar_restored"


class Role(StrEnum):
    """To whom. GUEST: whom the attendee brings. MEMBER: a person of the organization, about their account or its."""

    ATTENDEE = "attendee"
    GUEST = "guest"
    HOST = "host"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Meeting:
    """A booking as one reader may see it.

    summary: what calendars call it. was: its time before it was moved. location: (kind, value) of the event type's.
    reason, by: of a cancellation or a move. answers: (question, answer). attendee_phone, answers: for hosts.
    """

    uid: str
    sequence: int
    title: str
    starts_at: datetime
    ends_at: datetime
    organizer: Mailbox
    hosts: tuple[Mailbox, ...]
    attendee: Mailbox | None
    created_at: datetime
    updated_at: datetime
    guests: tuple[Mailbox, ...] = ()
    was: tuple[datetime, datetime] | None = None
    location: tuple[str, str | None] | None = None
    notes: str | None = None
    attendee_phone: str | None = None
    answers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    by: str | None = None
    # the calendar part that the mail carries; None: it carries none
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """zone: in which the reader sees times (IANA). links: addresses by name (confirm, decline, cancel, reschedule,
    invite, accept, reset, offer, settings); what is not there gets no button. facts: what the words of kinds without a
    meeting name. unsubscribe: an address that ends mails of this kind by one POST (RFC 8058). at: when it is sent."""

    id: UUID
    kind: Kind
    role: Role
    locale: str
    zone: str
    to: Mailbox
    sender: Mailbox
    organization: str
    at: datetime
    reply_to: Mailbox | None = None
    meeting: Meeting | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    unsubscribe: str | None = None
