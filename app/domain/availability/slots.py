"""Intervals to starts: which instants of a grid can be booked, given what is held already.

The one rule: `open_starts` decides. What slots shows and what a booking accepts both come from it, so they
cannot differ. A busy period is not tested against each start: it forbids one run of starts, and whatever
lies between two such runs is a `range`.

Instants are integers, epoch seconds; intervals are half-open, so a slot may begin where another ends.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter

from app.domain.availability.windows import Piece

Interval = tuple[int, int]
"""[start, end) in epoch seconds; one that does not end after its start is empty and meets nothing."""


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals in order, with overlapping and touching ones made one and empty ones left out."""
    found: list[Interval] = []
    begin, until = 0, None
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if until is None:
            begin, until = start, end
        elif start > until:
            found.append((begin, until))
            begin, until = start, end
        elif end > until:
            until = end
    if until is not None:
        found.append((begin, until))
    return found


def open_starts(
    pieces: Sequence[Piece],
    busy: Iterable[Interval],
    *,
    duration: int,
    interval: int,
    before: int,
    after: int,
    earliest: int,
    latest: int,
    closed: Iterable[Interval] = (),
) -> list[int]:
    """Every start s with earliest <= s < latest that can be booked: epoch seconds, sorted, each once.

    pieces: the grid, sorted and disjoint, as `windows.pieces` gives it. busy: held periods with their own
    buffers, in any order, overlapping or not. duration, interval, before, after: seconds. By the slot rules
    of the API contract s lies on its piece's grid, [s, s + duration) inside its stretch, and the held period
    [s - before, s + duration + after) meets no busy one. closed: runs of starts that are refused whatever is held
    (a full cap). ValueError: a duration or interval that is not positive, a negative buffer.
    """
    if duration <= 0 or interval <= 0 or before < 0 or after < 0:
        raise ValueError("duration and interval are positive, buffers are not negative")
    taken = merge(chain(_forbidden(busy, duration + after, before, earliest, latest), closed))
    found: list[int] = []
    for anchor, lo, hi, end in pieces:
        at = max(lo, earliest)
        until = min(hi, latest, end - duration + 1)
        if at >= until:
            continue
        index = bisect_left(taken, (at, at))
        if index and taken[index - 1][1] > at:
            at = taken[index - 1][1]
        for start, finish in taken[index : bisect_left(taken, (until, until))]:
            found += range(at + (anchor - at) % interval, start, interval)
            at = finish
        if at < until:
            found += range(at + (anchor - at) % interval, until, interval)
    return found


def free_runs(
    stretches: Iterable[Interval],
    busy: Iterable[Interval],
    *,
    duration: int,
    before: int,
    after: int,
    earliest: int,
    latest: int,
) -> list[Interval]:
    """The runs of starts in [earliest, latest) that something without a grid of its own is free for: sorted, disjoint.

    stretches: when it is open, sorted and disjoint; [s, s + duration) lies inside one. busy, and the seconds of the
    rest, are those of `open_starts`.
    """
    taken = merge(_forbidden(busy, duration + after, before, earliest, latest))
    found: list[Interval] = []
    for opens, closes in stretches:
        at, until = max(opens, earliest), min(closes - duration + 1, latest)
        for start, finish in taken[max(bisect_left(taken, (at, at)) - 1, 0) :]:
            if start >= until:
                break
            if at < start:
                found.append((at, start))
            at = max(at, finish)
        if at < until:
            found.append((at, until))
    return found


def within(runs: Sequence[Interval], start: int) -> bool:
    """Whether one of the runs, sorted and disjoint, has the start."""
    index = bisect_right(runs, start, key=itemgetter(0))
    return index > 0 and start < runs[index - 1][1]


def unite(lists: Iterable[Sequence[int]]) -> list[int]:
    """The starts that any list has (round-robin: one free host is enough), sorted, each once.

    lists: sorted starts in epoch seconds. No list at all gives no start.
    """
    return list(dict.fromkeys(sorted(chain.from_iterable(lists))))  # sorted() merges sorted runs


def intersect(lists: Iterable[Sequence[int]]) -> list[int]:
    """The starts that every list has (collective: all hosts are needed), sorted, each once.

    lists: sorted starts in epoch seconds. No list at all gives no start: nobody is not everybody.
    """
    first, *others = sorted(lists, key=len) or [()]
    common = set(first).intersection(*others)
    return [start for start in dict.fromkeys(first) if start in common]


def _forbidden(busy: Iterable[Interval], ahead: int, behind: int, earliest: int, latest: int) -> list[Interval]:
    """The runs of starts in [earliest, latest) that meet a busy period, in any order, overlapping or not.

    A start s holds [s - behind, s + ahead): it meets [b, e) when b - ahead < s < e + behind.
    """
    return [
        (start - ahead + 1, end + behind)
        for start, end in busy
        if start < end and start - ahead < latest and end + behind > earliest
    ]
