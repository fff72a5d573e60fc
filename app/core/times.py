"""Instants and zones: aware UTC datetimes inside, RFC 3339 outside, zones from the tzdata package only.

The one rule: no clock is read here. `now` comes from the caller.
"""

import functools
import math
import re
import zoneinfo
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The operating system's zone files may be missing (containers) or older than the package; two processes of one
# installation must never disagree about an offset.
zoneinfo.reset_tzpath(to=())

EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
LATEST = datetime(2199, 12, 31, tzinfo=UTC)

_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII)


@functools.cache
def zone_names() -> frozenset[str]:
    """Every IANA name that a caller may write, aliases included."""
    return frozenset(zoneinfo.available_timezones()) - {"Factory", "localtime", "posixrules"}


def is_zone(name: str) -> bool:
    return name in zone_names()


def parse_instant(text: str) -> datetime:
    """An RFC 3339 date-time with its offset (section 5.6; seconds may be left out) as UTC.

    Raises ValueError with a sentence for the caller, for a time without an offset too.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("expected an ISO 8601 time with its offset, such as 2026-05-01T14:00:00Z")
    date, clock, offset = match.groups()
    # fromisoformat takes up to six digits of a second
    whole, _, fraction = clock.partition(".")
    try:
        value = datetime.fromisoformat(f"{date}T{whole}{'.' + fraction[:6] if fraction else ''}{offset.upper()}")
        value = value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such time in the calendar") from None
    if not EARLIEST <= value <= LATEST:
        raise ValueError("expected a time between 1970 and 2200")
    return value


def epoch(value: datetime) -> int:
    return int(value.timestamp())


def from_epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def iso(value: datetime) -> str:
    """`2026-05-01T14:00:00Z`; fractions only where there are any."""
    return value.isoformat().removesuffix("+00:00") + "Z"


@functools.lru_cache(maxsize=65_536)
def iso_epoch(seconds: int) -> str:
    """The same from epoch seconds. Slots repeat from request to request, so the strings are kept."""
    return iso(datetime.fromtimestamp(seconds, UTC))


@functools.lru_cache(maxsize=1024)
def zone(name: str) -> zoneinfo.ZoneInfo:
    """The rules of a zone. ValueError: there is none of that name (nor can a directory, path or overlong name be)."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"not an IANA time zone: {name!r}") from error


def http_date(text: str) -> datetime | None:
    """An HTTP-date (RFC 9110, section 5.6.7), or None."""
    try:
        value = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def seconds_to_wait(retry_after: str | None, now: datetime) -> int | None:
    """Retry-After: seconds, or a date (RFC 9110, section 10.2.3). What is neither counts as not given."""
    if not retry_after or not retry_after.isascii():
        return None
    if retry_after.isdigit():
        return int(retry_after) if len(retry_after) < 10 else None
    until = http_date(retry_after)
    return None if until is None else max(0, math.ceil((until - now).total_seconds()))
