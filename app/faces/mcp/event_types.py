"""`list_event_types`: what can be booked with people, and with whom."""

from typing import Any

from app.core.ids import Kind, encode
from app.domain.event_types import service
from app.domain.event_types.models import EventType
from app.faces.mcp.answers import EventTypeOut, HostOut, event_type_out, page_of
from app.faces.mcp.shapes import MOST_ON_A_PAGE, ListEventTypesIn
from app.web.call import Call
from app.web.paging import cursor_id


async def list_event_types(call: Call, given: ListEventTypesIn) -> dict[str, Any]:
    """Those that are active and within the key's budget, oldest first."""
    org_id = call.principal.org_id
    budget = call.principal.budget
    among = budget.event_type_ids if budget else None
    after = cursor_id(Kind.EVENT_TYPE, given.cursor)
    rows = await service.list_event_types(call.conn, org_id, after, MOST_ON_A_PAGE + 1, only_active=True, among=among)
    hosts = await service.list_hosts_of(call.conn, org_id, [row.id for row in rows])

    def show(row: EventType) -> EventTypeOut:
        named: list[HostOut] = [{"user_id": encode(Kind.USER, each), "name": name} for each, name in hosts[row.id]]
        approval = budget is not None and budget.requires_approval
        return event_type_out(row, named, call.settings.public_url, approval=approval)

    return page_of("event_types", Kind.EVENT_TYPE, rows, MOST_ON_A_PAGE, show)
