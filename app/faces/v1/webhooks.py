"""`/v1/webhooks`: subscribe, read, unsubscribe."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.errors import InvalidInput
from app.core.ids import Kind
from app.domain.webhooks import subscriptions
from app.domain.webhooks.addresses import check_url
from app.domain.webhooks.subscriptions import EVENTS
from app.faces.v1.shapes.webhooks import WebhookIn, webhook_out
from app.web import idempotency
from app.web.call import Call, json_response
from app.web.paging import list_page


async def create(call: Call) -> web.Response:
    """The only answer that shows the secret."""
    given = call.body(WebhookIn)
    settings = call.settings
    url = check_url(given.url, development=settings.development, allowed=settings.webhook_allow_networks)
    for number, event in enumerate(given.events):
        if event not in EVENTS:
            raise InvalidInput.of(f"events.{number}", f"is not an event; there are {', '.join(EVENTS)}")

    async def make(conn: Connection) -> dict[str, Any]:
        webhook, secret = await subscriptions.create_webhook(
            conn,
            call.principal.org_id,
            url=str(url),
            events=tuple(dict.fromkeys(given.events)),
            description=given.description,
            active=given.active,
            vault=call.vault,
            now=call.now,
        )
        return {"success": True, "webhook": {**webhook_out(webhook), "secret": secret}}

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    webhook = await subscriptions.get_webhook(call.conn, call.principal.org_id, call.path_id(Kind.WEBHOOK))
    return json_response({"success": True, "webhook": webhook_out(webhook)})


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.WEBHOOK, "webhooks", subscriptions.list_webhooks, webhook_out)


async def delete(call: Call) -> web.Response:
    webhook_id = call.path_id(Kind.WEBHOOK)
    await call.write(lambda conn: subscriptions.delete_webhook(conn, call.principal.org_id, webhook_id, call.now))
    return web.Response(status=204)
