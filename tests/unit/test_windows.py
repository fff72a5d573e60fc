"""Wall time to UTC seconds. The instants expected here were derived by hand from each zone's published rules
(which clock changes when, and by how much), not by running the code. Where the rules of 2026 were changed
during the year (Cuba, Morocco) the dates are past ones, on which every edition of the database agrees."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.availability.windows import (
    Hours,
    Piece,
    Window,
    always_open,
    day_start,
    local_date,
    offset_at,
    open_stretches,
    parse_hours,
    pieces,
)

HOUR, DAY = 3_600, 86_400


def seconds(instant: str) -> int:
    """'2026-03-29T01:00' in UTC as epoch seconds."""
    return int(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp())


def text(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M")


def minutes(window: str) -> Window:
    """'09:00-17:30' as (540, 1050)."""
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in window.split("-"))
    return start, end


def on(zone: str, dates: dict[str, str]) -> Hours:
    """Hours that are open on the given local dates only: {'2026-03-29': '01:30-03:30 05:00-06:00'}."""
    rows = {date.fromisoformat(day): tuple(map(minutes, spec.split())) for day, spec in dates.items()}
    return Hours(zone, ((),) * 7, rows)


def daily(zone: str, windows: str, **more: Any) -> Hours:
    return Hours(zone, (tuple(map(minutes, windows.split())),) * 7, **more)


def spans(hours: Hours, start: str, end: str) -> list[str]:
    """The open stretches as 'begin/end' in UTC."""
    found = open_stretches(hours, seconds(start), seconds(end))
    return [f"{text(opens)}/{text(closes)}" for opens, closes in found]


def grid(found: list[Piece], interval: int) -> list[int]:
    """Every start of the pieces, counted out minute by minute; interval in seconds."""
    return [s for anchor, lo, hi, _ in found for s in range(lo, hi, 60) if (s - anchor) % interval == 0]


def starts(hours: Hours, start: str, end: str, interval: int) -> list[str]:
    """The grid as instants in UTC; interval in minutes."""
    return list(map(text, grid(pieces(hours, seconds(start), seconds(end)), interval * 60)))


DST = [
    # Berlin: 2026-03-29 02:00 +01:00 becomes 03:00 +02:00; 2026-10-25 03:00 +02:00 becomes 02:00 +01:00
    ("Europe/Berlin", "2026-03-29", "01:30-03:30", ["2026-03-29T00:30/2026-03-29T01:30"]),
    ("Europe/Berlin", "2026-03-29", "02:00-03:00", []),
    ("Europe/Berlin", "2026-03-29", "02:15-02:45 04:00-05:00", ["2026-03-29T02:00/2026-03-29T03:00"]),
    ("Europe/Berlin", "2026-10-25", "01:00-03:00", ["2026-10-24T23:00/2026-10-25T02:00"]),
    (
        "Europe/Berlin",
        "2026-10-25",
        "02:15-02:45",
        ["2026-10-25T00:15/2026-10-25T00:45", "2026-10-25T01:15/2026-10-25T01:45"],
    ),
    # New York: 2026-03-08 02:00 -05:00 becomes 03:00 -04:00; 2026-11-01 02:00 -04:00 becomes 01:00 -05:00
    ("America/New_York", "2026-03-08", "01:30-03:30", ["2026-03-08T06:30/2026-03-08T07:30"]),
    ("America/New_York", "2026-03-08", "02:00-03:00", []),
    ("America/New_York", "2026-11-01", "01:00-02:00", ["2026-11-01T05:00/2026-11-01T07:00"]),
    (
        "America/New_York",
        "2026-11-01",
        "01:30-02:00",
        ["2026-11-01T05:30/2026-11-01T06:00", "2026-11-01T06:30/2026-11-01T07:00"],
    ),
    # Lord Howe, half an hour: 2026-04-05 02:00 +11:00 becomes 01:30 +10:30; 2026-10-04 02:00 becomes 02:30
    ("Australia/Lord_Howe", "2026-04-05", "01:00-02:30", ["2026-04-04T14:00/2026-04-04T16:00"]),
    (
        "Australia/Lord_Howe",
        "2026-04-05",
        "01:30-01:45",
        ["2026-04-04T14:30/2026-04-04T14:45", "2026-04-04T15:00/2026-04-04T15:15"],
    ),
    ("Australia/Lord_Howe", "2026-10-04", "01:45-02:45", ["2026-10-03T15:15/2026-10-03T15:45"]),
    ("Australia/Lord_Howe", "2026-10-04", "02:00-02:30", []),
    # Chatham: 2026-04-05 03:45 +13:45 becomes 02:45 +12:45; 2026-09-27 02:45 becomes 03:45
    ("Pacific/Chatham", "2026-04-05", "02:30-04:00", ["2026-04-04T12:45/2026-04-04T15:15"]),
    ("Pacific/Chatham", "2026-09-27", "02:30-04:00", ["2026-09-26T13:45/2026-09-26T14:15"]),
    # Kathmandu: +05:45, never changes
    ("Asia/Kathmandu", "2026-03-29", "09:00-17:00", ["2026-03-29T03:15/2026-03-29T11:15"]),
    # Casablanca, an hour back for Ramadan: 2026-02-15 03:00 +01:00 becomes 02:00 +00:00,
    # 2026-03-22 02:00 +00:00 becomes 03:00 +01:00; in 2025 on 02-23 and 04-06; since 2026-09-20 no longer
    ("Africa/Casablanca", "2026-02-15", "01:30-03:30", ["2026-02-15T00:30/2026-02-15T03:30"]),
    (
        "Africa/Casablanca",
        "2026-02-15",
        "02:15-02:45",
        ["2026-02-15T01:15/2026-02-15T01:45", "2026-02-15T02:15/2026-02-15T02:45"],
    ),
    ("Africa/Casablanca", "2026-03-01", "09:00-10:00", ["2026-03-01T09:00/2026-03-01T10:00"]),
    ("Africa/Casablanca", "2026-03-22", "01:30-03:30", ["2026-03-22T01:30/2026-03-22T02:30"]),
    ("Africa/Casablanca", "2025-02-23", "01:30-03:30", ["2025-02-23T00:30/2025-02-23T03:30"]),
    ("Africa/Casablanca", "2025-04-06", "02:00-03:00", []),
    # Havana: 2026-03-08 00:00 -05:00 becomes 01:00 -04:00; 2025-11-02 01:00 -04:00 becomes 00:00 -05:00
    ("America/Havana", "2026-03-08", "00:00-02:00", ["2026-03-08T05:00/2026-03-08T06:00"]),
    ("America/Havana", "2025-11-02", "00:00-01:00", ["2025-11-02T04:00/2025-11-02T06:00"]),
    # Beirut: 2026-03-29 00:00 +02:00 becomes 01:00 +03:00; 2026-10-25 00:00 +03:00 becomes 23:00 the day before
    ("Asia/Beirut", "2026-03-29", "00:00-01:00", []),
    ("Asia/Beirut", "2026-03-29", "00:30-01:30", ["2026-03-28T22:00/2026-03-28T22:30"]),
    ("Asia/Beirut", "2026-10-24", "23:00-24:00", ["2026-10-24T20:00/2026-10-24T22:00"]),
    (
        "Asia/Beirut",
        "2026-10-24",
        "23:30-24:00",
        ["2026-10-24T20:30/2026-10-24T21:00", "2026-10-24T21:30/2026-10-24T22:00"],
    ),
    ("Asia/Beirut", "2026-10-25", "00:00-01:00", ["2026-10-24T22:00/2026-10-24T23:00"]),
    # Cairo: 2026-04-24 00:00 +02:00 becomes 01:00 +03:00; 2026-10-30 00:00 +03:00 becomes 23:00 the day before
    ("Africa/Cairo", "2026-04-24", "00:00-01:30", ["2026-04-23T22:00/2026-04-23T22:30"]),
    ("Africa/Cairo", "2026-10-29", "22:30-24:00", ["2026-10-29T19:30/2026-10-29T22:00"]),
    # São Paulo, until 2019: 2018-02-18 00:00 -02:00 became 23:00 the day before; 2018-11-04 00:00 became 01:00
    ("America/Sao_Paulo", "2018-02-17", "23:00-24:00", ["2018-02-18T01:00/2018-02-18T03:00"]),
    ("America/Sao_Paulo", "2018-11-04", "00:00-02:00", ["2018-11-04T03:00/2018-11-04T04:00"]),
]


@pytest.mark.parametrize(("zone", "day", "windows", "expected"), DST)
def test_a_window_on_the_day_of_a_change(zone: str, day: str, windows: str, expected: list[str]) -> None:
    first = date.fromisoformat(day)
    around = (f"{first - timedelta(days=3)}T00:00", f"{first + timedelta(days=3)}T00:00")
    assert spans(on(zone, {day: windows}), *around) == expected


def test_a_date_that_the_zone_skipped_has_no_windows() -> None:
    """Samoa went from Thursday 2011-12-29 (-10:00) to Saturday the 31st (+14:00) at 2011-12-30T10:00Z."""
    hours = daily("Pacific/Apia", "09:00-12:00")
    assert spans(hours, "2011-12-29T10:00", "2011-12-31T10:00") == [
        "2011-12-29T19:00/2011-12-29T22:00",
        "2011-12-30T19:00/2011-12-30T22:00",
    ]
    friday = on("Pacific/Apia", {"2011-12-30": "00:00-24:00"})
    assert spans(friday, "2011-12-25T00:00", "2012-01-05T00:00") == []


def test_a_stretch_goes_on_over_a_skipped_date() -> None:
    hours = on("Pacific/Apia", {"2011-12-29": "20:00-24:00", "2011-12-31": "00:00-04:00"})
    assert spans(hours, "2011-12-28T00:00", "2012-01-02T00:00") == ["2011-12-30T06:00/2011-12-30T14:00"]


def test_a_stretch_crosses_midnight() -> None:
    hours = on("Europe/Berlin", {"2026-01-09": "22:00-24:00", "2026-01-10": "00:00-02:00"})
    assert spans(hours, "2026-01-09T00:00", "2026-01-11T00:00") == ["2026-01-09T21:00/2026-01-10T01:00"]
    assert starts(hours, "2026-01-09T00:00", "2026-01-11T00:00", 90) == [
        "2026-01-09T21:00",
        "2026-01-09T22:30",
        "2026-01-10T00:00",
    ]


def test_weekly_windows_belong_to_the_local_weekday() -> None:
    """Tuesday 2026-06-09 in Auckland (+12:00) is mostly Monday in UTC."""
    hours = Hours("Pacific/Auckland", ((), ((480, 720),), (), (), (), (), ()))
    assert spans(hours, "2026-06-07T00:00", "2026-06-14T00:00") == ["2026-06-08T20:00/2026-06-09T00:00"]


def test_adjoining_and_overlapping_windows_make_one_stretch() -> None:
    hours = on("Europe/Berlin", {"2026-01-09": "11:00-12:00 09:00-10:30 10:30-11:15"})
    assert spans(hours, "2026-01-09T00:00", "2026-01-10T00:00") == ["2026-01-09T08:00/2026-01-09T11:00"]
    assert starts(hours, "2026-01-09T00:00", "2026-01-10T00:00", 60) == [
        "2026-01-09T08:00",
        "2026-01-09T09:00",
        "2026-01-09T10:00",
    ]


def test_starts_are_counted_from_the_beginning_of_the_stretch_in_elapsed_time() -> None:
    """01:30 to 04:00 on the day that has 02:00 twice is three and a half hours."""
    hours = on("Europe/Berlin", {"2026-10-25": "01:30-04:00"})
    assert starts(hours, "2026-10-24T00:00", "2026-10-26T00:00", 40) == [
        "2026-10-24T23:30",
        "2026-10-25T00:10",
        "2026-10-25T00:50",
        "2026-10-25T01:30",
        "2026-10-25T02:10",
        "2026-10-25T02:50",
    ]


def test_what_is_always_open_is_counted_from_each_local_midnight() -> None:
    """2026-10-25 has 25 hours in Berlin: a grid of seven hours starts anew at the next midnight all the same."""
    assert starts(always_open("Europe/Berlin"), "2026-10-24T22:00", "2026-10-26T06:00", 7 * 60) == [
        "2026-10-24T22:00",
        "2026-10-25T05:00",
        "2026-10-25T12:00",
        "2026-10-25T19:00",
        "2026-10-25T23:00",
    ]


def test_where_midnight_is_skipped_the_date_counts_from_its_first_instant() -> None:
    """Havana's 2026-03-08 begins with 01:00 -04:00 (05:00Z) and has 23 hours."""
    assert starts(always_open("America/Havana"), "2026-03-08T04:00", "2026-03-09T05:00", 10 * 60) == [
        "2026-03-08T05:00",
        "2026-03-08T15:00",
        "2026-03-09T01:00",
        "2026-03-09T04:00",
    ]


