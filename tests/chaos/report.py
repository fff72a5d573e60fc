"""What a run says: what was promised and what was found, receiver by receiver, fault by fault, as text.

The one rule: it only counts; nothing is judged here.
"""

import statistics
from collections.abc import Mapping, Sequence

from tests.chaos import books
from tests.chaos.audit import Audit
from tests.chaos.books import LIBRARIES
from tests.chaos.faults import SAID, Struck, interruptions
from tests.chaos.receivers import Receiver

_RECEIVER = ("receiver", "requests", "events reached", "by themselves", "by replay", "duplicates", "out of order")
_FAULT = ("fault, under load", "times", "deliveries went on after", "what it interrupted had arrived after")


def report(audit: Audit, receivers: Sequence[Receiver], struck: Sequence[Struck], steady: list[Receiver]) -> str:
    """steady: the receivers that were well all the time."""
    receiving = [_RECEIVER, *(_of_receiver(audit, each) for each in receivers)]
    lasted = list(zip(struck, interruptions(struck, steady), strict=True))
    faults = [_FAULT, *(_of_fault(kind, [each for each in lasted if each[0].kind == kind]) for kind in SAID)]
    return "\n\n".join((grid(_promises(audit, receivers)), grid(receiving), grid(faults)))


def grid(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lined = [rows[0], tuple("-" * width for width in widths), *rows[1:]]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lined
    )


def _promises(audit: Audit, receivers: Sequence[Receiver]) -> list[tuple[str, ...]]:
    ledger, wrong = audit.ledger, audit.complaints
    refused = ", ".join(f"{count:,} {code}" for code, count in sorted(ledger.refusals.items()))
    missing, altered = _sum(wrong, "missing"), _sum(wrong, "altered")
    stray = sum(receiver.elsewhere for receiver in receivers)
    return [
        ("promised", "count", "found"),
        (
            "acknowledged answers",
            f"{ledger.answers:,}",
            f"{ledger.retries:,} asked again; refused: {refused or 'none'}",
        ),
        ("acknowledged bookings", f"{len(ledger.promises):,}", _told(wrong, "lost", "unpromised", "overlapping")),
        ("pairs of requests for one slot", f"{len(ledger.duels):,}", _told(wrong, "undecided")),
        ("events", f"{len(audit.events):,}", f"{missing} missing, {_told(wrong, 'gaps', 'before the commit')}"),
        ("requests", f"{sum(len(each.receipts) for each in receivers):,}", f"{altered} altered, {stray} redirected"),
        *(_signed(receivers, library) for library in LIBRARIES),
    ]


def _signed(receivers: Sequence[Receiver], library: str) -> tuple[str, ...]:
    signed = sum(each.signed[library] for each in receivers)
    return (f"signatures verified, {library}", f"{signed:,}", f"{sum(e.unsigned[library] for e in receivers)} refused")


def _sum(wrong: Mapping[str, Sequence[str]], check: str) -> int:
    """Over all receivers."""
    return sum(len(complaints) for name, complaints in wrong.items() if name.startswith(check))


def _told(wrong: Mapping[str, Sequence[str]], *checks: str) -> str:
    return ", ".join(f"{len(wrong[check])} {check}" for check in checks)


def _of_receiver(audit: Audit, receiver: Receiver) -> tuple[str, ...]:
    known = {event.id for event in audit.events}
    first = [each for each in books.firsts(receiver.receipts).values() if each.event_id in known]
    replayed = sum(1 for each in first if each.at >= receiver.replayed_at)
    return (
        receiver.name,
        f"{len(receiver.receipts):,}",
        f"{len(first):,} of {len(known):,}",
        f"{len(first) - replayed:,}",
        f"{replayed:,}",
        f"{books.duplicates(receiver.receipts):,}",
        f"{len(books.overtaken(audit.events, receiver.receipts)):,}",
    )


def _of_fault(kind: str, lasted: Sequence[tuple[Struck, float]]) -> tuple[str, ...]:
    """lasted: with each, the seconds until what it had interrupted had arrived."""
    went_on, interrupted = [each.went_on for each, _ in lasted], [seconds for _, seconds in lasted]
    return (SAID[kind], str(len(lasted)), _seconds(went_on), _seconds(interrupted))


def _seconds(figures: Sequence[float]) -> str:
    if not figures:
        return ""
    longest = f" (at most {max(figures):.1f} s)" if len(figures) > 1 else ""
    return f"{statistics.median(figures):.1f} s{longest}"
