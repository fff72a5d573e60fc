"""Promised wall times against instants, without a database: gaps, repeated hours, zones that are gone."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.times import EARLIEST, LATEST, zone, zone_names
from app.domain.bookings.zones import Promise, find_drift

NOBODY = UUID(int=0)


def promise(name: str, wall: str, instant: str) -> Promise:
    return Promise(NOBODY, NOBODY, "CODE", name, datetime.fromisoformat(wall), datetime.fromisoformat(instant + "Z"))


@pytest.mark.parametrize(
    ("name", "wall", "instant"),
    [
        ("Europe/Berlin", "2026-06-03T14:00", "2026-06-03T12:00"),
        # both occurrences of an hour that comes twice
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T01:30"),
        ("Pacific/Chatham", "2026-06-04T00:45", "2026-06-03T12:00"),
    ],
)
def test_a_kept_promise_is_no_drift(name: str, wall: str, instant: str) -> None:
    assert find_drift(promise(name, wall, instant)) is None


@pytest.mark.parametrize(
    ("name", "wall", "instant", "local_now", "kept_at", "times"),
    [
        # as if the summer time of a zone had been abolished, or another one begun
        ("Europe/Berlin", "2026-06-03T13:00", "2026-06-03T12:00", "2026-06-03T14:00", "2026-06-03T11:00", 1),
        # promised at a time that the clock skips now: the offset before the gap decides
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T01:30", 0),
        # promised at a time that comes twice now: the first of the two
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30", "2026-10-25T03:30", "2026-10-25T00:30", 2),
        # a date that the zone skipped
        ("Pacific/Apia", "2011-12-30T09:00", "2011-12-29T19:00", "2011-12-29T09:00", "2011-12-30T19:00", 0),
    ],
)
def test_a_broken_promise(name: str, wall: str, instant: str, local_now: str, kept_at: str, times: int) -> None:
    drift = find_drift(promise(name, wall, instant))
    assert drift is not None
    assert drift.local_now == datetime.fromisoformat(local_now)
    assert drift.kept_at == datetime.fromisoformat(kept_at + "Z")
    assert drift.times == times


def test_a_zone_that_is_gone_is_told() -> None:
    drift = find_drift(promise("Mars/Olympus", "2026-06-03T14:00", "2026-06-03T12:00"))
    assert drift is not None
    assert (drift.local_now, drift.kept_at, drift.times) == (None, None, None)


@given(
    st.sampled_from(sorted(zone_names())),
    st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC)),
)
def test_what_is_promised_under_todays_rules_is_kept_by_them(name: str, instant: datetime) -> None:
    local_start = instant.astimezone(zone(name)).replace(tzinfo=None)
    assert find_drift(Promise(NOBODY, NOBODY, "CODE", name, local_start, instant)) is None