def test_where_midnight_comes_twice_the_date_counts_from_the_first() -> None:
    """Havana's 2025-11-02 begins with 00:00 -04:00 (04:00Z), has 00:00 again at 05:00Z, and 25 hours."""
    assert starts(always_open("America/Havana"), "2025-11-02T04:00", "2025-11-03T06:00", 11 * 60) == [
        "2025-11-02T04:00",
        "2025-11-02T15:00",
        "2025-11-03T02:00",
        "2025-11-03T05:00",
    ]


def test_a_stretch_counts_from_its_beginning_for_24_hours_then_from_midnight() -> None:
    hours = daily("Etc/UTC", "00:00-24:00", overrides={date(2026, 1, 5): (minutes("09:00-24:00"),)})
    assert starts(hours, "2026-01-05T00:00", "2026-01-07T08:00", 7 * 60) == [
        *["2026-01-05T09:00", "2026-01-05T16:00", "2026-01-05T23:00", "2026-01-06T06:00"],
        *["2026-01-06T14:00", "2026-01-06T21:00"],
        *["2026-01-07T00:00", "2026-01-07T07:00"],
    ]


def test_24_hours_are_elapsed_hours() -> None:
    """Open from 2026-10-24 12:00 (10:00Z) on: on the 25th, after 24 hours, the clock says 11:00, not 12:00."""
    hours = daily("Europe/Berlin", "00:00-24:00", overrides={date(2026, 10, 24): (minutes("12:00-24:00"),)})
    found = pieces(hours, seconds("2026-10-24T00:00"), seconds("2026-10-25T20:00"))
    assert [(text(anchor), text(lo), text(hi)) for anchor, lo, hi, _ in found] == [
        ("2026-10-24T10:00", "2026-10-24T10:00", "2026-10-25T10:00"),
        ("2026-10-24T22:00", "2026-10-25T10:00", "2026-10-25T20:00"),
    ]


