"""`/v1/webhooks`: subscribe, read, change, give a new secret, unsubscribe."""

from typing import Any

from aiohttp import web

from app.core.db import Connection
from app.core.ids import Kind
from app.domain.webhooks import subscriptions
from app.domain.webhooks.addresses import check_url
from app.faces.rest.shapes.webhooks import NothingIn, WebhookIn, WebhookPatch, webhook_out
from app.web import idempotency
from app.web.call import Call
from app.web.paging import list_page


def _checked_url(call: Call, url: str) -> str:
    settings = call.settings
    return str(check_url(url, development=settings.development, allowed=settings.webhook_allow_networks))


async def create(call: Call) -> web.Response:
    """The only answer that shows the secret, but for a rotation's."""
    given = call.body(WebhookIn)
    url = _checked_url(call, given.url)

    async def make(conn: Connection) -> dict[str, Any]:
        webhook, secret = await subscriptions.create_webhook(
            conn,
            call.principal.org_id,
            url=url,
            events=tuple(dict.fromkeys(given.events)),
            description=given.description,
            active=given.active,
            vault=call.vault,
            now=call.now,
        )
        return call.envelope({**webhook_out(webhook), "secret": secret})

    return await idempotency.create(call, make)


async def read(call: Call) -> web.Response:
    webhook = await subscriptions.get_webhook(call.conn, call.principal.org_id, call.path_id(Kind.WEBHOOK))
    return call.answer(webhook_out(webhook))


async def list_all(call: Call) -> web.Response:
    return await list_page(call, Kind.WEBHOOK, subscriptions.list_webhooks, webhook_out)


async def update(call: Call) -> web.Response:
    given, webhook_id = call.body(WebhookPatch), call.path_id(Kind.WEBHOOK)
    changes = given.changes()
    if "url" in changes:
        changes["url"] = _checked_url(call, changes["url"])
    webhook = await call.write(
        lambda conn: subscriptions.update_webhook(conn, call.principal.org_id, webhook_id, changes, call.now)
    )
    return call.answer(webhook_out(webhook))


async def rotate_secret(call: Call) -> web.Response:
    webhook_id = call.path_id(Kind.WEBHOOK)
    call.optional_body(NothingIn)

    async def make(conn: Connection) -> dict[str, Any]:
        rotated = await subscriptions.rotate_secret(conn, call.principal.org_id, webhook_id, call.vault, call.now)
        webhook, secret = rotated
        return call.envelope({**webhook_out(webhook), "secret": secret})

    return await idempotency.create(call, make, status=200)


async def delete(call: Call) -> web.Response:
    webhook_id = call.path_id(Kind.WEBHOOK)
    await call.write(lambda conn: subscriptions.delete_webhook(conn, call.principal.org_id, webhook_id, call.now))
    return web.Response(status=204)
