"""What stands behind the options of the `slotwire` command.

The one rule: what cannot be meant is refused with the words that say what can.
"""

import argparse
from datetime import datetime

from app.core.times import parse_instant


def port(text: str) -> int:
    """A port; 0 means a free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to 65535")
    return int(text)


def count(text: str) -> int:
    """How many web processes; 0 means one per core."""
    if not text.isdecimal() or int(text) > 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; expected 0 to 256")
    return int(text)


def entries(text: str) -> int:
    """How many entries of a log."""
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of entries; expected 1 to 10000")
    return int(text)


def instant(text: str) -> datetime:
    """A time with its offset."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def clients(text: str) -> int:
    """How many callers at once."""
    if not text.isdecimal() or not 20 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of callers; expected 20 to 1000")
    return int(text)
