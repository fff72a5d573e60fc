"""What Schemathesis cannot know by itself: texts of formats that only we have, and times that somebody would ask for.

The one rule: much of what is sent should get as far as the rules behind the schema. Random times lie centuries away,
and random names are no time zones.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import schemathesis
from hypothesis import strategies as st

from app.core.times import zone_names

_NOW = datetime.now(UTC).replace(microsecond=0)
_OFFSETS = ("Z", "+00:00", "-05:00", "+12:45")

# the weeks to come: any minute, full hours, and seldom the past
near = st.integers(-60 * 24, 60 * 24 * 21).map(lambda minutes: _NOW + timedelta(minutes=minutes))
hours = st.integers(0, 24 * 21).map(
    lambda hour: _NOW.replace(hour=0, minute=0, second=0) + timedelta(days=1, hours=hour)
)
days = near.map(lambda moment: moment.date().isoformat())
times = st.builds(
    lambda moment, offset: moment.replace(tzinfo=None).isoformat() + offset,
    st.one_of(hours, hours, near),
    st.sampled_from(_OFFSETS),
)
zones = st.one_of(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]), st.sampled_from(sorted(zone_names())))

schemathesis.openapi.format("date-time", times)
schemathesis.openapi.format("date", days)
schemathesis.openapi.format("iana-time-zone", zones)
schemathesis.openapi.format("uri", st.sampled_from(["http://127.0.0.1:9/hook", "https://example.com/hook?x=1"]))

_KEY = "Idempotency-Key"
_LONGEST_QUERY = 7000


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """In a story each key is new: a replay tells of what was made, also when the story has removed it since."""
    headers: Any = case.headers
    told = headers and case.meta is not None and case.meta.phase.name == "stateful"
    if told and re.fullmatch("[!-~]{1,255}", headers.get(_KEY, "")):
        headers[_KEY] = uuid4().hex


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """An address longer than aiohttp reads is refused below the application, by a bare 400 (the API contract)."""
    query = case.query if isinstance(case.query, dict) else {}
    return len(quote(json.dumps(query, default=str))) < _LONGEST_QUERY
