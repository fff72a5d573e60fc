"""Headers that a webhook may ask for, such as an `Authorization` of its receiver's.

The one rule: they are sent beside ours, never instead of them, and never change how the request is framed.
Source: RFC 9110, sections 5.1, 5.5 and 7.6.1.
"""

import re

MOST_HEADERS = 20
_LONGEST_NAME, _LONGEST_VALUE = 100, 2000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# visible ASCII, and spaces between
_VALUE = re.compile(r"[!-~](?:[ -~\t]*[!-~])?")
_OURS = ("x-signature", "x-event-", "x-delivery-", "webhook-", "proxy-", "sec-")
_FRAMING = frozenset(
    "accept-encoding connection content-encoding content-length content-type date expect host keep-alive te trailer "
    "transfer-encoding upgrade user-agent".split()
)


def check_header(name: str, value: str) -> str | None:
    """Why it may not be sent; None: it may."""
    if not _TOKEN.fullmatch(name) or len(name) > _LONGEST_NAME:
        return f"is no header name: letters, digits and hyphens, at most {_LONGEST_NAME}"
    if name.lower() in _FRAMING or name.lower().startswith(_OURS):
        return "is set by us; choose another name"
    if not _VALUE.fullmatch(value) or len(value) > _LONGEST_VALUE:
        return f"its value must be visible ASCII on one line, at most {_LONGEST_VALUE:,} characters"
    return None
