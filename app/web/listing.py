"""A list of slots as bytes, grouped by local date.

The one rule: no object per slot. Slots are joined from remembered pieces of JSON; a dictionary for each would cost more
than the search for them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from app.core.ids import Kind, encode
from app.core.times import iso_epoch
from app.domain.availability.inputs import FIXED, Inputs
from app.domain.availability.service import Asked, OpenSlots
from app.domain.availability.slot_tokens import minter_of
from app.domain.availability.windows import day_start, local_date

STALE = "calendar_stale"
"""A host's calendar could not be read lately; they take bookings all the same, as they chose."""

_ONE_DAY = timedelta(days=1)


class Listing:
    """How the slots of one question are shown. seats_left stands on those of seated event types, host_ids where there
    is more than one host to speak of."""

    def __init__(
        self, inputs: Inputs, asked: Asked, service_id: str | None, zone: str, secret: bytes, now: datetime
    ) -> None:
        self._inputs, self._asked, self._zone = inputs, asked, zone
        self._seconds = asked.minutes * 60
        self._minter = minter_of(secret, inputs, asked.minutes, service_id, now)
        self._bits: dict[int, int] = {}
        self._ids: dict[int, bytes] = {}

    def serialize(self, found: OpenSlots, refused: Iterable[tuple[int, list[dict[str, Any]]]] | None = None) -> bytes:
        """The body of the answer. refused: starts with the reasons why they are not among the slots."""
        head: dict[str, Any] = {
            "success": True,
            "event_type_id": encode(Kind.EVENT_TYPE, self._inputs.rules.event_type_id),
            "timezone": self._zone,
            "duration_minutes": self._asked.minutes,
        }
        unsure = [host.user_id for host in self._asked.hosts if host.unsure]
        if unsure:
            head["warnings"] = [{"code": STALE, "host_id": encode(Kind.USER, each)} for each in unsure]
        hosts = found.hosts_at()
        slots = self._by_day(list(found.starts), lambda start: self._slot(start, hosts[start]))
        body = orjson.dumps(head)[:-1] + b',"slots":' + slots
        if refused is not None:
            reasons = dict(refused)
            body += b',"refused":' + self._by_day(sorted(reasons), lambda start: self._refused(start, reasons[start]))
        return body + b"}"

    def _by_day(self, starts: list[int], show: Callable[[int], bytes]) -> bytes:
        days: list[bytes] = []
        first = 0
        while first < len(starts):
            day = local_date(self._zone, starts[first])
            last = bisect_left(starts, day_start(self._zone, day + _ONE_DAY), first)
            days.append(b'"%s":[%s]' % (day.isoformat().encode(), b",".join(map(show, starts[first:last]))))
            first = last
        return b"{" + b",".join(days) + b"}"

    def _slot(self, start: int, hosts: int) -> bytes:
        rules = self._inputs.rules
        bits = self._bits.get(hosts)
        if bits is None:
            bits = self._remember(hosts)
        middle = self._ids[hosts]
        if rules.seats > 1:
            sitting = self._inputs.sittings.get(start)
            left = rules.seats - (sitting.taken if sitting else 0)
            middle = b',"seats_left":%d%s' % (left, middle)
        return b'%s%s,"token":"%s"}' % (_span(start, self._seconds), middle, self._minter.mint(start, bits))

    def _refused(self, start: int, reasons: list[dict[str, Any]]) -> bytes:
        return b'%s,"reasons":%s}' % (_span(start, self._seconds), orjson.dumps(reasons))

    def _remember(self, hosts: int) -> int:
        """What the same choice of hosts means in every slot: bits in the event type's order, and the ids' JSON."""
        chosen = [host.user_id for number, host in enumerate(self._asked.hosts) if hosts >> number & 1]
        order = {host.user_id: number for number, host in enumerate(self._inputs.hosts)}
        self._bits[hosts] = sum(1 << order[user_id] for user_id in chosen)
        ids = orjson.dumps([encode(Kind.USER, user_id) for user_id in chosen])
        self._ids[hosts] = b"" if self._inputs.rules.assignment == FIXED else b',"host_ids":' + ids
        return self._bits[hosts]


@lru_cache(maxsize=65_536)
def _span(start: int, seconds: int) -> bytes:
    """An object that is left open."""
    return orjson.dumps({"start": iso_epoch(start), "end": iso_epoch(start + seconds)})[:-1]
