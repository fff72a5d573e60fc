"""What the pages behind the links say, to a host and to an attendee.

The one rule: a page says what is, and what its button will do, in words that need no account to be understood.
"""

from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from app.core.errors import InvalidTransition, LinkExpired, NotFound, SlotwireError
from app.domain.bookings.doors import Door
from app.domain.bookings.lifecycle import Action, Status
from app.domain.bookings.models import Booking
from app.domain.notifications.language import DEFAULT, spell
from app.faces.public import html
from app.web.problems import status_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with one button."""

    action: Action
    title: str
    lead: str
    button: str
    danger: bool


ASKED = {
    Action.CONFIRM: Asked(
        Action.CONFIRM, "Confirm this booking?", "The attendee is told that it takes place.", "Confirm booking", False
    ),
    Action.DECLINE: Asked(
        Action.DECLINE, "Decline this booking?", "The attendee is told, and the time is free again.", "Decline", True
    ),
    Action.CANCEL: Asked(
        Action.CANCEL, "Cancel this booking?", "Everybody is told, and the time is free again.", "Cancel booking", True
    ),
}

_STATES = {
    Status.DRAFT: ("This booking is not finished", "Its time is held for a few minutes."),
    Status.PENDING_CONFIRMATION: ("This booking waits for an answer", "The host has not confirmed it yet."),
    Status.SCHEDULED: ("This booking is confirmed", "It takes place as planned."),
    Status.RESCHEDULED: ("This booking is confirmed", "It takes place at its new time."),
    Status.COMPLETED: ("This booking took place", "There is nothing left to decide."),
    Status.CANCELLED: ("This booking is cancelled", "Its time is free again."),
    Status.NO_SHOW: ("This booking is over", "It was marked as a no-show."),
}
_MOVED = ("This booking was moved", "It has another time now. The newer mail has the links that still work.")

_WRONG: dict[type[SlotwireError], str] = {
    NotFound: "This link does not work",
    LinkExpired: "This link has ended",
    InvalidTransition: "This cannot be changed any more",
}


def say(
    door: Door, booking: Booking, zone: str, address: str | None, asked: Asked | None, now: datetime
) -> web.Response:
    """The page of a booking, in this zone's time. asked: the question, shown with its button while it is still one."""
    lines = lines_of(door, booking, zone)
    if asked is not None and door.allows(asked.action, now):
        return html.page(
            title=asked.title,
            lead=asked.lead,
            lines=lines,
            button=asked.button,
            action=address,
            danger=asked.danger,
        )
    title, lead = _MOVED if booking.rescheduled_to_id is not None else _STATES[booking.status]
    return html.page(title=title, lead=lead, lines=lines)


def problem_page(error: SlotwireError, back_to: str | None = None) -> web.Response:
    """back_to: an address where the person can go on."""
    back = {"action": back_to, "back": "Choose another time"} if back_to else {}
    title = next((title for kind, title in _WRONG.items() if isinstance(error, kind)), error.title)
    return html.page(status_of(type(error)), title=title, lead=error.detail, **back)


def lines_of(door: Door, booking: Booking, zone: str) -> list[tuple[str, str]]:
    lines = [("What", door.title)] if door.title else []
    lines.append(("When", spell(DEFAULT, booking.starts_at, booking.ends_at, zone)))
    if booking.attendee is not None:
        lines.append(("Who", f"{booking.attendee.name} ({booking.attendee.email})"))
    if booking.hosts:
        lines.append(("With", ", ".join(host.name for host in booking.hosts)))
    if booking.notes:
        lines.append(("Notes", booking.notes))
    return lines
