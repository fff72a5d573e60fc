"""The end of a run: everything is read back as any user of the service could, and held against the books.

The one rule: what is found is complaints and figures; whether they end the test is the test's business.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.times import parse_instant
from tests.chaos import books
from tests.chaos.books import Found, Held, Ledger, Logged
from tests.chaos.callers import Desk
from tests.chaos.receivers import Receiver
from tests.chaos.stage import TIMEOUT_SECONDS, Stage

# What was being sent when the first 410 came may still come; what a killed worker had not written down comes again, a
# sweep after its lease: twice an attempt's time and a second, see workers/deliveries.py.
GONE_SECONDS = 2 * TIMEOUT_SECONDS + 1 + 1
_HELD = """
    select unnest(host_ids)::text as host, starts_at, ends_at, id::text as booking_id
    from bookings
    where org_id = $1 and status in ('DRAFT', 'PENDING_CONFIRMATION', 'SCHEDULED', 'RESCHEDULED')
"""


@dataclass
class Audit:
    """What the service says in the end. complaints: by check; every one of them must be empty."""

    ledger: Ledger
    found: dict[str, Found]
    events: list[Logged]
    complaints: dict[str, list[str]]


async def read_events(desk: Desk) -> list[Logged]:
    """What the log tells of bookings. A body that this library made comes out of it again as the same bytes."""
    return [
        Logged(
            id=event["id"],
            type=event["type"],
            booking_id=event["data"]["booking"]["id"],
            sequence=event["sequence"],
            at=parse_instant(event["timestamp"]),
            digest=hashlib.sha256(orjson.dumps(event)).digest(),
        )
        for event in await desk.walk("/v1/events", "events")
        if event["type"].startswith("booking.")
    ]


def state(receiver: Receiver, webhook: Any) -> list[str]:
    """Who said that it is gone is asked no more; nobody else is given up."""
    if not receiver.left:
        return [] if webhook["active"] else [f"it was switched off: {webhook['disabled_reason']}"]
    first = min((each.at for each in receiver.receipts), default=0.0)
    late = [each for each in receiver.receipts if each.at > first + GONE_SECONDS]
    still = [] if webhook["disabled_reason"] == "gone" else [f"it said 410 and is {webhook}"]
    return still + [f"{each.event_id} came {each.at - first:.1f} s after the first 410" for each in late]


async def audit(stage: Stage, desk: Desk, receivers: Sequence[Receiver], early: Sequence[str]) -> Audit:
    """early: events that were delivered before their commit."""
    ledger, events = desk.ledger, await read_events(desk)
    rows = await desk.walk("/v1/bookings", "bookings")
    webhooks = {row["id"]: row for row in await desk.walk("/v1/webhooks", "webhooks")}
    found = {row["id"]: Found(row["status"], row["start_time"], row["rescheduled_to_id"]) for row in rows}
    held = [Held(*row) for row in await stage.fetch(_HELD, stage.tenant.org_id)]
    complaints = {
        "lost": books.lost(ledger, found),
        "unpromised": books.unpromised(ledger, found),
        "undecided": books.undecided(ledger),
        "refused for no reason": ledger.surprises,
        "overlapping": books.overlapping(held),
        "gaps": books.gaps(ledger, events),
        "before the commit": books.premature(early),
        "logs": stage.complaints(),
    }
    for receiver in receivers:
        if receiver.in_order:
            complaints[f"out of order at {receiver.name}"] = books.disordered(events, receiver.receipts)
        complaints[f"signed for {receiver.name}"] = receiver.faults
        complaints[f"altered for {receiver.name}"] = books.altered(events, receiver.receipts)
        if receiver.lives:
            complaints[f"missing at {receiver.name}"] = books.missing(events, receiver.receipts)
        complaints[f"redirected to {receiver.name}"] = books.redirected(receiver.elsewhere)
        complaints[f"state of {receiver.name}"] = state(receiver, webhooks[receiver.webhook_id])
    return Audit(ledger, found, events, complaints)
