"""`list_slots`: open starts, grouped by local day, fifty at a time.

The one rule: what is open is decided where everybody else's slots are; here it is cut and worded.
"""

from uuid import UUID

from app.core.errors import NotFound, unknown_cursor
from app.core.ids import Kind, decode, encode
from app.core.times import epoch, parse_instant
from app.domain.availability.inputs import Inputs, load_inputs
from app.domain.availability.service import Asked, OpenSlots, check_size, find_alternatives, open_slots
from app.domain.availability.windows import local_date
from app.domain.bookings.decide import verdict_on
from app.domain.identity.models import Principal
from app.faces.mcp.answers import SlotOut, SlotsOut, slot_of_day, slot_out
from app.faces.mcp.shapes import MOST_ON_A_PAGE, ListSlotsIn
from app.web.call import Call
from app.web.shapes import SlotsRange
from app.web.slots import MOST_SLOTS, ask_as, range_of, zone_of

_CURSOR = "from:"


async def list_slots(call: Call, given: ListSlotsIn) -> SlotsOut:
    query = SlotsRange.model_construct(
        start=given.start,
        end=given.end,
        timezone=given.timezone,
        duration=given.duration,
        service_id=given.service_id,
        host_id=given.host_id,
        answers=tuple(given.answers),
    )
    asked_for = range_of(query)
    handle = decode(Kind.EVENT_TYPE, given.event_type) or given.event_type
    inputs = await load_inputs(call.conn, call.principal.caller, handle, *asked_for.span, busy=True, now=call.now)
    _check_reach(call.principal, inputs.rules.event_type_id)
    verdict = verdict_on(inputs, [answer.model_dump() for answer in given.answers], held=True)
    asked = ask_as(inputs, query, verdict)
    zone = given.timezone or zone_of(inputs)
    start, end = asked_for.edges(zone)
    check_size(inputs, asked, start, end, most=MOST_SLOTS)
    found = open_slots(inputs, asked, max(start, _place(given.cursor)), end, call.now)
    shown = _shown(inputs, asked, found, zone)
    if not found.starts and given.cursor is None:
        nearest = await find_alternatives(
            *(call.conn, call.principal.caller, inputs.rules, start),
            minutes=asked.minutes,
            host_id=given.host_id,
            among=verdict.host_ids,
            now=call.now,
        )
        shown["nearest"] = [slot_out(epoch(parse_instant(each["start"])), zone) for each in nearest]
    return shown


def _check_reach(principal: Principal, event_type_id: UUID) -> None:
    """Raises NotFound for an event type that the key could not book anyway."""
    among = principal.budget.event_type_ids if principal.budget else None
    if among is not None and event_type_id not in among:
        raise NotFound("This key does not reach that event type; ask a person.", code="event_type_not_found")


def _shown(inputs: Inputs, asked: Asked, found: OpenSlots, zone: str) -> SlotsOut:
    days: dict[str, list[SlotOut]] = {}
    for start in found.starts[:MOST_ON_A_PAGE]:
        days.setdefault(local_date(zone, start).isoformat(), []).append(slot_of_day(start, zone, _left(inputs, start)))
    shown: SlotsOut = {
        "event_type": inputs.rules.code,
        "event_type_id": encode(Kind.EVENT_TYPE, inputs.rules.event_type_id),
        "timezone": zone,
        "duration_minutes": asked.minutes,
        "slots": days,
    }
    if len(found.starts) > MOST_ON_A_PAGE:
        shown["next_cursor"] = f"{_CURSOR}{found.starts[MOST_ON_A_PAGE]}"
    return shown


def _left(inputs: Inputs, start: int) -> int | None:
    """Free seats, where several sit together."""
    if inputs.rules.seats == 1:
        return None
    sitting = inputs.sittings.get(start)
    return inputs.rules.seats - (sitting.taken if sitting else 0)


def _place(cursor: str | None) -> int:
    """The start at which the page begins. Raises InvalidInput for what no page gave out."""
    if cursor is None:
        return 0
    number = cursor.removeprefix(_CURSOR)
    if number == cursor or not (number.isascii() and number.isdigit() and len(number) < 12):
        raise unknown_cursor()
    return int(number)
