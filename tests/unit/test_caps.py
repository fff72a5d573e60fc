"""Caps: which periods a start counts in. The expected dates and instants are those of a calendar on the wall."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.times import zone_names
from app.domain.availability.caps import PERIODS, Caps, closed_by, first_date, next_date, periods_of

EVERY = Caps(day=1, week=1, month=1)
HOUR = 3_600
DAY = 24 * HOUR


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def spans(zone: str, period: str, first: str) -> list[str]:
    runs = closed_by([(period, date.fromisoformat(first))], zone)
    return [f"{datetime.fromtimestamp(each, UTC):%Y-%m-%dT%H:%M}" for run in runs for each in run]


def test_a_cap_is_there_when_any_limit_is() -> None:
    assert not Caps()
    assert Caps(week=1)
    assert Caps(day=1)
    assert Caps(month=1)


def test_a_start_counts_in_the_capped_periods_only() -> None:
    start = seconds("2026-05-14T10:00")
    assert periods_of(Caps(), "Etc/UTC", start) == []
    assert periods_of(Caps(week=3), "Etc/UTC", start) == [("week", date(2026, 5, 11))]
    assert periods_of(EVERY, "Etc/UTC", start) == [
        ("day", date(2026, 5, 14)),
        ("week", date(2026, 5, 11)),
        ("month", date(2026, 5, 1)),
    ]


def test_a_start_counts_on_the_hosts_date_not_on_that_of_utc() -> None:
    start = seconds("2026-05-31T23:30")  # Monday, 1 June, in Auckland; still Sunday in New York
    assert periods_of(EVERY, "Pacific/Auckland", start) == [
        ("day", date(2026, 6, 1)),
        ("week", date(2026, 6, 1)),
        ("month", date(2026, 6, 1)),
    ]
    assert periods_of(EVERY, "America/New_York", start) == [
        ("day", date(2026, 5, 31)),
        ("week", date(2026, 5, 25)),
        ("month", date(2026, 5, 1)),
    ]


@pytest.mark.parametrize(
    ("zone", "period", "first", "since", "until"),
    [
        ("Europe/Berlin", "day", "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),  # 23 hours
        ("Europe/Berlin", "day", "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),  # 25 hours
        ("Europe/Berlin", "week", "2026-03-23", "2026-03-22T23:00", "2026-03-29T22:00"),
        ("Europe/Berlin", "month", "2026-10-01", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("Asia/Kathmandu", "month", "2026-02-01", "2026-01-31T18:15", "2026-02-28T18:15"),
        ("Etc/UTC", "month", "2028-02-01", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("Etc/UTC", "week", "2026-12-28", "2026-12-28T00:00", "2027-01-04T00:00"),
        ("Asia/Beirut", "day", "2026-03-29", "2026-03-28T22:00", "2026-03-29T21:00"),  # begins with 01:00
        ("Pacific/Apia", "day", "2011-12-30", "2011-12-30T10:00", "2011-12-30T10:00"),  # skipped: closes nothing
        ("Pacific/Apia", "week", "2011-12-26", "2011-12-26T10:00", "2012-01-01T10:00"),  # six days
        ("Pacific/Apia", "month", "2011-12-01", "2011-12-01T10:00", "2011-12-31T10:00"),  # thirty
    ],
)
def test_where_a_full_period_closes(zone: str, period: str, first: str, since: str, until: str) -> None:
    assert spans(zone, period, first) == [since, until]


def test_each_full_period_closes_its_own_run() -> None:
    full = [("day", date(2026, 5, 14)), ("month", date(2026, 5, 1))]
    assert closed_by(full, "Etc/UTC") == [
        (seconds("2026-05-14T00:00"), seconds("2026-05-15T00:00")),
        (seconds("2026-05-01T00:00"), seconds("2026-06-01T00:00")),
    ]
    assert closed_by([], "Etc/UTC") == []


@pytest.mark.parametrize("period", PERIODS)
@given(day=st.dates(date(1971, 1, 1), date(2199, 12, 31)))
def test_a_date_lies_in_one_period_and_the_next_begins_where_it_ends(period: str, day: date) -> None:
    first = first_date(period, day)
    following = next_date(period, first)
    assert first <= day < following
    assert first_date(period, first) == first
    assert first_date(period, following) == following
    assert first_date(period, following - timedelta(days=1)) == first
    if period == "week":
        assert (first.weekday(), following - first) == (0, timedelta(days=7))
    if period == "month":
        assert (first.day, following.day, following > first) == (1, 1, True)


ZONES = st.sampled_from(["Africa/Cairo", "Asia/Beirut", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"])
SPANS = (
    st.integers(seconds("2026-01-01T00:00"), seconds("2028-01-01T00:00"))
    # around the date that Samoa skipped, with the whole of its week and month
    | st.integers(seconds("2011-11-25T00:00"), seconds("2012-01-10T00:00"))
    | st.sampled_from([seconds("2011-12-30T10:00"), seconds("2011-12-30T09:59"), seconds("2011-12-31T10:00")])
)


@settings(max_examples=settings().max_examples * 5, deadline=None)
@given(zone=st.sampled_from(sorted(zone_names())) | ZONES, start=SPANS)
def test_a_start_is_closed_by_its_own_periods_and_no_others(zone: str, start: int) -> None:
    day = datetime.fromtimestamp(start, ZoneInfo(zone)).date()
    own = periods_of(EVERY, zone, start)
    assert own == [
        ("day", day),
        ("week", date.fromisocalendar(*day.isocalendar()[:2], 1)),
        ("month", date(day.year, day.month, 1)),
    ]
    around = [day + timedelta(days=n) for n in range(-40, 41)]
    near = {(period, first_date(period, each)) for period in PERIODS for each in around}
    closing = {each for each in near if any(since <= start < until for since, until in closed_by([each], zone))}
    assert closing == set(own)


@settings(deadline=None)
@given(zone=ZONES, day=st.dates(date(2011, 12, 1), date(2027, 12, 31)))
def test_the_days_of_a_week_and_of_a_month_make_it_up(zone: str, day: date) -> None:
    for period in ("week", "month"):
        first = first_date(period, day)
        days = (next_date(period, first) - first).days
        runs = closed_by([("day", first + timedelta(days=n)) for n in range(days)], zone)
        assert all(one[1] == other[0] for one, other in pairwise(runs))
        assert closed_by([(period, first)], zone) == [(runs[0][0], runs[-1][1])]
