"""The lifecycle of a booking: one table, in one place.

    DRAFT ──► SCHEDULED ──► COMPLETED | CANCELLED | NO_SHOW | RESCHEDULED
    DRAFT ──► PENDING_CONFIRMATION ──► SCHEDULED | CANCELLED
    RESCHEDULED ──► SCHEDULED | COMPLETED | CANCELLED | NO_SHOW | RESCHEDULED

The one rule: whoever changes a status asks `decide`. Source: seed 001, "Lifecycle"; RFC 5546 for the words.
"""

from datetime import datetime
from enum import StrEnum

from app.core.errors import InvalidTransition


class Status(StrEnum):
    DRAFT = "DRAFT"
    PENDING_CONFIRMATION = "PENDING_CONFIRMATION"
    SCHEDULED = "SCHEDULED"
    RESCHEDULED = "RESCHEDULED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    NO_SHOW = "NO_SHOW"


class Action(StrEnum):
    CONFIRM = "confirm"
    DECLINE = "decline"
    CANCEL = "cancel"
    COMPLETE = "complete"
    NO_SHOW = "no-show"
    # nobody answered a request, and its time has come
    EXPIRE = "expire"


# A booking of these holds its allocation; every other one has given it back.
ACTIVE = frozenset({Status.DRAFT, Status.PENDING_CONFIRMATION, Status.SCHEDULED, Status.RESCHEDULED})

# Of these it is agreed that it takes place.
AGREED = frozenset({Status.SCHEDULED, Status.RESCHEDULED})

# And of these the attendee's data can be changed (seed 001, "Update attendee details"), and it can be moved: the new
# booking is born RESCHEDULED (PENDING_CONFIRMATION where an attendee moves what needs confirming), the old one ends
# CANCELLED.
MOVABLE = frozenset({Status.PENDING_CONFIRMATION, Status.SCHEDULED, Status.RESCHEDULED})

_ENDS_AS = {
    Action.CONFIRM: Status.SCHEDULED,
    Action.DECLINE: Status.CANCELLED,
    Action.CANCEL: Status.CANCELLED,
    Action.COMPLETE: Status.COMPLETED,
    Action.NO_SHOW: Status.NO_SHOW,
    Action.EXPIRE: Status.CANCELLED,
}
_FROM = {
    Action.CONFIRM: frozenset({Status.PENDING_CONFIRMATION, Status.RESCHEDULED}),
    Action.DECLINE: frozenset({Status.PENDING_CONFIRMATION}),
    Action.CANCEL: ACTIVE,
    Action.COMPLETE: frozenset({Status.SCHEDULED, Status.RESCHEDULED}),
    Action.NO_SHOW: frozenset({Status.SCHEDULED, Status.RESCHEDULED}),
    Action.EXPIRE: frozenset({Status.PENDING_CONFIRMATION}),
}


def decide(status: Status, action: Action, *, starts_at: datetime, ends_at: datetime, now: datetime) -> Status:
    """The status after the action. The same one means a repeat: answer with the present state and do nothing.

    Raises InvalidTransition for a step that the table lacks, for a completion or no-show before the start, for a
    cancellation after the end, and for the confirmation of a request whose time has come.
    """
    after = _ENDS_AS[action]
    if status is after:
        return status
    if status not in _FROM[action]:
        raise InvalidTransition(f"A booking that is {status} cannot be changed by '{action}'.")
    if action in {Action.COMPLETE, Action.NO_SHOW} and now < starts_at:
        raise InvalidTransition(f"'{action}' is possible from the booking's start on, not before.")
    if action is Action.EXPIRE and now < starts_at:
        raise InvalidTransition("This request can still be answered.")
    if action is Action.CONFIRM and status is Status.PENDING_CONFIRMATION and now >= starts_at:
        raise InvalidTransition("The time of this request has come without an answer; it cannot be confirmed any more.")
    if action is Action.CANCEL and now >= ends_at:
        raise InvalidTransition("A booking that is over cannot be cancelled; mark it completed or no-show.")
    return after
