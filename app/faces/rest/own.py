"""What members may do to event types and schedules: to their own, and to nothing else.

The one rule: owners and admins, and their keys, are asked nothing here. For a member, an event type is their own when
they alone host it, and a schedule when it is theirs.
"""

from uuid import UUID

from app.core.errors import Forbidden
from app.core.ids import Kind
from app.domain.availability.schedules import get_schedule
from app.domain.event_types.models import EventTypeFields
from app.domain.event_types.service import get_event_type
from app.domain.identity.models import Principal
from app.domain.links.service import get_link
from app.web.call import Call


def check_event_type(principal: Principal, event_type: EventTypeFields) -> None:
    """Raises Forbidden for one that is not, or would not be, the member's alone."""
    hosts = {host.user_id for host in event_type.hosts}
    if principal.only_own_user_id is not None and (event_type.owner_team_id or hosts != {principal.user_id}):
        raise Forbidden("Members manage the event types that they alone host; ask an owner or an admin.")


async def event_type_of(call: Call) -> UUID | str:
    """The id or the code in the path. Raises NotFound, and Forbidden for somebody else's."""
    handle = call.path_id_or_code(Kind.EVENT_TYPE, "code")
    if call.principal.only_own_user_id is not None:
        check_event_type(call.principal, await get_event_type(call.conn, call.principal.org_id, handle))
    return handle


async def check_link(call: Call, code: str) -> None:
    """Raises Forbidden for a link to somebody else's event type."""
    principal = call.principal
    if principal.only_own_user_id is not None:
        link = await get_link(call.conn, code, call.now)
        check_event_type(principal, await get_event_type(call.conn, principal.org_id, link.event_type_id))


async def schedule_of(call: Call) -> UUID:
    """The id in the path. Raises NotFound, and Forbidden for somebody else's."""
    schedule_id, principal = call.path_id(Kind.SCHEDULE), call.principal
    if principal.only_own_user_id is not None:
        schedule = await get_schedule(call.conn, principal.org_id, schedule_id)
        check_schedule_owner(principal, schedule.user_id)
    return schedule_id


def check_schedule_owner(principal: Principal, user_id: UUID | None) -> None:
    if principal.only_own_user_id not in {None, user_id}:
        raise Forbidden("Members manage their own schedules; ask an owner or an admin.")
