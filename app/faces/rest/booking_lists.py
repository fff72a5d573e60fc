"""`GET /v1/bookings` and `GET /v1/bookings/stats`: which bookings there are, and how many."""

import dataclasses
from typing import Any

from aiohttp import web

from app.core import db
from app.core.ids import Kind, encode
from app.domain.bookings.lists import Stats, count_bookings, count_by_kind, list_bookings
from app.faces.rest.bookings import shown_to
from app.faces.rest.shapes.booking_lists import BookingsQuery, StatsQuery
from app.web.call import Call, json_response
from app.web.paging import cursor_id, pagination


async def list_all(call: Call) -> web.Response:
    """The earliest start first. By cursor, or by the number of a page with a total."""
    query = call.query(BookingsQuery)
    org_id, limit = call.principal.org_id, query.limit
    filters = dataclasses.replace(query.filters, of_user_id=call.principal.only_own_user_id)
    after = cursor_id(Kind.BOOKING, query.cursor)
    async with db.snapshot(call.conn):
        rows = await list_bookings(call.conn, org_id, filters, after=after, limit=limit + 1, skip=query.skipped)
        total = 0 if query.page is None else await count_bookings(call.conn, org_id, filters)
    place: dict[str, Any] = pagination(Kind.BOOKING, rows, limit)
    if query.page is not None:
        place = {"page": query.page, "limit": limit, "total": total, "has_more": len(rows) > limit}
    shown = [shown_to(call.principal, booking) for booking in rows[:limit]]
    return json_response({"success": True, "bookings": shown, "pagination": place})


async def stats(call: Call) -> web.Response:
    query = call.query(StatsQuery)
    start, end = query.starts_from, query.starts_before
    principal = call.principal
    async with db.snapshot(call.conn):
        counted = await count_by_kind(
            *(call.conn, principal.org_id, start, end, query.timezone), principal.only_own_user_id
        )
    return call.answer(_stats(counted))


def _stats(counted: Stats) -> dict[str, Any]:
    return {
        "total": counted.total,
        "by_status": {status.value: count for status, count in counted.by_status.items()},
        "by_event_type": [
            {"event_type_id": encode(Kind.EVENT_TYPE, each), "code": code, "count": count}
            for each, code, count in counted.by_event_type
        ],
        "by_host": [{"user_id": encode(Kind.USER, each), "count": count} for each, count in counted.by_host],
        "by_day": [{"date": day.isoformat(), "count": count} for day, count in counted.by_day],
    }
