"""The lifecycle: every status against every action, from one table written here by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core.errors import InvalidTransition
from app.domain.bookings.lifecycle import ACTIVE, Action, Status, decide

START = datetime(2026, 5, 1, 14, tzinfo=UTC)
END = START + timedelta(minutes=30)
DURING = START + timedelta(minutes=10)

# None: refused. The present status: a repeat.
D, P, S, R, C, X, N = (
    Status.DRAFT, Status.PENDING_CONFIRMATION, Status.SCHEDULED, Status.RESCHEDULED,
    Status.COMPLETED, Status.CANCELLED, Status.NO_SHOW,
)  # fmt: skip
DURING_IT = {
    Action.CONFIRM: {D: None, P: None, S: S, R: S, C: None, X: None, N: None},
    Action.DECLINE: {D: None, P: X, S: None, R: None, C: None, X: X, N: None},
    Action.CANCEL: {D: X, P: X, S: X, R: X, C: None, X: X, N: None},
    Action.COMPLETE: {D: None, P: None, S: C, R: C, C: C, X: None, N: None},
    Action.NO_SHOW: {D: None, P: None, S: N, R: N, C: None, X: None, N: N},
    Action.EXPIRE: {D: None, P: X, S: None, R: None, C: None, X: X, N: None},
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("status", Status)
def test_every_step(status: Status, action: Action) -> None:
    expected = DURING_IT[action][status]
    if expected is None:
        with pytest.raises(InvalidTransition):
            decide(status, action, starts_at=START, ends_at=END, now=DURING)
    else:
        assert decide(status, action, starts_at=START, ends_at=END, now=DURING) is expected


@pytest.mark.parametrize("action", [Action.COMPLETE, Action.NO_SHOW])
def test_completion_and_no_show_wait_for_the_start(action: Action) -> None:
    with pytest.raises(InvalidTransition):
        decide(S, action, starts_at=START, ends_at=END, now=START - timedelta(microseconds=1))
    assert decide(S, action, starts_at=START, ends_at=END, now=START) in {C, N}


def test_a_request_is_answered_before_its_time_and_ends_unanswered_from_then_on() -> None:
    before = START - timedelta(microseconds=1)
    assert decide(P, Action.CONFIRM, starts_at=START, ends_at=END, now=before) is S
    with pytest.raises(InvalidTransition):
        decide(P, Action.CONFIRM, starts_at=START, ends_at=END, now=START)
    with pytest.raises(InvalidTransition):
        decide(P, Action.EXPIRE, starts_at=START, ends_at=END, now=before)
    for late in (START, END, END + timedelta(days=9)):
        assert decide(P, Action.EXPIRE, starts_at=START, ends_at=END, now=late) is X


def test_cancelling_ends_with_the_booking_but_a_repeat_does_not() -> None:
    assert decide(S, Action.CANCEL, starts_at=START, ends_at=END, now=END - timedelta(microseconds=1)) is X
    with pytest.raises(InvalidTransition):
        decide(S, Action.CANCEL, starts_at=START, ends_at=END, now=END)
    assert decide(X, Action.CANCEL, starts_at=START, ends_at=END, now=END + timedelta(days=9)) is X


def test_active_statuses_hold_their_time() -> None:
    assert set(ACTIVE) == {D, P, S, R}