def test_an_override_replaces_the_windows_of_its_date_or_closes_it() -> None:
    overrides = {date(2026, 1, 6): (), date(2026, 1, 7): (minutes("20:00-21:00"),)}
    assert spans(daily("Etc/UTC", "09:00-10:00", overrides=overrides), "2026-01-05T00:00", "2026-01-09T00:00") == [
        "2026-01-05T09:00/2026-01-05T10:00",
        "2026-01-07T20:00/2026-01-07T21:00",
        "2026-01-08T09:00/2026-01-08T10:00",
    ]


def test_valid_from_and_until_are_local_dates_and_inclusive() -> None:
    valid = {"valid_from": date(2026, 1, 6), "valid_until": date(2026, 1, 7)}
    assert spans(daily("Asia/Tokyo", "00:00-24:00", **valid), "2026-01-01T00:00", "2026-01-20T00:00") == [
        "2026-01-05T15:00/2026-01-07T15:00"
    ]
    overrides = {date(2026, 1, 8): (minutes("09:00-10:00"),)}
    outside = daily("Asia/Tokyo", "", overrides=overrides, **valid)
    assert spans(outside, "2026-01-01T00:00", "2026-01-20T00:00") == []


def test_stretches_are_given_whole() -> None:
    hours = daily("Etc/UTC", "09:00-17:00")
    assert spans(hours, "2026-01-05T12:00", "2026-01-05T12:01") == ["2026-01-05T09:00/2026-01-05T17:00"]
    assert spans(hours, "2026-01-05T17:00", "2026-01-06T09:00") == []
    assert spans(hours, "2026-01-05T12:00", "2026-01-05T12:00") == []
    start = seconds("2026-01-05T12:00")
    assert pieces(hours, start, start + 60) == [(start - 3 * HOUR, start, start + 60, start + 5 * HOUR)]


