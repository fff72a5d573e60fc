"""What strangers wrote, as text that does nothing: names, titles, notes, addresses of web pages.

The one rule: whatever comes from outside goes through here before it stands in a header, a page or a calendar.
"""

import re

# Marks that turn the direction of what follows, so that one text reads as another (Unicode, annex 9); the joiners that
# emoji and Persian need are not among them.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# of a pair of surrogates: no encoding can hold one
_HALVES = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("\r\n|[\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
# as the address bar writes it; a space, a quote or a bracket would end it early wherever it is shown as a link
_WEB_PAGE = re.compile(r"https?://[^\s<>\"'`\\{}|^]+", flags=re.IGNORECASE)
_LONGEST_ADDRESS = 900  # a header's line may have 998 octets (RFC 5322, section 2.1.1)


def one_line(text: str, longest: int = 200) -> str:
    """Neither controls nor line breaks, and no more than so many characters."""
    return _cut(" ".join(_harmless(text).split()), longest)


def many_lines(text: str, longest: int = 10_000) -> str:
    """The same, with its line breaks as `\\n` and its indentation."""
    return _cut("\n".join(_harmless(line).rstrip() for line in _BREAKS.split(text)).strip("\n"), longest)


def is_web_page(text: str) -> bool:
    """Whether it may be a link: http or https and nothing else, in ASCII or not."""
    return len(text) <= 2000 and _WEB_PAGE.fullmatch(text) is not None and text == one_line(text, 2000)


def is_header_address(text: str) -> bool:
    """A web page's address that fits into one line of a header."""
    return is_web_page(text) and text.isascii() and len(text) <= _LONGEST_ADDRESS and "," not in text


def _harmless(text: str) -> str:
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub(" ", _TURNING.sub("", text)))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"
