"""E-mail addresses: one answer to what may be one, for people and attendees alike.

Source: the HTML standard, "valid e-mail address" (what browsers accept in <input type="email">); the lengths are those
of RFC 5321, section 4.5.3.1.
"""

import re

_LONGEST, _LONGEST_LOCAL_PART = 254, 64
PATTERN = (
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
_EMAIL = re.compile(PATTERN)


def is_email(text: str) -> bool:
    return len(text) <= _LONGEST and text.find("@") <= _LONGEST_LOCAL_PART and bool(_EMAIL.fullmatch(text))
