"""Who and what takes a booking at one start: the placements that would do, the best one first.

The one rule: a start has a placement exactly when `open_slots` calls it open. Which of several hosts is first is
fairness and nothing else: the smallest share of bookings for one's weight, then whoever waited longest, then priority,
then the order in which they are configured.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.ids import Kind, encode
from app.core.times import iso
from app.domain.availability.inputs import ROUND_ROBIN, Host, Inputs, Sitting, Unit
from app.domain.availability.requirements import share_out
from app.domain.availability.service import Asked, open_slots, pools

_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Placement:
    """Who and what one booking holds. joins: the session in which it is one more seat, and which holds it all."""

    hosts: tuple[Host, ...]
    units: tuple[Unit, ...]
    joins: Sitting | None


def placements(inputs: Inputs, asked: Asked, start: int, preferred: UUID | None, now: datetime) -> list[Placement]:
    """What a booking at `start` (epoch seconds) could hold; none when the start is not open.

    preferred: the host who has the booking already, for one that is moved.
    """
    found = open_slots(inputs, asked, start, start + 1, now)
    if not found.starts:
        return []
    sitting = inputs.sittings.get(start)
    if sitting is not None:
        by_id = {host.user_id: host for host in asked.hosts}
        kept = {unit["subject_no"] for unit in orjson.loads(sitting.units)}
        there = tuple(unit for unit in inputs.units if unit.subject_no in kept)
        return [Placement(tuple(by_id[user_id] for user_id in sitting.host_ids), there, sitting)]
    if inputs.rules.assignment != ROUND_ROBIN:
        groups = [asked.hosts]
    else:
        free = [host for host, starts in zip(asked.hosts, found.lists, strict=True) if starts]
        groups = [(host,) for host in in_fair_order(free, preferred)]
    units = _units(inputs, asked, start)
    return [] if units is None else [Placement(group, units, None) for group in groups]


def in_fair_order(hosts: Sequence[Host], preferred: UUID | None = None) -> list[Host]:
    """Round-robin: who is next. Sorting is stable, so that the configured order decides last."""

    def turn(host: Host) -> tuple[bool, float, datetime, int]:
        share = host.assigned_count / host.weight
        return (host.user_id != preferred, share, host.last_assigned_at or _NEVER, -host.priority)

    return sorted(hosts, key=turn)


def trace_of(
    inputs: Inputs, asked: Asked, placement: Placement, rule_no: int | None, preferred: UUID | None
) -> dict[str, Any]:
    """Why these hosts: the routing trace that is kept with the booking. rule_no: the routing rule that narrowed the
    hosts, counted from 0. preferred: as in `placements`."""
    chosen = {host.user_id for host in placement.hosts}
    return {
        "assignment": inputs.rules.assignment,
        "rule": rule_no,
        "reason": _reason(inputs, asked, placement, preferred),
        "candidates": [
            {
                "user_id": encode(Kind.USER, host.user_id),
                "chosen": host.user_id in chosen,
                "assigned_count": host.assigned_count,
                "weight": host.weight,
                "priority": host.priority,
                "last_assigned_at": host.last_assigned_at and iso(host.last_assigned_at),
            }
            for host in asked.hosts
        ],
    }


def _reason(inputs: Inputs, asked: Asked, placement: Placement, preferred: UUID | None) -> str:
    if placement.joins is not None:
        return "joined_session"
    if inputs.rules.assignment != ROUND_ROBIN:
        return inputs.rules.assignment
    first = in_fair_order(asked.hosts)[0]
    if len(asked.hosts) == 1:
        return "only_candidate"
    if placement.hosts[0].user_id == preferred:
        return "kept_host"
    return "next_in_turn" if placement.hosts[0] is first else "first_free_in_turn"


def _units(inputs: Inputs, asked: Asked, start: int) -> tuple[Unit, ...] | None:
    """Any free ones: chosen at random, so that many callers at once do not all want the same."""
    if not inputs.rules.requires:
        return ()
    draw = secrets.SystemRandom()
    found = share_out(pools(inputs, asked.minutes, start, start + 1), start, lambda free: draw.sample(free, len(free)))
    return None if found is None else tuple(found)
