"""`/api/bookables`: desks, rooms and things, and whether they can be had for a time (seed 000)."""

from aiohttp import web

from app.domain.resources.availability import list_vacancies
from app.domain.resources.resources import count_resources
from app.faces.browser.booking_shapes import BookablesQuery
from app.faces.rest.shapes.resources import vacancy_out
from app.web.call import Call
from app.web.paging import numbered_response


async def list_all(call: Call) -> web.Response:
    query, org_id = call.query(BookablesQuery), call.principal.org_id
    upto = query.skipped + query.limit
    found = await list_vacancies(call.conn, org_id, query.wanted, *query.period(call.now), None, upto, call.now)
    total = await count_resources(call.conn, org_id, query.wanted, only_active=True)
    return numbered_response(call, [vacancy_out(each) for each in found[query.skipped :]], query, total)
