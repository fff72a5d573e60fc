"""`list_event_types`: what can be booked with people, and with whom."""

from typing import Any

from app.core.ids import Kind, encode
from app.domain.event_types import service
from app.faces.mcp.answers import event_type_out
from app.faces.mcp.bounds import sees_event_type
from app.faces.mcp.shapes import MOST_ON_A_PAGE, ListEventTypesIn
from app.web.call import Call
from app.web.paging import cursor_id, pagination


async def list_event_types(call: Call, given: ListEventTypesIn) -> dict[str, Any]:
    """Those that are active and within the key's budget, oldest first."""
    org_id = call.principal.org_id
    after = cursor_id(Kind.EVENT_TYPE, given.cursor)
    rows = await service.list_event_types(call.conn, org_id, after, MOST_ON_A_PAGE + 1)
    seen = [row for row in rows[:MOST_ON_A_PAGE] if row.active and sees_event_type(call.principal, row.id)]
    hosts = await service.list_hosts_of(call.conn, org_id, [row.id for row in seen])
    base, budget = call.settings.public_url, call.principal.budget
    shown: dict[str, Any] = {
        "event_types": [
            event_type_out(
                row,
                [{"user_id": encode(Kind.USER, each), "name": name} for each, name in hosts[row.id]],
                base,
                approval=budget is not None and budget.requires_approval,
            )
            for row in seen
        ]
    }
    if (cursor := pagination(Kind.EVENT_TYPE, rows, MOST_ON_A_PAGE)["next_cursor"]) is not None:
        shown["next_cursor"] = cursor
    return shown
