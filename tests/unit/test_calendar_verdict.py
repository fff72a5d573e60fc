"""What follows when one of our events looks different in a calendar: cases by hand, and what holds for all of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bookings.lifecycle import AGREED, Status
from app.domain.calendars.verdict import Act, Ours, Theirs, Times, judge

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hour: int, *, hours: int = 1) -> Times:
    return Times(NOW + (hour - 8) * HOUR, NOW + (hour - 8 + hours) * HOUR)


NINE, TEN, ELEVEN = at(9), at(10), at(11)
# it was booked an hour ago, and changed since or not
BEFORE, LATER = NOW - 2 * HOUR, NOW - HOUR / 2
PLAIN = Ours(Status.SCHEDULED, NINE, NOW - HOUR, NINE, wanted=True)
# moved here from nine to ten, and not written there yet
MOVED = replace(PLAIN, times=TEN)


def there(times: Times | None, changed_at: datetime | None = LATER, *, all_day: bool = False) -> Theirs:
    return Theirs(deleted=False, times=times, all_day=all_day, changed_at=changed_at)


def gone(changed_at: datetime | None = LATER) -> Theirs:
    return Theirs(deleted=True, times=None, all_day=False, changed_at=changed_at)


@pytest.mark.parametrize(
    ("ours", "theirs", "act"),
    [
        # nothing of ours is under way
        (PLAIN, there(NINE), Act.NOTHING),
        (PLAIN, there(NINE, None), Act.NOTHING),
        (PLAIN, there(TEN), Act.MOVE),
        (PLAIN, there(TEN, BEFORE), Act.MOVE),
        (PLAIN, there(TEN, None), Act.MOVE),
        (PLAIN, there(at(9, hours=2)), Act.PUT_BACK),
        (PLAIN, there(at(9, hours=0)), Act.PUT_BACK),
        (PLAIN, there(at(10, hours=2)), Act.MOVE),
        (PLAIN, there(at(0, hours=24), all_day=True), Act.PUT_BACK),
        (PLAIN, there(NINE, all_day=True), Act.PUT_BACK),
        (PLAIN, there(None), Act.NOTHING),
        (PLAIN, gone(), Act.CANCEL),
        (PLAIN, gone(BEFORE), Act.CANCEL),
        (PLAIN, gone(None), Act.CANCEL),
        # it was moved here, which does not stand there yet
        (MOVED, there(NINE), Act.NOTHING),
        (MOVED, there(TEN), Act.NOTHING),
        (MOVED, there(ELEVEN), Act.MOVE),
        (MOVED, there(ELEVEN, None), Act.MOVE),
        (MOVED, there(ELEVEN, BEFORE), Act.WRITE),
        (MOVED, there(ELEVEN, MOVED.changed_at), Act.MOVE),
        (MOVED, gone(MOVED.changed_at), Act.CANCEL),
        (MOVED, there(at(10, hours=2)), Act.PUT_BACK),
        (MOVED, there(at(0, hours=24), BEFORE, all_day=True), Act.WRITE),
        (MOVED, there(at(0, hours=24), all_day=True), Act.PUT_BACK),
        (MOVED, gone(), Act.CANCEL),
        (MOVED, gone(BEFORE), Act.REWRITE),
        (MOVED, gone(None), Act.REWRITE),
        # it is none of our business
        (replace(PLAIN, wanted=False), gone(), Act.NOTHING),
        (replace(PLAIN, stood=None), gone(), Act.NOTHING),
        (replace(PLAIN, status=Status.CANCELLED), gone(), Act.NOTHING),
        (replace(PLAIN, status=Status.PENDING_CONFIRMATION), there(TEN), Act.NOTHING),
        (replace(PLAIN, status=Status.RESCHEDULED), there(TEN), Act.MOVE),
        # it is over, or just ends
        (replace(PLAIN, times=at(6), stood=at(6)), gone(), Act.NOTHING),
        (replace(PLAIN, times=at(7), stood=at(7)), there(TEN), Act.NOTHING),
        (replace(PLAIN, times=at(7, hours=2), stood=at(7, hours=2)), gone(), Act.CANCEL),
    ],
)
def test_cases(ours: Ours, theirs: Theirs, act: Act) -> None:
    assert judge(ours, theirs, NOW) is act


moments = st.integers(-12, 12).map(lambda quarters: NOW + quarters * HOUR / 4)


@st.composite
def periods(draw: st.DrawFn) -> Times:
    start = draw(moments)
    return Times(start, start + draw(st.integers(0, 8)) * HOUR / 4)


TIMES = periods()


@st.composite
def bookings(draw: st.DrawFn) -> Ours:
    """Mostly such as are to take place, and often where they stand."""
    times = draw(TIMES)
    stood = draw(st.just(times) | TIMES | st.none())
    status = draw(st.sampled_from(sorted(AGREED)) | st.sampled_from(Status))
    return Ours(status, times, draw(moments), stood, wanted=draw(st.integers(0, 5)) > 0)


OURS = bookings()
GONE = st.builds(gone, st.none() | moments)
STANDING = st.builds(there, st.none() | TIMES, st.none() | moments, all_day=st.booleans())
THEIRS = GONE | STANDING
CHANGING = {Act.MOVE, Act.CANCEL}


@given(OURS, THEIRS)
def test_a_booking_changes_only_where_something_else_stands_there(ours: Ours, theirs: Theirs) -> None:
    act = judge(ours, theirs, NOW)
    if act is Act.CANCEL:
        assert theirs.deleted
    if act is Act.MOVE:
        assert theirs.times is not None
        assert not theirs.deleted
        assert not theirs.all_day
        assert theirs.times not in {ours.stood, ours.times}
        assert theirs.times.starts_at != ours.times.starts_at


@given(OURS, st.none() | moments)
def test_an_echo_of_our_own_write_changes_nothing(ours: Ours, changed_at: datetime | None) -> None:
    for times in (ours.times, ours.stood):
        if times is not None:
            assert judge(ours, there(times, changed_at), NOW) is Act.NOTHING


@given(OURS, THEIRS)
def test_what_is_over_or_ended_or_never_stood_there_is_left_alone(ours: Ours, theirs: Theirs) -> None:
    settled = ours.status not in AGREED or ours.times.ends_at <= NOW
    if settled or not ours.wanted or ours.stood is None:
        assert judge(ours, theirs, NOW) is Act.NOTHING


@given(OURS, TIMES, st.none() | moments, st.booleans())
def test_whoever_is_later_wins(ours: Ours, times: Times, changed_at: datetime | None, deleted: bool) -> None:
    theirs = gone(changed_at) if deleted else there(times, changed_at)
    act = judge(ours, theirs, NOW)
    unwritten = ours.stood != ours.times
    if unwritten and changed_at is not None and changed_at < ours.changed_at:
        assert act not in CHANGING | {Act.PUT_BACK}, "ours was later"
    if changed_at is not None and changed_at >= ours.changed_at:
        assert act not in {Act.WRITE, Act.REWRITE}, "theirs was later"
    if not unwritten:
        assert act not in {Act.WRITE, Act.REWRITE}, "nothing of ours is to be written"


@given(OURS)
def test_an_unknown_time_never_cancels_what_was_moved_here(ours: Ours) -> None:
    if ours.stood != ours.times:
        assert judge(ours, gone(None), NOW) in {Act.NOTHING, Act.REWRITE}


@given(OURS, st.booleans(), st.none() | moments)
def test_a_series_is_no_other_time(ours: Ours, all_day: bool, changed_at: datetime | None) -> None:
    assert judge(ours, there(None, changed_at, all_day=all_day), NOW) is Act.NOTHING


@given(OURS, THEIRS)
def test_what_lasts_longer_or_all_day_is_put_back_or_written_over(ours: Ours, theirs: Theirs) -> None:
    act = judge(ours, theirs, NOW)
    if act is Act.PUT_BACK:
        assert theirs.times is not None
        assert theirs.all_day or theirs.times.starts_at == ours.times.starts_at
    if theirs.all_day and not theirs.deleted:
        assert act not in CHANGING


@given(OURS, THEIRS)
def test_once_it_was_followed_nothing_more_follows(ours: Ours, theirs: Theirs) -> None:
    """Where the booking stands where its event does, and we have seen it there, the same news is old."""
    if judge(ours, theirs, NOW) is Act.MOVE:
        assert theirs.times is not None
        length = ours.times.ends_at - ours.times.starts_at
        booked = Times(theirs.times.starts_at, theirs.times.starts_at + length)
        followed = replace(ours, times=booked, stood=theirs.times, changed_at=NOW)
        assert judge(followed, theirs, NOW) is Act.NOTHING
