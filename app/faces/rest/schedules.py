"""`/v1/schedules`: weekly hours and the dates that differ."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.errors import InvalidInput
from app.core.ids import Kind
from app.domain.availability import schedules
from app.domain.availability.schedules import Schedule, ScheduleFields
from app.domain.bookings.caps import recount_all
from app.faces.rest.own import check_schedule_owner, schedule_of
from app.faces.rest.shapes.schedules import ScheduleIn, SchedulePatch, schedule_out
from app.web import idempotency
from app.web.call import Call
from app.web.paging import list_page

# caps count local dates: another zone, or another default, moves bookings to other days
_COUNTED = frozenset({"timezone", "is_default"})


def _stored(given: ScheduleIn) -> dict[str, Any]:
    """weekly and overrides as they are kept, which is as they are shown."""
    return {
        "weekly": [window.model_dump(include={"day", "start", "end"}) for window in given.weekly],
        "overrides": [override.model_dump(mode="json") for override in given.overrides],
    }


async def create(call: Call) -> web.Response:
    given = call.body(ScheduleIn)
    org_id, owner = call.principal.org_id, given.owner
    user_id = (owner and owner.user_id) or call.principal.user_id
    check_schedule_owner(call.principal, None if owner and owner.resource_id else user_id)
    fields = ScheduleFields(
        name=given.name,
        timezone=given.timezone,
        is_default=given.is_default,
        valid_from=given.valid_from,
        valid_until=given.valid_until,
        **_stored(given),
    )

    async def make(conn: Connection) -> dict[str, Any]:
        if owner and owner.resource_id:
            made = await schedules.create_resource_schedule(conn, org_id, owner.resource_id, fields, call.now)
        else:
            made = await schedules.create_schedule(conn, org_id, user_id, fields, call.now)
            if made.is_default:
                await recount_all(conn, org_id, call.now)
        return call.envelope(schedule_out(made))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    schedule = await schedules.get_schedule(call.conn, call.principal.org_id, call.path_id(Kind.SCHEDULE))
    return call.answer(schedule_out(schedule))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.SCHEDULE, schedules.list_schedules, schedule_out)


async def update(call: Call) -> web.Response:
    given = call.body(SchedulePatch)
    if "owner" in given.model_fields_set:
        raise InvalidInput.of("owner", "a schedule keeps its owner")
    changes = {name: getattr(given, name) for name in given.model_fields_set}
    changes |= {name: value for name, value in _stored(given).items() if name in changes}
    org_id, schedule_id = call.principal.org_id, await schedule_of(call)

    async def make(conn: Connection) -> Schedule:
        edited = await schedules.update_schedule(conn, org_id, schedule_id, changes, call.now)
        if _COUNTED.intersection(changes):
            await recount_all(conn, org_id, call.now)
        return edited

    schedule = await call.write(make)
    return call.answer(schedule_out(schedule))


async def delete(call: Call) -> web.Response:
    schedule_id = await schedule_of(call)
    await call.write(lambda conn: schedules.delete_schedule(conn, call.principal.org_id, schedule_id))
    return web.Response(status=204)
