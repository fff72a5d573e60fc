"""Bookings as entries of a calendar that is looked at, not mailed: the same words, UID and ORGANIZER as in mails.

The one rule: what is published invites nobody. Contact data stands only in what its own host reads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core import sql
from app.domain.bookings.ical import Entry, Mailbox, is_tentative
from app.domain.bookings.lifecycle import Status
from app.domain.notifications.language import DEFAULT, language
from app.domain.notifications.plain import many_lines, one_line
from app.domain.notifications.wording import name_meeting, one_name


@dataclass(frozen=True, slots=True)
class Published:
    """A booking, as far as calendars show it. locale: the organization's. organizer: the address that mails about it
    have named, if there were any."""

    ical_uid: str
    ical_sequence: int
    status: Status
    starts_at: datetime
    ends_at: datetime
    title: str
    location: dict[str, Any] | None
    notes: str | None
    attendee_name: str | None
    attendee_email: str | None
    attendee_phone: str | None
    guests: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    org_name: str
    sender_name: str | None
    locale: str | None
    hosts: list[str]
    organizer: str | None


def published(row: sql.Row) -> Published:
    values = {name: row[name] for name in Published.__dataclass_fields__}
    return Published(**{**values, "status": Status(row["status"])})


def invite_entry(booking: Published, sender: str) -> Entry:
    """For whoever was told of the booking. sender: the address that mails come from."""
    return _entry(booking, booking.locale or DEFAULT, sender, [booking.notes])


def feed_entry(booking: Published, locale: str, sender: str) -> Entry:
    """For a host, who has to know whom to call."""
    contact = _lines([booking.attendee_name, booking.attendee_email, booking.attendee_phone], "\n")
    guests = _lines((_guest(each) for each in booking.guests), "\n")
    return _entry(booking, locale, sender, [contact, guests, booking.notes])


def _entry(booking: Published, locale: str, sender: str, paragraphs: Iterable[str | None]) -> Entry:
    location = booking.location or {}
    return Entry(
        uid=booking.ical_uid,
        sequence=booking.ical_sequence,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        summary=_summary(booking, locale),
        description=many_lines(_lines(paragraphs, "\n\n")),
        location=one_line(location.get("value") or "", 1000),
        organizer=Mailbox(booking.sender_name or booking.org_name, booking.organizer or sender),
        attendees=(),
        tentative=is_tentative(booking.status),
        cancelled=booking.status is Status.CANCELLED,
        created_at=booking.created_at,
        updated_at=booking.updated_at,
    )


def _summary(booking: Published, locale: str) -> str:
    """What mails call it."""
    hosts = [one_name(host) for host in booking.hosts]
    return name_meeting(language(locale), booking.title, hosts, one_name(booking.attendee_name or ""))


def _guest(guest: dict[str, Any]) -> str:
    return f"{guest['name']} <{guest['email']}>" if guest.get("name") else str(guest["email"])


def _lines(parts: Iterable[str | None], between: str) -> str:
    return between.join(filter(None, parts))
