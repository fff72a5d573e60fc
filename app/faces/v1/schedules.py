"""`/v1/schedules`: weekly hours and the dates that differ."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.errors import InvalidInput
from app.core.ids import Kind
from app.domain.availability import schedules
from app.domain.availability.schedules import Schedule, ScheduleFields
from app.faces.v1.shapes.schedules import ScheduleIn, SchedulePatch, schedule_out
from app.web import idempotency
from app.web.call import Call, json_response
from app.web.paging import list_page


def _envelope(schedule: Schedule) -> dict[str, Any]:
    return {"success": True, "schedule": schedule_out(schedule)}


def _stored(given: ScheduleIn) -> dict[str, Any]:
    """weekly and overrides as they are kept, which is as they are shown."""
    return {
        "weekly": [window.model_dump(include={"day", "start", "end"}) for window in given.weekly],
        "overrides": [override.model_dump(mode="json") for override in given.overrides],
    }


async def create(call: Call) -> web.Response:
    given = call.body(ScheduleIn)
    owner = given.owner.user_id if given.owner else call.principal.user_id
    fields = ScheduleFields(
        name=given.name,
        timezone=given.timezone,
        is_default=given.is_default,
        valid_from=given.valid_from,
        valid_until=given.valid_until,
        **_stored(given),
    )

    async def make(conn: Connection) -> dict[str, Any]:
        return _envelope(await schedules.create_schedule(conn, call.principal.org_id, owner, fields, call.now))

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    schedule = await schedules.get_schedule(call.conn, call.principal.org_id, call.path_id(Kind.SCHEDULE))
    return json_response(_envelope(schedule))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.SCHEDULE, "schedules", schedules.list_schedules, schedule_out)


async def update(call: Call) -> web.Response:
    given = call.body(SchedulePatch)
    if "owner" in given.model_fields_set:
        raise InvalidInput.of("owner", "a schedule keeps its owner")
    changes = {name: getattr(given, name) for name in given.model_fields_set}
    changes |= {name: value for name, value in _stored(given).items() if name in changes}
    schedule = await call.write(
        lambda conn: schedules.update_schedule(
            conn, call.principal.org_id, call.path_id(Kind.SCHEDULE), changes, call.now
        )
    )
    return json_response(_envelope(schedule))


async def delete(call: Call) -> web.Response:
    await call.write(lambda conn: schedules.delete_schedule(conn, call.principal.org_id, call.path_id(Kind.SCHEDULE)))
    return web.Response(status=204)
