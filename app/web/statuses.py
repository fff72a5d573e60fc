"""Statuses of bookings in the words of seeds 000, 002 and 003, as every face but `/v1` says them.

The one rule: a word may mean several statuses, a status has one word. What was moved is as confirmed as what was not.
"""

from collections.abc import Iterable
from typing import Literal

from app.domain.bookings.lifecycle import Status

StatusWord = Literal["pending", "confirmed", "cancelled", "completed", "no_show", "draft"]

WORDS: dict[Status, StatusWord] = {
    Status.DRAFT: "draft",
    Status.PENDING_CONFIRMATION: "pending",
    Status.SCHEDULED: "confirmed",
    Status.RESCHEDULED: "confirmed",
    Status.COMPLETED: "completed",
    Status.CANCELLED: "cancelled",
    Status.NO_SHOW: "no_show",
}


def statuses_of(words: Iterable[StatusWord]) -> list[Status]:
    """Every status that one of the words means."""
    wanted = set(words)
    return [status for status, word in WORDS.items() if word in wanted]
