"""What the pages behind links are made of: who is taken for a browser, and how a time is spelt."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import make_mocked_request

from app.faces.public.html import names, spell, wants_html

NOON = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
HALF = timedelta(minutes=30)


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


@pytest.mark.parametrize(
    ("zone", "length", "spelt"),
    [
        ("UTC", HALF, "Wednesday, 3 June 2026, 12:00 to 12:30 (UTC)"),
        ("America/Chicago", HALF, "Wednesday, 3 June 2026, 07:00 to 07:30 (America/Chicago, UTC-05:00)"),
        ("Asia/Kathmandu", HALF, "Wednesday, 3 June 2026, 17:45 to 18:15 (Asia/Kathmandu, UTC+05:45)"),
        (
            "Pacific/Auckland",
            HALF,
            "Thursday, 4 June 2026, 00:00 to 00:30 (Pacific/Auckland, UTC+12:00)",
        ),
        ("UTC", 12 * HALF * 2, "Wednesday, 3 June 2026, 12:00 to Thursday, 4 June 2026, 00:00 (UTC)"),
        ("Mars/Olympus", HALF, "Wednesday, 3 June 2026, 12:00 to 12:30 (UTC)"),
    ],
)
def test_a_time_in_words(zone: str, length: timedelta, spelt: str) -> None:
    assert spell(NOON, NOON + length, zone) == spelt
