"""What webhooks were sent: the log, samples, and sending again."""

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind, encode
from app.domain.webhooks.journal import LoggedDelivery, get_delivery, list_deliveries, redeliver, replay, send_sample
from app.domain.webhooks.samples import sample_of
from app.domain.webhooks.subscriptions import get_webhook
from app.faces.rest.shapes.deliveries import DeliveriesQuery, ReplayIn, SampleIn, delivery_out
from app.faces.rest.shapes.webhooks import NothingIn
from app.web.auditing import note
from app.web.call import Call
from app.web.paging import cursor_id, page_response


async def list_all(call: Call) -> web.Response:
    """Newest first."""
    query, org_id, webhook_id = call.query(DeliveriesQuery), call.principal.org_id, call.path_id(Kind.WEBHOOK)
    after = cursor_id(Kind.DELIVERY, query.cursor)
    rows = await list_deliveries(call.conn, org_id, webhook_id, query.status, after, query.limit + 1)
    return page_response(call, Kind.DELIVERY, rows, query.limit, delivery_out)


async def read(call: Call) -> web.Response:
    delivery = await get_delivery(call.conn, call.principal.org_id, call.path_id(Kind.DELIVERY))
    return call.answer(delivery_out(delivery))


async def send_one_now(call: Call) -> web.Response:
    """Send a sample; the worker delivers it like any other event."""
    given, org_id, webhook_id = call.optional_body(SampleIn), call.principal.org_id, call.path_id(Kind.WEBHOOK)
    webhook = await get_webhook(call.conn, org_id, webhook_id)
    event = sample_of(given.event or webhook.events[0], org_id, call.now)
    delivery = await call.write(lambda conn: send_sample(conn, org_id, webhook_id, event, call.now))
    return call.answer(delivery_out(delivery))


async def send_again(call: Call) -> web.Response:
    delivery_id, org_id = call.path_id(Kind.DELIVERY), call.principal.org_id
    call.optional_body(NothingIn)

    async def again(conn: Connection) -> LoggedDelivery:
        await note(conn, call, "delivery.sent_again", encode(Kind.DELIVERY, delivery_id))
        return await redeliver(conn, org_id, delivery_id, call.now)

    delivery = await call.write(again)
    return call.answer(delivery_out(delivery))


async def send_range_again(call: Call) -> web.Response:
    given, org_id, webhook_id = call.body(ReplayIn), call.principal.org_id, call.path_id(Kind.WEBHOOK)

    async def again(conn: Connection) -> int:
        period = (given.since, given.until)
        count = await replay(conn, org_id, webhook_id, *period, failed_only=given.failed_only, now=call.now)
        await note(conn, call, "webhook.replayed", encode(Kind.WEBHOOK, webhook_id), count=count)
        return count

    count = await call.write(again)
    return call.answer({"count": count})
