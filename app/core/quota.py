"""How much is allowed in how long: `600/m`, as an operator writes it."""

import functools
import re
from dataclasses import dataclass

_FORM = re.compile(r"([1-9]\d{0,8})/([smhd])", flags=re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Quota:
    """count: requests. seconds: the window that they are counted in."""

    count: int
    seconds: int


@functools.cache
def parse_quota(text: str) -> Quota | None:
    """None for `off`. Raises ValueError for anything but a number per s, m, h or d."""
    if text.strip().lower() == "off":
        return None
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError("expected a number per second, minute, hour or day, such as 600/m, or off")
    return Quota(int(found[1]), _SECONDS[found[2]])
