"""Time zones by the names that calendars give them: IANA's, Windows', and what programs made of either.

The one rule: a name that is not understood is None, never a guess; whoever asked knows what to fall back on.
"""

import functools
import re

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from app.core.times import is_zone

_WINDOWS = {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}
_IANA_AT_THE_END = re.compile(r"(?:^|/)([A-Za-z_]+(?:/[A-Za-z0-9_+-]+){1,2})$")
_UTC = frozenset({"utc", "z", "gmt", "etc/utc", "tzone://microsoft/utc", "coordinated universal time", "utc+00:00"})


@functools.lru_cache(maxsize=1024)
def iana(name: str) -> str | None:
    """The IANA name. Understands aliases (`US/Eastern`), Windows names (`W. Europe Standard Time`; Unicode CLDR,
    windowsZones), quotes around either, and IANA names behind a prefix (`/mozilla.org/20050126_1/Europe/Berlin`)."""
    name = name.strip().strip("\"'").strip()
    if name.casefold() in _UTC:
        return "UTC"
    if is_zone(name):
        return name
    if (zone := _WINDOWS.get(name.casefold())) is not None:
        return zone
    found = _IANA_AT_THE_END.search(name)
    while found is not None:
        if is_zone(found[1]):
            return found[1]
        # `20050126_1/Europe/Berlin` has one part too many
        found = _IANA_AT_THE_END.search(found[1].partition("/")[2])
    return None
