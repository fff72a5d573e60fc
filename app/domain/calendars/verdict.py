"""What follows when one of our events looks different in a calendar: one pure function.

The one rule: only what was certainly done there, by somebody other than us, changes a booking; whatever is merely
missing changes nothing. Of two changes the later one counts (the domain's rules, "Calendars").
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.bookings.lifecycle import AGREED, Status


class Act(StrEnum):
    """nothing: it stands as it should, or it is none of our business. move, cancel: the booking follows. put_back: the
    event goes back to the booking's time, and the host is told. write: ours is the later change, and is written again.
    rewrite: the same, of an event that is gone."""

    NOTHING = "nothing"
    MOVE = "move"
    CANCEL = "cancel"
    PUT_BACK = "put_back"
    WRITE = "write"
    REWRITE = "rewrite"


@dataclass(frozen=True, slots=True)
class Times:
    """[starts_at, ends_at), UTC."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Ours:
    """The booking as it is, and when its time was last changed. stood: where its event stood when we last wrote it or
    looked at it; None where it never did. wanted: whether the event is to be there."""

    status: Status
    times: Times
    changed_at: datetime
    stood: Times | None
    wanted: bool


@dataclass(frozen=True, slots=True)
class Theirs:
    """The event as it is there. times: None where it is deleted, or has none (a series). changed_at: None where the
    provider does not tell."""

    deleted: bool
    times: Times | None
    all_day: bool
    changed_at: datetime | None


def judge(ours: Ours, theirs: Theirs, now: datetime) -> Act:
    """What is to be done. Both sides were read while nobody wrote."""
    if not ours.wanted or ours.stood is None or ours.status not in AGREED or ours.times.ends_at <= now:
        # what is over, or ended, is history on both sides
        return Act.NOTHING
    unwritten = ours.times != ours.stood
    ours_later = unwritten and theirs.changed_at is not None and theirs.changed_at < ours.changed_at
    if theirs.deleted:
        # where nobody knows which was first, nothing is cancelled
        return Act.REWRITE if ours_later or (unwritten and theirs.changed_at is None) else Act.CANCEL
    if theirs.times is None:
        # a series by now: whatever its owner meant, it is not another time for this booking
        return Act.NOTHING
    if theirs.times in {ours.stood, ours.times} and not theirs.all_day:
        return Act.NOTHING
    if ours_later:
        return Act.WRITE
    # how long it takes was agreed, and a whole day was not
    moved = theirs.times.starts_at != ours.times.starts_at
    return Act.MOVE if moved and not theirs.all_day else Act.PUT_BACK