def test_longest_lets_a_long_booking_see_its_end() -> None:
    start = seconds("2026-01-05T12:00")
    for longest in (DAY, 30 * DAY):
        ((*_, end),) = pieces(always_open("Etc/UTC"), start, start + 60, longest=longest)
        assert end >= start + 60 + longest


def test_dates_and_offsets_of_an_instant() -> None:
    assert offset_at("Asia/Kathmandu", seconds("2026-01-01T00:00")) == 5 * HOUR + 45 * 60
    assert offset_at("Australia/Lord_Howe", seconds("2026-10-03T15:29")) == 10 * HOUR + 30 * 60
    assert offset_at("Australia/Lord_Howe", seconds("2026-10-03T15:30")) == 11 * HOUR
    assert local_date("Pacific/Apia", seconds("2011-12-30T09:59")) == date(2011, 12, 29)
    assert local_date("Pacific/Apia", seconds("2011-12-30T10:00")) == date(2011, 12, 31)


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00"),
        ("Europe/Berlin", date(2026, 3, 30), "2026-03-29T22:00"),
        ("Asia/Beirut", date(2026, 3, 29), "2026-03-28T22:00"),  # begins with 01:00
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00"),  # has midnight twice
        ("Asia/Beirut", date(2026, 10, 25), "2026-10-24T22:00"),  # 00:00 +03:00 was still the 24th
        ("Pacific/Apia", date(2011, 12, 29), "2011-12-29T10:00"),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00"),  # skipped
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),
        ("America/St_Johns", date(2010, 11, 7), "2010-11-07T02:30"),  # 00:01 -02:30 became 23:01 -03:30
    ],
)
def test_where_a_date_begins(zone: str, day: date, expected: str) -> None:
    assert text(day_start(zone, day)) == expected


