"""What the pages behind links are made of: who is taken for a browser, and how days and times are spelt."""

from datetime import UTC, date, datetime, timedelta

import pytest
from aiohttp.test_utils import make_mocked_request

from app.core.times import zone
from app.faces.public.html import names, spell_day, spell_starts, wants_html


@pytest.mark.parametrize(
    ("accept", "json", "html"),
    [
        ("application/json", True, False),
        ("Application/JSON; charset=utf-8", True, False),
        ("text/html, application/json;q=0.1", True, False),
        ("application/json;q=0", False, False),
        ("application/json;q=0.000, text/html", False, True),
        ("application/problem+json, application/*, */*", False, False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False, True),
        ("", False, False),
        (",;,", False, False),
        ("application/json;q=x", True, False),
    ],
)
def test_who_is_a_browser(accept: str, json: bool, html: bool) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept": accept})
    assert (names(request, "application/json"), wants_html(request)) == (json, html)


def test_a_day_in_words() -> None:
    assert spell_day(date(2026, 6, 3)) == "Wednesday, 3 June 2026"


def test_the_times_of_a_day_on_which_the_clock_goes_back() -> None:
    chicago, half = zone("America/Chicago"), timedelta(minutes=30)
    first = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    starts = [(first + number * half).astimezone(chicago) for number in range(5)]
    assert spell_starts(starts) == [
        "00:30",
        "01:00 (UTC-05:00)",
        "01:30 (UTC-05:00)",
        "01:00 (UTC-06:00)",
        "01:30 (UTC-06:00)",
    ]