def test_the_ends_of_the_calendar_are_not_an_error() -> None:
    """A request for the year 9999 is answered, not a 500."""
    for edge in (seconds("9999-12-31T12:00"), seconds("0001-01-01T12:00")):
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            assert pieces(daily(zone, "00:00-24:00"), edge, edge + 62 * DAY) is not None
            assert day_start(zone, date.max) > day_start(zone, date.min)
    with pytest.raises(ValueError, match="year"):
        local_date("Pacific/Kiritimati", seconds("9999-12-31T23:00"))


def test_parse_hours_reads_what_a_schedule_stores() -> None:
    weekly = [
        {"day": "FR", "start": "13:00", "end": "24:00"},
        {"day": "FR", "start": "09:00", "end": "12:00"},
        {"day": "FR", "start": "12:00", "end": "12:30"},
        {"day": "SU", "start": "00:00", "end": "24:00"},
    ]
    overrides: list[dict[str, Any]] = [
        {"date": "2026-12-24", "windows": []},
        {"date": "2026-12-25", "windows": [{"start": "10:00", "end": "11:00"}]},
        {"date": "2026-12-25", "windows": [{"start": "10:30", "end": "12:00"}]},
    ]
    assert parse_hours(weekly, overrides, "Asia/Kathmandu", date(2026, 1, 1), None) == Hours(
        zone="Asia/Kathmandu",
        weekly=((), (), (), (), ((540, 750), (780, 1440)), (), ((0, 1440),)),
        overrides={date(2026, 12, 24): (), date(2026, 12, 25): ((600, 720),)},
        valid_from=date(2026, 1, 1),
        valid_until=None,
    )


@pytest.mark.parametrize(
    ("day", "start", "end"),
    [
        *[("XX", "09:00", "10:00"), ("MO", "10:00", "09:00"), ("MO", "09:00", "09:00"), ("MO", "09:00", "24:01")],
        *[("MO", "24:00", "24:00"), ("MO", "9:00", "10:00"), ("MO", "09:00\n", "10:00"), ("MO", "٠٩:00", "10:00")],
        *[("MO", 540, 600), ("MO", "09:00", None)],
    ],
)
def test_parse_hours_refuses_other_windows(day: str, start: Any, end: Any) -> None:
    with pytest.raises(ValueError, match=r"window|wall time|shape"):
        parse_hours([{"day": day, "start": start, "end": end}], [], "Etc/UTC", None, None)


@pytest.mark.parametrize("row", [{"date": "2026-02-30", "windows": []}, {"date": "2026-02-03"}, {"windows": []}])
def test_parse_hours_refuses_other_overrides(row: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"day|shape"):
        parse_hours([], [row], "Etc/UTC", None, None)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Europe", "", "A" * 5_000])
def test_a_zone_has_to_exist(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        parse_hours([], [], zone, None, None)


def test_a_week_has_seven_days() -> None:
    with pytest.raises(ValueError, match="seven"):
        Hours("Etc/UTC", ((),) * 6)


ZONES = [
    *["Africa/Cairo", "Africa/Casablanca", "America/Havana", "America/New_York", "America/St_Johns"],
    *["Asia/Beirut", "Asia/Kathmandu", "Asia/Tehran", "Australia/Lord_Howe", "Europe/Berlin", "Europe/Dublin"],
    *["Pacific/Apia", "Pacific/Chatham"],
]


@settings(max_examples=settings().max_examples * 5, deadline=None)
@given(st.sampled_from(ZONES), st.integers(seconds("1900-01-01T00:00"), seconds("2100-01-01T00:00")))
def test_offsets_and_dates_are_those_of_zoneinfo(zone: str, epoch: int) -> None:
    local = datetime.fromtimestamp(epoch, UTC).astimezone(ZoneInfo(zone))
    assert timedelta(seconds=offset_at(zone, epoch)) == local.utcoffset()
    assert local_date(zone, epoch) == local.date()
    assert day_start(zone, local.date()) <= epoch


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(st.sampled_from(ZONES), st.dates(date(2009, 1, 1), date(2030, 1, 1)))
def test_a_date_begins_with_its_first_instant(zone: str, day: date) -> None:
    begin = day_start(zone, day)
    walls = [datetime.fromtimestamp(begin + n, UTC).astimezone(ZoneInfo(zone)).date() for n in (-1, 0)]
    assert walls[0] < day <= walls[1]
    assert (walls[1] == day) == (begin < day_start(zone, day + timedelta(days=1)))
